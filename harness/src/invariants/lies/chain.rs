//! Lies about the way from the row to the eyes of a client.

use candor_core::event::Seq;
use candor_core::input::Input;
use candor_core::session::Revision;
use candor_core::status::Status;
use serde_json::json;

use super::super::forge::{A1, Forge, P1};
use super::{INTERRUPT, Lie, asking, lie};
use crate::ghost::{Record, Standing, Writer};
use crate::timeline::names::ClientName;
use crate::world::ClientRest;

const C1: ClientName = ClientName::new(1);

/// Returns a client that has read up to a place, and shows nothing.
const fn client_at(seq: u64) -> ClientRest {
    let cursor = Seq::from_number(seq);
    ClientRest { client: C1, cursor, is_stalled: false, shown: Vec::new() }
}

pub(super) const CHAIN: [Lie; 20] = [
    ("INV-09", "a revision that was left out", || {
        lie(Forge::running(), |forge| {
            forge.lie(INTERRUPT, &[("/machine/revision", json!(4))]);
        })
    }),
    ("INV-09", "a write over a row that had moved on", || {
        lie(Forge::running(), |forge| {
            let blind = forge.chain.change().clone();
            forge.step(INTERRUPT).durable(blind);
        })
    }),
    ("INV-10", "an event from another status", || {
        lie(Forge::running(), |forge| {
            let mut change = forge.chain.step(INTERRUPT).clone();
            change.event.from = Some(Status::Starting);
            forge.durable(change);
        })
    }),
    ("INV-11", "a wake-up for what is not durable", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Published { seq: Seq::from_number(3) });
        })
    }),
    ("INV-12", "an event that a client never got", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Delivered { client: C1, seq: Seq::from_number(2) });
        })
    }),
    ("INV-12", "an event that a client got twice", || {
        lie(Forge::running(), |forge| {
            let seq = Seq::from_number(1);
            forge.push(Record::Delivered { client: C1, seq });
            forge.push(Record::Delivered { client: C1, seq });
        })
    }),
    ("INV-12", "a cursor that is not the client's", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Connected { client: C1, cursor: Seq::from_number(1) });
        })
    }),
    ("INV-13", "a change that was never published", || {
        lie(Forge::running(), |forge| {
            let change = forge.chain.step(Input::RequestOpened).clone();
            forge.written(change, Writer::Daemon(1)).at_rest(|_| {});
        })
    }),
    ("INV-14", "a client that is behind", || {
        lie(Forge::running(), |forge| {
            let client = client_at(1);
            forge.at_rest(|rest| rest.clients.push(client));
        })
    }),
    ("INV-14", "a client that shows another status", || {
        lie(Forge::running(), |forge| {
            let shown = vec![(forge.id(), Status::Completed)];
            let client = ClientRest { shown, ..client_at(2) };
            forge.at_rest(|rest| rest.clients.push(client));
        })
    }),
    ("INV-14", "a client that leaves a session out", || {
        lie(Forge::running(), |forge| {
            let client = client_at(2);
            forge.at_rest(|rest| rest.clients.push(client));
        })
    }),
    ("INV-28", "a session that waits for an answer to nothing", || {
        lie(asking(), |forge| {
            forge.approval(Standing::Answered);
            forge.at_rest(|_| {});
        })
    }),
    ("INV-14", "a client that goes back", || {
        lie(Forge::running(), |forge| {
            for (number, status) in [(2, Status::Running), (1, Status::Starting)] {
                let (session, revision) = (forge.id(), Revision::from_number(number));
                forge.push(Record::Shown { client: C1, session, revision, status });
            }
        })
    }),
    ("INV-15", "a session that waits for a client", || {
        lie(Forge::running(), |forge| {
            let id = forge.id();
            forge.at_rest(|rest| rest.held_up.push(id));
        })
    }),
    ("INV-09", "a bypass that is set over another", || {
        lie(Forge::running(), |forge| {
            let session = forge.id();
            for (revision, until_ms) in [(1, 10), (2, 0)] {
                forge.push(Record::Bypass { session, revision, replaces: 0, until_ms });
                forge.push(Record::BypassTold { session, revision });
            }
        })
    }),
    ("INV-13", "a bypass that nobody is told of", || {
        lie(Forge::running(), |forge| {
            let session = forge.id();
            forge.push(Record::Bypass { session, revision: 1, replaces: 0, until_ms: 10 });
            forge.at_rest(|_| {});
        })
    }),
    ("INV-35", "an answer that is given twice", || {
        lie(asking(), |forge| {
            forge.approval(Standing::Answered);
            for _ in 0..2 {
                forge.push(Record::AnswerGiven { process: P1, approval: A1 });
            }
        })
    }),
    ("INV-35", "an answer that is in no row", || {
        lie(asking(), |forge| {
            forge.push(Record::AnswerGiven { process: P1, approval: A1 });
        })
    }),
    ("INV-28", "an open request that nobody is shown", || {
        lie(asking(), |forge| {
            forge.at_rest(|_| {});
        })
    }),
    ("INV-28", "a request that is shown and not open", || {
        lie(Forge::running(), |forge| {
            forge.approval(Standing::Withdrawn);
            forge.at_rest(|rest| rest.approvals_listed.push(A1));
        })
    }),
];
