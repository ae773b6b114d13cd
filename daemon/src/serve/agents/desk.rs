//! The desk of one agent's session.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_adapters::agents::{Agent, Answer, Item, Listener, OWED_KEYS_MAX};
use candor_adapters::process::{Chunk, Follower, OutputReader, Stream};
use candor_adapters::sqlite::conversations::Batch;
use candor_core::agent::{AgentSpec, Asked, Learned, RequestState, Turn, View};
use candor_core::bytes::ByteString;
use candor_core::happening::Happening;
use candor_core::input::Input;
use candor_core::ports::{Environment, Message, Process, Sent};
use candor_core::session::{MessageId, Session, SessionId};
use candor_core::stop::StopKind;
use candor_core::time::Timestamp;
use tokio::time::Instant;

use super::version::Told;
use super::{Desks, bypass, permission};
use crate::serve::scribe::with_prompt;

/// What is read of an output at one time, in bytes. A command waits no longer than it takes to
/// understand so much.
const READ_BYTES_MAX: u64 = 256 * 1024;

/// The end of standard error that a reader is shown, in bytes.
const STDERR_BYTES_MAX: u64 = 8 * 1024;

/// How long it is waited before something is sent again that was not taken, in milliseconds. Nobody
/// tells when an agent has read.
const SEND_AGAIN_MS: u64 = 100;

/// The variable that names the folder for temporary files.
const TMPDIR: &str = "TMPDIR";

/// The key of what asks an agent to end.
const ASK_KEY: u64 = OWED_KEYS_MAX - 1;

/// The keys of answers begin here; the request's offset is added.
const ANSWER_KEYS: u64 = OWED_KEYS_MAX / 2;

/// Reads one agent's output, and says what follows from it.
pub(in crate::serve) struct Desk {
    desks: Desks,
    session: SessionId,
    spec: AgentSpec,
    program: Vec<u8>,
    agent: &'static dyn Agent,
    listener: Listener,
    /// Up to which byte the scribe was told what was said.
    kept_to: u64,
    output: Option<(OutputReader, Follower)>,
    /// Keys of what the process has accepted from this daemon.
    sent: BTreeSet<u64>,
    /// Offsets of requests that were decided without anybody being asked, and how.
    decided: BTreeMap<u64, Answer>,
    /// What the program says of its version, if it was asked.
    told: Told,
    /// When it was last seen to have printed anything.
    printed_at: Option<Timestamp>,
    /// Whether the process is to be asked to end.
    asks: Option<StopKind>,
    /// When what was not taken is sent again.
    again_at: Option<Instant>,
    /// Whether nothing more is written to it.
    is_closed: bool,
    is_over: bool,
}

impl Desk {
    pub(super) fn new(
        desks: Desks,
        session: &Session,
        spec: &AgentSpec,
        agent: &'static dyn Agent,
    ) -> Self {
        Self {
            desks,
            session: session.id,
            spec: spec.clone(),
            program: session
                .spec
                .command
                .first()
                .map_or_else(Vec::new, |it| it.as_bytes().to_vec()),
            agent,
            listener: Listener::new(agent.reader(spec, &session.spec.cwd)),
            kept_to: 0,
            output: None,
            sent: BTreeSet::new(),
            decided: BTreeMap::new(),
            told: Told::default(),
            printed_at: session.learned.printed_at,
            asks: None,
            again_at: None,
            is_closed: false,
            is_over: false,
        }
    }

