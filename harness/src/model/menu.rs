//! What can be chosen in a world: the rules of the daemon's session task, and what the world may do.

use candor_core::status::Status;

use super::Model;
use super::atlas::{DEADLINES, Row, View};
use super::choice::{Menu, Verb};
use super::world::{Beside, Call, Daemon, Process, Said, Session, World};
use crate::mutant::Mutant;

/// The exits that a process comes to by itself, as places in the list of exits.
const OWN_EXITS: [u8; 4] = [0, 1, 6, 7];

impl Model {
    /// Lists what can be chosen, in a fixed order.
    pub(super) fn enabled<const N: usize>(&self, world: &World<N>, menu: &mut Menu) {
        menu.clear();
        let is_running = world.shared.daemon != Daemon::Down;
        for (at, session) in world.sessions.iter().enumerate() {
            if is_running && !self.is_stalled(world, at) {
                self.offer_session(world, at, session, menu);
            }
            self.offer_agent(at, session, menu);
        }
        self.offer_daemon(world, menu);
        self.offer_client(world, menu);
    }

    /// A mutant's global lock: one slow write holds everybody up.
    fn is_stalled<const N: usize>(&self, world: &World<N>, at: usize) -> bool {
        self.mutant == Mutant::M34
            && (0..N).any(|other| other != at && world.sessions[other].call == Call::Issued)
    }

    fn offer_session<const N: usize>(
        &self,
        world: &World<N>,
        at: usize,
        session: &Session,
        menu: &mut Menu,
    ) {
        if session.memory == 0 {
            self.offer_birth(world, at, session, menu);
            return;
        }
        let view = self.atlas.view(session.memory);
        match session.call {
            Call::Nothing if view.is_blocked => menu.push(Verb::Retry, at, 0),
            Call::Nothing => self.offer_ready(world, at, session, menu),
            Call::Issued => self.offer_commit(world, at, session, view, menu),
            Call::Effective => {
                menu.push(Verb::Acknowledge, at, 0);
                if world.shared.store_faults > 0 {
                    menu.push(Verb::KeptUnknown, at, 0);
                }
            }
            Call::Acknowledged => menu.push(Verb::Follow, at, 0),
            Call::Loading => {
                menu.push(Verb::Read, at, 0);
                if world.shared.store_faults > 0 {
                    menu.push(Verb::ReadNoAnswer, at, 0);
                    self.offer_intrusion(at, session, menu);
                }
            }
            Call::Signalling => self.offer_signal(at, session, menu),
        }
        if session.beside == Beside::Launch && session.process == Process::None {
            menu.push(Verb::Fork, at, 0);
        }
        // Who is collected at another moment is told of in the same breath.
        if session.process == Process::Dead && session.call == Call::Signalling {
            menu.push(Verb::Reap, at, 0);
        }
    }

    fn offer_birth<const N: usize>(
        &self,
        world: &World<N>,
        at: usize,
        session: &Session,
        menu: &mut Menu,
    ) {
        if session.row != 0 || world.shared.daemon != Daemon::Up {
            return;
        }
        let roots = self.config.roots();
        if at < roots {
            menu.push(Verb::Launch, at, 0);
        } else if world.shared.continues > 0 {
            for (parent, other) in world.sessions.iter().take(roots).enumerate() {
                let is_live = other.row != 0 && !self.atlas.row(other.row).is_terminal;
                if is_live && other.memory != 0 {
                    menu.push(Verb::Queue, at, parent as u8 + 1);
                }
            }
        }
    }

    fn offer_commit<const N: usize>(
        &self,
        world: &World<N>,
        at: usize,
        session: &Session,
        view: &View,
        menu: &mut Menu,
    ) {
        let fits =
            view.offer.is_some_and(|offer| offer.before == session.row) && !session.is_intruded;
        let is_blind = matches!(self.mutant, Mutant::M02 | Mutant::M35);
        menu.push(if fits || is_blind { Verb::Effect } else { Verb::Conflict }, at, 0);
        if world.shared.store_faults > 0 {
            menu.push(Verb::NotStored, at, 0);
            menu.push(Verb::LostUnknown, at, 0);
            self.offer_intrusion(at, session, menu);
        }
    }

