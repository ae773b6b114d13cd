//! Processes, in memory.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use candor_core::ports::{Delivery, Ending, Fact, Process, Target};
use candor_core::session::{OutputSizes, SessionId};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason, Witness};

use super::calls::Call;
use super::stage::{Mode, Stage, State};
use crate::ghost::Record;
use crate::timeline::names::ProcessName;

/// What really is the case with one process.
pub(crate) struct ProcessState {
    pub(crate) session: SessionId,
    pub(crate) life: Life,
    /// The boot of the machine in which it was made.
    pub(crate) boot: u32,
    /// What its parent has learned of its end, and whether it was handed out.
    pub(crate) seen: Seen,
    waker: Option<Waker>,
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

/// What a process does when a signal reaches it, on a stage that answers at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Reaction {
    /// It dies of it.
    #[default]
    Dies,
    /// It dies of `SIGKILL` alone.
    IgnoresAllButKill,
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
            seen: Seen::NotYet,
            waker: None,
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
        let Some(state) = self.processes.get_mut(&process).filter(|state| state.life == Life::Alive)
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

    /// Returns how a process ended, or `None` while it lives.
    pub(crate) fn ending(&self, process: ProcessName) -> Option<Ending> {
        match self.processes.get(&process)?.life {
            Life::Alive => None,
            Life::Dead { exit, oom_killed } => {
                let output = OutputSizes::default();
                Some(Ending { exit, oom_killed, witness: Witness::Parent, output })
            }
        }
    }

    /// Lets a signal take effect on a stage that answers at once.
    fn deliver(&mut self, process: ProcessName, signal: Signal) -> Delivery {
        if !self.is_alive(process) {
            return Delivery::AlreadyEnded;
        }
        let is_deadly = match (signal, self.reaction) {
            (Signal::Continue, _) => false,
            (Signal::Kill, _) | (_, Reaction::Dies) => true,
            (Signal::Interrupt | Signal::Terminate, Reaction::IgnoresAllButKill) => false,
        };
        if is_deadly {
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
            let Some(process) = state.processes.get_mut(&self.name) else {
                return Poll::Pending;
            };
            let Seen::Waiting(fact) = process.seen else {
                process.waker = Some(context.waker().clone());
                return Poll::Pending;
            };
            process.seen = Seen::HandedOut;
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
}
