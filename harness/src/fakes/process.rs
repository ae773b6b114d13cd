//! Processes, in memory.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use candor_core::ports::{Delivery, Ending, Fact, Message, Process, Sent, Target};
use candor_core::session::{OutputSizes, SessionId};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason, Witness};

use super::calls::Call;
use super::input::FakeInput;
use super::stage::{Mode, Stage, State};
use crate::ghost::Record;
use crate::mutant::Mutant;
use crate::timeline::names::ProcessName;

/// What really is the case with one process.
pub(crate) struct ProcessState {
    pub(crate) session: SessionId,
    pub(crate) life: Life,
    /// The boot of the machine in which it was made.
    pub(crate) boot: u32,
    /// The daemon's life that listens to it, or 0.
    heard_in: u32,
    /// Whether somebody could see how it ended; so it is, unless the machine took it along.
    has_witness: bool,
    /// What its parent has learned of its end, and whether it was handed out.
    seen: Seen,
    /// M15: whether it was handed out once.
    was_told: bool,
    waker: Option<Waker>,
    /// What it was sent.
    pub(crate) input: FakeInput,
}

impl ProcessState {
    pub(crate) fn is_alive(&self) -> bool {
        self.life == Life::Alive
    }
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    Alive,
    Dead { exit: Exit, oom_killed: bool },
}

/// How far the knowledge of an end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    NotYet,
    Waiting(Fact),
    HandedOut,
}

/// A handle to a process.
#[derive(Clone)]
pub struct FakeProcess {
    stage: Stage,
    name: ProcessName,
}

impl FakeProcess {
    pub(crate) const fn new(stage: Stage, name: ProcessName) -> Self {
        Self { stage, name }
    }
}

impl State {
    /// Makes a process for a session, and returns its name.
    pub(crate) fn fork(&mut self, session: SessionId) -> ProcessName {
        let process = self.next_process();
        let state = ProcessState {
            session,
            life: Life::Alive,
            boot: self.boot,
            heard_in: 0,
            has_witness: true,
            seen: Seen::NotYet,
            was_told: false,
            waker: None,
            input: FakeInput::default(),
        };
        self.processes.insert(process, state);
        self.log.push(Record::Forked { process, session });
        process
    }

    /// Returns the name of the process that is made next.
    pub(crate) fn next_process(&self) -> ProcessName {
        let made = u16::try_from(self.processes.len()).unwrap_or(u16::MAX);
        ProcessName::new(made.saturating_add(1))
    }

    /// Returns the process of a session, if one was made.
    pub(crate) fn process_of(&self, session: SessionId) -> Option<ProcessName> {
        let mut processes = self.processes.iter();
        processes.find(|(_, state)| state.session == session).map(|(name, _)| *name)
    }

    pub(crate) fn is_alive(&self, process: ProcessName) -> bool {
        self.processes.get(&process).is_some_and(|state| state.life == Life::Alive)
    }

    /// Lets a process end. Nobody has seen it yet.
    pub(crate) fn die(&mut self, process: ProcessName, exit: Exit, oom_killed: bool) {
        let Some(state) =
            self.processes.get_mut(&process).filter(|state| state.life == Life::Alive)
        else {
            return;
        };
        state.life = Life::Dead { exit, oom_killed };
        self.log.push(Record::Died { process, exit, oom_killed });
        if self.mode == Mode::AtOnce {
            self.see(process, None);
        }
    }

    /// Lets the parent of a process that has ended learn of it, or learn that it cannot know how.
    pub(crate) fn see(&mut self, process: ProcessName, lost: Option<LostReason>) {
        if self.is_deaf_to(process) {
            return;
        }
        let Some(fact) = lost.map(Fact::Lost).or_else(|| self.ending(process).map(Fact::Ended))
        else {
            return;
        };
        if let Some(state) = self.processes.get_mut(&process)
            && state.seen == Seen::NotYet
        {
            state.seen = Seen::Waiting(fact);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }

    /// Says that the daemon that runs listens to a process.
    pub(crate) fn hear(&mut self, process: ProcessName) {
        let life = self.life;
        if let Some(state) = self.processes.get_mut(&process) {
            state.heard_in = life;
        }
    }

    /// Says whether the daemon that runs can hear what a process says and how it ends.
    pub(crate) fn is_heard(&self, process: ProcessName) -> bool {
        let life = self.life;
        self.processes
            .get(&process)
            .is_some_and(|state| state.heard_in == life && state.seen == Seen::NotYet)
    }

    /// Says whether a process has ended and somebody outside the daemon could know how.
    pub(crate) fn was_seen_to_end(&self, process: ProcessName) -> bool {
        let state = self.processes.get(&process);
        state.is_some_and(|state| state.life != Life::Alive && state.has_witness)
    }

    /// Ends a process so that nobody sees how.
    pub(crate) fn end_unseen(&mut self, process: ProcessName) {
        if self.is_alive(process) {
            let number = signal_number(Signal::Kill);
            self.die(process, Exit::Signal { number, core_dumped: false }, false);
            if let Some(state) = self.processes.get_mut(&process) {
                state.has_witness = false;
            }
        }
    }

    /// Starts the machine anew, which ends every process.
    pub(crate) fn restart_machine(&mut self) {
        let all: Vec<_> = self.processes.keys().copied().collect();
        for process in all {
            self.end_unseen(process);
        }
        self.boot += 1;
        self.booted_at_ms = self.log.now_ms();
    }

    /// Forgets what the daemon that has just ended had learned and not stored.
    pub(crate) fn forget_parent(&mut self) {
        for state in self.processes.values_mut() {
            state.seen = Seen::NotYet;
            state.was_told = false;
            state.heard_in = 0;
        }
    }

    /// Says in a word what is the case with a process.
    pub(crate) fn truth_of(&self, process: Option<ProcessName>) -> &'static str {
        match process.map(|process| self.is_alive(process)) {
            None => "there was no process",
            Some(true) => "the process is alive",
            Some(false) => "the process is dead",
        }
    }

