//! What is written is read as it was meant, and what is wrong is told with what was expected.

use super::Choice;

#[test]
fn every_form_prints_as_it_was_read() {
    for text in [
        "user launch s1",
        "user launch s1 timeout=5000 grace=10,5 linger=7 codes=0,3 always_reports",
        "user queue s2 after s1",
        "user interrupt s1",
        "user kill s1",
        "shutdown",
        "fork s1 -> p1",
        "spawn ok s1 -> p1",
        "spawn refused s1 exec 2",
        "spawn unknown s1",
        "spawn unknown s1 -> p1",
        "write ok s1#1",
        "write err s1#1",
        "write unknown kept s1#1",
        "write unknown lost s1#1",
        "write conflict s1#1",
        "read ok s1#2",
        "read err s1#2",
        "signal p1 INT kills",
        "signal p1 TERM exits 143",
        "signal p1 INT reports error exits 0",
        "signal p1 KILL gone",
        "exit p1 code 3",
        "exit p1 signal 11 core",
        "exit p1 signal 9 oom",
        "reap p1",
        "reap p1 lost shim_killed",
        "report p1 success",
        "request p1 opened",
        "request p1 closed",
        "due s1 timeout",
        "due s1 retry",
        "crash",
        "crash lose",
        "crash keep",
        "crash keep s1#2 s2#1",
        "boot same",
        "boot other",
        "attach s1 up",
        "attach s1 lost daemon_killed",
        "attach s1 never_ran",
        "connect c1",
        "drop c1",
        "stall c1",
        "go c1",
        "fetch c1",
        "show c1",
        "say p1 success",
        "say p1 usage",
        "say p1 stderr",
        "say p1 oversized",
        "say p1 unstored",
        "ask p1 a1",
        "second daemon",
        "user continue s1 as s2",
        "user draft s1",
        "user start s1",
        "user approve a1",
        "user bypass s1 60000",
    ] {
        assert_eq!(text.parse::<Choice>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_wrong_is_told_with_what_was_expected() {
    for (text, message) in [
        ("", "expected a verb, found the end"),
        (
            "user",
            "expected launch, queue, interrupt, kill, finish, continue, draft, start, approve or \
             bypass, found the end",
        ),
        ("user continue s1 s2", "expected `as`, found `s2`"),
        ("second one", "expected `daemon`, found `one`"),
        (
            "say p1 hello",
            "expected success, error, usage, stderr, oversized or unstored, found `hello`",
        ),
        ("write ok p1#1", "expected a call such as s1#2, found `p1#1`"),
        ("write unknown s1#1", "expected kept or lost, found `s1#1`"),
        ("spawn ok s1 p1", "expected `->`, found `p1`"),
        ("exit p1 code 256", "expected an exit code from 0 to 255, found `256`"),
        ("exit p1 signal 99", "expected a signal's number from 1 to 64, found `99`"),
        ("exit p1 signal 0", "expected a signal's number from 1 to 64, found `0`"),
        ("exit p1 code 1 core", "expected the end of the line, found `core`"),
        ("boot same now", "expected the end of the line, found `now`"),
        (
            "attach s1 lost why",
            "expected one of launch_unknown, daemon_killed, shim_killed, \
             shim_and_daemon_killed, reboot, bad_record, dir_removed, found `why`",
        ),
    ] {
        assert_eq!(text.parse::<Choice>().unwrap_err().to_string(), message, "{text}");
    }
    let error = "jump s1".parse::<Choice>().unwrap_err().to_string();
    assert!(error.starts_with("expected one of user, shutdown"), "{error}");
}

#[test]
fn an_option_stands_at_most_once_and_in_its_form() {
    for text in ["timeout=0", "timeout=1 timeout=2", "codes=3,0", "grace=5", "fast"] {
        let error = format!("user launch s1 {text}").parse::<Choice>().unwrap_err();
        assert!(error.to_string().contains("each at most once"), "{error}");
    }
}
