//! An output that passes its quota: its head and its tail are shown, and what was dropped between
//! them is told, never shown as zeros.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::support::wire::{Reply, answer, connect};
use crate::support::{Place, words};

const QUOTA: u64 = 64 << 10;
const HEAD: u64 = QUOTA / 4;

/// Bytes of a line of [`seq`], which tells its own place.
const LINE: u64 = 8;

/// Returns the shell command that writes the lines that belong from one offset to another.
fn seq(from: u64, to: u64) -> String {
    format!("seq {} {}", 1_000_000 + from / LINE, 1_000_000 + to / LINE - 1)
}

/// Returns the number of bytes that a line says were dropped.
fn dropped(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("[candor: ")?;
    let number = rest.strip_suffix(" bytes were dropped here: the output passed its quota]")?;
    Some(number.replace(',', "").parse().unwrap())
}

/// Checks that each line is the one that belongs to its place, and returns what was dropped, with
/// its place, and the size of all.
#[track_caller]
fn follow_lines(shown: &str) -> (Vec<(u64, u64)>, u64) {
    let (mut offset, mut gaps) = (0, Vec::new());
    let mut lines = shown.lines().peekable();
    // A gap may begin and end within a line, whose parts are shown.
    while let Some(line) = lines.next() {
        if let Some(bytes) = dropped(line) {
            gaps.push((offset, bytes));
            offset += bytes;
            continue;
        }
        let whole = format!("{}\n", 1_000_000 + offset / LINE);
        let begin = usize::try_from(offset % LINE).unwrap();
        let is_cut = lines.peek().is_some_and(|next| dropped(next).is_some());
        if is_cut && whole[begin..] != format!("{line}\n") {
            assert!(whole[begin..].starts_with(line), "{line:?} at {offset}");
            offset += line.len() as u64;
        } else {
            assert_eq!(format!("{line}\n"), whole[begin..], "at {offset}");
            offset += LINE - offset % LINE;
        }
    }
    (gaps, offset)
}

fn place() -> Place {
    let place = Place::new();
    place.configure("output_quota = \"64KiB\"\n");
    place
}

/// Launches a session that prints so much, and waits for its end.
fn printed(place: &Place, size: u64) -> String {
    let id = place.launch(["sh", "-c", &seq(0, size)]);
    place.run(["wait", &id]).expect(0);
    id
}