    /// Returns how a process ended, or `None` while it lives.
    pub(crate) fn ending(&self, process: ProcessName) -> Option<Ending> {
        match self.processes.get(&process)?.life {
            Life::Alive => None,
            Life::Dead { exit, oom_killed } => {
                let exit = self.misread(process, exit);
                let output = OutputSizes::default();
                let witness = Witness::Parent;
                Some(Ending { exit, oom_killed, witness, output, left_behind: Some(0) })
            }
        }
    }

    /// M52: takes a clean end for a failure where anything was written to standard error.
    fn misread(&self, process: ProcessName, exit: Exit) -> Exit {
        let is_mistaken = self.mutants.has(Mutant::M52) && self.has_complained(process);
        if is_mistaken && exit == Exit::Code(0) { Exit::Code(1) } else { exit }
    }

    /// Lets a signal take effect on a stage that answers at once, where every process dies of it.
    fn deliver(&mut self, process: ProcessName, signal: Signal) -> Delivery {
        if !self.is_alive(process) {
            return Delivery::AlreadyEnded;
        }
        if signal != Signal::Continue {
            let exit = Exit::Signal { number: signal_number(signal), core_dumped: false };
            self.die(process, exit, false);
        }
        Delivery::Delivered
    }

    /// Logs what became of a signal.
    pub(crate) fn signal_taken(
        &mut self,
        process: ProcessName,
        signal: Signal,
        delivery: Delivery,
    ) -> Delivery {
        self.log.push(Record::SignalTaken { process, signal, delivery });
        delivery
    }
}

/// Returns the number of a signal on Linux.
pub(crate) const fn signal_number(signal: Signal) -> u8 {
    match signal {
        Signal::Interrupt => 2,
        Signal::Kill => 9,
        Signal::Terminate => 15,
        Signal::Continue => 18,
    }
}

#[async_trait]
impl Process for FakeProcess {
    async fn next_fact(&self) -> Fact {
        poll_fn(|context| {
            let mut state = self.stage.lock();
            let mutants = state.mutants;
            let Some(process) = state.processes.get_mut(&self.name) else {
                return Poll::Pending;
            };
            let Seen::Waiting(fact) = process.seen else {
                process.waker = Some(context.waker().clone());
                return Poll::Pending;
            };
            let is_twice = mutants.has(Mutant::M15) && !process.was_told;
            process.was_told = true;
            process.seen = if is_twice { Seen::Waiting(fact) } else { Seen::HandedOut };
            let lost = match fact {
                Fact::Ended(_) => None,
                Fact::Lost(reason) => Some(reason),
            };
            state.log.push(Record::Seen { process: self.name, lost });
            Poll::Ready(fact)
        })
        .await
    }

    async fn signal(&self, _target: Target, signal: Signal) -> Delivery {
        let process = self.name;
        let answer = {
            let mut state = self.stage.lock();
            state.log.push(Record::SignalCalled { process, signal });
            // To go on is no decision of the world: a process that is not stopped does not notice.
            if signal == Signal::Continue {
                let delivery = state.deliver(process, signal);
                return state.signal_taken(process, signal, delivery);
            }
            state.call(
                |state| {
                    let delivery = state.deliver(process, signal);
                    state.signal_taken(process, signal, delivery)
                },
                |answer| Call::Signal { process, signal, answer },
            )
        };
        answer.await
    }

    async fn send(&self, message: &Message) -> Sent {
        self.stage.lock().send(self.name, message)
    }
}
