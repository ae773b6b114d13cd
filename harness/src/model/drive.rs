//! What the daemon does with the protocol's answers: commit, publish, act, and let go.

use candor_core::event::Cause;
use candor_core::machine::Machine;
use candor_core::recovery::Recovery;
use candor_core::status::Status;
use candor_core::step::{Act, Answer};
use candor_core::stop::Rung;
use candor_core::verdict::End;

use super::Model;
use super::atlas::{Deed, EXITS, Kind, NO_RUNG_BITS, Outcome, Row};
use super::law::{BUG, bit};
use super::probe::{Probe, Window};
use super::world::{Asked, Beside, Call, Daemon, Process, Session, World};
use crate::mutant::Mutant;

impl Model {
    /// Hands something in, and does what follows.
    pub(super) fn take(&mut self, session: &mut Session, deed: Deed, asked: Asked) {
        session.asked = asked;
        if !is_its_own(session, deed) {
            self.broken |= bit(23);
        }
        self.answer(session, deed);
    }

    /// Does to the protocol what is due, and what follows from it.
    pub(super) fn answer(&mut self, session: &mut Session, deed: Deed) {
        let (outcome, next) = self.atlas.go(session.memory, deed);
        session.memory = next;
        let is_stored = matches!(deed, Deed::STORED | Deed::OURS);
        if is_stored && self.mutant.forges() && !session.is_intruded {
            session.memory = self.atlas.resume(session.row);
        }
        match outcome.kind {
            Kind::Commit => self.issue(session),
            Kind::Load => session.call = Call::Loading,
            Kind::Act => self.act(session, &outcome),
            Kind::Abandon => {
                self.see(Probe::Abandoned);
                self.publish(session, &outcome);
                self.take(session, Deed::NEVER_RAN, Asked::Nobody);
            }
            Kind::Refuse => self.refuse(session),
            Kind::Doubt | Kind::Hold => {
                session.call = Call::Nothing;
                session.asked = Asked::Nobody;
            }
            Kind::Leave if self.mutant == Mutant::M35 => {
                session.memory = self.atlas.resume(session.row);
                session.call = Call::Nothing;
            }
            Kind::Leave => self.must_leave = true,
            Kind::Bug => self.broken |= BUG,
        }
    }

    fn issue(&mut self, session: &mut Session) {
        session.call = Call::Issued;
        match self.mutant {
            Mutant::M04 => {
                let revision = session.published + 1;
                self.publish_revision(session, revision);
            }
            Mutant::M30 => self.reply(session, Answer::Accepted),
            _ => {}
        }
    }

    /// The store takes the change that is offered.
    pub(super) fn take_effect(&mut self, session: &mut Session) {
        let Some(offer) = self.atlas.view(session.memory).offer else {
            self.broken |= BUG;
            return;
        };
        if offer.before != session.row || session.is_intruded {
            self.broken |= bit(9) | bit(32);
        }
        // The event says from where, as the daemon remembers it.
        let told = match self.mutant {
            Mutant::M06 if offer.before != 0 => Status::Running,
            _ => self.atlas.row(offer.before).status,
        };
        if told != self.atlas.row(session.row).status {
            self.broken |= bit(10);
        }
        self.write(session, offer.after, offer.cause, offer.broken);
    }

    /// A mutant writes what core did not decide.
    pub(super) fn overwrite(&mut self, session: &mut Session, row: Machine, cause: Cause) {
        let after = self.atlas.machine_id(row);
        let broken = self.atlas.judge_change(session.row, after, cause);
        self.write(session, after, cause, broken);
        if session.memory != 0 {
            session.memory = self.atlas.resume(after);
        }
    }

    fn write(&mut self, session: &mut Session, after: u16, cause: Cause, broken: u64) {
        self.broken |= broken;
        let was = *self.atlas.row(session.row);
        let row = *self.atlas.row(after);
        self.see_edge((session.row != 0).then_some(was.status), row.status);
        let is_recovering = !session.is_settled_in && session.row != 0;
        // What the agent wrote before the crash is read first, and starts its deadline.
        let is_early = matches!(cause, Cause::Reported | Cause::Climbed(_));
        if is_recovering && !is_early {
            self.broken |= bit(31);
        }
        session.row = after;
        let needs_process = matches!(row.status, Status::Running | Status::WaitingInput);
        if needs_process && session.process == Process::None {
            self.broken |= bit(7);
        }
        if row.is_terminal {
            self.judge_end(session, was.is_up);
        }
    }

    /// Holds an end that was written against the truth.
    fn judge_end(&mut self, session: &Session, was_up: bool) {
        let machine = self.atlas.machine(session.row);
        if session.process == Process::Alive {
            self.broken |= bit(22);
        }
        let is_asked = machine.intent().is_some();
        if session.is_signalled && !is_asked && machine.report().is_none() {
            self.broken |= bit(5);
        }
        let is_true = match machine.end() {
            Some(End::Exited { exit, oom_killed }) => {
                let is_over = has_ended_seen(session.process);
                if session.is_unread() && was_up {
                    self.broken |= bit(24);
                }
                is_over && EXITS[usize::from(session.exit)] == (exit, oom_killed)
            }
            Some(End::Refused { .. } | End::NeverRan) => session.process == Process::None,
            Some(End::Unknown(_)) => session.process != Process::Alive,
            None => false,
        };
        if !is_true {
            self.broken |= bit(2);
        }
    }

