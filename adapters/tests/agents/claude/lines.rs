//! What single lines mean that no captured stream has.

use candor_adapters::agents::{Claude, Item, ItemKind, Listener, Role};
use candor_core::agent::{AgentSpec, SAID_BYTES_MAX, TroubleKind, Turn, View};
use serde_json::{Value, json};

use crate::facts;

fn one_shot() -> Listener {
    facts::listener(&Claude, &facts::spec("claude"))
}

fn interactive() -> Listener {
    let spec = AgentSpec { is_interactive: true, ..facts::spec("claude") };
    facts::listener(&Claude, &spec)
}

fn take(listener: &mut Listener, lines: &[Value]) -> Vec<Item> {
    let mut items = Vec::new();
    for line in lines {
        listener.take(format!("{line}\n").as_bytes(), &mut items);
    }
    items
}

fn init() -> Value {
    json!({"type": "system", "subtype": "init", "session_id": "s", "model": "m"})
}

fn says(text: &str) -> Value {
    json!({"type": "assistant", "message": {"model": "m", "content": [{"type": "text", "text": text}]}})
}

fn result() -> Value {
    json!({"type": "result", "subtype": "success", "is_error": false, "num_turns": 1, "result": "done"})
}

fn kind(view: &View) -> Option<&str> {
    view.report.as_ref()?.kind.as_deref()
}

fn limit(status: &str) -> Value {
    json!({"type": "rate_limit_event", "rate_limit_info": {
        "status": status, "resetsAt": 1_795_400_000, "rateLimitType": "five_hour"}})
}

#[test]
fn the_last_of_two_reports_counts() {
    let mut listener = one_shot();
    let failed = json!({"type": "result", "subtype": "error_during_execution", "is_error": true});
    take(&mut listener, &[init(), result(), failed.clone()]);
    assert_eq!(kind(listener.view()), Some("error_during_execution"));
    take(&mut listener, &[init(), result()]);
    assert_eq!(kind(listener.view()), Some("success"));
    assert!(listener.view().report_is_final);
}

#[test]
fn what_a_sub_agent_reports_is_none_of_the_sessions() {
    let mut listener = one_shot();
    let mut inner = result();
    inner["parent_tool_use_id"] = json!("call");
    let mut error = says("Overloaded");
    error["parent_tool_use_id"] = json!("call");
    error["message"]["model"] = json!("<synthetic>");
    error["error"] = json!("rate_limit");
    let items = take(&mut listener, &[init(), inner, error]);
    let view = listener.view();
    assert_eq!((view.turn, &view.report, &view.learned.last_said), (Turn::Begun, &None, &None));
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].within.as_deref(), Some("call"));
    // Nor does it say how the session's own request failed.
    let failed = json!({"type": "result", "subtype": "success", "is_error": true});
    take(&mut listener, &[failed]);
    assert_eq!(kind(listener.view()), Some("api_error"));
}

#[test]
fn a_turn_that_was_broken_off_without_a_word_leaves_no_report() {
    let mut listener = interactive();
    take(&mut listener, &[init(), result(), init(), says("I shall …")]);
    assert_eq!(kind(listener.view()), Some("success"));
    listener.end("", &mut Vec::new());
    assert_eq!(listener.view().report, None);

    let mut listener = interactive();
    take(&mut listener, &[init(), result()]);
    listener.end("", &mut Vec::new());
    assert_eq!(kind(listener.view()), Some("success"));
    assert!(listener.view().report_is_final);
}

#[test]
fn a_torn_report_is_none() {
    let text = format!("{}\n{}\n", init(), result());
    for cut in 1..=result().to_string().len() {
        let mut listener = one_shot();
        listener.take(&text.as_bytes()[..text.len() - 1 - cut], &mut Vec::new());
        listener.end("", &mut Vec::new());
        assert_eq!(listener.view().report, None, "{cut} bytes are missing");
    }
    // Whole, and only its end is missing: it was written.
    let mut listener = one_shot();
    listener.take(&text.as_bytes()[..text.len() - 1], &mut Vec::new());
    listener.end("", &mut Vec::new());
    assert_eq!(kind(listener.view()), Some("success"));
}

