//! How calls on the ports end: what each answer does, and whether it can be given.

use candor_core::event::Seq;
use candor_core::ports::{Attach, CommitError, Delivery, Launch, ReadError};
use candor_core::stop::Rung;
use candor_core::verdict::{Exit, LostReason};

use super::effects::Effect;
use super::{Refusal, World};
use crate::fakes::{Call, signal_number};
use crate::ghost::Writer;
use crate::mutant::Mutant;
use crate::timeline::choice::{
    AttachAnswer, SignalEffect, SpawnOutcome, WriteOutcome, signal_word,
};
use crate::timeline::names::{CallName, ProcessName, SessionName};

impl World {
    pub(super) fn fork(&self, session: SessionName, process: ProcessName) -> Effect {
        let mut state = self.stage.lock();
        let at = require(state.launch_call(session.id()), || no_call("launch", session))?;
        if state.process_of(session.id()).is_some() {
            return Refusal::because(format!("{session} has its process"));
        }
        state.require_next(process)?;
        state.fork(session.id());
        if let Call::Launch { made, .. } = &mut state.calls[at] {
            *made = Some(process);
        }
        Ok(())
    }

    pub(super) fn spawn(&self, session: SessionName, outcome: SpawnOutcome) -> Effect {
        let mut state = self.stage.lock();
        let at = require(state.launch_call(session.id()), || no_call("launch", session))?;
        let made = state.process_of(session.id());
        let named = match outcome {
            SpawnOutcome::Up(process) => Some(process),
            SpawnOutcome::Unknown(process) => process,
            SpawnOutcome::Refused { .. } => None,
        };
        match (made, named) {
            (Some(made), named) if named != Some(made) => {
                return Refusal::because(format!("{session} has the process {made}"));
            }
            (None, Some(process)) => {
                state.require_next(process)?;
                state.fork(session.id());
            }
            (Some(_) | None, _) => {}
        }
        let launch = match outcome {
            SpawnOutcome::Up(process) => {
                state.hear(process);
                Launch::Up(self.stage.handle(process))
            }
            SpawnOutcome::Refused { stage, errno } => Launch::Refused { stage, errno },
            SpawnOutcome::Unknown(_) => Launch::Unknown,
        };
        let launch = state.launched(session.id(), launch, named);
        if let Call::Launch { answer, .. } = state.calls.remove(at) {
            answer.give(launch);
        }
        Ok(())
    }

    pub(super) fn write(&self, name: CallName, outcome: WriteOutcome) -> Effect {
        let mut state = self.stage.lock();
        let at = require(state.commit_call(name), || format!("no commit {name} is on its way"))?;
        let Call::Commit { change, .. } = &state.calls[at] else {
            return Refusal::because("it is no commit");
        };
        let (id, change) = (change.session.id, change.clone());
        let fits = state.fits(&change);
        let stores = matches!(outcome, WriteOutcome::Ok | WriteOutcome::UnknownKept);
        if stores && !fits {
            return Refusal::because("the row has moved on, so that it can only be a conflict");
        }
        if outcome == WriteOutcome::Conflict && fits {
            let intrusion = state.intrusion(id);
            let change = require(intrusion, || "no second writer would change this row".into())?;
            let _stored = state.commit(&change, Writer::Intruder);
        }
        let unknown = || CommitError::Unknown { reason: "the timeline says so".to_owned() };
        let writer = Writer::Daemon(state.life);
        let result = match outcome {
            WriteOutcome::Ok => state.commit(&change, writer),
            WriteOutcome::Err if state.mutants.has(Mutant::M17) => {
                Ok(Seq::from_number(state.store.last_seq().number() + 1))
            }
            WriteOutcome::Err => {
                Err(CommitError::NotStored { reason: "the timeline says so".to_owned() })
            }
            WriteOutcome::UnknownKept => state.commit(&change, writer).and_then(|_| Err(unknown())),
            WriteOutcome::UnknownLost => Err(unknown()),
            WriteOutcome::Conflict => Err(CommitError::Conflict),
        };
        if let Call::Commit { answer, .. } = state.calls.remove(at) {
            answer.give(result);
        }
        Ok(())
    }

    pub(super) fn read(&self, name: CallName, ok: bool) -> Effect {
        let mut state = self.stage.lock();
        let at = require(state.load_call(name), || format!("no read {name} is on its way"))?;
        if let Call::Load { session, answer, .. } = state.calls.remove(at) {
            let row = state.store.row(session).cloned();
            let error = ReadError::Unavailable { reason: "the timeline says so".to_owned() };
            answer.give(if ok { Ok(row) } else { Err(error) });
        }
        Ok(())
    }

