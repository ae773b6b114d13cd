//! Flight recordings become timelines that replay alike, and what is no recording is told apart.
//!
//! The files in `recordings` were made by the daemon's own tests, which keep them in the folder that
//! `CANDOR_KEEP_RECORDINGS` names. When the rules change, make them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use candor_core::recording::{Call, Entry, rules_fingerprint};
use candor_core::session::SessionId;
use candor_harness::import::{ImportError, Imported, Recording, import};
use candor_harness::random::{Budget, run};
use candor_harness::replay::{Mode, replay};
use candor_harness::timeline::{Form, Timeline};
use expect_test::expect;
use proptest::prelude::{ProptestConfig, any, proptest};

/// Seeds whose recordings are imported on every run.
const FIXED_SEEDS: u64 = 100;

/// What is said of a session that waits for another, where that one's recording is not given.
const NO_PARENT: &str = "add the recording of the session that it waits for";

/// A world in which no daemon dies. In the others the order of what happened to several sessions in
/// the same millisecond, which most of these schedules last, would have to be guessed.
const PEACE: Budget = Budget { crashes: 0, store_faults: 0, ..Budget::DEFAULT };

/// Prints a session's entries as the daemon writes them.
fn print(session: SessionId, entries: &[Entry]) -> String {
    let rules = format!("{:016x}", rules_fingerprint());
    let header = serde_json::json!({"v": 1, "session": session, "rules": rules, "build": "0"});
    // The version comes first, whatever the order of the keys.
    let header = format!("{{\"v\":1,{}", &header.to_string()[1..]).replace(",\"v\":1}", "}");
    let mut text = String::new();
    for entry in entries {
        if let Call::Create { .. } | Call::Resume { .. } = entry.call {
            writeln!(text, "{header}").unwrap();
        }
        writeln!(text, "{}", serde_json::to_string(entry).unwrap()).unwrap();
    }
    text
}

/// Returns the recordings that the schedule of a seed leaves behind, session by session.
fn recordings(seed: u64, budget: Budget) -> Vec<String> {
    recordings_of(&run(seed, budget).to_timeline())
}

