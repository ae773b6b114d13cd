//! Timelines of the harness on the real daemon, which is killed where they say, between any two
//! steps: simulation and reality must agree on what becomes of every session.
//!
//! Compiled only under `--cfg candor_failpoints`: see `cargo xtask crash-sim`.
//!
//! What no real machine shows on order stays with the simulation: a reboot, a power cut, a process
//! number that is another's, a store that refuses or loses what it was given, and a process that
//! outlives its daemon and is reached again (`attach ... up`), for which it would need a parent that
//! stays behind.

mod cast;
mod ending;
mod follower;
mod golden;
mod listener;
mod play;
mod stage;

use std::path::PathBuf;

use candor_adapters::failpoint::Point;
use candor_harness::timeline::{self, choice::Choice};

/// Makes a test of each timeline, by its name. Each list of places is one play: the daemon is killed
/// at the first of them in the first crash, and so on; the empty one is killed where the timeline
/// leaves it.
macro_rules! plays {
    ($($timeline:ident: $([$($point:ident),*])+;)+) => {
        $(
            #[test]
            fn $timeline() {
                for windows in [$(&[$(Point::$point),*][..]),+] {
                    play::play(stringify!($timeline), windows);
                }
            }
        )+

        /// All that are played.
        const PLAYED: &[&str] = &[$(stringify!($timeline)),+];

        /// Everywhere that a daemon is killed on purpose.
        const PLACES: &[Point] = &[$($($(Point::$point,)*)+)+];
    };
}

plays! {
    crash_meets_begun_recovery:
        [] [PublishDone, RecoveryBegun] [PublishBegun, AttachBegun];
    crash_meets_begun_shutdown: [] [ShutdownBegun] [CommitWritten];
    crash_meets_client: [];
    crash_meets_creation: [] [CommitBegun] [CommitWritten];
    crash_meets_interrupted_launch: [] [LaunchBegun] [LaunchForked] [StopStored];
    crash_meets_interrupted_session: [] [SignalSent] [StopStored];
    crash_meets_launch:
        [] [PublishBegun] [PublishDone] [LaunchBegun] [LaunchClaimed] [LaunchForked]
        [IdentityUnfinished];
    crash_meets_lost_interrupt: [] [CommitBegun] [CommitWritten];
    crash_meets_one_of_two_interrupts: [];
    crash_meets_running_session: [] [PublishBegun] [PublishDone];
    crash_meets_shutdown: [] [CommitDone];
    crash_meets_stored_creation: [] [CommitDone];
    crash_meets_stored_end_of_interrupt: [];
    crash_meets_stored_exit: [];
    crash_meets_stored_interrupt: [] [CommitDone];
    crash_meets_stored_loss: [];
    crash_meets_stored_spawn: [];
    crash_meets_unanswered_spawn: [] [IdentityStored] [LaunchOpened];
    crash_meets_unsent_interrupt: [] [PublishBegun] [PublishDone] [SignalBegun];
    crash_meets_unstored_exit: [] [ExitSeen] [CommitWritten];
    crash_meets_unstored_loss: [] [PublishDone, AttachDone] [PublishDone, CommitWritten];
    crash_meets_unstored_spawn: [] [CommitBegun] [CommitWritten];
    exit_meets_interrupt_being_signalled: [];
    exit_meets_interrupt_being_stored: [];
    exit_meets_unacknowledged_spawn: [];
    exit_meets_unstored_interrupt: [];
    interrupt_meets_earlier_exit: [];
    interrupt_meets_late_spawn: [];
    interrupt_meets_refused_spawn: [];
    kill_meets_interrupt: [];
    second_interrupt_meets_exit_being_stored: [];
    shutdown_meets_last_write: [];
    shutdown_meets_spawn: [];
}

#[test]
fn the_daemon_is_killed_at_every_place() {
    for point in Point::ALL {
        assert!(PLACES.contains(&point), "no play kills the daemon at {point}");
    }
}

#[test]
fn every_crash_that_can_be_played_is() {
    for (file, timeline) in timeline::load(&[PathBuf::from(play::TIMELINES)]).unwrap() {
        let has_crash = timeline.steps().any(|step| matches!(step.choice, Choice::Crash { .. }));
        let can_be_played = timeline.steps().all(|step| play::can_be_played(&step.choice));
        if has_crash && can_be_played {
            let name = file.file_stem().unwrap().to_str().unwrap();
            assert!(PLAYED.contains(&name), "{name} is not among the plays");
        }
    }
}
