//! The lies that each invariant is told: a forged log, and the id that must see through it.

use candor_core::event::{Cause, Seq};
use candor_core::input::{Deadline, Input};
use candor_core::session::Revision;
use candor_core::status::Status;
use candor_core::stop::{Rung, Signal, StopKind};
use candor_core::verdict::{Completion, End, Exit, LostReason, Verdict};
use serde_json::json;

use super::forge::{A1, Forge, P1, exited, tampered};
use crate::contract::repository::chain::{Chain, session_id};
use crate::ghost::{Record, Reply, Request, Standing, Told, Writer};
use crate::timeline::choice::{Boot, Word};
use crate::timeline::names::ClientName;
use crate::world::ClientRest;

const C1: ClientName = ClientName::new(1);
const INTERRUPT: Input = Input::Stop(StopKind::Interrupt);
pub(super) const KILL: Input = Input::Stop(StopKind::Kill);
pub(super) const GRACE_MS: u64 = 10_000;

/// A lie, and the invariant that must see it.
pub(super) type Lie = (&'static str, &'static str, fn() -> Forge);

/// Writes a log from an honest beginning.
pub(super) fn lie(mut forge: Forge, tell: impl FnOnce(&mut Forge)) -> Forge {
    tell(&mut forge);
    forge
}

const STATUS: [Lie; 10] = [
    ("INV-01", "an edge that is not in the table", || {
        lie(Forge::running(), |forge| {
            let mut change = forge.chain.step(INTERRUPT).clone();
            change.event.cause = Cause::Spawned;
            forge.durable(change);
        })
    }),
    ("INV-01", "an input that core calls impossible", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Bug { message: "two spawns".to_owned() });
        })
    }),
    ("INV-01", "a time limit after the end was decided", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Reported { process: P1, success: false });
            forge.step(Input::FinalReport { success: false });
            let mut change = forge.chain.step(INTERRUPT).clone();
            change.event.cause = Cause::Stop(StopKind::Timeout);
            forge.durable(change);
        })
    }),
    ("INV-04", "a change after the end", || {
        lie(Forge::running(), |forge| {
            forge.ends(Exit::Code(0));
            let again = tampered(forge.chain.change(), &[("/machine/revision", json!(4))]);
            forge.durable(again);
        })
    }),
    ("INV-07", "running, and nobody said that it came up", || {
        lie(Forge::starting(), |forge| {
            forge.step(Input::Spawned);
        })
    }),
    ("INV-07", "running without a process in its own row", || {
        lie(Forge::starting(), |forge| {
            forge.comes_up().lie(Input::Spawned, &[("/machine/is_up", json!(false))]);
        })
    }),
    ("INV-07", "starting for ever", || {
        lie(Forge::starting(), |forge| {
            forge.at_rest(|_| {});
        })
    }),
    ("INV-08", "back to running", || {
        lie(Forge::interrupted(), |forge| {
            forge.lie(KILL, &[("/machine/status", json!("running"))]);
        })
    }),
    ("INV-16", "a change of what it must not touch", || {
        lie(Forge::running(), |forge| {
            forge.lie(Input::RequestOpened, &[("/created_at", json!("2001-01-01T00:00:00Z"))]);
        })
    }),
    ("INV-16", "an intent that is forgotten", || {
        lie(Forge::interrupted(), |forge| {
            forge.lie(KILL, &[("/intent/kind", json!("kill"))]);
        })
    }),
];

