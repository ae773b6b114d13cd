//! `candor top`, in a real terminal.

use rustix::process::Signal;

use crate::support::{Place, Screen, agent};

#[test]
fn the_page_shows_each_change_and_goes_on_at_the_next_daemon() {
    let place = Place::new();
    let mut page = Screen::start(place.candor(["top"]), 100, 24);
    page.until(|text| text.contains("COMMAND"));
    let id = place.launch(agent(["--hang"]));
    let short = &id[28..];
    page.until_line(&[short, "running"]);
    page.keys("i");
    page.until_line(&[short, "completed", "interrupted"]);
    place.run(["daemon", "stop"]).expect(0);
    page.until(|text| text.contains("no daemon"));
    // Nothing is asked of nobody.
    page.keys("i");
    page.until(|text| text.contains("there is no daemon to ask"));
    let other = place.launch(["false"]);
    page.until_line(&[&other[28..], "failed"]);
    let text = page.until(|text| !text.contains("no daemon"));
    assert!(text.contains(short), "{text}");
    // A daemon that is killed says nothing, and its sessions go on.
    let live = place.launch(agent(["--hang"]));
    page.until_line(&[&live[28..], "running"]);
    place.kill_daemon();
    page.until(|text| text.contains("no daemon"));
    place.run(["interrupt", &live]).expect(0);
    page.until_line(&[&live[28..], "completed", "interrupted"]);
    page.keys("q");
    assert!(page.finish().success());
}

#[test]
fn the_page_follows_an_output_without_what_a_terminal_would_act_on() {
    let place = Place::new();
    let go = place.fifo("go");
    let script = "printf '\\033]0;title\\007one\\033[2J\\n'; cat go; echo two; sleep 1000";
    let id = place.launch(["sh", "-c", script]);
    let mut page = Screen::start(place.candor(["top"]), 60, 12);
    page.until_line(&[&id[28..], "running"]);
    page.keys("f");
    page.until(|text| text.lines().any(|line| line == "one"));
    std::fs::write(go, "").unwrap();
    let text = page.until(|text| text.lines().any(|line| line == "two"));
    assert!(text.lines().any(|line| line == "one"), "{text}");
    page.keys("q");
    page.until_line(&[&id[28..], "running"]);
    page.keys("K");
    page.until(|text| text.contains("y kills it"));
    page.keys("y");
    page.until_line(&[&id[28..], "completed"]);
    // Ctrl-C leaves, too.
    page.keys("\u{3}");
    assert!(page.finish().success());
}

#[test]
fn the_terminal_is_given_back_to_whoever_ends_the_page_from_outside() {
    let place = Place::new();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut page = Screen::start(place.candor(["top"]), 20, 5);
        page.until(|text| text.contains("ID"));
        page.signal(signal);
        assert!(page.finish().success());
    }
}

#[test]
fn where_there_is_no_terminal_one_is_told_what_to_use() {
    let place = Place::new();
    place.run(["top"]).expect(125).because(&["terminal", "candor ls"]);
}
