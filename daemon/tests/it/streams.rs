//! `GET /v1/events` as server-sent events: nothing missed, nothing twice, whatever happens between.

use candor_adapters::process::raise_open_files;
use serde_json::{Value, json};

use crate::support::{Frame, Place, Sse, agent, wire};

/// Streams that may be open at one time.
const STREAMS_MAX: usize = 1_000;

fn frames_of(events: &[Value]) -> Vec<Frame> {
    let frame = |event: &Value| Frame {
        id: event["seq"].as_u64(),
        event: event["type"].as_str().unwrap().to_owned(),
        data: event.clone(),
    };
    events.iter().map(frame).collect()
}

#[test]
fn a_frame_is_an_event_and_its_id_is_the_place_to_go_on_from() {
    let place = Place::new();
    place.run(["run", "--", "false"]).expect(1);
    let log = frames_of(&place.events([""; 0]));
    let mut stream = Sse::open(&place.home(), "/v1/events", None);
    let frames = stream.until(|frame| frame.event == "status_changed" && frame.id == Some(3));
    assert_eq!(frames, log);
    let mut stream = Sse::open(&place.home(), "/v1/events?after=2", None);
    assert_eq!(stream.next(), log[2]);
    // What the client has seen itself counts for more than what it began with.
    let mut stream = Sse::open(&place.home(), "/v1/events?after=2", Some(1));
    assert_eq!([stream.next(), stream.next()], log[1..]);
    // Live from here on, without being asked to follow.
    place.run(["run", "--", "true"]).expect(0);
    let next = stream.until(|frame| frame.data["to"] == "completed");
    assert_eq!(next, frames_of(&place.events(["--after", "3"])));
}

#[test]
fn events_are_picked_by_status_and_type_and_session() {
    let place = Place::new();
    let one = place.launch(["true"]);
    let two = place.launch(["false"]);
    place.run(["wait", &one, &two]).expect(1);
    place.run(["rm", &one]).expect(0);
    place.run(["run", "--", "false"]).expect(1);
    let all = place.events([""; 0]);
    let fitting = |fits: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        all.iter().filter(|event| fits(event)).cloned().collect()
    };
    let failed = place.events(["--status", "failed"]);
    assert_eq!((failed.len(), failed), (2, fitting(&|event| event["to"] == "failed")));
    let removed = place.events(["--type", "session_removed"]);
    assert_eq!(removed, fitting(&|event| event["to"].is_null()));
    let both = fitting(&|event| event["to"] == "failed" || event["to"] == "running");
    let words = ["--status", "running", "--status", "failed", "--type", "status_changed"];
    assert_eq!(place.events(words), both);
    let of_two = fitting(&|event| event["session"] == two.as_str() && event["to"] == "failed");
    assert_eq!(place.events(["--session", &two, "--status", "failed"]), of_two);
    place.run(["events", "--type", "changed"]).expect(2).because(&["session_removed"]);
    // Live, too.
    let mut stream = Sse::open(&place.home(), "/v1/events?status=failed&after=6", None);
    place.run(["run", "--", "true"]).expect(0);
    place.run(["run", "--", "false"]).expect(1);
    let last = place.events([""; 0]).pop().unwrap();
    let frames = stream.until(|frame| frame.id == last["seq"].as_u64());
    assert!(frames.iter().all(|frame| frame.data["to"] == "failed"), "{frames:?}");
    assert_eq!(frames.len(), 2);
}

#[test]
fn a_stream_that_cannot_be_is_refused_with_a_sentence() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let ask = |query: &str| wire::ask(&place.home(), "GET", &format!("/v1/events?{query}"), b"");
    let said = ask("status=done").assert_problem(400, "bad_request");
    assert!(said.contains("completed"), "{said}");
    let said = ask("type=changed").assert_problem(400, "bad_request");
    assert!(said.contains("session_removed"), "{said}");
    ask("view=everything").assert_problem(400, "bad_request");
    ask("after=-1").assert_problem(400, "bad_request");
    ask("session=ffffffff").assert_problem(404, "not_found");
    let head = Sse::try_open(&place.home(), "/v1/events?after=x", None).head;
    assert!(head.contains("400 bad request"), "{head}");
}

#[test]
fn an_event_comes_with_its_session_when_asked() {
    let place = Place::new();
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let gone = place.launch(["true"]);
    place.run(["wait", &gone]).expect(0);
    place.run(["rm", &gone]).expect(0);
    let mut stream = Sse::open(&place.home(), "/v1/events?view=session", None);
    let frames = stream.until(|frame| frame.event == "session_removed");
    let removal = &frames.last().unwrap().data;
    assert_eq!((&removal["session"], &removal["view"]), (&gone.as_str().into(), &Value::Null));
    for frame in frames.iter().filter(|frame| frame.data["session"] == live.as_str()) {
        // As it is now, which is later than the event.
        assert_eq!(frame.data["view"], place.session(&live));
    }
    place.run(["interrupt", &live]).expect(0);
    place.run(["wait", &live]).expect(130);
    let frames = stream.until(|frame| frame.data["to"] == "completed");
    for frame in &frames {
        let (event, session) = (&frame.data, &frame.data["view"]);
        assert!(session["revision"].as_u64() >= event["revision"].as_u64(), "{event}");
        assert_eq!(session["id"], live.as_str());
    }
    assert_eq!(frames.last().unwrap().data["view"], place.session(&live));
}

