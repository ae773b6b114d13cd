//! A model that is led by hand, and what it does as a trace.

use candor_core::event::Cause;
use candor_core::machine::Policy;
use candor_core::stop::StopKind;

use super::trace::Trace;
use crate::ghost::Writer;
use crate::model::atlas::{MachineId, Row, View};
use crate::model::choice::{Choice, Menu, Verb};
use crate::model::world::{Beside, Call, Daemon, Session, World};
use crate::model::{Config, Model, SESSIONS_MAX};
use crate::mutant::Mutant;
use crate::timeline::names::{CallName, ProcessName, SessionName};

/// The model, and the names that a timeline has for what is in it.
pub(super) struct Follower {
    pub(super) model: Model,
    pub(super) world: World<SESSIONS_MAX>,
    pub(super) trace: Trace,
    pub(super) choices: usize,
    slots: [Slot; SESSIONS_MAX],
    sessions_named: u16,
    processes_named: u16,
}

/// What a place of the model stands for. It may stand for one session after the other.
#[derive(Clone, Copy, Default)]
struct Slot {
    name: Option<SessionName>,
    process: Option<ProcessName>,
    /// Calls on the store for its session.
    calls: u32,
}

impl Follower {
    pub(super) fn new(config: Config, policy: Policy, mutant: Mutant) -> Self {
        let mut model = Model::with(config, policy, mutant);
        model.keeps_ended = true;
        Self {
            model,
            world: World::new(&config),
            trace: Trace::default(),
            choices: 0,
            slots: [Slot::default(); SESSIONS_MAX],
            sessions_named: 0,
            processes_named: 0,
        }
    }

    /// Begins anew, and keeps what the model has learned of core.
    pub(super) fn restart(&mut self) {
        self.world = World::new(&self.model.config);
        self.trace = Trace::default();
        self.choices = 0;
        self.slots = [Slot::default(); SESSIONS_MAX];
        self.sessions_named = 0;
        self.processes_named = 0;
    }

    pub(super) const fn session(&self, at: usize) -> &Session {
        &self.world.sessions[at]
    }

    pub(super) fn name(&self, at: usize) -> SessionName {
        self.slots[at].name.unwrap_or(SessionName::new(0))
    }

    pub(super) const fn process(&self, at: usize) -> Option<ProcessName> {
        self.slots[at].process
    }

    /// Returns the last call on the store for a session.
    pub(super) fn call(&self, at: usize) -> CallName {
        CallName { session: self.name(at), number: self.slots[at].calls }
    }

    pub(super) fn slot_of(&self, session: SessionName) -> Option<usize> {
        self.slots.iter().position(|slot| slot.name == Some(session))
    }

    pub(super) fn slot_of_process(&self, process: ProcessName) -> Option<usize> {
        self.slots.iter().position(|slot| slot.process == Some(process))
    }

    /// Passes over the name of a session that is refused.
    pub(super) const fn skip_name(&mut self) {
        self.sessions_named += 1;
    }

    /// Counts a call that the model does not make.
    pub(super) const fn skip_call(&mut self, at: usize) {
        self.slots[at].calls += 1;
    }

    pub(super) fn view(&self, at: usize) -> &View {
        self.model.atlas.view(self.world.sessions[at].memory)
    }

    /// Returns what the daemon knows of a session.
    pub(super) fn known(&self, at: usize) -> &Row {
        self.model.atlas.row(self.view(at).machine)
    }

    pub(super) fn menu(&self) -> Menu {
        let mut menu = Menu::new();
        self.model.enabled(&self.world, &mut menu);
        menu
    }

    /// Says whether a choice is offered. For exits one stands for all.
    pub(super) fn offers(&self, choice: Choice) -> bool {
        let is_any = matches!(choice.verb, Verb::Exit | Verb::SignalExits);
        self.menu().as_slice().iter().any(|other| {
            let is_alike = (other.verb, other.session) == (choice.verb, choice.session);
            is_alike && (is_any || other.value == choice.value)
        })
    }

    /// Makes a choice, and keeps what follows from it.
    pub(super) fn choose(&mut self, choice: Choice) {
        let before = self.world;
        self.world = self.model.apply(&before, choice);
        self.choices += 1;
        let at = usize::from(choice.session);
        if matches!(choice.verb, Verb::Launch | Verb::Queue) {
            self.sessions_named += 1;
            let name = Some(SessionName::new(self.sessions_named));
            self.slots[at] = Slot { name, ..Slot::default() };
        }
        if choice.verb == Verb::Fork {
            self.processes_named += 1;
            self.slots[at].process = Some(ProcessName::new(self.processes_named));
        }
        for place in 0..SESSIONS_MAX {
            self.compare(place, &before.sessions[place], choice);
        }
    }

    fn compare(&mut self, at: usize, old: &Session, choice: Choice) {
        let new = self.world.sessions[at];
        let session = self.name(at);
        let begins = |call: Call| new.call == call && old.call != call;
        self.slots[at].calls += u32::from(begins(Call::Issued)) + u32::from(begins(Call::Loading));
        if new.row != old.row && new.row != 0 {
            self.keep_change(at, old.memory, new.row, choice.verb);
        }
        if choice.verb != Verb::Crash && self.world.shared.daemon != Daemon::Down {
            for revision in old.published + 1..=new.published {
                self.trace.publish(session, u64::from(revision));
            }
        }
        if new.beside == Beside::Launch && old.beside != Beside::Launch {
            self.trace.launch(session);
        }
        let is_again = choice.verb == Verb::AttachUnreachable && usize::from(choice.session) == at;
        if new.beside == Beside::Attach && (old.beside != Beside::Attach || is_again) {
            self.trace.attach(session);
        }
        if begins(Call::Signalling)
            && let (Some(process), Some(rung)) = (self.process(at), self.known(at).rung)
        {
            self.trace.climb(process, rung);
        }
    }

    fn keep_change(&mut self, at: usize, memory: u16, row: MachineId, verb: Verb) {
        let offered = self.model.atlas.view(memory).offer.map(|offer| offer.cause);
        let (cause, writer) = match (verb, offered) {
            (Verb::Intrude, _) => (Cause::Stop(StopKind::Kill), Writer::Intruder),
            (_, Some(cause)) => (cause, Writer::Daemon(1)),
            // Only a mutant writes what was not offered.
            (_, None) => return,
        };
        let row = *self.model.atlas.machine(row);
        self.trace.change(self.name(at), &row, cause, writer);
    }
}

pub(super) fn unsorted(config: &Config, mutant: Mutant, trace: &[Choice]) -> Vec<Choice> {
    let mut model = Model::new(*config, mutant);
    let mut world = World::<SESSIONS_MAX>::new(config);
    let count = config.slots();
    // Which session stands at each place.
    let mut order: Vec<usize> = (0..count).collect();
    let mut real = Vec::with_capacity(trace.len());
    for choice in trace {
        let at = order[usize::from(choice.session)];
        let choice = Choice { session: at as u8, ..*choice };
        world = model.apply(&world, choice);
        order.sort_by_key(|at| world.sessions[*at]);
        real.push(choice);
    }
    real
}