    fn offer_intrusion(&self, at: usize, session: &Session, menu: &mut Menu) {
        let can = session.row != 0 && self.atlas.row(session.row).intruded != 0;
        if can && !session.is_intruded {
            menu.push(Verb::Intrude, at, 0);
        }
    }

    /// What a session's task may take now: it waits for nothing, and nothing waits for the store.
    fn offer_ready<const N: usize>(
        &self,
        world: &World<N>,
        at: usize,
        session: &Session,
        menu: &mut Menu,
    ) {
        let known = *self.atlas.row(self.atlas.view(session.memory).machine);
        if session.is_settled_in {
            if session.settings_left > 0 {
                menu.push(Verb::Settings, at, 0);
            }
            if session.stops_left > 0 {
                menu.push(Verb::Interrupt, at, 0);
                if self.config.has_kill {
                    menu.push(Verb::Kill, at, 0);
                }
                if self.config.has_finish {
                    menu.push(Verb::Finish, at, 0);
                }
            }
            if world.shared.daemon == Daemon::Leaving && !session.is_asked_to_leave {
                menu.push(Verb::StopForShutdown, at, 0);
            }
        }
        match session.beside {
            Beside::Nothing => {}
            Beside::Launch => self.offer_launch(at, session, menu),
            Beside::Attach => self.offer_attach(at, session, menu),
        }
        let can_read = session.is_held || session.beside == Beside::Attach;
        if session.is_unread() && can_read && !session.is_told {
            menu.push(Verb::ReadReport, at, 0);
        }
        let may_be_early = matches!(self.mutant, Mutant::M16 | Mutant::M43);
        let may_end = !session.is_unread() || may_be_early;
        let may_repeat = self.mutant == Mutant::M15;
        let is_over = matches!(session.process, Process::Dead | Process::Reaped);
        if session.is_held && is_over && may_end && (!session.is_told || may_repeat) {
            menu.push(Verb::Ended, at, 0);
            if session.silences_left > 0 {
                menu.push(Verb::EndedUnseen, at, 0);
            }
        }
        for place in 0..DEADLINES.len() {
            if session.deadlines & (1 << place) != 0 {
                menu.push(Verb::Due, at, place as u8);
            }
        }
        if known.status == Status::Queued && self.has_ended(world, session.parent) {
            menu.push(Verb::ParentEnded, at, 0);
        }
        self.offer_requests(at, session, known.status, menu);
        self.offer_turns(at, session, &known, menu);
        if self.mutant.is_stray(session) {
            menu.push(Verb::Stray, at, 0);
        }
    }

    pub(super) fn has_ended<const N: usize>(&self, world: &World<N>, parent: u8) -> bool {
        let Some(parent) = usize::from(parent).checked_sub(1).map(|at| &world.sessions[at]) else {
            return false;
        };
        parent.memory == 0 && parent.row != 0 && self.atlas.row(parent.row).is_terminal
    }

    fn offer_requests(&self, at: usize, session: &Session, status: Status, menu: &mut Menu) {
        if !session.is_held || session.process != Process::Alive {
            return;
        }
        let is_open = matches!(status, Status::Running | Status::WaitingInput | Status::Completing);
        if is_open && session.requests_left > 0 {
            menu.push(Verb::OpenRequest, at, 0);
        }
        if session.requests > 0 {
            menu.push(Verb::CloseRequest, at, 0);
        }
    }

    /// What an agent has said is held against the row, so that only differences are handed in.
    fn offer_turns(&self, at: usize, session: &Session, known: &Row, menu: &mut Menu) {
        let is_live = matches!(known.status, Status::Running | Status::WaitingInput);
        if !session.is_held || session.process != Process::Alive || !is_live {
            return;
        }
        if known.awaits_message {
            menu.push(Verb::BeginTurn, at, 0);
        }
        if session.turns_left > 0 {
            menu.push(Verb::EndTurn, at, 0);
        }
    }

    fn offer_launch(&self, at: usize, session: &Session, menu: &mut Menu) {
        if session.process == Process::None {
            menu.push(Verb::SpawnRefused, at, 0);
        } else {
            menu.push(Verb::SpawnUp, at, 0);
            if self.mutant == Mutant::M25 && session.process == Process::Dead {
                menu.push(Verb::Stray, at, 0);
            }
        }
        if session.silences_left > 0 {
            menu.push(Verb::SpawnUnknown, at, 0);
        }
    }

