//! What an agent is sent: what it is owed, the answers to what it has asked, and the wish that it ends.

use std::io;

use candor_adapters::agents::{Answer, OWED_KEYS_MAX};
use candor_adapters::process::Chunk;
use candor_core::agent::{Asked, RequestState, Turn};
use candor_core::ports::{MESSAGE_BYTES_MAX, Message, Process, Sent};
use candor_core::session::{MessageId, Session};
use candor_core::stop::StopKind;

use super::Desk;

/// What an agent is told whose request nobody can answer any more.
const UNANSWERED: &str = "The request cannot be answered.";

/// What an agent is told that asks while it is being finished.
const FINISHED: &str = "The session is being finished, and nobody answers any more.";

/// The key of what asks an agent to end.
const ASK_KEY: u64 = OWED_KEYS_MAX - 1;

/// The keys of answers begin here; the request's offset is added.
const ANSWER_KEYS: u64 = OWED_KEYS_MAX / 2;

impl Desk {
    /// Remembers that the process is to be asked to end. `has_message` says that it was given one that it
    /// has not begun on.
    pub(in crate::serve) fn ask(&mut self, intent: Option<StopKind>, has_message: bool) {
        // It lingers after its report.
        let kind = intent.unwrap_or(StopKind::Finish);
        let view = self.listener.view();
        let is_in_turn = intent.is_some() && (view.turn != Turn::Ended || has_message);
        if kind == StopKind::Finish && is_in_turn {
            self.turns_awaited = Some(view.learned.turns + 1);
        }
        self.asks = Some(kind);
    }

    /// Says whether it is being finished, and is not through with its turn.
    pub(in crate::serve) fn awaits_turn(&self) -> bool {
        let turns = self.view().learned.turns;
        self.asks == Some(StopKind::Finish) && self.turns_awaited.is_some_and(|it| turns < it)
    }

    /// Sends what the process is owed and has not accepted yet. What it does not take now is sent
    /// again later: see [`stirred`](Self::stirred).
    pub(in crate::serve) async fn pay(&mut self, process: &dyn Process, session: &Session) {
        self.again_at = None;
        if self.is_closed || self.is_over {
            return;
        }
        for (asked, answer) in self.answers(session) {
            let key = ANSWER_KEYS + asked.offset;
            let Some(bytes) = self.answer_bytes(&asked, &answer).await else {
                self.sent.insert(key);
                continue;
            };
            if !self.send(process, key, bytes, false).await {
                return;
            }
        }
        if let Some(intent) = self.asks.filter(|_| !self.awaits_turn()) {
            let said = match intent {
                StopKind::Finish => None,
                StopKind::Interrupt
                | StopKind::Kill
                | StopKind::Timeout
                | StopKind::Shutdown
                | StopKind::Superseded => self.agent.interruption(self.view()),
            };
            self.send(process, ASK_KEY, said.unwrap_or_default(), true).await;
            return;
        }
        for owed in self.listener.owed() {
            if !self.send(process, owed.key, owed.bytes, owed.is_last).await {
                return;
            }
        }
    }

    /// Sends a message unless it was accepted before. Says whether the next may follow.
    async fn send(
        &mut self,
        process: &dyn Process,
        key: u64,
        bytes: Vec<u8>,
        is_last: bool,
    ) -> bool {
        if self.sent.contains(&key) {
            return true;
        }
        if bytes.len() > MESSAGE_BYTES_MAX {
            tracing::error!(session = %self.session, bytes = bytes.len(), "is too long to be sent");
            self.sent.insert(key);
            return true;
        }
        let id = MessageId::derived(self.session, key);
        match process.send(&Message { id, bytes, is_last }).await {
            Sent::Accepted => {
                self.sent.insert(key);
                self.is_closed |= is_last;
                true
            }
            Sent::AlreadyEnded => {
                self.is_closed = true;
                false
            }
            Sent::Full | Sent::Unknown => {
                self.rouse_later();
                false
            }
        }
    }

    /// Returns the answers that the agent is owed: those of its user, and those that were decided
    /// without him. What it does not wait for any more needs none.
    fn answers(&self, session: &Session) -> Vec<(Asked, Answer)> {
        let is_finished = self.asks == Some(StopKind::Finish);
        let denied = || Answer { approved: false, message: Some(FINISHED.to_owned()) };
        let answer_to = |asked: &Asked| {
            let stored = session.requests.iter().find(|it| it.asked.offset == asked.offset);
            let answer = stored.map(|request| (request.state, request.message.clone()));
            match answer {
                Some((RequestState::Approved, message)) => Some(Answer { approved: true, message }),
                Some((RequestState::Denied, message)) => Some(Answer { approved: false, message }),
                Some((RequestState::Open | RequestState::Withdrawn, _)) => is_finished.then(denied),
                None => {
                    let decided = self.decided.get(&asked.offset).cloned();
                    decided.or_else(|| is_finished.then(denied))
                }
            }
        };
        let asks = self.view().asks.iter();
        let owed = asks.filter(|asked| !self.sent.contains(&(ANSWER_KEYS + asked.offset)));
        owed.filter_map(|asked| Some((asked.clone(), answer_to(asked)?))).collect()
    }

    /// Returns the bytes that answer a request. One that cannot be answered as it was is denied.
    async fn answer_bytes(&mut self, asked: &Asked, answer: &Answer) -> Option<Vec<u8>> {
        let answered = match self.line_of(asked).await {
            Ok(line) => self.agent.answer(asked, &line, answer),
            Err(error) => {
                tracing::error!(session = %self.session, %error, "a request cannot be read again");
                None
            }
        };
        if let Some(bytes) = answered.filter(|bytes| bytes.len() <= MESSAGE_BYTES_MAX) {
            return Some(bytes);
        }
        let denial = Answer { approved: false, message: Some(UNANSWERED.to_owned()) };
        self.agent.answer(asked, &[], &denial)
    }

    /// Reads the line once more that asked for something.
    async fn line_of(&mut self, asked: &Asked) -> io::Result<Vec<u8>> {
        let reader = self.output()?.0.clone();
        let (offset, length) = (asked.offset, asked.length);
        let read = tokio::task::spawn_blocking(move || {
            let mut line = Vec::new();
            while (line.len() as u64) < length {
                let done = line.len() as u64;
                match reader.read_at(offset + done, length - done)? {
                    Chunk::Bytes(bytes) if !bytes.is_empty() => line.extend(bytes),
                    Chunk::Bytes(_) | Chunk::Dropped(_) | Chunk::CutOff { .. } => {
                        return Err(io::Error::other("its line is not there any more"));
                    }
                }
            }
            Ok(line)
        });
        read.await.map_err(io::Error::other).flatten()
    }
}
