//! Lies to whoever asks, and about what a restart makes of the store.

use candor_core::event::Cause;
use candor_core::input::Input;
use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::verdict::{Completion, Exit, Verdict};
use serde_json::json;

use super::super::forge::{A1, Forge, exited, tampered};
use super::{KILL, Lie, asking, lie};
use crate::contract::repository::chain::{Chain, session_id};
use crate::ghost::{Record, Reply, Request, Writer};
use crate::timeline::choice::Boot;

pub(super) const CALLERS: [Lie; 20] = [
    ("INV-25", "a stop that is refused for the status", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Interrupt));
            forge.replied(ticket, Reply::NotNow);
        })
    }),
    ("INV-26", "a session that two continue", || {
        lie(Forge::running(), |forge| {
            let parent = Some(session_id(9));
            for number in [3, 4] {
                let mut change = Chain::launched(session_id(number)).change().clone();
                change.session.parent = parent;
                forge.durable(change);
            }
        })
    }),
    ("INV-27", "a continuation that is refused for the status", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Continue { parent: session_id(1) });
            forge.replied(ticket, Reply::NotNow);
        })
    }),
    ("INV-27", "an answer that is refused while somebody waits for it", || {
        lie(asking(), |forge| {
            let ticket = forge.asks(Request::Approve(A1));
            forge.replied(ticket, Reply::TooLate);
        })
    }),
    ("INV-27", "a draft that is refused, and that nobody has started", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Start);
            forge.replied(ticket, Reply::AlreadyStarted);
        })
    }),
    ("INV-27", "a continuation that is refused because another session is continued", || {
        lie(Forge::running(), |forge| {
            let other = forge.asks(Request::Continue { parent: session_id(2) });
            forge.replied(other, Reply::Accepted);
            let ticket = forge.asks(Request::Continue { parent: session_id(3) });
            forge.replied(ticket, Reply::AlreadyContinued);
        })
    }),
    ("INV-27", "a continuation that is refused, and nobody continues it", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Continue { parent: session_id(1) });
            forge.replied(ticket, Reply::AlreadyContinued);
        })
    }),
    ("INV-25", "an accepted stop that is not stored", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Interrupt));
            forge.replied(ticket, Reply::Accepted);
        })
    }),
    ("INV-25", "a kill that does not climb", || {
        lie(Forge::interrupted(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Kill));
            forge.replied(ticket, Reply::AlreadyStopping(StopKind::Interrupt));
        })
    }),
    ("INV-27", "a launch in doubt that starts", || {
        lie(Forge::running(), |forge| {
            forge.chain = Forge::starting_as(session_id(2)).chain;
            let ticket = forge.asks(Request::Launch);
            let first = forge.chain.change().clone();
            forge.durable(first).replied(ticket, Reply::Unclear);
            let session = forge.id();
            forge.push(Record::LaunchCalled { session });
        })
    }),
    ("INV-26", "a second stop that is accepted as the first", || {
        lie(Forge::interrupted(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Interrupt));
            forge.replied(ticket, Reply::Accepted);
        })
    }),
    ("INV-26", "a second stop that changes the row", || {
        lie(Forge::interrupted(), |forge| {
            forge.asks(Request::Stop(StopKind::Interrupt));
            let mut again = tampered(forge.chain.change(), &[("/machine/revision", json!(4))]);
            again.event.from = Some(Status::Completing);
            forge.durable(again);
        })
    }),
    ("INV-27", "another end than the one it had", || {
        lie(Forge::running(), |forge| {
            forge.ends(Exit::Code(3));
            let ticket = forge.asks(Request::Stop(StopKind::Kill));
            let verdict = Verdict::Completed(Completion::Succeeded);
            forge.replied(ticket, Reply::AlreadyEnded(verdict));
        })
    }),
    ("INV-27", "another reason than the one it has", || {
        lie(Forge::interrupted(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Kill));
            forge.replied(ticket, Reply::AlreadyStopping(StopKind::Kill));
        })
    }),
    ("INV-27", "nothing changed, and the row has it", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Kill));
            forge.step(KILL).replied(ticket, Reply::Unavailable);
        })
    }),
    ("INV-27", "a refused stop that comes true later", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Kill));
            forge.replied(ticket, Reply::Unavailable).step(KILL);
        })
    }),
    ("INV-27", "no such session, and it is there", || {
        lie(Forge::running(), |forge| {
            let ticket = forge.asks(Request::Stop(StopKind::Kill));
            forge.replied(ticket, Reply::NoSession);
        })
    }),
    ("INV-34", "a session that is completing for ever", || {
        lie(Forge::interrupted(), |forge| {
            forge.at_fair_end(|_| {});
        })
    }),
    ("INV-34", "an end that is forgotten", || {
        lie(Forge::running(), |forge| {
            forge.goes(Exit::Code(3)).at_fair_end(|_| {});
        })
    }),
    ("INV-34", "a question that nobody answers", || {
        lie(Forge::running(), |forge| {
            forge.asks(Request::Stop(StopKind::Kill));
            forge.at_fair_end(|_| {});
        })
    }),
];

pub(super) const RECOVERY: [Lie; 8] = [
    ("INV-29", "memory ahead of the store", || {
        lie(Forge::running(), |forge| {
            forge.chain.step(Input::RequestOpened);
            forge.at_rest(|_| {});
        })
    }),
    ("INV-29", "memory behind the store", || {
        lie(Forge::running(), |forge| {
            let known = forge.chain.session().clone();
            forge.step(Input::RequestOpened);
            forge.at_rest(|rest| rest.sessions[0].session = known);
        })
    }),
    ("INV-30", "a session whose process nobody holds", || {
        lie(Forge::running(), |forge| {
            forge.at_rest(|rest| rest.sessions[0].has_process = false);
        })
    }),
    ("INV-30", "a live session that nobody drives", || {
        lie(Forge::running(), |forge| {
            forge.at_rest(|rest| rest.sessions.clear());
        })
    }),
    ("INV-30", "a time limit that is forgotten", || {
        lie(Forge::running(), |forge| {
            let limit = ("/machine/policy/timeout_ms", json!(1_000));
            let limited = tampered(forge.chain.change(), &[limit]).session;
            forge.at_rest(|rest| rest.sessions[0].session = limited);
        })
    }),
    ("INV-30", "a daemon that leaves a session behind", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Left { usurped: false });
        })
    }),
    ("INV-31", "a process that is adopted twice", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Crashed).push(Record::Booted { boot: Boot::Same });
            let mut change = forge.chain.step(Input::RequestOpened).clone();
            change.event.cause = Cause::Adopted;
            forge.durable(change);
        })
    }),
    ("INV-32", "a write over that of a second daemon", || {
        lie(Forge::running(), |forge| {
            let theirs = forge.chain.step(KILL).clone();
            forge.written(theirs, Writer::Intruder);
            forge.step(exited(Exit::Code(0)));
        })
    }),
];