    pub(super) fn signal(
        &mut self,
        process: ProcessName,
        signal: Rung,
        effect: SignalEffect,
    ) -> Effect {
        let is_alive = {
            let state = self.stage.lock();
            require(state.signal_call(process, signal), || {
                format!("no {} to {process} is on its way", signal_word(signal))
            })?;
            state.is_alive(process)
        };
        if is_alive == (effect == SignalEffect::Gone) {
            let is = if is_alive { "alive" } else { "dead" };
            return Refusal::because(format!("{process} is {is}"));
        }
        let resists = matches!(effect, SignalEffect::Exits { .. } | SignalEffect::Ignored);
        if signal == Rung::Kill && resists {
            return Refusal::because("nobody can answer to KILL");
        }
        if let SignalEffect::Exits { report: Some(success), .. } = effect {
            self.report(process, success);
        }
        let Some(sent) = signal.signal() else {
            return Refusal::because("to ask is no signal");
        };
        let delivery = match effect {
            SignalEffect::Kills => {
                let number = signal_number(sent);
                let exit = Exit::Signal { number, core_dumped: false };
                self.stage.lock().die(process, exit, false);
                Delivery::Delivered
            }
            SignalEffect::Exits { code, .. } => {
                self.stage.lock().die(process, Exit::Code(code), false);
                Delivery::Delivered
            }
            SignalEffect::Ignored => Delivery::Delivered,
            SignalEffect::Gone => Delivery::AlreadyEnded,
            SignalEffect::Denied => Delivery::NotPermitted,
            SignalEffect::Unknown => Delivery::Unknown,
        };
        let mut state = self.stage.lock();
        state.signal_taken(process, sent, delivery);
        let at = state.signal_call(process, signal);
        if let Some(Call::Signal { answer, .. }) = at.map(|at| state.calls.remove(at)) {
            answer.give(delivery);
        }
        Ok(())
    }

    pub(super) fn attach(&mut self, session: SessionName, answer: AttachAnswer) -> Effect {
        let made = self.stage.lock().process_of(session.id());
        self.answer_attach(session, answer)?;
        // What was written before is read before anybody is told.
        if let Some(process) = made {
            self.read_report(process);
        }
        Ok(())
    }

    fn answer_attach(&self, session: SessionName, answer: AttachAnswer) -> Effect {
        let mut state = self.stage.lock();
        let id = session.id();
        let at = require(state.attach_call(id), || no_call("attach", session))?;
        let made = state.process_of(id);
        let ending = made.and_then(|process| state.ending(process));
        let attach = match (answer, made) {
            (AttachAnswer::Unreachable, _) => Attach::Unreachable,
            (AttachAnswer::NeverRan, None) => Attach::NeverRan,
            (AttachAnswer::Up, Some(process)) if ending.is_none() => {
                state.hear(process);
                Attach::Up(self.stage.handle(process))
            }
            (AttachAnswer::Ended, Some(process)) if state.was_seen_to_end(process) => {
                Attach::Ended(require(ending, || format!("{process} is alive"))?)
            }
            (AttachAnswer::Lost(reason), made) => {
                let is_of_this_boot = made.is_none_or(|process| state.is_of_this_boot(process));
                if (reason == LostReason::Reboot) == is_of_this_boot {
                    return Refusal::because("a reboot is the reason if and only if there was one");
                }
                // It may say so only when none is left that it could reach.
                if let Some(process) = made {
                    state.end_unseen(process);
                }
                Attach::Lost(reason)
            }
            (AttachAnswer::NeverRan, Some(process)) => {
                return Refusal::because(format!("{session} had the process {process}"));
            }
            (AttachAnswer::Up | AttachAnswer::Ended, _) => {
                return Refusal::because(format!("that is not so: {}", state.truth_of(made)));
            }
        };
        let attach = state.attached(id, attach, made);
        if let Call::Attach { answer, .. } = state.calls.remove(at) {
            answer.give(attach);
        }
        Ok(())
    }
}

/// Returns what was found, or refuses.
fn require<T>(found: Option<T>, reason: impl FnOnce() -> String) -> Result<T, Refusal> {
    found.ok_or_else(|| Refusal(reason()))
}

fn no_call(what: &str, session: SessionName) -> String {
    format!("no {what} of {session} is on its way")
}
