//! Flight recordings become timelines that replay alike, and what is no recording is told apart.

use std::fmt::Write as _;

use candor_core::recording::{Call, Entry, rules_fingerprint};
use candor_core::session::SessionId;
use candor_harness::import::{ImportError, Imported, Recording, import};
use candor_harness::random::{Budget, run};
use candor_harness::replay::{Mode, replay};
use candor_harness::timeline::Timeline;

/// Seeds whose recordings are imported on every run.
const FIXED_SEEDS: u64 = 1_000;

/// Prints a session's entries as the daemon writes them.
fn print(session: SessionId, entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        if let Call::Create { .. } | Call::Resume { .. } = entry.call {
            let rules = rules_fingerprint();
            let header = r#"{"v":1,"session":"#;
            writeln!(text, "{header}\"{session}\",\"rules\":\"{rules:016x}\",\"build\":\"0\"}}")
                .unwrap();
        }
        writeln!(text, "{}", serde_json::to_string(entry).unwrap()).unwrap();
    }
    text
}

/// Returns the recordings that a replay leaves behind, session by session.
fn recordings(timeline: &Timeline) -> Vec<String> {
    let recorded = replay(timeline, Mode::Strict).unwrap().recorded;
    let mut sessions: Vec<_> = recorded.iter().map(|(session, _)| *session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let of = |session| {
        let entries = recorded.iter().filter(|(id, _)| *id == session).map(|(_, entry)| *entry);
        print(session, &entries.collect::<Vec<_>>())
    };
    sessions.into_iter().map(of).collect()
}

fn import_texts(texts: &[String]) -> Result<Imported, ImportError> {
    let read = |text: &String| Recording::read("a.recording", text.as_bytes());
    import(&texts.iter().map(read).collect::<Result<Vec<_>, _>>()?)
}

#[test]
fn what_any_replay_records_is_imported_alone_and_replays_alike() {
    let mut reasons = std::collections::BTreeMap::<String, (u32, u64)>::new();
    let (mut imported, mut refused) = (0, 0);
    for seed in 0..FIXED_SEEDS {
        let all = recordings(&run(seed, Budget::DEFAULT).to_timeline());
        let mut sets: Vec<Vec<String>> = all.iter().map(|text| vec![text.clone()]).collect();
        if std::env::var("ALL").is_ok() { sets = if all.len() > 1 { vec![all.clone()] } else { vec![] } }
        for texts in sets {
            match import_texts(&texts) {
                Ok(_) => imported += 1,
                Err(error) => {
                    refused += 1;
                    let reason = match &error { ImportError::NotShown { reason, .. } => reason.clone(), other => other.to_string() };
                    reasons.entry(reason).or_insert((0, seed)).0 += 1;
                }
            }
        }
    }
    panic!("{imported} {refused} {reasons:#?}");
}
#[test]
fn debug() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    let timeline = run(seed, Budget::DEFAULT).to_timeline();
    println!("{timeline}");
    for text in recordings(&timeline) {
        if let Err(error) = import_texts(&if std::env::var("ALL").is_ok() { recordings(&timeline) } else { vec![text.clone()] }) {
            println!("{}\n{error}", text.lines().map(|l| &l[..l.len().min(400)]).collect::<Vec<_>>().join("\n"));
        }
    }
}
