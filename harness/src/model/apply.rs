//! What a choice makes of a world: what the daemon around the protocol does, and nothing of what the
//! protocol decides.

use candor_core::stop::Rung;

use super::Model;
use super::atlas::Deed;
use super::choice::{Choice, Verb};
use super::law::{CANARY, bit};
use super::probe::Probe;
use super::world::{Asked, Beside, Call, Daemon, Process, Said, Session, World};
use crate::mutant::Mutant;

/// The places of the exits that signals bring about.
const EXIT_130: u8 = 2;
/// The exit of a process that a rung ends: who is asked leaves with code 0.
const fn exit_by(rung: Rung) -> u8 {
    match rung {
        Rung::Ask => 0,
        Rung::Interrupt | Rung::InterruptAgain => 3,
        Rung::Terminate => 4,
        Rung::Kill => 5,
    }
}

impl Model {
    /// Makes a choice in a copy of a world. What it breaks is in `self.broken` afterwards.
    pub(super) fn apply<const N: usize>(&mut self, world: &World<N>, choice: Choice) -> World<N> {
        let mut next = *world;
        self.apply_to(&mut next, choice);
        next
    }

    /// Makes a choice. What it breaks is in `self.broken` afterwards.
    pub(super) fn apply_to<const N: usize>(&mut self, next: &mut World<N>, choice: Choice) {
        self.broken = 0;
        self.must_leave = false;
        match choice.verb {
            Verb::Crash => self.crash(next),
            Verb::BootSame | Verb::BootOther => self.boot(next, choice.verb == Verb::BootOther),
            Verb::Shutdown => {
                next.shared.daemon = Daemon::Leaving;
                next.shared.shutdowns -= 1;
            }
            Verb::Connect | Verb::Drop => self.connect(next, choice.verb == Verb::Connect),
            Verb::Queue => next.shared.continues -= 1,
            Verb::NotStored
            | Verb::KeptUnknown
            | Verb::LostUnknown
            | Verb::Intrude
            | Verb::ReadNoAnswer => next.shared.store_faults -= 1,
            _ => {}
        }
        let at = usize::from(choice.session);
        let Session { is_held: was_held, published, .. } = next.sessions[at];
        self.session_choice(&mut next.sessions[at], choice);
        if next.shared.is_connected && next.sessions[at].published > published {
            self.wake(&mut next.sessions[at]);
        }
        if self.mutant != Mutant::None {
            self.spread(next, at, was_held);
        }
        if self.must_leave {
            self.see(Probe::Usurped);
            self.go_down(next);
        }
    }

    fn session_choice(&mut self, session: &mut Session, choice: Choice) {
        let Choice { verb, value, .. } = choice;
        match verb {
            Verb::Launch | Verb::Queue => self.create(session, value),
            Verb::Interrupt => {
                session.stops_left -= 1;
                self.ask(session, Deed::INTERRUPT, Asked::Stop);
            }
            Verb::Kill => {
                session.stops_left -= 1;
                self.ask(session, Deed::KILL, Asked::Stop);
            }
            Verb::Finish => {
                session.stops_left -= 1;
                self.ask(session, Deed::FINISH, Asked::Stop);
            }
            Verb::Settings => {
                session.settings_left -= 1;
                self.take(session, Deed::SETTINGS, Asked::Setting);
            }
            Verb::EndTurn => {
                session.turns_left -= 1;
                self.take(session, Deed::TURN_ENDED, Asked::Nobody);
            }
            Verb::BeginTurn => self.take(session, Deed::TURN_BEGAN, Asked::Nobody),
            Verb::StopForShutdown => self.ask(session, Deed::SHUTDOWN, Asked::Shutdown),
            Verb::Due => self.due(session, value),
            Verb::ParentEnded => self.take(session, Deed::PARENT_ENDED, Asked::Nobody),
            Verb::OpenRequest => {
                session.requests_left -= 1;
                session.requests += 1;
                self.take(session, Deed::REQUEST_OPENED, Asked::Nobody);
            }
            Verb::CloseRequest => self.close_request(session),
            Verb::ReadReport => self.read_report(session),
            Verb::Stray => self.stray(session),
            Verb::Effect
            | Verb::Acknowledge
            | Verb::Follow
            | Verb::NotStored
            | Verb::KeptUnknown
            | Verb::LostUnknown
            | Verb::Intrude
            | Verb::Conflict
            | Verb::Read
            | Verb::ReadNoAnswer
            | Verb::Retry => self.store_choice(session, verb),
            Verb::Deliver => self.deliver(session),
            Verb::Crash
            | Verb::BootSame
            | Verb::BootOther
            | Verb::Connect
            | Verb::Drop
            | Verb::Shutdown => {}
            _ => self.process_choice(session, verb, value),
        }
    }

