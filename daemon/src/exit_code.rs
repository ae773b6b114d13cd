//! Every exit code of the `candor` program, each with its sentence.

use candor_core::session::Session;
use candor_core::verdict::{Completion, Exit, Failure, SpawnStage, Verdict};

/// The session succeeded, or the verb did what it was asked.
pub(crate) const SUCCESS: u8 = 0;
/// A session failed that has no exit code of its own to show, or one that would be 0.
pub(crate) const FAILED: u8 = 1;
/// The words on the command line were wrong (for `run`: [`OWN_ERROR`], as 2 may be the command's).
pub(crate) const USAGE: u8 = 2;
/// Another daemon has the home.
pub(crate) const HOME_TAKEN: u8 = 3;
/// `doctor` has found something that is not as it should be, and that Candor works with.
pub(crate) const WARNING: u8 = 4;
/// `doctor` has found something that Candor does not work with, or that was lost or may be.
pub(crate) const PROBLEM: u8 = 5;
/// Another writer has changed the store under this daemon.
pub(crate) const USURPED: u8 = 70;
/// It was asked from inside a session, where one may only look. What launches says [`OWN_ERROR`], as
/// this may be the command's.
pub(crate) const INSIDE_A_SESSION: u8 = 77;
/// The home cannot be used.
pub(crate) const HOME_UNUSABLE: u8 = 78;
/// Nobody knows how the session ended.
pub(crate) const LOST: u8 = 120;
/// The time was over.
pub(crate) const TIMED_OUT: u8 = 124;
/// Candor itself could not do what it was asked.
pub(crate) const OWN_ERROR: u8 = 125;
/// The command was found and cannot be executed.
pub(crate) const CANNOT_EXECUTE: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// Added to a signal's number.
pub(crate) const SIGNAL_BASE: u8 = 128;
/// The session was interrupted: 128 and the number of `SIGINT`, as shells say it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The error number of a file that does not exist, which is the same on all systems that Candor
/// runs on.
pub(crate) const ENOENT: i32 = 2;

/// The error number of arguments and an environment that are too large, the same everywhere too.
pub(crate) const E2BIG: i32 = 7;

/// Returns the exit code that tells a session's verdict: 0 if and only if it succeeded.
pub(crate) fn of_verdict(verdict: Verdict, exit: Option<Exit>) -> u8 {
    match verdict {
        Verdict::Completed(Completion::Succeeded) => SUCCESS,
        Verdict::Completed(Completion::Interrupted(_)) => INTERRUPTED,
        Verdict::Lost(_) => LOST,
        Verdict::Failed(failure) => match failure {
            Failure::TimedOut => TIMED_OUT,
            Failure::Spawn { stage: SpawnStage::Exec, errno: ENOENT } => NOT_FOUND,
            Failure::Spawn { stage: SpawnStage::Exec, .. } => CANNOT_EXECUTE,
            Failure::Spawn { .. } | Failure::NeverRan => OWN_ERROR,
            Failure::Signal(number) | Failure::CoreDump(number) => {
                SIGNAL_BASE.saturating_add(number)
            }
            Failure::OomKill | Failure::AgentError | Failure::NoReport | Failure::ExitCode(_) => {
                match exit {
                    Some(Exit::Code(0)) | None => FAILED,
                    Some(Exit::Code(code)) => code,
                    Some(Exit::Signal { number, .. }) => SIGNAL_BASE.saturating_add(number),
                }
            }
        },
    }
}

/// Returns the exit code that tells how a session ended, or `None` while it lives.
pub(crate) fn of_session(session: &Session) -> Option<u8> {
    session.verdict().map(|verdict| of_verdict(verdict, session.exit()))
}
