//! What a recording does not hold, as far as what comes later in it tells.

use candor_core::input::Input;
use candor_core::protocol::RowSeen;
use candor_core::recording::Call;
use candor_core::session::Revision;
use candor_core::stop::Rung;
use candor_core::verdict::{End, Exit, LostReason};

use crate::fakes::signal_number;
use crate::timeline::Choice;
use crate::timeline::names::{ProcessName, SessionName};

/// What became of a process, as far as the recording knows.
pub(super) enum Fate {
    /// It ended like this, for want of memory or not.
    Ended(Exit, bool),
    /// Nobody saw its end.
    Unseen,
    /// It was found by a later daemon.
    FoundAlive,
}

/// Returns the exit of a process that a rung's signal kills, or that leaves when it is asked to.
pub(super) const fn death_by(rung: Rung) -> Exit {
    match rung.signal() {
        Some(signal) => Exit::Signal { number: signal_number(signal), core_dumped: false },
        None => Exit::Code(0),
    }
}

/// Returns, in the words of the format, how a commit of this revision ended whose answer left that
/// open.
pub(super) fn end_of_doubt<'a>(
    mut coming: impl Iterator<Item = &'a Call>,
    offered: Option<Revision>,
) -> &'static str {
    let end = coming.find_map(|call| match call {
        Call::Looked(RowSeen::Ours) => Some("unknown kept"),
        Call::Looked(RowSeen::Before) => Some("unknown lost"),
        Call::Looked(RowSeen::Others) => Some("conflict"),
        Call::Resume { machine } if Some(machine.revision()) >= offered => Some("unknown kept"),
        Call::Resume { .. } => Some("unknown lost"),
        Call::Looked(RowSeen::NoAnswer)
        | Call::Retry
        | Call::Take { .. }
        | Call::Answered(_)
        | Call::Create { .. } => None,
    });
    end.unwrap_or("unknown lost")
}

/// Says whether anything was heard of a process.
pub(super) fn was_heard_of<'a>(mut coming: impl Iterator<Item = &'a Call>) -> bool {
    coming.any(|call| match call {
        Call::Take { input: Input::Gone(End::Unknown(reason)), .. } => {
            *reason != LostReason::LaunchUnknown
        }
        Call::Take { input, .. } => {
            matches!(input, Input::Adopted | Input::Gone(End::Exited { .. }))
        }
        Call::Create { .. }
        | Call::Resume { .. }
        | Call::Answered(_)
        | Call::Looked(_)
        | Call::Retry => false,
    })
}

/// Returns, in the words of the format, what INT or TERM did, as far as the next thing that happened
/// tells.
pub(super) fn effect_of<'a>(mut coming: impl Iterator<Item = &'a Call>, rung: Rung) -> String {
    let next = coming.find(|call| matches!(call, Call::Take { .. } | Call::Resume { .. }));
    let Some(Call::Take { input: Input::Gone(End::Exited { exit, oom_killed: false }), .. }) = next
    else {
        return "ignored".to_owned();
    };
    match exit {
        Exit::Code(code) => format!("exits {code}"),
        Exit::Signal { .. } if *exit == death_by(rung) => "kills".to_owned(),
        Exit::Signal { .. } => "ignored".to_owned(),
    }
}

/// Returns what became of a process from here on.
pub(super) fn fate_of_process<'a>(mut coming: impl Iterator<Item = &'a Call>) -> Fate {
    let fate = coming.find_map(|call| match call {
        Call::Take { input: Input::Adopted, .. } => Some(Fate::FoundAlive),
        Call::Take { input: Input::Gone(End::Exited { exit, oom_killed }), .. } => {
            Some(Fate::Ended(*exit, *oom_killed))
        }
        Call::Take { .. }
        | Call::Create { .. }
        | Call::Resume { .. }
        | Call::Answered(_)
        | Call::Looked(_)
        | Call::Retry => None,
    });
    fate.unwrap_or(Fate::Unseen)
}

/// Returns the name of the session of a track.
pub(super) fn session(at: usize) -> SessionName {
    SessionName::new(u16::try_from(at + 1).unwrap_or(u16::MAX))
}

/// Returns the line of an exit.
pub(super) fn exit_words(process: ProcessName, exit: Exit, oom_killed: bool) -> String {
    Choice::Exit { process, exit, oom_killed }.to_string()
}
