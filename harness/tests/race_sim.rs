//! The binary: what it says, what it returns, and that it changes nothing unless it is told to.

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use candor_harness::handle::handle_of;
use support::{GOOD, ORIGINAL_BUG, Ran, command, file, name, ours, race_sim, ran};
use tempfile::TempDir;

/// Replays a file that is wrong, and returns what was said about it.
fn refused(text: &str, code: i32) -> String {
    let (_folder, path) = file(text);
    let ran = race_sim(&["replay", name(&path)]);
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing is rewritten without --bless");
    ran.out + &ran.err
}

#[test]
fn the_whole_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    let ran = race_sim(&["replay", name(&corpus)]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains(" passed, 0 failed"), "{}", ran.out);
}

#[test]
fn bless_writes_the_golden_block_and_nothing_else() {
    let (_folder, path) = file(GOOD);
    assert_eq!(race_sim(&["replay", name(&path)]).code, Some(1), "there is no golden block");
    assert_eq!(race_sim(&["replay", "--bless", name(&path)]).code, Some(0));
    let blessed = fs::read_to_string(&path).unwrap();
    assert!(blessed.starts_with(&format!("{GOOD}----\ns1   starting\n")), "{blessed}");
    let ran = race_sim(&["replay", name(&path)]);
    assert_eq!((ran.code, ran.out.contains("1 passed, 0 failed")), (Some(0), true), "{}", ran.out);
}

#[test]
fn an_outcome_that_was_not_accepted_is_shown_line_by_line() {
    let said = refused(&format!("{GOOD}----\ns1   running\n"), 129);
    assert!(said.contains("- s1   running\n+ s1   starting\n"), "{said}");
}

#[test]
fn a_choice_that_is_not_enabled_is_told_with_what_is() {
    let said = refused(&format!("{GOOD}@+1     reap p1\n"), 1);
    assert!(said.contains("line 8: `reap p1` is not enabled: nobody listens to p1"), "{said}");
    assert!(said.contains("enabled here:\n  @+0 fork s1 -> p1\n"), "{said}");

    let (_folder, path) = file(&format!("{GOOD}@+1     reap p1\n----\n"));
    let ran = race_sim(&["replay", "--lenient", name(&path)]);
    assert_eq!(ran.code, Some(129), "{}", ran.out);
    assert!(ran.out.contains("left out line 8, not enabled there"), "{}", ran.out);
}

#[test]
fn a_header_that_promises_another_world_is_refused() {
    let said = refused(&GOOD.replace("crash=0", "crash=1"), 1);
    assert!(
        said.contains(
            "the choices make another; write:\nworld   sessions=1 subs=0 crash=0 dbfault=0"
        ),
        "{said}"
    );
}

#[test]
fn an_expected_breach_that_does_not_happen_fails() {
    let said = refused(&GOOD.replace("id ", "expect  violates INV-05\nid "), 129);
    assert!(said.contains("the header expects that INV-05 break, and nothing breaks"), "{said}");
}

#[test]
fn a_file_that_is_no_timeline_is_told_with_its_line() {
    let said = refused(&format!("{GOOD}@+1     jump\n"), 1);
    assert!(said.contains("one.timeline: line 8: expected one of user, "), "{said}");
    let said = refused("hello\n", 1);
    assert!(said.contains("one.timeline: line 1: expected `timeline 1`, found `hello`"), "{said}");
}

#[test]
fn the_same_race_twice_is_refused() {
    let (folder, path) = file(GOOD);
    let twin = folder.path().join("two.timeline");
    fs::write(&twin, GOOD.replace("id      one", "id      two")).unwrap();
    let ran = race_sim(&["replay", name(&path), name(&twin)]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("two.timeline are the same race: keep one"), "{}", ran.out);
}

#[test]
fn wrong_usage_says_what_is_right() {
    for arguments in [
        &["jump"][..],
        &["replay", "--fast"],
        &["replay", "--bless", "--lenient"],
        &["show"],
        &["show", "/no/such/file"],
        &["convert", "one.text"],
        &["convert", "one.jsonl", "--out", "two.jsonl"],
        &["convert", "/no/such/file.jsonl"],
        &["import"],
        &["import", "--fast"],
        &["import", "one.recording", "--out"],
        &["import", "/no/such/file"],
    ] {
        let ran = race_sim(arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}");
        assert!(ran.err.starts_with("race-sim: "), "{}", ran.err);
    }
    let help = race_sim(&["--help"]);
    assert_eq!((help.code, help.out.contains("race-sim replay")), (Some(0), true));
}

#[test]
fn an_empty_folder_is_no_corpus() {
    let folder = TempDir::new().unwrap();
    let ran = race_sim(&["replay", name(folder.path())]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("there is no timeline in "), "{}", ran.out);
}