fn get(place: &Place, id: &str, query: &str) -> Reply {
    let mut stream = connect(&place.home());
    let path = format!("/v1/sessions/{id}/output/stdout?{query}");
    let head = format!("GET {path} HTTP/1.1\r\nhost: candor\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    answer(stream)
}

fn file(place: &Place, id: &str) -> PathBuf {
    place.home().join("sessions").join(id).join("stdout")
}

#[test]
fn head_and_tail_are_shown_and_the_gap_stands_between_them() {
    let place = place();
    let size = 10 * QUOTA;
    let id = printed(&place, size);
    for words in [&["logs", &id][..], &["logs", "-f", &id]] {
        let said = place.run(words).expect(0);
        assert_eq!(said.errors, b"", "nothing is missing that was not dropped");
        let (gaps, end) = follow_lines(said.stdout());
        let [(HEAD, bytes)] = gaps[..] else { panic!("{gaps:?}") };
        assert_eq!(end, size);
        assert!((size - QUOTA..size - QUOTA / 2).contains(&bytes), "{bytes}");
    }
    let output = &place.session(&id)["evidence"]["output"];
    assert_eq!((&output["stdout_bytes"], &output["stderr_bytes"]), (&size.into(), &0.into()));
    place.run(["doctor"]).expect(0);
    place.run(["rm", &id]).expect(0);
    assert_eq!(place.names_in("sessions"), [""; 0]);
}

#[test]
fn over_http_an_answer_breaks_off_at_the_gap_and_the_next_says_where_it_begins() {
    let place = place();
    let size = 10 * QUOTA;
    let id = printed(&place, size);
    let begins = |reply: &Reply| -> u64 {
        let (_, rest) = reply.head.split_once("candor-output-offset: ").unwrap();
        rest.lines().next().unwrap().trim().parse().unwrap()
    };
    // Without the empty chunk at its end an answer is not whole.
    let is_whole = |reply: &Reply| reply.body.ends_with(b"0\r\n\r\n");
    let first = get(&place, &id, "offset=0");
    assert_eq!((begins(&first), is_whole(&first)), (0, false));
    let second = get(&place, &id, &format!("offset={HEAD}"));
    let to = begins(&second);
    assert!(to > HEAD && is_whole(&second), "{to}");
    assert!(!first.body.contains(&0) && !second.body.contains(&0));
    let inside = get(&place, &id, &format!("offset={}", to - 1));
    assert_eq!((begins(&inside), inside.body), (to, second.body));
    let tail = get(&place, &id, &format!("offset={}", size - LINE));
    assert_eq!((begins(&tail), is_whole(&tail)), (size - LINE, true));
}

#[test]
fn a_follower_of_a_flood_gets_each_line_or_is_told_of_the_gap() {
    let place = place();
    let go = place.fifo("go");
    let step = 40 * QUOTA;
    let steps: Vec<_> = (0..8).map(|n| seq(n * step, (n + 1) * step)).collect();
    // It writes for some seconds, so that the shim drops something several times.
    let script = format!("read _ < {}; {}", go.display(), steps.join("; sleep 0.2; "));
    let id = place.launch(["sh", "-c", &script]);
    let logs = place.start(["logs", "-f", &id]);
    let late = place.start(["logs", "-f", &id]);
    fs::write(go, "go\n").unwrap();
    for logs in [logs, late] {
        let said = logs.finish().expect(0);
        let (gaps, end) = follow_lines(said.stdout());
        assert_eq!(end, 8 * step, "{gaps:?}");
        assert!(gaps.iter().all(|(from, _)| *from >= HEAD), "{gaps:?}");
        assert_eq!(said.errors, b"");
    }
    let said = place.run(["logs", &id]).expect(0);
    let (gaps, end) = follow_lines(said.stdout());
    assert_eq!((gaps.len(), end), (1, 8 * step));
}

#[test]
fn without_a_quota_all_is_kept() {
    let place = Place::new();
    place.configure("output_quota = \"none\"\n");
    let size = 20 * QUOTA;
    let id = printed(&place, size);
    let said = place.run(["logs", &id]).expect(0);
    assert_eq!(follow_lines(said.stdout()), (Vec::new(), size));
}

#[test]
fn output_that_somebody_cut_off_or_removed_is_told_of() {
    let place = place();
    let id = printed(&place, 800);
    fs::File::options().write(true).open(file(&place, &id)).unwrap().set_len(80).unwrap();
    let said = place.run(["logs", &id]).expect(0);
    assert_eq!(said.stdout().len(), 80);
    said.because(&["720 bytes at the end of stdout are missing"]);
    fs::remove_file(file(&place, &id)).unwrap();
    let said = place.run(["logs", "-f", &id]).expect(0);
    said.because(&["800 bytes at the end of stdout are missing"]);
}

#[test]
fn a_follower_goes_on_where_a_file_was_cut_off() {
    let place = place();
    let (ready, go) = (place.fifo("ready"), place.fifo("go"));
    let script = words!["--print", "past", "--ready", &ready, "--await", &go, "--print", "new"];
    let id = place.launch(crate::support::agent(script));
    fs::read(ready).unwrap();
    let mut logs = place.start(["logs", "-f", &id]);
    assert_eq!(logs.line(), "past");
    fs::File::options().write(true).open(file(&place, &id)).unwrap().set_len(0).unwrap();
    let cut = "[candor: somebody has cut the output off; it goes on from byte 0]";
    assert_eq!(logs.line(), cut);
    fs::write(go, "go\n").unwrap();
    assert_eq!(logs.line(), "new");
    logs.finish().expect(0);
}
