//! What the world may decide next, in two bytes and a half.

use std::fmt;

/// One decision of the world about one session, or about the daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Choice {
    pub(super) verb: Verb,
    pub(super) session: u8,
    pub(super) value: u8,
}

/// The kinds of decisions.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Verb {
    Launch,
    Queue,
    Interrupt,
    Kill,
    Finish,
    Settings,
    Shutdown,
    StopForShutdown,
    Effect,
    Acknowledge,
    Follow,
    NotStored,
    KeptUnknown,
    LostUnknown,
    Intrude,
    Conflict,
    Read,
    ReadNoAnswer,
    Retry,
    Fork,
    SpawnUp,
    SpawnRefused,
    SpawnUnknown,
    AttachUp,
    AttachEnded,
    AttachLost,
    AttachNeverRan,
    AttachUnreachable,
    Exit,
    Reap,
    Ended,
    EndedUnseen,
    Say,
    ReadReport,
    OpenRequest,
    CloseRequest,
    EndTurn,
    BeginTurn,
    Due,
    ParentEnded,
    SignalKills,
    SignalExits,
    SignalReports,
    SignalIgnored,
    SignalGone,
    SignalDenied,
    SignalUnknown,
    SignalHitsStranger,
    /// The number of a process that was collected is given to a stranger.
    Reuse,
    Crash,
    BootSame,
    BootOther,
    Connect,
    Drop,
    Deliver,
    /// What only a mutant does.
    Stray,
}

