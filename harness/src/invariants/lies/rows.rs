//! Lies about what a row says.

use candor_core::event::Cause;
use candor_core::input::Input;
use candor_core::stop::{Signal, StopKind};
use candor_core::verdict::{End, Exit, LostReason};
use serde_json::json;

use super::super::forge::{Forge, P1, exited, tampered};
use super::{INTERRUPT, KILL, Lie, asking, lie};
use crate::contract::repository::chain::session_id;
use crate::ghost::Record;
use crate::timeline::choice::Word;

pub(super) const STATUS: [Lie; 10] = [
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

pub(super) const VERDICTS: [Lie; 13] = [
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