const VERDICTS: [Lie; 13] = [
    ("INV-02", "a session that runs while a request is open", || {
        lie(asking(), |forge| {
            forge.step(Input::RequestClosed);
        })
    }),
    ("INV-24", "an end before the last output is read", || {
        lie(Forge::running(), |forge| {
            let word = Word::Unread { success: true };
            forge.push(Record::Said { process: P1, word }).ends(Exit::Code(0));
        })
    }),
    ("INV-02", "an exit that was another one", || {
        lie(Forge::running(), |forge| {
            forge.goes(Exit::Code(0)).step(exited(Exit::Code(3)));
        })
    }),
    ("INV-02", "an end that nobody has seen", || {
        lie(Forge::running(), |forge| {
            let died = Record::Died { process: P1, exit: Exit::Code(3), oom_killed: false };
            forge.push(died).step(exited(Exit::Code(3)));
        })
    }),
    ("INV-02", "a loss that nobody has declared", || {
        lie(Forge::running(), |forge| {
            forge.step(Input::Gone(End::Unknown(LostReason::Reboot)));
        })
    }),
    ("INV-02", "a report that was not given", || {
        lie(Forge::running(), |forge| {
            forge.step(Input::FinalReport { success: true });
        })
    }),
    ("INV-02", "a report that came at another time", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Reported { process: P1, success: true });
            let mark = ("/machine/report/before_intent", json!(false));
            forge.lie(Input::FinalReport { success: true }, &[mark]);
        })
    }),
    ("INV-02", "a verdict by no rule", || {
        lie(Forge::running(), |forge| {
            let verdict = ("/machine/verdict", json!({"failed": {"exit_code": 4}}));
            forge.goes(Exit::Code(3)).lie(exited(Exit::Code(3)), &[verdict]);
        })
    }),
    ("INV-03", "two verdicts for one evidence", || {
        lie(Forge::running(), |forge| {
            forge.ends(Exit::Code(3));
            forge.chain = Forge::starting_as(session_id(2)).chain;
            let first = forge.chain.change().clone();
            forge.durable(first).step(Input::Spawned);
            let verdict = ("/machine/verdict", json!({"failed": {"exit_code": 4}}));
            forge.lie(exited(Exit::Code(3)), &[verdict]);
        })
    }),
    ("INV-05", "failed, and somebody had asked", || {
        lie(Forge::interrupted(), |forge| {
            let lies = [
                ("/machine/verdict", json!({"failed": {"exit_code": 130}})),
                ("/machine/status", json!("failed")),
            ];
            forge.goes(Exit::Code(130)).lie(exited(Exit::Code(130)), &lies);
        })
    }),
    ("INV-05", "failed, and we had signalled it", || {
        lie(Forge::running(), |forge| {
            forge.signalled(Signal::Interrupt).ends(Exit::Code(130));
        })
    }),
    ("INV-06", "an exit that nobody witnessed", || {
        lie(Forge::running(), |forge| {
            let witness = ("/sighting/witness", json!(null));
            forge.goes(Exit::Code(0)).lie(exited(Exit::Code(0)), &[witness]);
        })
    }),
    ("INV-06", "an end without its time", || {
        lie(Forge::running(), |forge| {
            forge.goes(Exit::Code(0)).lie(exited(Exit::Code(0)), &[("/ended_at", json!(null))]);
        })
    }),
];