    fn create(&mut self, session: &mut Session, parent: u8) {
        if self.mutant == Mutant::M00 {
            self.broken |= CANARY;
        }
        session.parent = parent;
        session.memory = self.atlas.creations[usize::from(parent > 0)];
        session.asked = Asked::Launch;
        session.is_settled_in = true;
        session.call = Call::Issued;
    }

    fn close_request(&mut self, session: &mut Session) {
        session.requests -= 1;
        let was = *self.atlas.row(session.row);
        self.take(session, Deed::REQUEST_CLOSED, Asked::Nobody);
        if self.mutant == Mutant::M42 && was.status == candor_core::status::Status::Completing {
            let running = super::forge::with_status(
                self.atlas.machine(session.row),
                candor_core::status::Status::Running,
            );
            self.overwrite(session, running, candor_core::event::Cause::RequestClosed);
        }
    }

    fn read_report(&mut self, session: &mut Session) {
        let is_success = session.said == Said::Success;
        session.said = Said::Read;
        self.take(session, Deed::REPORT_ERROR.plus(u8::from(is_success)), Asked::Nobody);
    }

    fn due(&mut self, session: &mut Session, place: u8) {
        session.deadlines &= !(1 << place);
        self.take(session, Deed::DUE.plus(place), Asked::Nobody);
        let is_stale = session.call == Call::Nothing && !self.must_leave;
        self.see(if is_stale { Probe::StaleDeadline } else { Probe::Escalated });
    }

    fn store_choice(&mut self, session: &mut Session, verb: Verb) {
        let deed = match verb {
            Verb::Effect => {
                session.call = Call::Effective;
                return self.take_effect(session);
            }
            Verb::Acknowledge if !self.config.is_stepwise => Deed::STORED,
            Verb::Acknowledge => {
                session.call = Call::Acknowledged;
                if self.mutant == Mutant::M44 {
                    session.published += 1;
                }
                return;
            }
            Verb::Intrude => {
                session.row = self.atlas.row(session.row).intruded;
                session.is_intruded = true;
                return;
            }
            Verb::NotStored if self.mutant == Mutant::M17 => Deed::STORED,
            Verb::NotStored => Deed::NOT_STORED,
            Verb::KeptUnknown | Verb::LostUnknown | Verb::Conflict => {
                self.see(if verb == Verb::Conflict { Probe::Conflict } else { Probe::InDoubt });
                Deed::IN_DOUBT
            }
            Verb::Read => self.seen(session),
            Verb::ReadNoAnswer => Deed::NO_ANSWER,
            Verb::Retry => {
                self.see(Probe::Retried);
                Deed::RETRY
            }
            _ => Deed::STORED,
        };
        self.answer(session, deed);
    }

    /// What the row says of the change in doubt.
    fn seen(&mut self, session: &Session) -> Deed {
        let offer = self.atlas.view(session.memory).offer;
        match offer {
            _ if session.is_intruded => Deed::OTHERS,
            Some(offer) if offer.after == session.row => {
                self.see(Probe::InDoubtOurs);
                Deed::OURS
            }
            Some(offer) if offer.before == session.row => {
                self.see(Probe::InDoubtBefore);
                Deed::BEFORE
            }
            _ => Deed::OTHERS,
        }
    }

