//! The metrics: what Prometheus is told is what the event log and the sessions tell.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::wire::ask;
use crate::support::{Place, agent};

/// What was told: samples by their name and labels, in the text's own spelling.
struct Told(BTreeMap<String, f64>);

impl Told {
    #[track_caller]
    fn by(place: &Place) -> Self {
        let reply = ask(&place.home(), "GET", "/metrics", b"");
        assert_eq!(reply.status, 200);
        assert!(reply.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
        Self::parse(std::str::from_utf8(&reply.body).unwrap())
    }

    /// Reads the text as OpenMetrics 1.0 has it, and refuses all that it has not.
    #[track_caller]
    fn parse(text: &str) -> Self {
        let text = text.strip_suffix("# EOF\n").expect("an end");
        let (mut samples, mut families, mut family) = (BTreeMap::new(), BTreeSet::new(), None);
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (keyword, rest) = comment.split_once(' ').unwrap();
                let (name, value) = rest.split_once(' ').unwrap();
                assert!(!value.is_empty() && name.starts_with("candor_"), "{line}");
                match keyword {
                    "HELP" => assert!(families.insert(name.to_owned()), "{name} comes twice"),
                    "TYPE" => family = Some((name.to_owned(), value.to_owned())),
                    "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            let (of, kind) = family.as_ref().expect("a type before the first sample");
            let suffix = name.strip_prefix(of.as_str()).unwrap_or_else(|| panic!("{line} in {of}"));
            let suffixes: &[&str] = match kind.as_str() {
                "gauge" => &[""],
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                "info" => &["_info"],
                _ => panic!("{kind}"),
            };
            assert!(suffixes.contains(&suffix), "{line} of a {kind}");
            assert_labels(key.strip_prefix(name).unwrap());
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(samples.insert(key.to_owned(), value).is_none(), "{key} comes twice");
        }
        Self(samples)
    }

    fn of(&self, key: &str) -> f64 {
        self.0.get(key).copied().unwrap_or(0.0)
    }

    /// Returns what is told of transitions: from, to, how often.
    fn transitions(&self) -> BTreeMap<String, f64> {
        let all = self.0.iter().filter(|(key, _)| key.starts_with("candor_transitions_total"));
        all.map(|(key, value)| (key.clone(), *value)).collect()
    }

    #[track_caller]
    fn assert_histogram(&self, name: &str) -> f64 {
        let bucket = |(key, value): (&String, &f64)| {
            let bound = key.strip_prefix(&format!("{name}_bucket{{le=\""))?.strip_suffix("\"}")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            Some((bound, *value))
        };
        let mut buckets: Vec<(f64, f64)> = self.0.iter().filter_map(bucket).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.len() > 5 && buckets.is_sorted_by_key(|(_, count)| *count), "{buckets:?}");
        let count = self.of(&format!("{name}_count"));
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)));
        count
    }
}

#[track_caller]
fn assert_labels(labels: &str) {
    if labels.is_empty() {
        return;
    }
    let inner = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    for label in inner.split(',') {
        let (name, value) = label.split_once('=').unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{labels}");
        let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        assert!(!value.contains(['"', '\\', '\n']), "{labels}");
    }
}

/// Returns the transitions that the event log tells of.
fn transitions(events: &[Value]) -> BTreeMap<String, f64> {
    let mut counted = BTreeMap::new();
    for event in events.iter().filter(|event| event["type"] == "status_changed") {
        let (from, to) = (event["from"].as_str().unwrap_or("none"), event["to"].as_str().unwrap());
        let key = format!("candor_transitions_total{{from=\"{from}\",to=\"{to}\"}}");
        *counted.entry(key).or_insert(0.0) += 1.0;
    }
    counted
}