const CHAIN: [Lie; 16] = [
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

/// Returns a client that has read up to a place, and shows nothing.
const fn client_at(seq: u64) -> ClientRest {
    let cursor = Seq::from_number(seq);
    ClientRest { client: C1, cursor, is_stalled: false, shown: Vec::new() }
}

/// A session whose agent waits for its user.
fn asking() -> Forge {
    lie(Forge::running(), |forge| {
        forge.step(Input::RequestOpened).approval(Standing::Open);
    })
}

const PROCESSES: [Lie; 19] = [
    ("INV-17", "a signal before its intent is durable", || {
        lie(Forge::running(), |forge| {
            forge.signalled(Signal::Interrupt);
        })
    }),
    ("INV-17", "a signal of another rung", || {
        lie(Forge::interrupted(), |forge| {
            forge.signalled(Signal::Kill);
        })
    }),
    ("INV-18", "a signal to a process whose end is stored", || {
        lie(Forge::interrupted(), |forge| {
            forge.ends(Exit::Code(1)).signalled(Signal::Interrupt);
        })
    }),
    ("INV-18", "a signal that reaches a dead process", || {
        lie(Forge::interrupted(), |forge| {
            forge.goes(Exit::Code(1)).signalled(Signal::Continue);
        })
    }),
    ("INV-18", "a signal to a process of a daemon before", || {
        lie(Forge::interrupted(), |forge| {
            forge.push(Record::Crashed).push(Record::Booted { boot: Boot::Same });
            forge.signalled(Signal::Interrupt);
        })
    }),
    ("INV-19", "a second process", || {
        lie(Forge::running(), |forge| {
            forge.comes_up();
        })
    }),
    ("INV-19", "a second launch", || {
        lie(Forge::running(), |forge| {
            let session = forge.id();
            forge.push(Record::LaunchCalled { session });
        })
    }),
    ("INV-20", "an end that is told twice", || {
        lie(Forge::running(), |forge| {
            forge.goes(Exit::Code(0)).push(Record::Seen { process: P1, lost: None });
        })
    }),
    ("INV-20", "an end that is told while it lives", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::Seen { process: P1, lost: None });
        })
    }),
    ("INV-21", "a rung before its time", || {
        lie(Forge::interrupted(), |forge| {
            forge.after(GRACE_MS - 1).step(Input::Due(Deadline::RungOver(Rung::Interrupt)));
        })
    }),
    ("INV-21", "a rung over one that was never sent", || {
        lie(Forge::running(), |forge| {
            forge.step(INTERRUPT).after(GRACE_MS);
            forge.step(Input::Due(Deadline::RungOver(Rung::Interrupt)));
        })
    }),
    ("INV-21", "the same signal once more", || {
        lie(Forge::interrupted(), |forge| {
            forge.signalled(Signal::Interrupt);
        })
    }),
    ("INV-21", "a ladder that stops", || {
        lie(Forge::interrupted(), |forge| {
            forge.at_rest(|_| {});
        })
    }),
    ("INV-21", "a grace that is too short", || {
        lie(Forge::interrupted(), |forge| {
            let deadline = (Deadline::RungOver(Rung::Interrupt), GRACE_MS - 1);
            forge.at_rest(|rest| rest.sessions[0].deadlines.push(deadline));
        })
    }),
    ("INV-21", "a grace for a signal that nobody could send", || {
        lie(Forge::running(), |forge| {
            let deadline = (Deadline::RungOver(Rung::Interrupt), GRACE_MS);
            forge.step(INTERRUPT).at_rest(|rest| {
                rest.sessions[0].has_process = false;
                rest.sessions[0].deadlines.push(deadline);
            });
        })
    }),
    ("INV-21", "a signal that a stopped process never gets", || {
        lie(Forge::running(), |forge| {
            forge.step(KILL).delivered(Signal::Kill).at_rest(|_| {});
        })
    }),
    ("INV-21", "a time limit that nobody has set", || {
        lie(Forge::running(), |forge| {
            forge.step(Input::Due(Deadline::Timeout));
        })
    }),
    ("INV-21", "a time limit before its time", || {
        lie(Forge::running(), |forge| {
            let limit = [("/machine/policy/timeout_ms", json!(1_000))];
            forge.lie(Input::RequestOpened, &limit).lie(Input::Due(Deadline::Timeout), &limit);
        })
    }),
    ("INV-22", "an end while the process lives", || {
        lie(Forge::running(), |forge| {
            let session = forge.id();
            let told = Told::AttachLost(LostReason::DaemonKilled);
            forge.push(Record::Told { session, told });
            forge.step(Input::Gone(End::Unknown(LostReason::DaemonKilled)));
        })
    }),
];

const CALLERS: [Lie; 19] = [
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

const RECOVERY: [Lie; 9] = [
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
    ("INV-32", "a second daemon that is let in", || {
        lie(Forge::running(), |forge| {
            forge.push(Record::SecondDaemon { is_refused: false });
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

/// Returns all of them.
pub(super) fn all() -> impl Iterator<Item = Lie> {
    [&STATUS[..], &VERDICTS, &CHAIN, &PROCESSES, &CALLERS, &RECOVERY].into_iter().flatten().copied()
}