    fn process_choice(&mut self, session: &mut Session, verb: Verb, value: u8) {
        match verb {
            Verb::Fork => session.process = Process::Alive,
            Verb::Exit => {
                session.process = Process::Dead;
                session.exit = value;
            }
            Verb::Say => session.said = if value == 0 { Said::Error } else { Said::Success },
            Verb::Reuse => {
                session.reuses_left -= 1;
                session.is_reused = true;
                self.see(Probe::NumberReused);
            }
            Verb::Reap => {
                if session.call == Call::Signalling {
                    self.see(Probe::ReapedWhileSignalled);
                }
                session.process = Process::Reaped;
            }
            Verb::Ended | Verb::EndedUnseen => {
                let reason = Deed::LOST.plus(3);
                let is_seen = verb == Verb::Ended;
                session.silences_left -= u8::from(!is_seen);
                let end = if is_seen { Deed::EXITED.plus(session.exit) } else { reason };
                self.tell_end(session, end);
            }
            Verb::SpawnUp | Verb::SpawnRefused | Verb::SpawnUnknown => {
                self.spawned(session, verb);
            }
            Verb::AttachUp
            | Verb::AttachEnded
            | Verb::AttachLost
            | Verb::AttachNeverRan
            | Verb::AttachUnreachable => self.attached(session, verb),
            _ => self.signalled(session, verb, value),
        }
    }

    pub(super) fn tell_end(&mut self, session: &mut Session, end: Deed) {
        if session.is_told {
            self.broken |= bit(20);
        }
        session.is_told = true;
        if session.process == Process::Dead {
            session.process = Process::Reaped;
        }
        self.take(session, end, Asked::Nobody);
    }

    fn spawned(&mut self, session: &mut Session, verb: Verb) {
        session.beside = Beside::Nothing;
        let deed = match verb {
            Verb::SpawnUp => {
                if session.process != Process::Alive {
                    self.see(Probe::ExitBeforeSpawnAnswer);
                }
                Deed::SPAWNED
            }
            Verb::SpawnRefused => Deed::REFUSED,
            _ => {
                session.silences_left -= 1;
                self.see(Probe::LaunchUnknown);
                Deed::UNREACHABLE
            }
        };
        self.take(session, deed, Asked::Nobody);
        if self.mutant == Mutant::M27 && deed == Deed::SPAWNED {
            self.launch(session);
        }
    }

    fn attached(&mut self, session: &mut Session, verb: Verb) {
        session.beside = Beside::Nothing;
        session.is_settled_in = true;
        match verb {
            Verb::AttachUp => {
                self.see(Probe::OrphanAdopted);
                let was_up = self.atlas.row(session.row).is_up;
                // Where nothing is to be stored, the process is held at once.
                session.is_held |= was_up;
                if self.mutant == Mutant::M12 && was_up {
                    let again = super::forge::again(self.atlas.machine(session.row));
                    self.overwrite(session, again, candor_core::event::Cause::Adopted);
                }
                self.take(session, Deed::ADOPTED, Asked::Nobody);
            }
            Verb::AttachEnded => self.tell_end(session, Deed::EXITED.plus(session.exit)),
            Verb::AttachLost => {
                self.see(Probe::OrphanLost);
                let place = match session.process {
                    Process::None => 0,
                    Process::Vanished | Process::Buried => 2,
                    Process::Alive | Process::Dead | Process::Reaped | Process::Unseen => 1,
                };
                if matches!(session.process, Process::Alive | Process::None) {
                    session.silences_left -= 1;
                }
                if session.process == Process::Alive {
                    // It cannot be listened to any more, and is ended before it is called lost.
                    session.process = Process::Unseen;
                    session.exit = exit_by(Rung::Kill);
                }
                self.tell_end(session, Deed::LOST.plus(place));
            }
            Verb::AttachNeverRan => self.take(session, Deed::NEVER_RAN, Asked::Nobody),
            _ => {
                session.silences_left -= 1;
                self.take(session, Deed::UNREACHABLE, Asked::Nobody);
            }
        }
    }