#[test]
fn the_prompt_is_owed_until_the_first_turn_and_the_end_of_input_after_the_last() {
    let mut listener = one_shot();
    let [prompt] = <[_; 1]>::try_from(listener.owed()).unwrap();
    let line: Value = serde_json::from_slice(&prompt.bytes).unwrap();
    assert_eq!(line["message"]["content"][0]["text"], "do the thing");
    take(&mut listener, &[json!({"type": "system", "subtype": "hook_started"})]);
    assert_eq!(listener.owed(), std::slice::from_ref(&prompt));
    take(&mut listener, &[init()]);
    assert!(listener.owed().is_empty());
    take(&mut listener, &[result()]);
    let [end] = <[_; 1]>::try_from(listener.owed()).unwrap();
    assert!(end.is_last && end.bytes.is_empty() && end.key != prompt.key);
    listener.end("", &mut Vec::new());
    assert!(listener.owed().is_empty());

    let mut listener = interactive();
    take(&mut listener, &[init(), result()]);
    assert!(listener.owed().is_empty() && !listener.view().report_is_final);
}

#[test]
fn while_a_task_runs_a_report_is_not_the_last() {
    let task = |id: &str| json!({"type": "system", "subtype": "task_started", "task_id": id});
    let over = |id: &str, status: &str| json!({"type": "system", "subtype": "task_notification", "task_id": id, "status": status});
    let mut listener = one_shot();
    take(&mut listener, &[init(), task("a"), task("b"), result()]);
    assert!(!listener.view().report_is_final && listener.owed().is_empty());
    // Its end wakes the model: what it reports then counts.
    take(&mut listener, &[over("a", "completed"), init(), result()]);
    assert!(!listener.view().report_is_final);
    take(&mut listener, &[over("b", "stopped")]);
    assert!(!listener.view().report_is_final);
    take(&mut listener, &[init(), result()]);
    assert!(listener.view().report_is_final && listener.owed().len() == 1);
}

#[test]
fn more_tasks_than_are_told_apart_are_never_known_to_be_over() {
    let mut listener = one_shot();
    take(&mut listener, &[init()]);
    for id in 0..10_000 {
        let id = id.to_string();
        take(&mut listener, &[json!({"type": "system", "subtype": "task_started", "task_id": id})]);
    }
    for id in 0..10_000 {
        let patch = json!({"status": "completed"});
        let id = id.to_string();
        take(
            &mut listener,
            &[json!({"type": "system", "subtype": "task_updated", "task_id": id, "patch": patch})],
        );
    }
    take(&mut listener, &[result()]);
    assert!(!listener.view().report_is_final);
    listener.end("", &mut Vec::new());
    assert!(listener.view().report_is_final);
}

#[test]
fn a_limit_is_told_with_its_end_until_it_is_lifted() {
    let mut listener = interactive();
    take(&mut listener, &[init(), limit("allowed_warning")]);
    assert_eq!(listener.view().learned.trouble, None);
    take(&mut listener, &[limit("rejected")]);
    let refused = json!({"type": "assistant", "error": "rate_limit", "message": {
        "model": "<synthetic>", "content": [{"type": "text", "text": "You have hit your limit"}]}});
    let failed = json!({"type": "result", "subtype": "success", "is_error": true});
    take(&mut listener, &[refused, failed]);
    let trouble = listener.view().learned.trouble.clone().unwrap();
    assert_eq!(trouble.kind, TroubleKind::RateLimit);
    assert_eq!(trouble.until.unwrap().as_second(), 1_795_400_000);
    assert!(trouble.message.contains("five_hour"), "{}", trouble.message);
    assert_eq!(kind(listener.view()), Some("rate_limit"));
    take(&mut listener, &[init(), says("Here I am.")]);
    assert_eq!(listener.view().learned.trouble, None);
    take(&mut listener, &[limit("rejected"), limit("allowed")]);
    assert_eq!(listener.view().learned.trouble, None);
}