#[track_caller]
fn assert_sessions(told: &Told) {
    for (status, outcome, count) in [
        ("completed", "succeeded", 2.0),
        ("completed", "interrupted", 1.0),
        ("failed", "exit_code", 1.0),
        ("running", "", 1.0),
        ("queued", "", 0.0),
        ("waiting_input", "", 0.0),
    ] {
        let key = format!("candor_sessions{{status=\"{status}\",outcome=\"{outcome}\"}}");
        assert_eq!(told.0.get(&key), Some(&count), "{key}");
    }
    let all = told.0.iter().filter(|(key, _)| key.starts_with("candor_sessions{"));
    assert_eq!(all.map(|(_, count)| count).sum::<f64>(), 5.0);
}

#[test]
fn what_is_told_is_what_happened() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let mut events = place.follow_events();
    events.value(|event| event["to"] == "completed");
    place.run(["run", "--", "true"]).expect(0);
    place.run(["run", "--", "sh", "-c", "exit 3"]).expect(3);
    let interrupted = place.launch(["sleep", "600"]);
    place.await_running(&interrupted);
    place.run(["interrupt", &interrupted]).expect(0);
    place.run(["wait", &interrupted]).expect(130);
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    // All that happened was read by who follows, and so counted.
    events.value(|event| event["session"] == *live && event["to"] == "running");
    ask(&place.home(), "GET", "/v1/sessions/ffffffff", b"").assert_problem(404, "not_found");

    let told = Told::by(&place);
    assert_sessions(&told);
    let log = place.events([""; 0]);
    assert_eq!(told.transitions(), transitions(&log));
    assert_eq!(told.of("candor_last_seq"), log.len() as f64);
    assert_eq!(told.of("candor_commits_total{result=\"stored\"}"), log.len() as f64);
    assert_eq!(told.assert_histogram("candor_commit_seconds"), log.len() as f64);
    assert!(told.assert_histogram("candor_event_lag_seconds") >= 10.0);
    assert_eq!(told.of("candor_refusals_total{problem=\"not_found\"}"), 1.0);
    assert_eq!(told.of("candor_streams"), 1.0);
    assert_eq!(told.of("candor_shims"), if cfg!(target_os = "linux") { 1.0 } else { 0.0 });
    let version = format!("candor_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(told.of(&version), 1.0);
}

#[cfg(target_os = "linux")]
#[test]
fn what_stays_is_told_by_the_next_daemon_and_what_is_counted_begins_anew() {
    let place = Place::new();
    for (command, code) in [("true", 0), ("true", 0), ("exit 3", 3)] {
        place.run(["run", "--", "sh", "-c", command]).expect(code);
    }
    let interrupted = place.launch(["sleep", "600"]);
    place.run(["interrupt", &interrupted]).expect(0);
    place.run(["wait", &interrupted]).expect(130);
    let live = place.launch(agent(["--hang"]));
    place.await_running(&live);
    let before = place.events([""; 0]);
    place.kill_daemon();
    place.run(["daemon", "start"]).expect(0);
    place.settled(&live);
    let told = Told::by(&place);
    assert_sessions(&told);
    assert_eq!(told.of("candor_shims"), 1.0);
    assert_eq!(told.of("candor_sessions_reconciling"), 0.0);
    assert!(told.of("candor_recovery_seconds") > 0.0);
    let log = place.events([""; 0]);
    assert_eq!(told.of("candor_last_seq"), log.len() as f64);
    assert_eq!(told.transitions(), transitions(&log[before.len()..]));
    place.run(["run", "--", "true"]).expect(0);
    let log = place.events([""; 0]);
    assert_eq!(Told::by(&place).transitions(), transitions(&log[before.len()..]));
}

#[test]
fn both_addresses_tell_the_same() {
    let place = Place::new();
    place.run(["run", "--", "true"]).expect(0);
    let told = |path| {
        let reply = ask(&place.home(), "GET", path, b"");
        Told::parse(std::str::from_utf8(&reply.body).unwrap()).0.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(told("/metrics"), told("/v1/metrics"));
    ask(&place.home(), "POST", "/metrics", b"").assert_problem(405, "method_not_allowed");
}
