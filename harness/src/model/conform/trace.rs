//! What both levels must agree on.

use std::collections::BTreeMap;
use std::fmt;

use candor_core::event::{Cause, Seq};
use candor_core::machine::Machine;
use candor_core::stop::{Rung, Signal};

use crate::ghost::{Entry, Record, Writer, word_of};
use crate::timeline::names::{ProcessName, SessionName};

/// What happened to the sessions of a replay, at either level.
///
/// The order of what two sessions store is not in it: the model stores a change in two steps, and
/// the world in one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trace {
    /// The durable changes of each session, in order.
    changes: BTreeMap<SessionName, Vec<String>>,
    /// What was published, in order.
    published: Vec<String>,
    /// Launches and signals, in order.
    effects: Vec<String>,
    /// How often each session was attached to.
    attaches: BTreeMap<SessionName, u32>,
}

/// The first thing that is not the same at both levels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    of: String,
    at: usize,
    model: Option<String>,
    world: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, at, model, world } = self;
        let show = |what: &Option<String>| what.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(formatter, "{of} {at}: model {}, world {}", show(model), show(world))
    }
}

impl Trace {
    pub(super) fn change(
        &mut self,
        session: SessionName,
        row: &Machine,
        cause: Cause,
        writer: Writer,
    ) {
        let hand = if writer == Writer::Intruder { " intruder" } else { "" };
        let line = format!(
            "{}.{} {} {cause}{hand}, intent {:?}, rung {:?}, up {}, requests {}, report {:?}, end \
             {:?}, verdict {:?}",
            session,
            row.revision(),
            row.status(),
            row.intent(),
            row.rung(),
            row.is_up(),
            row.requests_open(),
            row.report(),
            row.end(),
            row.verdict(),
        );
        self.changes.entry(session).or_default().push(line);
    }

    pub(super) fn publish(&mut self, session: SessionName, revision: u64) {
        self.published.push(format!("{session}.{revision}"));
    }

    pub(super) fn launch(&mut self, session: SessionName) {
        self.effects.push(format!("launch {session}"));
    }

    pub(super) fn signal(&mut self, process: ProcessName, signal: Signal) {
        self.effects.push(format!("{} {process}", word_of(signal)));
    }

    pub(super) fn climb(&mut self, process: ProcessName, rung: Rung) {
        match rung.signal() {
            Some(signal) => self.signal(process, signal),
            None => self.effects.push(format!("ASK {process}")),
        }
    }

    pub(super) fn attach(&mut self, session: SessionName) {
        *self.attaches.entry(session).or_default() += 1;
    }

    /// Reads what the world did.
    pub(super) fn of_world(log: &[Entry]) -> Self {
        let mut trace = Self::default();
        let mut events: BTreeMap<Seq, (SessionName, u64)> = BTreeMap::new();
        for Entry { record, .. } in log {
            match record {
                Record::Durable { seq, change, writer } => {
                    let session = SessionName::of(change.session.id);
                    events.insert(*seq, (session, change.event.revision.number()));
                    let writer = match writer {
                        Writer::Daemon(_) => Writer::Daemon(1),
                        Writer::Intruder => Writer::Intruder,
                    };
                    let row = &change.session.machine;
                    trace.change(session, row, change.event.cause, writer);
                }
                Record::Published { seq } => {
                    if let Some((session, revision)) = events.get(seq) {
                        trace.publish(*session, *revision);
                    }
                }
                Record::LaunchCalled { session } => trace.launch(SessionName::of(*session)),
                Record::AttachCalled { session } => trace.attach(SessionName::of(*session)),
                Record::SignalCalled { process, signal } if *signal != Signal::Continue => {
                    trace.signal(*process, *signal);
                }
                _ => {}
            }
        }
        trace
    }

    /// Compares what the model did, which is this, with what the world did.
    #[must_use]
    pub fn difference(&self, world: &Self) -> Option<Difference> {
        let sessions = self.changes.keys().chain(world.changes.keys());
        let changes = sessions.map(|session| {
            let lines = |trace: &Self| trace.changes.get(session).cloned().unwrap_or_default();
            first_of(&format!("change of {session}"), &lines(self), &lines(world))
        });
        changes
            .flatten()
            .next()
            .or_else(|| first_of("publication", &self.published, &world.published))
            .or_else(|| first_of("effect", &self.effects, &world.effects))
            .or_else(|| first_of("attaches", &self.attach_lines(), &world.attach_lines()))
    }

    fn attach_lines(&self) -> Vec<String> {
        self.attaches.iter().map(|(session, times)| format!("{session} {times} times")).collect()
    }
}

fn first_of(of: &str, model: &[String], world: &[String]) -> Option<Difference> {
    let at = (0..model.len().max(world.len())).find(|at| model.get(*at) != world.get(*at))?;
    let (model, world) = (model.get(at).cloned(), world.get(at).cloned());
    Some(Difference { of: of.to_owned(), at: at + 1, model, world })
}

#[cfg(test)]
mod tests {
    use super::Trace;
    use crate::timeline::names::SessionName;

    #[test]
    fn a_publication_that_one_level_lacks_is_a_difference() {
        let (mut model, world) = (Trace::default(), Trace::default());
        assert_eq!(model.difference(&world), None);
        model.publish(SessionName::new(1), 2);
        let difference = model.difference(&world).map(|difference| difference.to_string());
        assert_eq!(difference.as_deref(), Some("publication 1: model s1.2, world nothing"));
        model = Trace::default();
        model.attach(SessionName::new(1));
        assert!(model.difference(&world).is_some());
    }
}