#[test]
fn a_request_that_is_tried_again_is_trouble_until_it_passes() {
    let retry = |status: u16, error: &str| {
        json!({"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10,
            "retry_delay_ms": 600, "error_status": status, "error": error})
    };
    let partial = json!({"type": "stream_event", "event": {"type": "content_block_delta"}});
    let passes = [says("x"), result(), partial];
    for passes in passes {
        let mut listener = interactive();
        take(&mut listener, &[init(), retry(429, "rate_limit")]);
        let trouble = listener.view().learned.trouble.as_ref().unwrap();
        assert_eq!((trouble.kind, trouble.until), (TroubleKind::RateLimit, None));
        take(&mut listener, &[retry(529, "overloaded")]);
        let trouble = listener.view().learned.trouble.as_ref().unwrap();
        assert_eq!(trouble.kind, TroubleKind::Api);
        // Its fields stand in this order where it is printed; what reads it does not depend on that.
        let text = passes.to_string().replacen("{\"event\"", "{\"x\":0,\"event\"", 1);
        listener.take(format!("{text}\n").as_bytes(), &mut Vec::new());
        assert_eq!(listener.view().learned.trouble, None, "{text}");
        assert_eq!(listener.view().learned.lines_unknown, 0, "{text}");
    }
}

#[test]
fn lines_that_nobody_understands_are_counted_and_cost_nothing_else() {
    let mut listener = one_shot();
    let mut items = take(&mut listener, &[init(), says("before")]);
    let before = listener.view().clone();
    let strange: [&[u8]; 10] = [
        b"Debugger attached.",
        b"null",
        b"[1,2]",
        b"{\"type\":\"assistant\"",
        b"{\"type\":\"result\"} {}",
        b"{\"type\":\"no_such_type\"}",
        b"{\"type\":\"system\",\"subtype\":\"no_such_subtype\"}",
        b"{\"type\":7}",
        b"{}",
        b"\xff\xfe\x00",
    ];
    for line in strange {
        listener.take(line, &mut items);
        listener.take(b"\n", &mut items);
    }
    listener.take(b"\n  \r\n", &mut items);
    assert_eq!(listener.view().learned.lines_unknown, strange.len() as u64);
    let mut after = listener.view().clone();
    after.learned.lines_unknown = 0;
    assert_eq!(after, before);
    assert_eq!(items.len(), 1);
}