    fn act(&mut self, session: &mut Session, outcome: &Outcome) {
        session.call = Call::Nothing;
        if let Some(cause) = outcome.cause {
            self.publish(session, outcome);
            session.is_held |= matches!(cause, Cause::Spawned | Cause::Adopted);
        }
        self.reply(session, outcome.answer);
        let memory = self.memory_for_judges(session);
        if memory != session.row && !session.is_intruded {
            self.broken |= bit(29);
        }
        // What cannot be reached yet has no grace yet either.
        let is_unreached = !session.is_held;
        session.deadlines |= match self.mutant {
            _ if is_unreached => 0,
            Mutant::M20 => outcome.deadline & NO_RUNG_BITS,
            _ => outcome.deadline,
        };
        match outcome.act {
            Act::Nothing => {}
            Act::Launch => self.launch(session),
            Act::Attach => session.beside = Beside::Attach,
            // What it makes of that is its own affair, and takes its time.
            Act::Signal(Rung::Ask) => self.see(Probe::Asked),
            Act::Signal(_) => {
                let is_late = outcome.cause == Some(Cause::Spawned);
                if is_late && self.mutant == Mutant::M23 {
                    session.deadlines = 0;
                } else {
                    self.see(if is_late { Probe::LateSpawnSignalled } else { Probe::Signalled });
                    self.signal(session);
                }
            }
        }
        if self.atlas.view(session.memory).is_over && session.call == Call::Nothing {
            self.let_go(session);
        }
    }

    /// The harness's own mutant compares memory with memory.
    fn memory_for_judges(&self, session: &Session) -> u16 {
        if self.is_blind { session.row } else { self.atlas.view(session.memory).machine }
    }

    pub(super) fn launch(&mut self, session: &mut Session) {
        if session.is_launched {
            self.broken |= bit(19);
        }
        session.is_launched = true;
        session.beside = Beside::Launch;
    }

    pub(super) fn signal(&mut self, session: &mut Session) {
        if !session.is_held {
            self.see(Probe::Unreached);
            return;
        }
        let row = self.atlas.row(session.row);
        let rung = self.atlas.row(self.atlas.view(session.memory).machine).rung;
        let has_reason = row.intent.is_some() || row.has_report;
        if !has_reason || row.rung.is_none() || row.rung < rung {
            self.broken |= bit(17);
        }
        if session.is_told || row.is_terminal {
            self.broken |= bit(18);
        }
        session.call = Call::Signalling;
        session.is_signalled = true;
    }

    fn publish(&mut self, session: &mut Session, outcome: &Outcome) {
        debug_assert!(outcome.cause.is_some(), "only a change is published");
        let known = self.atlas.view(session.memory).machine;
        let Row { status, revision, .. } = *self.atlas.row(known);
        match self.mutant {
            Mutant::M04 | Mutant::M44 => return,
            Mutant::M05 if status == Status::Failed => return,
            // The other publisher has it, and is slower than the next change.
            Mutant::M03 if revision > 1 && session.odd == 0 => {
                session.odd = 1;
                return;
            }
            _ => {}
        }
        self.publish_revision(session, revision);
    }

    fn publish_revision(&mut self, session: &mut Session, revision: u8) {
        if revision != session.published + 1 {
            self.broken |= bit(12);
        }
        if revision > self.atlas.row(session.row).revision {
            self.broken |= bit(11);
        }
        session.published = revision;
    }

    pub(super) fn reply(&mut self, session: &mut Session, answer: Answer) {
        let row = *self.atlas.row(session.row);
        let asked = session.asked;
        session.asked = Asked::Nobody;
        match asked {
            Asked::Nobody => return,
            Asked::Launch => {
                self.broken |= if session.row == 0 { bit(27) } else { 0 };
                return;
            }
            Asked::Setting => {
                let is_over = matches!(answer, Answer::AlreadyEnded(_)) == row.is_terminal;
                self.broken |= if is_over { 0 } else { bit(27) };
                return;
            }
            Asked::Shutdown => session.is_asked_to_leave = true,
            Asked::Stop => {}
        }
        self.broken |= match answer {
            Answer::Accepted if row.intent.is_none() && !row.is_terminal => bit(25) | bit(27),
            Answer::AlreadyStopping(kind) if row.intent != Some(kind) => bit(27),
            Answer::AlreadyEnded(_) if !row.is_terminal => bit(27),
            Answer::Accepted | Answer::AlreadyStopping(_) | Answer::AlreadyEnded(_) => 0,
        };
    }

