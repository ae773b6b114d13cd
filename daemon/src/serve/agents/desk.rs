//! The desk of one agent's session.

mod pay;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_adapters::agents::{Agent, Answer, Item, Listener};
use candor_adapters::process::{Chunk, Follower, OutputReader, Stream};
use candor_adapters::sqlite::conversations::Batch;
use candor_core::agent::{AgentSpec, Learned, View};
use candor_core::bytes::ByteString;
use candor_core::happening::Happening;
use candor_core::input::Input;
use candor_core::ports::Environment;
use candor_core::session::{Session, SessionId};
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

/// How often the rest of an output is tried to be read. What cannot be read then is not believed to
/// come any more: its session would never end.
const READ_ATTEMPTS_MAX: u32 = 50;

/// The variable that names the folder for temporary files.
const TMPDIR: &str = "TMPDIR";

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
    /// Whether all was read that was there when it was taken over. Before that, what was said is not
    /// known, and nothing follows from it.
    is_caught_up: bool,
    /// Whether the output could not be read, and is tried again later.
    is_unreadable: bool,
    /// How many turns must have ended before its input is closed, where it is finished in one.
    turns_awaited: Option<u32>,
    prompt_is_repeated: bool,
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
            is_caught_up: true,
            is_unreadable: false,
            turns_awaited: None,
            prompt_is_repeated: false,
        }
    }

    /// Takes note that an earlier daemon has read some of it.
    pub(in crate::serve) const fn begin_anew(&mut self) {
        self.is_caught_up = false;
    }

    /// Says whether it is known what was said.
    pub(in crate::serve) const fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }

    /// Reads what was there when the process was found again. What fails is tried again later.
    pub(in crate::serve) async fn catch_up(&mut self) {
        match self.read_to(None).await {
            Ok(()) => self.is_caught_up = true,
            Err(error) => self.rest(&error),
        }
    }

    fn rest(&mut self, error: &io::Error) {
        tracing::warn!(session = %self.session, %error, "the output cannot be read now");
        self.is_unreadable = true;
        self.rouse_later();
    }

    /// Tries again later what did not come about now.
    pub(in crate::serve) fn rouse_later(&mut self) {
        self.again_at = Some(Instant::now() + Duration::from_millis(SEND_AGAIN_MS));
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
        let is_over = self.is_over || self.is_unreadable;
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

    /// Reads some of what is there. What fails is tried again later.
    pub(in crate::serve) async fn read_on(&mut self) {
        self.is_unreadable = false;
        if !self.is_caught_up {
            return self.catch_up().await;
        }
        if let Err(error) = self.read_some().await {
            self.rest(&error);
        }
    }

    /// Reads some of what is there, and says whether there was something.
    async fn read_some(&mut self) -> io::Result<bool> {
        let offset = self.listener.offset();
        let reader = match self.output() {
            Ok((reader, _)) => reader.clone(),
            // It comes with the process, so its folder was removed, and nothing will be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let read = tokio::task::spawn_blocking(move || {
            // First when, and then what: it may print in between.
            let written_at = reader.written_at()?;
            Ok((written_at, reader.read_at(offset, READ_BYTES_MAX)?))
        });
        let mut items = Vec::new();
        match read.await.map_err(io::Error::other).flatten()? {
            (_, Chunk::Bytes(bytes)) if bytes.is_empty() => return Ok(false),
            (written_at, Chunk::Bytes(bytes)) => {
                self.note_printed(written_at);
                self.listener.take(&bytes, &mut items);
            }
            (_, Chunk::Dropped(gap)) => self.listener.skip_to(gap.to),
            (_, Chunk::CutOff { .. }) => return Ok(false),
        }
        self.keep(items);
        Ok(true)
    }

    /// Keeps when something was printed, to the second: it is shown, and not every line is news.
    fn note_printed(&mut self, at: SystemTime) {
        let at = Timestamp::try_from(at).ok();
        let at = at.and_then(|at| Timestamp::from_second(at.as_second()).ok());
        self.printed_at = at.or(self.printed_at);
    }

    /// Reads all that is there, up to `end` if that is known.
    async fn read_to(&mut self, end: Option<u64>) -> io::Result<()> {
        let size = match self.output() {
            Ok((reader, _)) => reader.size_bytes()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let end = end.unwrap_or(size).min(size);
        while self.listener.offset() < end && self.read_some().await? {}
        Ok(())
    }

    /// Takes note that the process has ended, when all that it printed up to `end` was read.
    pub(in crate::serve) async fn end(&mut self, end: Option<u64>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        for attempt in 1..=READ_ATTEMPTS_MAX {
            match self.read_to(end).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(session = %self.session, %error, attempt, "cannot be read");
                    // Nobody tells when a disk or a limit gives way.
                    tokio::time::sleep(Duration::from_millis(SEND_AGAIN_MS)).await;
                }
            }
        }
        self.is_caught_up = true;
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
        self.decide(session);
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

    /// Decides what the order decides. It is decided again after a restart, in the same way; what was
    /// sent before is known to the shim.
    fn decide(&mut self, session: &Session) {
        let asks = &self.listener.view().asks;
        self.decided.retain(|offset, _| asks.iter().any(|asked| asked.offset == *offset));
        for asked in asks {
            let is_stored =
                session.requests.iter().any(|request| request.asked.offset == asked.offset);
            if is_stored || self.decided.contains_key(&asked.offset) {
                continue;
            }
            if let Some(answer) = permission::decide(session, &self.spec.permissions, asked) {
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
        if session.sighting.left_behind != Some(0) {
            return;
        }
        let (folders, id) = (Arc::clone(&self.desks.folders), self.session);
        let removed = tokio::task::spawn_blocking(move || folders.remove(id)).await;
        if let Err(error) = removed {
            tracing::error!(session = %self.session, %error, "a bug");
        }
    }

    /// Hands what was said to the scribe, who is waited for by nobody.
    fn keep(&mut self, items: Vec<Item>) {
        if items.is_empty() && !self.is_over {
            return;
        }
        let (from, read_to) = (self.kept_to, self.listener.lines_to());
        let items = with_prompt(&self.spec.prompt, from, &mut self.prompt_is_repeated, items);
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