    /// Waits until there is something to read, or something to be sent again.
    ///
    /// Cancel safe.
    pub(in crate::serve) async fn stirred(&mut self) {
        let again_at = self.again_at;
        let again = async {
            match again_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let offset = self.listener.offset();
        let is_over = self.is_over;
        let told = self.told.clone();
        let output = self.output();
        let grown = async {
            match output {
                Ok((_, follower)) if !is_over => {
                    if let Err(error) = follower.grown_beyond(offset).await {
                        tracing::warn!(%error, "the output cannot be looked at");
                        std::future::pending::<()>().await;
                    }
                }
                // It comes with the process, so this is one whose folder was removed.
                Ok(_) | Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = again => {}
            () = grown => {}
            () = told.came() => {}
        }
    }

    /// Reads some of what is there, and says whether there was something.
    pub(in crate::serve) async fn read_some(&mut self) -> bool {
        let offset = self.listener.offset();
        let Ok((reader, _)) = self.output() else { return false };
        let reader = reader.clone();
        let read = tokio::task::spawn_blocking(move || {
            // First when, and then what: it may print in between.
            let written_at = reader.written_at()?;
            Ok((written_at, reader.read_at(offset, READ_BYTES_MAX)?))
        });
        let mut items = Vec::new();
        match read.await.map_err(io::Error::other).flatten() {
            Ok((_, Chunk::Bytes(bytes))) if bytes.is_empty() => return false,
            Ok((written_at, Chunk::Bytes(bytes))) => {
                self.note_printed(written_at);
                self.listener.take(&bytes, &mut items);
            }
            Ok((_, Chunk::Dropped(gap))) => self.listener.skip_to(gap.to),
            Ok((_, Chunk::CutOff { .. })) => return false,
            Err(error) => {
                tracing::warn!(session = %self.session, %error, "the output cannot be read");
                return false;
            }
        }
        self.keep(items);
        true
    }

    /// Keeps when something was printed, to the second: it is shown, and not every line is news.
    fn note_printed(&mut self, at: SystemTime) {
        let at = Timestamp::try_from(at).ok();
        let at = at.and_then(|at| Timestamp::from_second(at.as_second()).ok());
        self.printed_at = at.or(self.printed_at);
    }

    /// Reads all that is there, up to `end` if that is known.
    pub(in crate::serve) async fn read_to(&mut self, end: Option<u64>) {
        let size = match self.output() {
            Ok((reader, _)) => reader.size_bytes().unwrap_or(0),
            Err(_) => return,
        };
        let end = end.unwrap_or(size).min(size);
        while self.listener.offset() < end && self.read_some().await {}
    }

    /// Takes note that the process has ended, when all that it printed up to `end` was read.
    pub(in crate::serve) async fn end(&mut self, end: Option<u64>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.read_to(end).await;
        let stderr = self.stderr_tail().await;
        let mut items = Vec::new();
        self.listener.end(&stderr, &mut items);
        self.keep(items);
    }

    async fn stderr_tail(&self) -> String {
        let (outputs, session) = (self.desks.outputs.clone(), self.session);
        let read = tokio::task::spawn_blocking(move || {
            let reader = outputs.open(session, Stream::Stderr)?;
            let from = reader.size_bytes()?.saturating_sub(STDERR_BYTES_MAX);
            match reader.read_at(from, STDERR_BYTES_MAX)? {
                Chunk::Bytes(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Chunk::Dropped(_) | Chunk::CutOff { .. } => Ok(String::new()),
            }
        });
        read.await.map_err(io::Error::other).flatten().unwrap_or_default()
    }

    /// Returns what became known, if it is news to the session.
    pub(in crate::serve) fn news(&self, session: &Session) -> Option<Learned> {
        let mut learned = self.view().learned.clone();
        // What was chosen before the start is known before the agent says so.
        learned.agent_session = learned.agent_session.or_else(|| self.spec.agent_session.clone());
        let told = || self.told.version().or_else(|| session.learned.version.clone());
        learned.version = learned.version.or_else(told);
        learned.printed_at = self.printed_at;
        (learned != session.learned).then_some(learned)
    }

    /// Returns what is to be handed in next, or `None` when the session says what its agent has said.
    /// What is decided without anybody being asked is put aside to be sent.
    pub(in crate::serve) fn next(
        &mut self,
        session: &Session,
        now: Timestamp,
    ) -> Option<Happening> {
        self.decide(session, now);
        if let Some(answered) = bypass::answer_of(session, now) {
            return Some(answered);
        }
        if self.decided.is_empty() {
            return self.view().next(session, false);
        }
        let mut view = self.view().clone();
        view.asks.retain(|asked| !self.decided.contains_key(&asked.offset));
        view.next(session, false)
    }

    /// Returns what is to be handed in before the end of its process is.
    pub(in crate::serve) fn before(
        &self,
        ending: &Happening,
        session: &Session,
    ) -> Option<Happening> {
        let end = match ending.input() {
            Input::Gone(end) => Some(end),
            _ => None,
        };
        self.view().before_end(session, end)
    }

    fn decide(&mut self, session: &Session, now: Timestamp) {
        let is_new = |asked: &&Asked| {
            asked.offset >= session.requests_read_to && !self.decided.contains_key(&asked.offset)
        };
        let new: Vec<Asked> = self.listener.view().asks.iter().filter(is_new).cloned().collect();
        for asked in new {
            if let Some(answer) = permission::decide(session, &self.spec.permissions, &asked, now) {
                self.decided.insert(asked.offset, answer);
            }
        }
    }

    /// Returns the environment with what the agent needs beside its caller's.
    pub(in crate::serve) fn environment(&self, environment: Environment) -> Environment {
        if !self.agent.tells_version() {
            self.desks.versions.ask(&self.program, &environment, &self.told);
        }
        let folder = match self.desks.folders.make(self.session) {
            Ok(folder) => folder,
            Err(error) => {
                tracing::warn!(session = %self.session, %error, "it has no temporary folder");
                return environment;
            }
        };
        let Ok(folder) = ByteString::new(folder.into_os_string().into_vec()) else {
            return environment;
        };
        let mut variables = environment.variables().to_vec();
        variables.retain(|(name, _)| name.as_bytes() != TMPDIR.as_bytes());
        if let Ok(name) = ByteString::try_from(TMPDIR) {
            variables.push((name, folder));
        }
        Environment::new(variables)
    }

    /// Removes what nobody needs any more of a session that has ended. Processes that it left behind
    /// may still need it.
    pub(in crate::serve) async fn put_away(&self, session: &Session) {
        if session.sighting.left_behind.is_some_and(|count| count > 0) {
            return;
        }
        let (folders, id) = (Arc::clone(&self.desks.folders), self.session);
        let removed = tokio::task::spawn_blocking(move || folders.remove(id)).await;
        if let Err(error) = removed {
            tracing::error!(session = %self.session, %error, "a bug");
        }
    }

    /// Remembers that the process is to be asked to end.
    pub(in crate::serve) const fn ask(&mut self, intent: Option<StopKind>) {
        self.asks = Some(match intent {
            Some(kind) => kind,
            // It lingers after its report.
            None => StopKind::Finish,
        });
    }

    /// Sends what the process is owed and has not accepted yet. What it does not take now is sent
    /// again later: see [`stirred`](Self::stirred).
    pub(in crate::serve) async fn pay(&mut self, process: &dyn Process, session: &Session) {
        self.again_at = None;
        if self.is_closed || self.is_over {
            return;
        }
        for (offset, answer) in self.answers(session) {
            let key = ANSWER_KEYS + offset;
            if self.sent.contains(&key) {
                continue;
            }
            let Some(bytes) = self.answer_bytes(offset, &answer, session).await else { continue };
            if !self.send(process, key, bytes, false).await {
                return;
            }
        }
        let is_in_turn = self.view().turn == Turn::Begun && !self.agent.ends_turn_without_input();
        let waits = self.asks == Some(StopKind::Finish) && is_in_turn;
        if let Some(intent) = self.asks.filter(|_| !waits) {
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
                self.again_at = Some(Instant::now() + Duration::from_millis(SEND_AGAIN_MS));
                false
            }
        }
    }

    /// Returns the answers that the agent is owed: those of its user, and those that were decided
    /// without him.
    fn answers(&self, session: &Session) -> Vec<(u64, Answer)> {
        let by_user = session.requests.iter().filter_map(|request| {
            let approved = match request.state {
                RequestState::Approved => true,
                RequestState::Denied => false,
                RequestState::Open | RequestState::Withdrawn => return None,
            };
            let answer = Answer { approved, message: request.message.clone() };
            Some((request.asked.offset, answer))
        });
        let by_orders = self.decided.iter().map(|(offset, answer)| (*offset, answer.clone()));
        by_user.chain(by_orders).collect()
    }

    /// Returns the bytes that answer the request that was read at `offset`.
    async fn answer_bytes(
        &mut self,
        offset: u64,
        answer: &Answer,
        session: &Session,
    ) -> Option<Vec<u8>> {
        let stored = session.requests.iter().map(|request| &request.asked);
        let asked = stored.chain(&self.view().asks).find(|asked| asked.offset == offset)?.clone();
        let (reader, _) = self.output().ok()?;
        let reader = reader.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = Vec::new();
            while (line.len() as u64) < asked.length {
                let left = asked.length - line.len() as u64;
                match reader.read_at(asked.offset + line.len() as u64, left)? {
                    Chunk::Bytes(bytes) if !bytes.is_empty() => line.extend(bytes),
                    Chunk::Bytes(_) | Chunk::Dropped(_) | Chunk::CutOff { .. } => {
                        return Err(io::Error::other("its line is not there any more"));
                    }
                }
            }
            Ok((asked, line))
        });
        match read.await.map_err(io::Error::other).flatten() {
            Ok((asked, line)) => self.agent.answer(&asked, &line, answer),
            Err(error) => {
                tracing::error!(session = %self.session, %error, "a request cannot be answered");
                None
            }
        }
    }

    /// Hands what was said to the scribe, who is waited for by nobody.
    fn keep(&mut self, items: Vec<Item>) {
        if items.is_empty() && !self.is_over {
            return;
        }
        let (from, read_to) = (self.kept_to, self.listener.lines_to());
        let items = with_prompt(&self.spec.prompt, from, items);
        self.kept_to = read_to;
        self.desks.scribe.put_down(Batch { session: self.session, from, items, read_to });
    }

    fn view(&self) -> &View {
        self.listener.view()
    }

    fn output(&mut self) -> io::Result<&(OutputReader, Follower)> {
        if self.output.is_none() {
            let reader = self.desks.outputs.open(self.session, Stream::Stdout)?;
            let follower = self.desks.outputs.follow(&reader);
            self.output = Some((reader, follower));
        }
        self.output.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