    /// Whoever asked is told that nothing has changed.
    fn refuse(&mut self, session: &mut Session) {
        session.call = Call::Nothing;
        self.see(Probe::Refused);
        let is_unchanged = self.atlas.view(session.memory).machine == session.row;
        if session.asked != Asked::Nobody && !is_unchanged && !session.is_intruded {
            self.broken |= bit(27);
        }
        session.asked = Asked::Nobody;
        if self.atlas.view(session.memory).is_over {
            self.let_go(session);
        }
    }

    /// There is nothing left to drive.
    pub(super) fn let_go(&mut self, session: &mut Session) {
        if self.keeps_as_mutant(session) {
            return;
        }
        if session.beside != Beside::Nothing {
            self.broken |= bit(34);
        }
        if session.row == 0 {
            *session = session.unborn();
            return;
        }
        forget(session);
        self.fold(session);
    }

    /// Makes all sessions one that have ended, and of which nobody will hear any more: nothing
    /// changes them, which is looked at here for every input.
    pub(super) fn fold(&mut self, session: &mut Session) {
        let row = *self.atlas.row(session.row);
        let is_read = self.config.connects == 0 || session.seen == row.revision;
        let is_over = session.memory == 0 && row.is_terminal;
        let is_published = session.published == row.revision;
        let is_kept = session.process == Process::Alive || self.keeps_ended;
        if !is_over || !is_read || !is_published || is_kept {
            return;
        }
        if !self.is_absorbing(session.row) {
            self.broken |= bit(4);
        }
        let revision = self.atlas.row(self.tomb).revision;
        let odd = if self.mutant == Mutant::None { 0 } else { session.odd };
        *session =
            Session { row: self.tomb, published: revision, seen: revision, odd, ..Session::EMPTY };
    }

    pub(super) fn crash<const N: usize>(&mut self, world: &mut World<N>) {
        world.shared.crashes -= 1;
        for session in &world.sessions {
            let window = match session.call {
                Call::Issued => Window::Issued,
                Call::Effective => Window::Effective,
                Call::Acknowledged => Window::Acknowledged,
                Call::Signalling => {
                    self.see(Probe::CrashWhileSignalling);
                    continue;
                }
                Call::Nothing | Call::Loading => {
                    if session.beside == Beside::Attach {
                        self.see(Probe::CrashInRecovery);
                    }
                    continue;
                }
            };
            if let Some(offer) = self.atlas.view(session.memory).offer {
                self.crash_table.count(offer.cause, window);
            }
        }
        self.go_down(world);
    }

    pub(super) fn go_down<const N: usize>(&mut self, world: &mut World<N>) {
        world.shared.daemon = Daemon::Down;
        world.shared.is_connected = false;
        for session in &mut world.sessions {
            if session.row == 0 {
                *session = session.unborn();
                continue;
            }
            forget(session);
            if session.process == Process::Dead {
                session.process = Process::Reaped;
            }
            // What was stored is read by whoever connects next.
            let stored = self.atlas.row(session.row).revision;
            let is_late = session.published < stored;
            if self.mutant == Mutant::M07 && is_late {
                session.odd = 1;
            }
            session.published = stored;
            self.fold(session);
        }
    }

    pub(super) fn boot<const N: usize>(&mut self, world: &mut World<N>, is_other: bool) {
        world.shared.daemon = Daemon::Up;
        for session in &mut world.sessions {
            if is_other {
                session.process = after_reboot(session.process);
                session.is_reused = false;
            }
            let row = *self.atlas.row(session.row);
            if session.row == 0 || row.is_terminal {
                continue;
            }
            if self.mutant == Mutant::M10 && row.status == Status::Completing {
                continue;
            }
            if self.mutant == Mutant::M11 {
                let failed = super::forge::failed(self.atlas.machine(session.row));
                self.overwrite(session, failed, Cause::Gone);
                session.published = self.atlas.row(session.row).revision;
                continue;
            }
            session.memory = self.atlas.resume(session.row);
            match Recovery::of(row.status) {
                Recovery::Nothing => {}
                Recovery::AwaitParent => session.is_settled_in = true,
                Recovery::Attach => session.beside = Beside::Attach,
            }
        }
    }
}

/// Says whether somebody could see how a process ended.
const fn has_ended_seen(process: Process) -> bool {
    matches!(process, Process::Dead | Process::Reaped | Process::Buried)
}

const fn after_reboot(process: Process) -> Process {
    match process {
        Process::None => Process::None,
        Process::Dead | Process::Reaped | Process::Buried => Process::Buried,
        Process::Alive | Process::Unseen | Process::Vanished => Process::Vanished,
    }
}

/// Says whether what is handed in can have come from this session, and not from another.
const fn is_its_own(session: &Session, deed: Deed) -> bool {
    !deed.is_exit() || has_ended_seen(session.process)
}

/// Forgets all that a daemon has in memory of a session.
const fn forget(session: &mut Session) {
    session.memory = 0;
    session.call = Call::Nothing;
    session.asked = Asked::Nobody;
    session.beside = Beside::Nothing;
    session.deadlines = 0;
    session.is_settled_in = false;
    session.is_held = false;
    session.is_told = false;
    session.is_asked_to_leave = false;
    session.is_intruded = false;
    session.is_unaware = false;
}