#[test]
fn a_stream_goes_on_at_the_next_daemon_and_is_told_goodbye_by_one_that_leaves() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let mut seen = Vec::new();
    let mut stream = Sse::open(&place.home(), "/v1/events", None);
    for is_killed in [false, true, false] {
        place.run(["run", "--", "false"]).expect(1);
        if is_killed {
            place.kill_daemon();
        } else {
            place.run(["daemon", "stop"]).expect(0);
        }
        let end = loop {
            match stream.try_next() {
                Ok(Some(frame)) if frame.event == "bye" => {
                    assert_eq!((frame.id, frame.data), (None, json!({})));
                    assert_eq!(stream.try_next().unwrap(), None);
                    break "bye";
                }
                Ok(Some(frame)) => seen.push(frame),
                Ok(None) => break "an end without a word",
                Err(_) => break "broken off",
            }
        };
        assert_eq!(end, if is_killed { "broken off" } else { "bye" });
        place.run(["run", "--", "true"]).expect(0);
        stream = Sse::open(&place.home(), "/v1/events", seen.last().and_then(|frame| frame.id));
    }
    place.run(["run", "--", "false"]).expect(1);
    let log = frames_of(&place.events([""; 0]));
    seen.extend(stream.until(|frame| frame.id == log.last().unwrap().id));
    assert_eq!(seen, log);
}

#[test]
fn whoever_missed_what_was_removed_is_told_to_look_anew() {
    let place = Place::new();
    let one = place.launch(["true"]);
    place.run(["wait", &one]).expect(0);
    place.run(["run", "--", "false"]).expect(1);
    let mut live = Sse::open(&place.home(), "/v1/events", Some(6));
    place.run(["rm", &one]).expect(0);
    let removal = Frame {
        id: Some(7),
        event: "session_removed".to_owned(),
        data: place.events(["--after", "6"]).pop().unwrap(),
    };
    // Who had read all has missed nothing.
    assert_eq!(live.next(), removal);
    let reset = |seq: u64, reason: &str| Frame {
        id: Some(seq),
        event: "reset".to_owned(),
        data: json!({"seq": seq, "type": "reset", "reason": reason}),
    };
    let mut late = Sse::open(&place.home(), "/v1/events", Some(2));
    assert_eq!(late.next(), reset(2, "events_removed"));
    let rest = late.until(|frame| frame.event == "session_removed");
    assert_eq!(rest.iter().filter_map(|frame| frame.id).collect::<Vec<_>>(), [4, 5, 6, 7]);
    let mut ahead = Sse::open(&place.home(), "/v1/events", Some(1_000));
    assert_eq!(ahead.next(), reset(7, "cursor_ahead"));
    place.run(["run", "--", "true"]).expect(0);
    assert_eq!(ahead.next().id, Some(8));
}

#[test]
fn a_client_that_does_not_read_misses_nothing_once_it_does() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    // Texts that fill what the system keeps for the client many times over.
    let title = "x".repeat(60_000);
    let mut stalled = Sse::open(&place.home(), "/v1/events?view=session", None);
    for _ in 0..12 {
        place.run(["run", "--title", &title, "--", "true"]).expect(0);
    }
    let log = place.events([""; 0]);
    let frames = stalled.until(|frame| frame.id == log.last().unwrap()["seq"].as_u64());
    let ids: Vec<_> = frames.iter().filter_map(|frame| frame.id).collect();
    assert_eq!(ids, (1..=log.len() as u64).collect::<Vec<_>>());
    assert!(frames[3..].iter().all(|frame| frame.data["view"]["title"] == title.as_str()));
}

#[test]
fn a_quiet_stream_says_that_it_is_alive() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let mut stream = Sse::open(&place.home(), "/v1/events", Some(3));
    stream.await_comment();
    // Nor is it said to those whom nothing of all this concerns.
    place.run(["run", "--", "true"]).expect(0);
    assert_eq!(stream.next().id, Some(4));
}

#[test]
fn one_stream_too_many_is_refused_until_another_ends() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    raise_open_files().unwrap();
    let open = || Sse::try_open(&place.home(), "/v1/events?after=3", None);
    let mut streams: Vec<_> = (0..STREAMS_MAX).map(|_| open()).collect();
    assert!(streams.iter().all(|stream| stream.head.contains("200 ok")));
    let refused = wire::ask(&place.home(), "GET", "/v1/events?after=3&follow=true", b"");
    refused.assert_problem(429, "too_many_streams");
    // What ends by itself is no stream.
    let page = wire::ask(&place.home(), "GET", "/v1/events", b"");
    assert_eq!(page.status, 200);
    // All of them are told what happens.
    place.launch(["true"]);
    for stream in &mut streams {
        let ids: Vec<_> = (0..3).map(|_| stream.next().id).collect();
        assert_eq!(ids, [Some(4), Some(5), Some(6)]);
    }
    drop(streams.pop());
    // The daemon notices that in its own time.
    while !open().head.contains("200 ok") {}
}
