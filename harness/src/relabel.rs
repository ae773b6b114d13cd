//! Fits a choice into another world than it was made in: after an earlier choice was left out, the
//! same session, process and call have other names.

use std::collections::BTreeMap;

use crate::timeline::Choice;
use crate::timeline::choice::{InFlight, SpawnOutcome};
use crate::timeline::names::{CallName, ProcessName, SessionName};
use crate::world::World;

/// Which name stands for which, as far as the replay has come.
#[derive(Default)]
pub(crate) struct Names {
    sessions: BTreeMap<SessionName, SessionName>,
    processes: BTreeMap<ProcessName, ProcessName>,
}

impl Names {
    /// Returns the choice with the names that it has in this world, or `None` where what it speaks
    /// of does not exist there.
    pub(crate) fn fit(&mut self, world: &World, choice: &Choice) -> Option<Choice> {
        let mut choice = choice.clone();
        match &mut choice {
            Choice::Launch { session, .. } | Choice::Draft { session } => {
                self.introduce(world, session);
            }
            Choice::Queue { session, parent } | Choice::Continue { session, parent } => {
                *parent = self.session(*parent)?;
                self.introduce(world, session);
            }
            Choice::Fork { session, process } => {
                *session = self.session(*session)?;
                self.make(world, *session, process);
            }
            Choice::Spawn { session, outcome } => {
                *session = self.session(*session)?;
                match outcome {
                    SpawnOutcome::Up(process) | SpawnOutcome::Unknown(Some(process)) => {
                        self.make(world, *session, process);
                    }
                    SpawnOutcome::Refused { .. } | SpawnOutcome::Unknown(None) => {}
                }
            }
            Choice::Stop { session, .. }
            | Choice::Start { session }
            | Choice::Bypass { session, .. }
            | Choice::Due { session, .. }
            | Choice::Attach { session, .. } => *session = self.session(*session)?,
            Choice::Write { call, .. } => *call = self.call(world, *call, true)?,
            Choice::Read { call, .. } => *call = self.call(world, *call, false)?,
            Choice::Signal { process, .. }
            | Choice::Exit { process, .. }
            | Choice::Reap { process, .. }
            | Choice::Report { process, .. }
            | Choice::Request { process, .. }
            | Choice::Turn { process, .. }
            | Choice::Say { process, .. }
            | Choice::AskApproval { process, .. } => *process = *self.processes.get(process)?,
            Choice::Crash { in_flight: Some(InFlight::KeepOnly(calls)) } => {
                for call in calls {
                    *call = self.call(world, *call, true)?;
                }
            }
            Choice::Crash { in_flight: Some(_) } if !world.has_commits() => {
                choice = Choice::Crash { in_flight: None };
            }
            Choice::Shutdown
            | Choice::Crash { .. }
            | Choice::Boot { .. }
            | Choice::SecondDaemon
            | Choice::Approve { .. }
            | Choice::Connect { .. }
            | Choice::Drop { .. }
            | Choice::Stall { .. }
            | Choice::Fetch { .. }
            | Choice::Show { .. } => {}
        }
        Some(choice)
    }

    fn introduce(&mut self, world: &World, session: &mut SessionName) {
        let known = world.next_session();
        self.sessions.insert(*session, known);
        *session = known;
    }

    fn make(&mut self, world: &World, session: SessionName, process: &mut ProcessName) {
        let known = world.process_to_be(session);
        self.processes.insert(*process, known);
        *process = known;
    }

    fn session(&self, session: SessionName) -> Option<SessionName> {
        self.sessions.get(&session).copied()
    }

    fn call(&self, world: &World, call: CallName, is_commit: bool) -> Option<CallName> {
        world.store_call(self.session(call.session)?, is_commit)
    }
}