impl Verb {
    /// Returns the name of the choice as reports show it.
    const fn word(self) -> &'static str {
        match self {
            Self::Launch => "user launch",
            Self::Queue => "user queue",
            Self::Interrupt => "user interrupt",
            Self::Kill => "user kill",
            Self::Finish => "user finish",
            Self::Settings => "user bypass",
            Self::Shutdown => "shutdown",
            Self::StopForShutdown => "stop for shutdown",
            Self::Effect => "write takes effect",
            Self::Acknowledge => "write ok",
            Self::Follow => "publish and act",
            Self::NotStored => "write err",
            Self::KeptUnknown => "write unknown kept",
            Self::LostUnknown => "write unknown lost",
            Self::Intrude => "second daemon writes",
            Self::Conflict => "write conflict",
            Self::Read => "read ok",
            Self::ReadNoAnswer => "read err",
            Self::Retry => "due retry",
            Self::Fork => "fork",
            Self::SpawnUp => "spawn ok",
            Self::SpawnRefused => "spawn refused",
            Self::SpawnUnknown => "spawn unknown",
            Self::AttachUp => "attach up",
            Self::AttachEnded => "attach ended",
            Self::AttachLost => "attach lost",
            Self::AttachNeverRan => "attach never_ran",
            Self::AttachUnreachable => "attach unreachable",
            Self::Exit => "exit",
            Self::Reap => "collected",
            Self::Ended => "reap",
            Self::EndedUnseen => "reap lost",
            Self::Say => "agent says",
            Self::ReadReport => "report",
            Self::OpenRequest => "request opened",
            Self::CloseRequest => "request closed",
            Self::EndTurn => "turn ended",
            Self::BeginTurn => "turn began",
            Self::Due => "due",
            Self::ParentEnded => "parent ended",
            Self::SignalKills => "signal kills",
            Self::SignalExits => "signal exits",
            Self::SignalReports => "signal reports error, exits 130",
            Self::SignalIgnored => "signal ignored",
            Self::SignalGone => "signal gone",
            Self::SignalDenied => "signal denied",
            Self::SignalUnknown => "signal unknown",
            Self::SignalHitsStranger => "signal hits a stranger",
            Self::Reuse => "number reused",
            Self::Crash => "crash",
            Self::BootSame => "boot same",
            Self::BootOther => "boot other",
            Self::Connect => "connect",
            Self::Drop => "drop",
            Self::Deliver => "deliver",
            Self::Stray => "stray",
        }
    }

    /// Returns whose choice it is among those who act for a session: its user, its store, its
    /// process, its client or its task; or `None` for the daemon's own.
    pub(super) const fn role(self) -> Option<usize> {
        match self {
            Self::Launch
            | Self::Queue
            | Self::Interrupt
            | Self::Kill
            | Self::Finish
            | Self::Settings => Some(0),
            Self::Effect
            | Self::Acknowledge
            | Self::NotStored
            | Self::KeptUnknown
            | Self::LostUnknown
            | Self::Intrude
            | Self::Conflict
            | Self::Read
            | Self::ReadNoAnswer => Some(1),
            Self::Fork
            | Self::SpawnUp
            | Self::SpawnRefused
            | Self::SpawnUnknown
            | Self::Exit
            | Self::Reap
            | Self::Say
            | Self::OpenRequest
            | Self::CloseRequest
            | Self::EndTurn
            | Self::BeginTurn
            | Self::SignalKills
            | Self::SignalExits
            | Self::SignalReports
            | Self::SignalIgnored
            | Self::SignalGone
            | Self::SignalDenied
            | Self::SignalUnknown
            | Self::Reuse
            | Self::SignalHitsStranger => Some(2),
            Self::Deliver => Some(3),
            Self::Crash
            | Self::BootSame
            | Self::BootOther
            | Self::Shutdown
            | Self::Connect
            | Self::Drop => None,
            _ => Some(4),
        }
    }

    /// Says whether somebody asks for it.
    pub(super) const fn is_command(self) -> bool {
        matches!(
            self,
            Self::Interrupt | Self::Kill | Self::Finish | Self::Settings | Self::StopForShutdown
        )
    }

    /// Says whether the choice is about one session alone, so that it commutes with the choices
    /// about others.
    pub(super) const fn is_local(self) -> bool {
        !matches!(
            self,
            Self::Queue
                | Self::Shutdown
                | Self::NotStored
                | Self::KeptUnknown
                | Self::LostUnknown
                | Self::Intrude
                | Self::Conflict
                | Self::Read
                | Self::ReadNoAnswer
                | Self::ParentEnded
                | Self::Crash
                | Self::BootSame
                | Self::BootOther
                | Self::Connect
                | Self::Drop
        )
    }

    /// Says whether the world must make the choice, or one in its place, sooner or later. Users,
    /// agents and faults may stay away for ever.
    pub(super) const fn is_progress(self) -> bool {
        !matches!(
            self,
            Self::Launch
                | Self::Queue
                | Self::Interrupt
                | Self::Kill
                | Self::Finish
                | Self::Settings
                | Self::Shutdown
                | Self::NotStored
                | Self::KeptUnknown
                | Self::LostUnknown
                | Self::Intrude
                | Self::ReadNoAnswer
                | Self::SpawnUnknown
                | Self::AttachUnreachable
                | Self::EndedUnseen
                | Self::SignalDenied
                | Self::SignalUnknown
                | Self::Reuse
                | Self::Exit
                | Self::Say
                | Self::OpenRequest
                | Self::CloseRequest
                | Self::EndTurn
                | Self::BeginTurn
                | Self::Crash
                | Self::BootOther
                | Self::Connect
                | Self::Drop
        )
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, session, value } = self;
        write!(formatter, "{} s{}", verb.word(), session + 1)?;
        if *value > 0 { write!(formatter, " #{value}") } else { Ok(()) }
    }
}

/// Choices that are enabled in one world, at most.
pub(super) const CHOICES_MAX: usize = 96;

/// The choices that are enabled, without an allocation.
pub(super) struct Menu {
    choices: [Choice; CHOICES_MAX],
    len: usize,
}

impl Menu {
    const NONE: Choice = Choice { verb: Verb::Stray, session: 0, value: 0 };

    pub(super) const fn new() -> Self {
        Self { choices: [Self::NONE; CHOICES_MAX], len: 0 }
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) const fn push(&mut self, verb: Verb, session: usize, value: u8) {
        assert!(self.len < CHOICES_MAX, "more choices than a menu holds");
        // There are at most three sessions.
        self.choices[self.len] = Choice { verb, session: session as u8, value };
        self.len += 1;
    }

    pub(super) fn as_slice(&self) -> &[Choice] {
        &self.choices[..self.len]
    }
}