    fn signalled(&mut self, session: &mut Session, verb: Verb, value: u8) {
        session.call = Call::Nothing;
        let known = self.atlas.view(session.memory).machine;
        let rung = self.atlas.row(known).rung.unwrap_or(Rung::Interrupt);
        match verb {
            Verb::SignalKills => {
                session.process = Process::Dead;
                session.exit = exit_by(rung);
            }
            Verb::SignalExits => {
                session.process = Process::Dead;
                session.exit = value;
            }
            Verb::SignalReports => {
                session.process = Process::Dead;
                session.exit = EXIT_130;
                session.said = Said::Error;
            }
            Verb::SignalDenied | Verb::SignalUnknown => {
                session.misfires_left -= 1;
                session.is_unkilled |= rung == Rung::Kill;
                let is_denied = verb == Verb::SignalDenied;
                self.see(if is_denied { Probe::SignalDenied } else { Probe::SignalUnknown });
            }
            Verb::SignalHitsStranger => self.broken |= bit(18),
            _ => self.see(Probe::SignalMissed),
        }
        if self.atlas.view(session.memory).is_over {
            self.let_go(session);
        }
    }

    fn deliver(&mut self, session: &mut Session) {
        let repeats = self.mutant == Mutant::M09 && session.odd == 1;
        let skips = self.mutant == Mutant::M07 && session.odd == 1;
        let next = self.cursor(session) + 1 + u8::from(skips);
        let revision = if repeats { session.seen } else { next };
        if revision != session.seen + 1 {
            self.broken |= bit(12);
        }
        if revision > self.atlas.row(session.row).revision {
            self.broken |= bit(11);
        }
        session.odd = 0;
        session.seen = revision;
        self.fold(session);
    }

    /// Tells the client that there is more to read. Wake-ups are one until it reads: it has a cursor
    /// of its own, and nothing is lost that way.
    fn wake(&mut self, session: &mut Session) {
        let is_last = self.atlas.row(session.row).is_terminal;
        let is_slow = session.seen + 1 < session.published;
        if is_slow {
            self.see(Probe::SlowClient);
        }
        session.is_unaware = self.mutant == Mutant::M32 && is_last && is_slow;
        if session.is_unaware {
            self.broken |= bit(15);
        }
    }

    fn connect<const N: usize>(&mut self, world: &mut World<N>, is_on: bool) {
        world.shared.is_connected = is_on;
        world.shared.connects -= u8::from(is_on);
        for session in &mut world.sessions {
            if is_on && session.call != Call::Nothing {
                self.see(Probe::ConnectDuringChange);
            }
            session.is_unaware = false;
            let is_behind = session.seen < session.published;
            let shown = self.atlas.row(self.atlas.view(session.memory).machine).revision;
            if is_on && session.memory != 0 && shown < session.published {
                self.broken |= bit(28);
            }
            match self.mutant {
                Mutant::M08 if !is_on => session.odd = session.published - session.seen,
                Mutant::M09 if is_on && is_behind && session.seen > 0 => session.odd = 1,
                Mutant::M31 if is_on && is_behind => session.is_unaware = true,
                _ => {}
            }
        }
    }

    fn ask(&mut self, session: &mut Session, deed: Deed, asked: Asked) {
        if self.ask_as_mutant(session, asked) {
            return;
        }
        let known = *self.atlas.row(self.atlas.view(session.memory).machine);
        if known.intent.is_some() {
            self.see(Probe::SecondStop);
        }
        self.take(session, deed, asked);
    }
}