    fn offer_attach(&self, at: usize, session: &Session, menu: &mut Menu) {
        let is_silent = session.silences_left > 0;
        if is_silent {
            menu.push(Verb::AttachUnreachable, at, 0);
        }
        // The output that exists is parsed first.
        let must_read = session.is_unread();
        match session.process {
            Process::None => menu.push(Verb::AttachNeverRan, at, 0),
            Process::Alive => menu.push(Verb::AttachUp, at, 0),
            _ if must_read => {}
            Process::Dead | Process::Reaped | Process::Buried => {
                menu.push(Verb::AttachEnded, at, 0);
            }
            Process::Unseen | Process::Vanished => {}
        }
        let is_gone = !matches!(session.process, Process::Alive | Process::None);
        if (is_gone || is_silent) && !must_read {
            menu.push(Verb::AttachLost, at, 0);
        }
        if self.mutant == Mutant::M13 && session.is_reused {
            menu.push(Verb::AttachUp, at, 0);
        }
    }

    fn offer_signal(&self, at: usize, session: &Session, menu: &mut Menu) {
        if session.process != Process::Alive {
            let by_number = matches!(self.mutant, Mutant::M13 | Mutant::M18 | Mutant::M19);
            let hits = by_number && session.is_reused;
            let verb = if hits { Verb::SignalHitsStranger } else { Verb::SignalGone };
            menu.push(verb, at, 0);
            return;
        }
        let rung = self.atlas.row(self.atlas.view(session.memory).machine).rung;
        menu.push(Verb::SignalKills, at, 0);
        if session.misfires_left > 0 {
            menu.push(Verb::SignalDenied, at, 0);
            menu.push(Verb::SignalUnknown, at, 0);
        }
        if rung != Some(candor_core::stop::Rung::Kill) {
            menu.push(Verb::SignalExits, at, 0);
            menu.push(Verb::SignalIgnored, at, 0);
            if session.said == Said::Nothing && self.config.reports > 0 {
                menu.push(Verb::SignalReports, at, 0);
            }
        }
    }

    fn offer_agent(&self, at: usize, session: &Session, menu: &mut Menu) {
        if session.process != Process::Alive {
            if session.process == Process::Reaped && session.reuses_left > 0 {
                menu.push(Verb::Reuse, at, 0);
            }
            return;
        }
        for exit in OWN_EXITS.into_iter().take(usize::from(self.config.exits)) {
            menu.push(Verb::Exit, at, exit);
        }
        if session.said == Said::Nothing {
            for word in 0..self.config.reports {
                menu.push(Verb::Say, at, word);
            }
        }
    }

    fn offer_daemon<const N: usize>(&self, world: &World<N>, menu: &mut Menu) {
        let shared = &world.shared;
        if shared.daemon == Daemon::Down {
            menu.push(Verb::BootSame, 0, 0);
            menu.push(Verb::BootOther, 0, 0);
            return;
        }
        let is_writing = |session: &Session| matches!(session.call, Call::Issued | Call::Effective);
        let forgets = self.mutant == Mutant::M36 && world.sessions.iter().any(is_writing);
        if shared.crashes > 0 && !forgets {
            menu.push(Verb::Crash, 0, 0);
        }
        if shared.shutdowns > 0 && shared.daemon == Daemon::Up {
            menu.push(Verb::Shutdown, 0, 0);
        }
    }

    fn offer_client<const N: usize>(&self, world: &World<N>, menu: &mut Menu) {
        let shared = &world.shared;
        if shared.daemon == Daemon::Down {
            return;
        }
        if !shared.is_connected {
            if shared.connects > 0 {
                menu.push(Verb::Connect, 0, 0);
            }
            return;
        }
        menu.push(Verb::Drop, 0, 0);
        for (at, session) in world.sessions.iter().enumerate() {
            if self.cursor(session) < session.published && !session.is_unaware {
                menu.push(Verb::Deliver, at, 0);
            }
        }
    }

    /// Returns the last revision that the client asks for no more: what it has read.
    pub(super) const fn cursor(&self, session: &Session) -> u8 {
        match self.mutant {
            Mutant::M08 => session.seen + session.odd,
            _ => session.seen,
        }
    }
}
