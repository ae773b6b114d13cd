//! What an agent may do without being asked about, and attempts to get around it.

use candor_core::agent::{Asked, Permissions};

use crate::agent::asked;

fn command(command: &str) -> Asked {
    asked(0, command)
}

fn edit(paths: &[&str]) -> Asked {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Asked { tool: "Edit".to_owned(), command: None, paths, ..asked(0, "") }
}

fn texts(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn allow(patterns: &[&str]) -> Permissions {
    Permissions { allow: texts(patterns), ..Permissions::default() }
}

fn deny(patterns: &[&str], allow: &[&str]) -> Permissions {
    Permissions { deny: texts(patterns), allow: texts(allow), edits_in_folder: false }
}

#[test]
fn nothing_is_decided_where_nothing_was_said() {
    let nothing = Permissions::default();
    for asked in [command("ls"), edit(&["/srv/project/a"]), edit(&[])] {
        assert_eq!(nothing.decide(&asked, true), None);
    }
}

#[test]
fn a_tool_is_allowed_as_a_whole_by_its_name_and_all_of_them_by_a_star() {
    for pattern in ["Bash", "*"] {
        assert_eq!(allow(&[pattern]).decide(&command("rm -rf /; true"), false), Some(true));
    }
    for pattern in ["bash", "Bas", "Bash2", "Edit", " Bash", "Bash*"] {
        assert_eq!(allow(&[pattern]).decide(&command("ls"), false), None, "{pattern:?}");
    }
}

#[test]
fn a_text_is_this_command_and_with_a_star_what_begins_like_it() {
    let exactly = allow(&["Bash(git status)"]);
    assert_eq!(exactly.decide(&command("git status"), false), Some(true));
    for other in ["git status ", "git status -s", "git", "Git status", " git status"] {
        assert_eq!(exactly.decide(&command(other), false), None, "{other:?}");
    }
    let begins = allow(&["Bash(git *)"]);
    for fits in ["git ", "git status", "git log --oneline"] {
        assert_eq!(begins.decide(&command(fits), false), Some(true), "{fits:?}");
    }
    for other in ["gitx status", "git", "sudo git status", "/tmp/git status"] {
        assert_eq!(begins.decide(&command(other), false), None, "{other:?}");
    }
}

#[test]
fn what_may_begin_may_not_go_on_as_something_else() {
    let begins = allow(&["Bash(git status*)"]);
    let tricks = [
        "git status; rm -rf /",
        "git status && rm -rf /",
        "git status || rm -rf /",
        "git status | sh",
        "git status & rm -rf /",
        "git status\nrm -rf /",
        "git status\r\nrm -rf /",
        "git status $(rm -rf /)",
        "git status ${IFS}x",
        "git status `rm -rf /`",
        "git status > ~/.bashrc",
        "git status < /etc/shadow",
        "git status <(rm -rf /)",
        "git status {a,b}",
        "git status \\\nrm",
        "git status ../../secret",
        "git status ..",
        "git status ../x",
        "git status --in=..",
        "git status -C..",
        "git status '..'",
        "git status a/../../b",
    ];
    for trick in tricks {
        assert_eq!(begins.decide(&command(trick), true), None, "{trick:?}");
    }
    assert_eq!(begins.decide(&command("git status a..b"), true), Some(true), "no parent folder");
}

#[test]
fn patterns_that_mean_nothing_allow_nothing() {
    let nothing = ["", "(", ")", "()", "(ls)", "Bash(", "Bash(ls", "Bash()", "Bash)ls("];
    for pattern in nothing {
        assert_eq!(allow(&[pattern]).decide(&command("ls"), true), None, "{pattern:?}");
        let unnamed = Asked { tool: String::new(), ..command("ls") };
        let is_named = pattern == "(ls)";
        let expected = is_named.then_some(true);
        assert_eq!(allow(&[pattern]).decide(&unnamed, true), expected, "{pattern:?}");
    }
    let all_simple = allow(&["Bash(*)"]);
    assert_eq!(all_simple.decide(&command("rm -rf /"), false), Some(true));
    assert_eq!(all_simple.decide(&command("ls; ls"), false), None);
}

#[test]
fn what_is_denied_stays_so_whatever_else_is_allowed() {
    let denied = deny(&["Bash(rm *)"], &["Bash", "*", "Bash(rm *)"]);
    for trick in ["rm -rf /", " rm -rf /", "rm -rf /; true", "rm -rf /\ntrue"] {
        assert_eq!(denied.decide(&command(trick), true), Some(false), "{trick:?}");
    }
    assert_eq!(denied.decide(&command("ls"), true), Some(true));
    assert_eq!(deny(&["Bash"], &["Bash(ls)"]).decide(&command("ls"), true), Some(false));
    assert_eq!(deny(&["*"], &["*"]).decide(&edit(&["/a"]), true), Some(false));
}

#[test]
fn what_could_hide_what_is_denied_is_asked_about() {
    let denied = deny(&["Bash(rm *)"], &["Bash"]);
    for trick in ["true; rm -rf /", "true && rm -rf /", "$(rm -rf /)", "true\nrm -rf /"] {
        assert_eq!(denied.decide(&command(trick), true), None, "{trick:?}");
    }
    let elsewhere = deny(&["Edit(/etc/*)"], &["Bash"]);
    assert_eq!(elsewhere.decide(&command("true; true"), true), Some(true), "of another tool");
}

#[test]
fn one_file_of_several_is_enough_to_deny_and_all_are_needed_to_allow() {
    let denied = deny(&["Edit(/etc/*)"], &["Edit"]);
    assert_eq!(denied.decide(&edit(&["/srv/project/a", "/etc/passwd"]), true), Some(false));
    assert_eq!(denied.decide(&edit(&["/srv/project/../etc/passwd"]), true), None, "asked about");
    assert_eq!(denied.decide(&edit(&["/srv/project/a", "/srv/project/b"]), true), Some(true));

    let allowed = allow(&["Edit(/srv/project/*)"]);
    assert_eq!(allowed.decide(&edit(&["/srv/project/a", "/srv/project/b"]), false), Some(true));
    assert_eq!(allowed.decide(&edit(&["/srv/project/a", "/etc/passwd"]), false), None);
    assert_eq!(allowed.decide(&edit(&["/srv/project/../etc/passwd"]), false), None);
    assert_eq!(allowed.decide(&edit(&[]), false), None);
}

#[test]
fn edits_in_the_folder_are_allowed_for_files_alone_and_only_inside() {
    let edits = Permissions { edits_in_folder: true, ..Permissions::default() };
    assert_eq!(edits.decide(&edit(&["/srv/project/a"]), true), Some(true));
    assert_eq!(edits.decide(&edit(&["/etc/passwd"]), false), None);
    assert_eq!(edits.decide(&edit(&[]), true), None, "nobody knows what it changes");
    assert_eq!(edits.decide(&command("rm /srv/project/a"), true), None);
    let both = Asked { paths: vec!["/srv/project/a".to_owned()], ..command("rm /srv/project/a") };
    assert_eq!(edits.decide(&both, true), None, "a command does more than it says");
}
