//! The binary before somebody who sees it for the first time: what it writes over, what it says of a
//! mistake, and what it answers to a question.

mod support;

use std::fs::{self, File};

use support::{GOOD, ORIGINAL_BUG, command, file, name, ours, race_sim, ran};
use tempfile::TempDir;

/// Replays a text, and returns everything that was said of it.
fn replayed(text: &str) -> (Option<i32>, String) {
    let (_folder, path) = file(text);
    let ran = race_sim(&["replay", name(&path)]);
    (ran.code, ran.out + &ran.err)
}

#[test]
fn no_verb_writes_over_what_it_reads_or_over_another_file() {
    let (folder, path) = file(&fs::read_to_string(ours(ORIGINAL_BUG)).unwrap());
    let text = fs::read_to_string(&path).unwrap();
    let (twin, other) = (folder.path().join("one.jsonl"), folder.path().join("other.timeline"));
    let link = folder.path().join("link.jsonl");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (file, twin, other, link) = (name(&path), name(&twin), name(&other), name(&link));
    for arguments in [
        &["show", file, "--html", file][..],
        &["shrink", file, "--mutant", "M01", "--out", file],
        &["convert", file, "--out", link],
        &["import", file, "--out", file],
    ] {
        for force in [&[][..], &["--force"]] {
            let ran = race_sim(&[arguments, force].concat());
            let is_told = ran.err.contains("is what was read: write into another file");
            assert_eq!((ran.code, is_told), (Some(1), true), "{arguments:?}: {}", ran.err);
        }
    }
    fs::write(twin, "precious").unwrap();
    fs::write(other, "precious").unwrap();
    for arguments in [
        &["show", file, "--html", other][..],
        &["shrink", file, "--mutant", "M01", "--out", other],
        &["convert", file, "--out", twin],
        &["import", file, "--out", other],
    ] {
        let ran = race_sim(arguments);
        let is_told = ran.err.contains("is there already: ");
        assert_eq!((ran.code, is_told), (Some(1), true), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(fs::read_to_string(other).unwrap(), "precious");
    assert_eq!(race_sim(&["convert", file, "--out", twin, "--force"]).code, Some(0));
    assert_eq!(race_sim(&["convert", twin]).out, text);
}

#[test]
fn nobody_panics_where_nobody_reads() {
    let file = ours(ORIGINAL_BUG);
    for arguments in [
        &["help"][..],
        &["replay", &file],
        &["show", &file],
        &["show", &file, "--mutant", "M01"],
        &["next", &file],
        &["convert", &file],
        &["mutants", &file],
        &["shrink", &file, "--mutant", "M01"],
        &["random", "--runs", "1"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran_closed = ran(command(arguments).stdout(writer).output().unwrap());
        assert_eq!(ran_closed.code, Some(0), "{arguments:?}: {}", ran_closed.err);
        assert!(!ran_closed.err.contains("panicked"), "{}", ran_closed.err);
        if let Ok(full) = File::options().write(true).open("/dev/full") {
            let ran_full = ran(command(arguments).stdout(full).output().unwrap());
            let is_told = ran_full.err.contains("race-sim: cannot write what was found: ");
            assert_eq!((ran_full.code, is_told), (Some(1), true), "{}", ran_full.err);
        }
    }
}

#[test]
fn what_is_odd_about_a_header_is_told() {
    let (_, said) =
        replayed(&GOOD.replace("title ", "mutnat  M01 violates INV-05\nid      x\ntitle "));
    assert!(said.contains("note: line 3: nobody reads the key `mutnat`"), "{said}");
    assert!(said.contains("checks nothing: write `mutant`"), "{said}");
    assert!(said.contains("note: line 4: `id` stands twice"), "{said}");
    let (_, said) = replayed("timeline 1\n\n@0      user launch s1\n");
    for key in ["id", "title", "world"] {
        assert!(said.contains(&format!("the header has no `{key}`; write: {key}")), "{said}");
    }
}

#[test]
fn bless_mends_the_world_and_says_what_waiting_means() {
    let (_folder, path) = file(&GOOD.replace("sessions=1", "sessions=2"));
    let ran = race_sim(&["replay", "--bless", name(&path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("the `world` line of the header is mended"), "{}", ran.out);
    assert!(ran.out.contains("it ends `waiting`: something is still to come"), "{}", ran.out);
    assert!(fs::read_to_string(&path).unwrap().starts_with(GOOD));
}

#[test]
fn a_header_that_names_what_nobody_knows_is_told_with_its_line() {
    for (line, message) in [
        ("mutant  M99 violates INV-05", "line 3: there is no mutant `M99`"),
        ("expect  violates INV-77", "line 3: there is no invariant `INV-77`"),
    ] {
        let (code, said) = replayed(&GOOD.replace("title ", &format!("{line}\ntitle ")));
        assert_eq!((code, said.contains(message)), (Some(1), true), "{said}");
    }
    let (code, said) = replayed(&GOOD.replace("title ", "mutant  M09 violates INV-05\ntitle "));
    assert_eq!(code, Some(131), "{said}");
    assert!(
        said.contains("see what it does: race-sim show ") && said.contains("--mutant M09"),
        "{said}"
    );
}

#[test]
fn other_ends_of_lines_are_told() {
    let (code, said) = replayed(&GOOD.replace('\n', "\r\n"));
    assert_eq!(code, Some(1));
    assert!(said.contains("line 1: the line ends with CR LF, and LF alone is read"), "{said}");
}

#[test]
fn a_bad_file_hides_no_other() {
    let (folder, path) = file(GOOD);
    for (name, text) in [("bad", "hello\n"), ("worse", "timeline 2\n")] {
        fs::write(folder.path().join(format!("{name}.timeline")), text).unwrap();
    }
    assert_eq!(race_sim(&["replay", "--bless", name(&path)]).code, Some(0));
    let ran = race_sim(&["replay", name(folder.path()), "/no/such/file"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("1 passed, 3 failed"), "{}", ran.out);
    assert!(
        ran.out.contains("FAIL ?     /no/such/file\ncannot read /no/such/file: "),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("worse.timeline: line 1: this is version 2"), "{}", ran.out);
}

#[test]
fn a_question_is_answered_in_groups() {
    let (code, said) = replayed(&format!("{GOOD}@+1     ?\n----\n"));
    assert_eq!(code, Some(1));
    assert!(said.contains("line 8: put one of these in the place of `?`"), "{said}");
    for group in ["calls are answered\n  @+0", "faults, and the daemon\n", "features that are to"] {
        assert!(said.contains(group), "{group}: {said}");
    }
    let marked = |line: &str| line.contains(" * world sessions=2 subs=0 crash=0 dbfault=0");
    let launch = said.lines().find(|line| line.contains("user launch s2")).unwrap();
    assert!(marked(launch), "{launch}");
    assert!(!said.lines().any(|line| line.contains("spawn ok s1") && line.contains('*')), "{said}");

    let (_folder, path) = file(GOOD);
    let ran = race_sim(&["next", name(&path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(said.contains(&ran.out), "the end of a file is asked in the same way: {}", ran.out);
}

#[test]
fn every_mistake_is_made_in_one_file() {
    let ran = race_sim(&["mutants", &ours(ORIGINAL_BUG)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("\nmutant  M01 violates INV-05"), "{}", ran.out);
    assert!(ran.out.contains(" mistakes of the world found"), "{}", ran.out);
}

#[test]
fn help_of_a_verb_is_its_own_paragraph() {
    let whole = race_sim(&["help"]).out;
    for verb in [
        "replay", "next", "show", "shrink", "explain", "repl", "table", "compare", "convert",
        "import", "mutants", "explore", "conform", "random", "pct", "lock", "figures", "doctor",
        "push",
    ] {
        for words in [&["help", verb][..], &[verb, "--help"], &[verb, "-h"]] {
            let ran = race_sim(words);
            assert_eq!(ran.code, Some(0), "{verb}: {}", ran.err);
            assert!(ran.out.starts_with("  race-sim ") && ran.out.contains(verb), "{}", ran.out);
            assert!(ran.out.len() < whole.len() / 3, "{}", ran.out);
        }
        assert!(whole.lines().any(|line| line.starts_with("  race-sim ") && line.contains(verb)));
    }
    assert_eq!(race_sim(&["help", "frob"]).code, Some(1));
}

#[test]
fn wrong_flags_are_told_with_their_reason_and_the_verb_alone() {
    for (words, reason) in [
        (&["lock", "--check", "--bless"][..], "give one of them"),
        (&["random", "--frob"], "`random` has no flag `--frob`"),
        (&["random", "--depth", "3"], "`random` has no flag `--depth`"),
        (&["random", "--runs", "0"], "`--runs` takes a number from 1 to "),
        (&["pct", "--depth", "0"], "`--depth` takes a number from 1 to "),
        (&["explore", "--frob"], "`explore` has no flag `--frob`"),
        (&["explore", "--config", "nosuch"], "no configuration `nosuch`; there are "),
        (&["explore", "--sessions", "0"], "`--sessions` needs one session at least"),
        (&["explore", "--sessions", "4"], "there are three sessions at most"),
        (&["mutants", "--frob"], "`mutants` has no flag `--frob`"),
        (&["mutants", "--only"], "`--only` needs one mutant"),
        (&["convert", "a.timeline", "--frob"], "`convert` has no flag `--frob`"),
        (&["convert", "nosuch"], "there is no file nosuch"),
        (&["convert"], "`convert` takes one file"),
        (&["explain", "a", "--worlds", "0"], "`--worlds` takes a number from 1 to "),
    ] {
        let ran = race_sim(words);
        assert_eq!(ran.code, Some(1), "{words:?}");
        assert!(ran.err.lines().next().unwrap().contains(reason), "{words:?}: {}", ran.err);
        assert!(ran.err.contains(&format!("race-sim {}", words[0])) || words[0] == "pct");
        assert!(ran.err.ends_with("see `race-sim help`\n"), "{}", ran.err);
        assert!(ran.err.lines().count() < 20, "{}", ran.err);
    }
}

#[test]
fn the_workspace_is_found_from_a_folder_in_it_and_missed_outside() {
    let inside = ran(command(&["table"]).current_dir(ours("src/world")).output().unwrap());
    assert_eq!(inside.code, Some(0), "{}", inside.err);
    let folder = TempDir::new().unwrap();
    let mut outside = command(&["table"]);
    outside.current_dir(folder.path()).env_remove("CARGO_MANIFEST_DIR");
    let outside = ran(outside.output().unwrap());
    assert_eq!(outside.code, Some(1));
    assert!(outside.err.contains("cannot read harness/timelines"), "{}", outside.err);
}

#[test]
fn json_is_told_where_it_belongs() {
    let recording = "{\"v\":1,\"session\":\"x\",\"rules\":\"y\",\"build\":\"z\"}\n";
    let (code, said) = replayed(recording);
    assert_eq!(code, Some(1));
    assert!(said.contains("a recording is for `race-sim import`"), "{said}");
    let (folder, path) = file(GOOD);
    let ran = race_sim(&["import", name(&path)]);
    assert!(ran.err.contains("line 1: expected the header of a recording, "), "{}", ran.err);
    let twin = folder.path().join("one.jsonl");
    fs::write(&twin, recording).unwrap();
    let ran = race_sim(&["replay", name(&twin)]);
    assert!(ran.out.contains("line 1: expected the header of a twin, as"), "{}", ran.out);
}