#[test]
fn show_draws_the_lanes() {
    let (_folder, path) = file(GOOD);
    let ran = race_sim(&["show", name(&path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("s1.1 starting"), "{}", ran.out);
    assert!(ran.out.contains("replied 1 accepted"), "{}", ran.out);
}

#[test]
fn convert_goes_both_ways_and_replay_takes_either() {
    let (folder, path) = file(GOOD);
    let twin = folder.path().join("one.jsonl");
    assert_eq!(race_sim(&["convert", name(&path), "--out", name(&twin)]).code, Some(0));
    let printed = race_sim(&["convert", name(&path)]);
    assert_eq!((printed.code, printed.out), (Some(0), fs::read_to_string(&twin).unwrap()));
    assert_eq!(race_sim(&["convert", name(&twin)]).out, GOOD);

    assert_eq!(race_sim(&["replay", name(&twin)]).code, Some(1), "there is no golden block");
    assert_eq!(race_sim(&["replay", "--bless", name(&twin)]).code, Some(0));
    assert_eq!(race_sim(&["replay", name(&twin)]).code, Some(0));
    let blessed = fs::read_to_string(&twin).unwrap();
    assert!(blessed.lines().last().unwrap().starts_with(r#"{"k":"golden","text":"s1   "#));
    assert_eq!(fs::read_to_string(&path).unwrap(), GOOD, "the text was left alone");
}

#[test]
fn a_torn_twin_is_mended_by_convert_and_refused_by_replay() {
    let (folder, path) = file(GOOD);
    let twin = folder.path().join("one.jsonl");
    race_sim(&["convert", name(&path), "--out", name(&twin)]);
    let whole = fs::read_to_string(&twin).unwrap();
    fs::write(&twin, &whole[..whole.len() - 9]).unwrap();
    let ran = race_sim(&["replay", name(&twin)]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("one.jsonl: line 3: expected a whole object, found"), "{}", ran.out);
    let ran = race_sim(&["convert", name(&twin)]);
    let kept = GOOD.strip_suffix("@+1     write ok s1#1\n").unwrap();
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), kept));
    assert!(ran.err.contains("one.jsonl: line 3: torn, and left out"), "{}", ran.err);

    fs::write(&twin, whole.replace("crash=0", "crash=0\\n")).unwrap();
    let ran = race_sim(&["convert", name(&twin)]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("one.jsonl: line 1: expected what can stand in"), "{}", ran.err);
}

/// Runs a verb that reads from standard input.
fn fed(arguments: &[&str], input: &str) -> Ran {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ran(child.wait_with_output().unwrap())
}

#[test]
fn show_tells_what_a_mutant_breaks_and_which_order_matters() {
    let file = ours(ORIGINAL_BUG);
    let ran = race_sim(&["show", &file, "--mutant", "M01"]);
    assert_eq!(ran.code, Some(129), "{}", ran.err);
    assert!(ran.out.contains("INV-05: what somebody asked to end"), "{}", ran.out);
    assert!(ran.out.contains("A01 under M01, 10 of 10 choices kept"), "{}", ran.out);
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("the order that matters: [") && last.contains("] before ["), "{last}");
    let ran = race_sim(&["show", &file]);
    assert_eq!((ran.code, ran.out.contains("the order that matters")), (Some(0), false));
}

