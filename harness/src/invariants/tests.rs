//! Each invariant fires when it is lied to. One that does not proves nothing.

use std::collections::BTreeSet;

use candor_core::input::{Deadline, Input};
use candor_core::ports::Delivery;
use candor_core::stop::{Rung, Signal, StopKind};
use candor_core::verdict::{Completion, Exit, Verdict};

use super::ALL;
use super::forge::{Forge, P1};
use super::lies::{GRACE_MS, KILL, all, lie};
use crate::ghost::{Record, Reply, Request, Ticket};

#[test]
fn every_lie_is_seen_by_its_invariant() {
    for (id, what, forge) in all() {
        let violations = forge().judge();
        assert!(violations.iter().any(|found| found.id == id), "{id}, {what}: {violations:#?}");
    }
}

#[test]
fn no_invariant_is_left_without_a_lie() {
    let lied_to: BTreeSet<_> = all().map(|(id, ..)| id).collect();
    let known: BTreeSet<_> = ALL.iter().map(|invariant| invariant.id).collect();
    assert_eq!(known, lied_to);
    assert_eq!(known.len(), ALL.len(), "an id stands twice");
}

#[test]
fn an_honest_life_is_no_violation() {
    let ended = lie(Forge::interrupted(), |forge| {
        forge.after(GRACE_MS).step(Input::Due(Deadline::RungOver(Rung::Interrupt)));
        forge.signalled(Signal::Terminate).ends(Exit::Signal { number: 15, core_dumped: false });
        let ticket = forge.asks(Request::Stop(StopKind::Kill));
        let verdict = Verdict::Completed(Completion::Interrupted(StopKind::Interrupt));
        forge.replied(ticket, Reply::AlreadyEnded(verdict));
        forge.at_fair_end(|rest| rest.sessions.clear());
    });
    assert_eq!(ended.judge(), []);
    let denied = lie(Forge::running(), |forge| {
        forge.step(KILL);
        let delivery = Delivery::NotPermitted;
        forge.push(Record::SignalCalled { process: P1, signal: Signal::Kill });
        forge.push(Record::SignalTaken { process: P1, signal: Signal::Kill, delivery });
        forge.at_fair_end(|_| {});
    });
    let ids: Vec<_> = denied.judge().iter().map(|violation| violation.id).collect();
    assert_eq!(ids, ["INV-27"], "the kill was nobody's; what it did not reach may stay");
}

#[test]
fn a_ticket_of_nobody_is_not_judged() {
    let forged = lie(Forge::running(), |forge| {
        forge.replied(Ticket(99), Reply::Accepted);
    });
    assert_eq!(forged.judge(), []);
}