#[test]
fn a_stray_byte_in_a_text_does_not_hide_the_report() {
    let mut listener = one_shot();
    listener.take(
        b"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"a\xffb\"}\n",
        &mut Vec::new(),
    );
    assert_eq!(kind(listener.view()), Some("success"));
    assert_eq!(listener.view().learned.last_said.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn a_field_of_another_type_than_today_does_not_hide_the_line() {
    let mut listener = one_shot();
    let line = json!({"type": "result", "subtype": "success", "is_error": false, "num_turns": "3",
        "usage": [1], "modelUsage": "none", "errors": {"a": 1}, "total_cost_usd": null,
        "terminal_reason": {"kind": "completed"}, "result": ["done"], "session_id": 7,
        "message": "hello", "request": [], "api_error_status": {}, "patch": 1});
    take(&mut listener, &[init(), line]);
    assert_eq!(kind(listener.view()), Some("success"));
    assert_eq!(listener.view().learned.lines_unknown, 0);
}

#[test]
fn figures_never_fall_and_a_turn_has_its_own() {
    let with = |cost: f64, tokens: u64| {
        let mut line = result();
        line["total_cost_usd"] = json!(cost);
        line["usage"] = json!({"input_tokens": 10, "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 3, "output_tokens": 2});
        line["modelUsage"] = json!({
            "m": {"inputTokens": tokens, "outputTokens": 1}, "n": {"cacheReadInputTokens": 4}});
        line
    };
    let mut listener = interactive();
    let items = take(
        &mut listener,
        &[
            init(),
            with(0.5, 100),
            init(),
            with(0.75, 300),
            init(),
            with(0.0, 0),
            init(),
            with(-1.0, 7),
        ],
    );
    let costs: Vec<_> = items.iter().filter_map(|item| item.usage?.cost_microusd).collect();
    assert_eq!(costs, [500_000, 250_000, 0, 0]);
    let usage = items[0].usage.unwrap().usage;
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (13, 5, 2));
    let learned = &listener.view().learned;
    assert_eq!((learned.cost_microusd, learned.turns), (Some(750_000), 4));
    let usage = learned.usage;
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (300, 4, 1));
}

#[test]
fn a_program_that_refuses_to_start_says_so_on_standard_error() {
    let mut listener = one_shot();
    let stderr = "Warning: x\nError: Session ID 1 is already in use.\n";
    listener.end(stderr, &mut Vec::new());
    let report = listener.view().report.clone().unwrap();
    assert!(!report.success && listener.view().report_is_final);
    assert_eq!(report.kind.as_deref(), Some("session_in_use"));
    assert_eq!(report.message.as_deref(), Some("Session ID 1 is already in use."));

    let refusals = [
        ("error: unknown option '--no-such-flag'\n", "unknown option '--no-such-flag'"),
        (
            "--dangerously-skip-permissions cannot be used with root/sudo privileges\n",
            "--dangerously-skip-permissions cannot be used with root/sudo privileges",
        ),
    ];
    for (stderr, sentence) in refusals {
        let mut listener = one_shot();
        listener.end(stderr, &mut Vec::new());
        let report = listener.view().report.clone().unwrap();
        assert_eq!(report.kind.as_deref(), Some("refused"));
        assert_eq!(report.message.as_deref(), Some(sentence));
    }

    // A warning is none, and once it has begun, nothing that it prints there is a report.
    let mut listener = one_shot();
    listener.end("Warning: no stdin data received in 3s\n", &mut Vec::new());
    assert_eq!(listener.view().report, None);
    let mut listener = one_shot();
    take(&mut listener, &[init()]);
    listener.end(stderr, &mut Vec::new());
    assert_eq!(listener.view().report, None);
}

#[test]
fn what_is_said_is_kept_by_its_end_and_what_is_thought_is_not_said() {
    let mut listener = one_shot();
    let long = format!("{}é the end", "x".repeat(SAID_BYTES_MAX * 2));
    let thinks = json!({"type": "assistant", "message": {"model": "m", "content": [
        {"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking", "data": "?"}]}});
    let items = take(&mut listener, &[init(), says(&long), thinks]);
    let said = listener.view().learned.last_said.as_deref().unwrap();
    assert!(said.ends_with("é the end") && said.len() == SAID_BYTES_MAX);
    assert_eq!(items.len(), 2);
    assert_eq!((items[1].kind, items[1].role), (ItemKind::Thinking, Role::Assistant));
    assert_eq!(items[0].model.as_deref(), Some("m"));
}

#[test]
fn why_a_turn_failed_is_told_once() {
    let mut listener = one_shot();
    let error = json!({"type": "assistant", "error": "server_error", "message": {
        "model": "<synthetic>", "content": [{"type": "text", "text": "API Error: 500"}]}});
    let failed = json!({"type": "result", "subtype": "success", "is_error": true, "result": "API Error: 500"});
    let items = take(&mut listener, &[init(), says("I shall …"), error, failed]);
    let texts: Vec<_> = items.iter().map(|item| (item.kind, item.text.as_str())).collect();
    assert_eq!(
        texts,
        [
            (ItemKind::Text, "I shall …"),
            (ItemKind::Notice, "API Error: 500"),
            (ItemKind::TurnEnd, ""),
        ]
    );
    assert!(items[1].is_error && items[2].is_error);
}

#[test]
fn what_a_local_command_printed_stands_at_the_end_of_its_turn() {
    let mut listener = interactive();
    let items = take(&mut listener, &[init(), result(), init(), says("done"), result()]);
    let ends: Vec<_> = items
        .iter()
        .filter(|item| item.kind == ItemKind::TurnEnd)
        .map(|item| item.text.as_str())
        .collect();
    assert_eq!(ends, ["done", ""]);
}