#[test]
fn show_writes_a_page_and_says_when_it_cannot() {
    let (folder, path) = file(GOOD);
    let html = folder.path().join("one.html");
    let ran = race_sim(&["show", name(&path), "--html", name(&html)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(fs::read_to_string(&html).unwrap().starts_with("<!doctype html>"));
    let ran = race_sim(&["show", name(&path), "--html", "/no/such/folder/one.html"]);
    assert_eq!((ran.code, ran.err.contains("cannot write ")), (Some(1), true), "{}", ran.err);
}

#[test]
fn shrink_writes_a_witness_that_replays() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("short.timeline");
    let file = ours(ORIGINAL_BUG);
    let ran = race_sim(&["shrink", &file, "--mutant", "M01", "--out", name(&out)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("A01 under M01, 6 of 10 choices kept"), "{}", ran.err);
    let short = fs::read_to_string(&out).unwrap();
    assert!(short.contains("mutant  M01 violates INV-05\n"), "{short}");
    let ran = race_sim(&["replay", name(&out)]);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let ran = race_sim(&["shrink", &file]);
    assert_eq!((ran.code, ran.err.contains("breaks nothing")), (Some(1), true), "{}", ran.err);
}

#[test]
fn explain_finds_a_timeline_or_says_how_far_it_got() {
    let log =
        "see s1 running\nask s1 interrupt\nsee p1 exit code 42\nsee s1 completed(interrupted)\n";
    let (_folder, path) = file(log);
    let ran = race_sim(&["explain", name(&path)]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("4 of 4 observations explained"), "{}", ran.err);
    assert!(ran.out.contains("# see p1 exit code 42\n"), "{}", ran.out);
    let (_folder, found) = file(&ran.out);
    assert_eq!(race_sim(&["replay", name(&found)]).code, Some(0), "what is found replays");

    let (_folder, path) = file("see s1 completed\nsee s1 running\n");
    let ran = race_sim(&["explain", name(&path), "--worlds", "200"]);
    assert_eq!(ran.code, Some(129), "{}", ran.err);
    assert!(ran.err.contains("line 2: expected `see s1 running` next"), "{}", ran.err);
    assert!(ran.err.contains("200 worlds looked at: as many as --worlds allows"), "{}", ran.err);

    let (_folder, path) = file("see s1 running\nlook s1\n");
    let ran = race_sim(&["explain", name(&path)]);
    assert_eq!((ran.code, ran.err.contains(": line 2: expected `see`, `ask`")), (Some(1), true));
}

#[test]
fn repl_steps_goes_back_branches_and_saves() {
    let (folder, path) = file(GOOD);
    let saved = folder.path().join("branch.timeline");
    let script = format!(
        "step 2\nstep\nback\nlist\nchoose 3\nstate\nlanes\nsave {}\nquit\nstep\n",
        name(&saved)
    );
    let ran = fed(&["repl", name(&path)], &script);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for said in [
        "   1  @0 user launch s1\n",
        "the file has no further choice\n",
        "1 choices made\n",
        "   3  @+0 write err s1#1\n",
        "the file goes on with: write ok s1#1\n",
        "   2  @0 write err s1#1\n",
        "daemon     up\n",
        "replied 1 store unavailable",
        "2 choices are in ",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let again = format!("step\nsave {}\nsave {} --force\n", name(&saved), name(&path));
    let ran = fed(&["repl", name(&path)], &again);
    assert!(ran.out.contains("is there already: ") && ran.out.contains("is what was read: "));
    assert_eq!(fs::read_to_string(&path).unwrap(), GOOD);
    let branch = fs::read_to_string(&saved).unwrap();
    assert!(branch.contains("from    a branch of one\n"), "{branch}");
    assert_eq!(race_sim(&["replay", name(&saved)]).code, Some(0));
}

#[test]
fn repl_answers_bad_input_with_a_sentence_and_goes_on() {
    let (_folder, path) = file(GOOD);
    let ran = fed(
        &["repl", name(&path)],
        "jump\nstep x\nback 7\nchoose 999\nmake jump\nmake @+x crash\nmake reap p1\nsave\nskip\nstep\n",
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for said in [
        "there is no `jump`; `help` lists what there is\n",
        "expected a number from 1 to 10000, found `x`\n",
        "only 0 choices were made, so that is too far back\n",
        "`choose` takes a number of `list`, and not `999`\n",
        "expected one of user, ",
        "expected `@+MS`, found `@+x`\n",
        "`reap p1` is not enabled: ",
        "`save` takes a file\n",
        "left out: user launch s1\n",
        "`write ok s1#1` is not enabled: ",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
}

#[test]
fn table_needs_the_corpus_and_shows_what_the_machine_does() {
    let mut command = command(&["table"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let ran = ran(command.current_dir(root).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("waiting_input "), "{}", ran.out);
    assert!(ran.out.contains("cells in which something changes"), "{}", ran.out);
}

#[test]
fn wrong_usage_of_the_verbs_that_explain_says_what_is_right() {
    for arguments in [
        &["show", "a", "b"][..],
        &["show", "a", "--html"],
        &["show", "a", "--mutant", "M99"],
        &["shrink"],
        &["shrink", "a", "--fast"],
        &["explain", "a", "--worlds", "many"],
        &["explain", "/no/such/file"],
        &["repl", "/no/such/file"],
        &["table", "--html"],
    ] {
        let ran = race_sim(arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}");
        assert!(ran.err.starts_with("race-sim: "), "{}", ran.err);
    }
}

#[test]
fn a_handle_replays_without_a_file() {
    let timeline = GOOD.parse().unwrap();
    let handle = handle_of(&timeline).unwrap();
    let ran = race_sim(&["replay", &handle]);
    assert_eq!((ran.code, ran.out.contains("1 passed, 0 failed")), (Some(0), true), "{}", ran.err);
    let ran = race_sim(&["replay", &handle[..handle.len() - 3]]);
    assert_eq!((ran.code, ran.out.contains("it is not whole")), (Some(1), true), "{}", ran.out);
}
