//! Laws that hold for every session's events, whatever happened.

use serde_json::Value;

/// Statuses that nothing follows.
const TERMINAL: [&str; 3] = ["completed", "failed", "lost"];

/// Checks the events of one session: they begin with nothing, have no gap, and end with the
/// verdict, if they end.
#[track_caller]
pub(crate) fn assert_chain(events: &[Value]) {
    let mut status = &Value::Null;
    let mut seq = 0;
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["session"], events[0]["session"], "{event}");
        assert_eq!(event["revision"], at + 1, "a gap before {event}");
        assert!(event["seq"].as_u64().unwrap() > seq, "{event} does not come after {seq}");
        seq = event["seq"].as_u64().unwrap();
        assert_eq!(&event["from"], status, "{event} does not follow on {status}");
        status = &event["to"];
        let changed = event["from"] != event["to"];
        let kind = if changed { "status_changed" } else { "session_changed" };
        assert_eq!(event["type"], kind, "{event}");
        let is_over = TERMINAL.iter().any(|terminal| status == terminal);
        assert_eq!(event["outcome"].is_string(), is_over, "{event}");
        assert!(!is_over || at + 1 == events.len(), "something follows on {event}");
        assert_time(&event["at"]);
    }
    assert!(seq > 0, "no events at all");
}

/// Checks that a time is RFC 3339 in UTC with microseconds.
#[track_caller]
pub(crate) fn assert_time(time: &Value) {
    let pattern = "0000-00-00T00:00:00.000000Z";
    let text = time.as_str().unwrap_or_else(|| panic!("{time} is no text"));
    let fits = |(given, wanted): (char, char)| match wanted {
        '0' => given.is_ascii_digit(),
        _ => given == wanted,
    };
    let is_time = text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(fits);
    assert!(is_time, "{text:?} is not a time with microseconds in UTC");
}
