//! Words: each is the same in the store, in the API and on the screen, and finds its way back.

use std::collections::BTreeSet;

use candor_core::event::{Cause, Seq};
use candor_core::status::{Status, UnknownStatus};
use candor_core::stop::{Rung, StopKind};
use candor_core::time::Monotonic;
use candor_core::verdict::{Completion, Failure, LostReason, Verdict, Witness};
use proptest::prelude::{any, prop_assert_eq, proptest};
use serde::Serialize;
use serde_json::json;

use crate::support::{RUNGS, STAGES, STOPS};

fn written<T: Serialize>(value: T) -> serde_json::Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn the_words_of_the_statuses_are_those_of_the_plan() {
    let words = Status::ALL.map(Status::as_str);
    let plan = [
        "queued",
        "starting",
        "running",
        "waiting_input",
        "completing",
        "completed",
        "failed",
        "lost",
    ];
    assert_eq!(words, plan);
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        assert_eq!(written(status), json!(status.as_str()));
        assert_eq!(status.to_string(), status.as_str());
    }
    assert_eq!(format!("[{:<9}]", Status::Running), "[running  ]", "columns can be aligned");
}

#[test]
fn a_word_that_is_no_status_is_refused_and_all_words_are_named() {
    for word in ["", "Running", "running ", "draft", "discarded"] {
        assert_eq!(word.parse::<Status>(), Err(UnknownStatus), "{word:?}");
    }
    let message = UnknownStatus.to_string();
    for status in Status::ALL {
        assert!(message.contains(status.as_str()), "{status} in {message:?}");
    }
}

#[test]
fn each_cause_has_a_word_of_its_own_and_is_found_by_it() {
    let words: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    assert_eq!(words.len(), Cause::ALL.len(), "no word stands for two causes");
    for cause in Cause::ALL {
        assert_eq!(Cause::from_word(cause.as_str()), Some(cause));
        assert_eq!(cause.to_string(), cause.as_str());
    }
    for word in ["", "Launched", "stop", "rung"] {
        assert_eq!(Cause::from_word(word), None, "{word:?}");
    }
}

#[test]
fn all_causes_are_listed() {
    let listed = |cause| assert!(Cause::ALL.contains(&cause), "{cause}");
    for kind in STOPS {
        listed(Cause::Stop(kind));
    }
    for rung in RUNGS {
        listed(Cause::Climbed(rung));
    }
    // A new variant has no arm here, and must be added to the list as well.
    for cause in Cause::ALL {
        match cause {
            Cause::Launched
            | Cause::Queued
            | Cause::ParentEnded
            | Cause::Spawned
            | Cause::Adopted
            | Cause::SpawnRefused
            | Cause::NeverRan
            | Cause::RequestOpened
            | Cause::RequestClosed
            | Cause::Reported
            | Cause::TurnEnded
            | Cause::TurnBegan
            | Cause::SettingsChanged
            | Cause::Stop(_)
            | Cause::Climbed(_)
            | Cause::Exited
            | Cause::Gone => {}
        }
    }
    let plain = Cause::ALL.iter().filter(|it| !matches!(it, Cause::Stop(_) | Cause::Climbed(_)));
    assert_eq!(plain.count(), 15);
}

#[test]
fn stops_rungs_stages_witnesses_and_losses_are_written_as_their_words() {
    let stops = ["interrupt", "kill", "timeout", "shutdown", "superseded", "finish"];
    assert_eq!(STOPS.map(StopKind::as_str), stops);
    let losses = [
        "launch_unknown",
        "daemon_killed",
        "shim_killed",
        "shim_and_daemon_killed",
        "reboot",
        "bad_record",
        "dir_removed",
    ];
    assert_eq!(LostReason::ALL.map(LostReason::as_str), losses);
    for kind in STOPS {
        assert_eq!((written(kind), kind.to_string()), (json!(kind.as_str()), kind.as_str().into()));
    }
    for reason in LostReason::ALL {
        assert_eq!(written(reason), json!(reason.as_str()));
    }
    let rungs = ["ask", "interrupt", "interrupt_again", "terminate", "kill"];
    assert_eq!(RUNGS.map(Rung::as_str), rungs);
    for rung in RUNGS {
        assert_eq!((written(rung), rung.to_string()), (json!(rung.as_str()), rung.as_str().into()));
    }
    for stage in STAGES {
        assert_eq!(written(stage), json!(stage.as_str()));
    }
    for witness in Witness::ALL {
        assert_eq!(written(witness), json!(witness.as_str()));
    }
}

#[test]
fn the_outcome_is_one_plain_word() {
    let [stage, ..] = STAGES;
    let cases = [
        (Verdict::Completed(Completion::Succeeded), "completed succeeded"),
        (Verdict::Completed(Completion::Interrupted(StopKind::Kill)), "completed interrupted"),
        (Verdict::Failed(Failure::TimedOut), "failed timed_out"),
        (Verdict::Failed(Failure::Spawn { stage, errno: 2 }), "failed spawn"),
        (Verdict::Failed(Failure::NeverRan), "failed spawn"),
        (Verdict::Failed(Failure::AgentError), "failed agent_error"),
        (Verdict::Failed(Failure::NoReport), "failed no_report"),
        (Verdict::Failed(Failure::OomKill), "failed oom_kill"),
        (Verdict::Failed(Failure::Signal(15)), "failed signal"),
        (Verdict::Failed(Failure::CoreDump(11)), "failed core_dump"),
        (Verdict::Failed(Failure::ExitCode(3)), "failed exit_code"),
        (Verdict::Lost(LostReason::DaemonKilled), "lost daemon_killed"),
    ];
    for (verdict, words) in cases {
        assert_eq!(verdict.to_string(), words);
        assert_eq!(format!("{} {}", verdict.status(), verdict.outcome()), words);
        let back: Verdict = serde_json::from_value(written(verdict)).unwrap();
        assert_eq!(back, verdict);
    }
}

proptest! {
    #[test]
    fn a_point_in_time_moves_on_and_never_wraps(point in any::<u64>(), ms in any::<u64>()) {
        let (from, moved) = (Monotonic::from_ms(point), Monotonic::from_ms(point) + ms);
        let expected = u128::from(point) + u128::from(ms);
        prop_assert_eq!(u128::from(moved.as_ms()), expected.min(u128::from(u64::MAX)));
        prop_assert_eq!(moved.ms_since(from), moved.as_ms() - point);
        prop_assert_eq!(from.ms_since(moved), 0, "never negative");
        prop_assert_eq!(moved >= from, true);
    }
}

#[test]
fn a_cursor_starts_before_the_first_event_and_is_shown_as_its_number() {
    assert_eq!(Seq::START.number(), 0);
    assert_eq!(Seq::default(), Seq::START);
    assert!(Seq::from_number(1) > Seq::START);
    assert_eq!(Seq::from_number(42).to_string(), "42");
    assert_eq!(written(Seq::from_number(42)), json!(42));
}
