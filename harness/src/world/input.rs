//! What a session's task sends its process on standard input, and what passes without a question.

use std::sync::Arc;

use candor_core::agent::{Decision, RequestState};
use candor_core::happening::Happening;
use candor_core::ports::{Message, Process, Sent};
use candor_core::session::MessageId;
use candor_core::stop::Actor;
use candor_core::supervisor::Supervisor;

use super::task::{Mail, SessionTask};
use crate::executor::poll_once;
use crate::ghost::Record;
use crate::mutant::Mutant;
use crate::timeline::names::ProcessName;

/// Names the message by which a process is asked to end. Answers have the numbers of their requests,
/// which count from 1.
const ASK_KEY: u64 = 0;

impl SessionTask {
    /// Closes the standard input. What its process makes of that is a choice of the world.
    pub(super) fn ask_process(&self) {
        let Some((name, process)) = self.reached() else { return };
        self.stage.lock().log.push(Record::AskCalled { process: name });
        let id = MessageId::derived(self.id, ASK_KEY);
        let _sent = send(process, Message { id, bytes: Vec::new(), is_last: true });
    }

    /// Sends the answers that are stored. Who takes over sends them again, by the same names.
    pub(super) fn pay(&mut self) {
        let Some((name, process)) = self.reached() else { return };
        let life = if self.has(Mutant::M62) { u64::from(self.stage.lock().life) << 32 } else { 0 };
        let session = self.supervisor.as_ref().map(Supervisor::session);
        let requests = session.iter().flat_map(|session| &session.requests);
        let is_answered = |state| matches!(state, RequestState::Approved | RequestState::Denied);
        for request in requests.filter(|request| is_answered(request.state)) {
            if !self.answered.insert(request.number) {
                continue;
            }
            let id = MessageId::derived(self.id, u64::from(request.number) | life);
            let is_news = !self.stage.lock().has_taken(name, id);
            let message = Message { id, bytes: b"answer".to_vec(), is_last: false };
            let sent = send(Arc::clone(&process), message);
            if let (true, Some(Sent::Accepted), Ok(approval)) =
                (is_news, sent, request.asked.agent_id.parse())
            {
                let given = Record::AnswerGiven { process: name, approval };
                self.stage.lock().log.push(given);
            }
        }
    }

    fn reached(&self) -> Option<(ProcessName, Arc<dyn Process>)> {
        let process = self.supervisor.as_ref().and_then(Supervisor::process)?;
        Some((self.stage.lock().process_of(self.id)?, Arc::clone(process)))
    }

    /// Returns the answer to a request that is open while everything passes, if there is one.
    pub(super) fn passing(&self, supervisor: &Supervisor) -> Option<Mail> {
        let session = supervisor.session();
        let now = self.stage.lock().now().wall;
        let passes = session.bypass_until.is_some_and(|until| now < until);
        let request = session.requests.iter().find(|request| request.is_open());
        let request = request.filter(|_| passes && !supervisor.is_blocked())?;
        let decision = Decision { approved: true, message: None, by: Actor::Daemon };
        let (number, decision) = (request.number, Box::new(decision));
        Some(Mail::new(Happening::Answered { number, decision }, None))
    }
}

fn send(process: Arc<dyn Process>, message: Message) -> Option<Sent> {
    poll_once(&mut Box::pin(async move { process.send(&message).await }))
}