/// Returns the recordings that the replay of a timeline leaves behind, session by session.
fn recordings_of(timeline: &Timeline) -> Vec<String> {
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

/// Imports each recording of a seed by itself: no fault, crash or race keeps it from replaying alike.
fn import_each(seed: u64) -> usize {
    let mut imported = 0;
    for text in recordings(seed, Budget::DEFAULT) {
        match import_texts(std::slice::from_ref(&text)) {
            Ok(_) => imported += 1,
            Err(ImportError::NotShown { reason, .. }) if reason == NO_PARENT => {}
            Err(error) => panic!("seed {seed}: {error}\n{text}"),
        }
    }
    imported
}

#[test]
fn a_session_is_given_once() {
    let text = recordings(0, PEACE).remove(0);
    let read = |name: &str| Recording::read(name, text.as_bytes()).unwrap();
    let error = import(&[read("a.recording"), read("b.recording")]).unwrap_err().to_string();
    let told = "b.recording: line 1: its session is that of a.recording: give each session once";
    assert_eq!(error, told);
}

#[test]
fn what_fixed_schedules_record_is_imported_and_replays_alike() {
    let imported: usize = (0..FIXED_SEEDS).map(import_each).sum();
    assert!(imported as u64 > FIXED_SEEDS, "{imported}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_any_other_schedule_records_is_imported_and_replays_alike(seed in any::<u64>()) {
        import_each(seed);
    }
}

#[test]
fn sessions_of_the_same_daemon_are_imported_together_or_refused_with_the_entry() {
    let (mut imported, mut refused) = (0, 0);
    for seed in 0..FIXED_SEEDS {
        let texts = recordings(seed, PEACE);
        let has_intruder = run(seed, PEACE).to_timeline().to_string().contains("write conflict");
        if texts.len() < 2 || has_intruder {
            continue;
        }
        match import_texts(&texts) {
            Ok(together) => {
                imported += 1;
                let sessions = format!("sessions={} ", texts.len());
                assert!(
                    together.timeline.values("world").all(|world| world.starts_with(&sessions))
                );
            }
            Err(ImportError::NotShown { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(imported > refused, "{imported} imported, {refused} refused");
}

#[test]
fn a_recording_that_begins_with_a_row_is_imported_with_a_past_that_is_made_up() {
    let (mut imported, mut refused) = (0, Vec::new());
    for seed in 0..FIXED_SEEDS {
        for text in recordings(seed, Budget::DEFAULT) {
            let lines: Vec<_> = text.lines().collect();
            let beginnings = (1..lines.len()).filter(|at| lines[*at].starts_with("{\"v\":"));
            for at in beginnings {
                match import_texts(&[lines[at..].join("\n")]) {
                    Ok(cut) => {
                        imported += 1;
                        assert!(cut.timeline.to_string().contains("# made up"), "{}", cut.timeline);
                        assert!(cut.notes.iter().any(|note| note.contains("is made up")));
                    }
                    Err(ImportError::NotShown { reason, .. }) if reason == NO_PARENT => {}
                    Err(ImportError::NotShown { reason, .. }) => {
                        refused.push(format!("seed {seed}: {reason}"));
                    }
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
        }
    }
    assert!(imported > 50 && imported > 10 * refused.len(), "{imported} imported; {refused:#?}");
}

/// Changes in the longest recording that a daemon keeps: two lines each, of 130 bytes.
const CHANGES_MAX: usize = 1_000;

#[test]
fn a_recording_as_long_as_any_is_imported() {
    let mut text = "timeline 1\n@0 user launch s1\n@0 write ok s1#1\n@0 spawn ok s1 -> p1\n\
                    @0 write ok s1#2\n"
        .to_owned();
    for number in 3..=CHANGES_MAX {
        let word = if number % 2 == 1 { "opened" } else { "closed" };
        writeln!(text, "@+5 request p1 {word}\n@+1 write ok s1#{number}").unwrap();
    }
    let texts = recordings_of(&text.parse().unwrap());
    let imported = import_texts(&texts).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(imported.entries, 2 * CHANGES_MAX);
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn real_recordings_are_imported_and_break_nothing() {
    for (name, entries, end) in [
        ("interrupted_session.recording", 8, "completed(interrupted)"),
        ("stubborn_session.recording", 12, "completed(interrupted)"),
        ("session_after_a_crash.recording", 9, "completed(interrupted)"),
        ("session_of_a_later_daemon.recording", 3, "lost(daemon_killed)"),
        ("refused_launch.recording", 4, "failed(spawn)"),
    ] {
        let imported = import_texts(&[fixture(name)]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(imported.entries, entries, "{name}");
        assert_eq!(imported.timeline.title(), format!("a recorded session is {end}"));
        imported.judge().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn an_imported_timeline_reads_like_one_that_was_written_by_hand() {
    let imported = import_texts(&[fixture("session_after_a_crash.recording")]).unwrap();
    expect![[r#"
        timeline 1
        id      R-b019abc3
        title   a recorded session is completed(interrupted)
        from    recording rules=48b4830767320e93
        world   sessions=1 subs=0 crash=1 dbfault=0
        expect  pass
        # Imported: what is marked `inferred` is not in the recording.

        @0      user launch s1 grace=3600000,3600000
        @+3     write ok s1#1
        @+4     spawn ok s1 -> p1
        @+6     write ok s1#2
        @+28    user interrupt s1
        @+2     write ok s1#3
        @+0     signal p1 INT ignored                # inferred
        @+0     crash                                # inferred
        @+70    boot same
        @+4     attach s1 lost daemon_killed
        @+12    write ok s1#4
    "#]]
    .assert_eq(&imported.timeline.to_string());
}

/// Changes a fixture, and returns what is said about it.
fn refusal(change: impl Fn(&mut Vec<String>)) -> ImportError {
    let text = fixture("interrupted_session.recording");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text = lines.iter().map(|line| format!("{line}\n")).collect();
    import_texts(&[text]).expect_err("it is no recording any more")
}

#[test]
fn what_is_no_recording_is_told_with_its_line_and_what_was_expected() {
    let said = |change: &dyn Fn(&mut Vec<String>)| refusal(change).to_string();
    let answers = [
        said(&|lines| lines.clear()),
        said(&|lines| lines[3].truncate(40)),
        said(&|lines| lines[0] = lines[0].replace("\"v\":1", "\"v\":2")),
        said(&|lines| drop(lines.remove(0))),
        said(&|lines| drop(lines.remove(1))),
        said(&|lines| drop(lines.drain(..2))),
        said(&|lines| lines.insert(3, lines[0].clone())),
        said(&|lines| lines.extend(lines.clone())),
        said(&|lines| lines[4] = lines[4].replace("\"at\":1", "\"at\":")),
        said(&|lines| lines[2] = lines[2].replace("stored", "perhaps")),
        said(&|lines| lines[0] = lines[0].replace("\"rules\":", "\"rule\":")),
    ];
    expect![[r#"
        a.recording: line 1: expected a header and the beginning of a session, found the end
        a.recording: line 4: expected an entry of a recording: column 40: EOF while parsing a string
        a.recording: line 1: this is version 2 of recordings, and only 1 can be read
        a.recording: line 1: expected the header of a recording, {"v":1,"session":…,"rules":…,"build":…}: column 232: missing field `v`
        a.recording: line 2: expected a beginning (create or resume) after the header, found {"answered":"stored"}
        a.recording: line 1: expected the header of a recording, {"v":1,"session":…,"rules":…,"build":…}: column 78: missing field `v`
        a.recording: line 5: expected a beginning (create or resume) after the header, found {"take":{"input":"spawned","origin":"fact"}}
        a.recording: line 11: a session begins once, and has begun above
        a.recording: line 5: time goes back from 13021469 to 3021470 ms without a restart
        a.recording: line 3: expected an entry of a recording: column 43: unknown variant `perhaps`, expected one of `stored`, `not_stored`, `in_doubt`
        a.recording: line 1: expected the header of a recording, {"v":1,"session":…,"rules":…,"build":…}: column 98: missing field `rules`"#]].assert_eq(&answers.join("\n"));
}

#[test]
fn another_core_is_told_from_nondeterminism_and_from_one_that_makes_no_difference() {
    let other_end = |lines: &mut Vec<String>| {
        let digits = lines[5].rfind(':').unwrap();
        lines[5].replace_range(digits.., ":1}");
    };
    let other_rules = |lines: &mut Vec<String>| {
        let rules = format!("{:016x}", rules_fingerprint());
        lines[0] = lines[0].replace(&rules, "0123456789abcdef");
    };
    let error = refusal(other_end);
    assert!(matches!(error, ImportError::Nondeterminism { .. }), "{error}");
    assert!(error.to_string().starts_with("a.recording: line 6: nondeterminism: "), "{error}");
    let error = refusal(|lines| {
        other_end(lines);
        other_rules(lines);
    });
    assert!(matches!(error, ImportError::CoreChanged { .. }), "{error}");
    let beginning =
        "a.recording: line 6: the core has changed: the recording was made by the rules";
    assert!(error.to_string().starts_with(beginning), "{error}");

    let mut lines: Vec<_> =
        fixture("interrupted_session.recording").lines().map(str::to_owned).collect();
    other_rules(&mut lines);
    let imported = import_texts(&[lines.join("\n")]).unwrap();
    expect!["a.recording: the core has changed, and replays this all the same"]
        .assert_eq(&imported.notes.join("\n"));
}

#[test]
fn a_torn_last_line_is_left_out_and_told() {
    let text = fixture("interrupted_session.recording");
    let whole = import_texts(std::slice::from_ref(&text)).unwrap();
    let torn = import_texts(&[text[..text.len() - 20].to_owned()]).unwrap();
    assert_eq!(torn.entries, whole.entries - 1);
    expect!["a.recording: line 9: torn, and left out"].assert_eq(&torn.notes.join("\n"));
    assert!(whole.timeline.to_string().starts_with("timeline 1\nid      R-"));
}

/// Runs the verb on a recording, and returns the exit code, what was said, and what was written.
fn race_sim(text: &str, arguments: &[&str]) -> (Option<i32>, String, Option<String>) {
    let folder = tempfile::TempDir::new().unwrap();
    let (recording, out) = (folder.path().join("a.recording"), folder.path().join("a.timeline"));
    fs::write(&recording, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_race-sim"));
    command.arg("import").arg(&recording).arg("--out").arg(&out).args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said, fs::read_to_string(out).ok())
}

#[test]
fn the_verb_writes_what_replays_and_nothing_else() {
    let text = fixture("stubborn_session.recording");
    let (code, said, written) = race_sim(&text, &[]);
    assert_eq!((code, said.as_str()), (Some(0), "race-sim: 12 entries replay alike\n"));
    let timeline: Timeline = written.unwrap().parse().unwrap();
    assert_eq!(timeline.golden, None, "nobody has asked for it");
    let (code, _, blessed) = race_sim(&text, &["--bless"]);
    let blessed: Timeline = blessed.unwrap().parse().unwrap();
    assert_eq!((code, blessed.golden.is_some()), (Some(0), true));
    assert_eq!(blessed.identity(), timeline.identity());
    assert!(Form::Jsonl.print(&timeline).lines().count() > 12);

    let (code, said, written) = race_sim(&text.replace("\"stored\"", "\"not_stored\""), &[]);
    assert_eq!((code, written), (Some(130), None), "{said}");
    let (code, said, written) = race_sim(&text[..text.len() / 2], &[]);
    assert_eq!((code, written.is_some()), (Some(0), true), "{said}");
    let (code, said, written) = race_sim("", &[]);
    assert_eq!((code, written), (Some(1), None));
    assert!(said.contains("line 1: expected a header and the beginning of a session"), "{said}");
}
