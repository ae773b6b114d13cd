//! Where the daemon stands in a play, and how it is let go on.

use candor_adapters::failpoint::Point;
use candor_harness::timeline::names::SessionName;

use super::golden;
use super::listener::{Arrival, Listener, News};
use super::play::Play;
use crate::support::Running;

/// Places that open only when the timeline comes to them.
pub(super) const GATES: [Point; 6] = [
    Point::CommitBegun,
    Point::LaunchBegun,
    Point::LaunchOpened,
    Point::SignalBegun,
    Point::ExitSeen,
    Point::AttachBegun,
];

/// A daemon with the places at which it stands.
pub(super) struct Daemon {
    pub(super) process: Running,
    pub(super) listener: Listener,
    pub(super) stands_at: Vec<Arrival>,
}

impl Daemon {
    pub(super) fn stands_at(&self, point: Point, session: &str) -> bool {
        self.stands_at.iter().any(|arrival| arrival.is(point, session))
    }

    pub(super) fn let_go(&mut self, point: Point, session: &str) {
        self.stands_at.retain(|arrival| !arrival.is(point, session));
    }
}

impl Arrival {
    /// Places that are not one session's are everybody's.
    pub(super) fn is(&self, point: Point, session: &str) -> bool {
        self.point == point && (self.session == session || self.session == "-")
    }
}

impl Play<'_> {
    /// Opens a gate, as soon as the daemon is there.
    pub(super) fn open(&mut self, gate: Point, session: SessionName) {
        self.reach(gate, session);
        let id = self.id(session);
        self.daemon_mut().let_go(gate, &id);
    }

    /// Leaves the windows in which the daemon was held.
    pub(super) fn pass_windows(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.stands_at.retain(|arrival| GATES.contains(&arrival.point));
        }
    }

    pub(super) fn reach(&mut self, point: Point, session: SessionName) {
        self.go_until(point, |play, arrival| {
            play.parts[&session].id.as_deref().is_some_and(|id| arrival.is(point, id))
        });
    }

    pub(super) fn reach_any(&mut self, point: Point) {
        self.go_until(point, |_, arrival| arrival.point == point);
    }

    /// Lets the daemon go on until it stands where it is wanted, and holds it there.
    fn go_until(&mut self, point: Point, is_there: impl Fn(&Self, &Arrival) -> bool) {
        while !self.daemon().stands_at.iter().any(|arrival| is_there(self, arrival)) {
            let Some(arrival) = self.next(&format!("{point:?}")) else { continue };
            if self.is_gate(&arrival) || is_there(self, &arrival) {
                self.daemon_mut().stands_at.push(arrival);
            }
        }
    }

    /// Waits for the answers to stops that the golden block promises, before nobody is left to give
    /// them.
    pub(super) fn hear_what_is_promised(&mut self) {
        let promised = golden::line(self.timeline, "said");
        let is_promised = |asked: &String| {
            let head = format!("{asked}:");
            is_stop(asked) && promised.iter().any(|said| said.starts_with(&head))
        };
        while self.asking.iter().any(is_promised) {
            if let Some(arrival) = self.next("what everybody is told").filter(|at| self.is_gate(at))
            {
                self.daemon_mut().stands_at.push(arrival);
            }
        }
    }

    /// Waits for the next place that the daemon reaches, or for an answer, of which it takes note.
    pub(super) fn next(&mut self, wanted: &str) -> Option<Arrival> {
        let news = self.daemon().listener.next();
        match news {
            Some(News::Arrival(arrival)) => {
                self.baptise(&arrival);
                Some(arrival)
            }
            Some(News::Answer(asked, answer)) => {
                let at = self.asking.iter().position(|asking| *asking == asked).unwrap();
                self.asking.swap_remove(at);
                // Whoever launches waits until it is known whether there is a process, which no
                // timeline is about.
                if let Some(answer) = answer.filter(|_| is_stop(&asked)) {
                    self.said.push(golden::reply(&asked, &answer));
                }
                None
            }
            None => {
                let (stands_at, now) = (&self.daemon().stands_at, self.choices.get(self.now));
                panic!("{wanted} does not come at {now:?}; the daemon stands at {stands_at:?}");
            }
        }
    }

    fn is_gate(&self, arrival: &Arrival) -> bool {
        let may_pass = self.parts.values().any(|part| {
            part.may_be_seen && part.id.as_ref().is_some_and(|id| arrival.is(Point::ExitSeen, id))
        });
        GATES.contains(&arrival.point) && !may_pass
    }

    /// The first commit of an unknown session is the birth of the one that was launched last.
    fn baptise(&mut self, arrival: &Arrival) {
        let is_known = self.parts.values().any(|part| part.id.as_ref() == Some(&arrival.session));
        if arrival.point == Point::CommitBegun && !is_known {
            let nameless = self.parts.values_mut().find(|part| part.id.is_none());
            nameless.unwrap().id = Some(arrival.session.clone());
        }
    }

    pub(super) fn id(&self, session: SessionName) -> String {
        self.parts[&session].id.clone().unwrap()
    }

    pub(super) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("a daemon that runs")
    }

    pub(super) fn daemon_mut(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("a daemon that runs")
    }
}

/// Whoever launches waits until it is known whether there is a process, which no timeline is about.
fn is_stop(asked: &str) -> bool {
    asked.starts_with("interrupt") || asked.starts_with("kill")
}
