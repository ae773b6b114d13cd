//! Lives of sessions, one change after the other, made by the real machine.
//!
//! Ids and times are derived from a number, so that the same life is the same each time.

use std::sync::Arc;

use candor_core::agent::Learned;
use candor_core::bytes::ByteString;
use candor_core::event::Event;
use candor_core::input::Input;
use candor_core::machine::{Machine, Policy};
use candor_core::ports::{Change, StoredSession};
use candor_core::session::{
    EventId, OutputSizes, Report, Revision, Session, SessionId, Sighting, Spec, StandardInput,
};
use candor_core::status::Status;
use candor_core::step::Transition;
use candor_core::stop::{Actor, Intent, StopKind};
use candor_core::time::{Monotonic, Now, Timestamp};
use candor_core::verdict::{
    Completion, End, Exit, Failure, LostReason, SpawnStage, Verdict, Witness,
};
use uuid::Builder;

/// When all of it happens, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_700_000_000_000;

/// From one change of a session to the next, in microseconds. Not a whole number of milliseconds,
/// so that a store that rounds is caught.
const STEP_US: u64 = 1_001;

/// Who asks for what somebody asks for.
const USER: Actor = Actor::User(1_000);

/// One session's life, as far as it has gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Never empty.
    changes: Vec<Change>,
    /// Tells the changes of writers apart that write the same session.
    writer: u8,
}

impl Chain {
    /// Begins with the launch of a session.
    #[must_use]
    pub fn launched(id: SessionId) -> Self {
        Self::launched_with(id, spec(Policy::default()))
    }

    /// Begins with the launch of a session that runs `spec`.
    #[must_use]
    pub fn launched_with(id: SessionId, spec: Spec) -> Self {
        Self::begin(id, None, Machine::launch(spec.policy), spec)
    }

    /// Begins with a session that waits for the end of `parent`.
    #[must_use]
    pub fn queued(id: SessionId, parent: SessionId) -> Self {
        let spec = spec(Policy::default());
        Self::begin(id, Some(parent), Machine::queue(spec.policy), spec)
    }

    /// Begins with a launch and takes all of `inputs`.
    #[must_use]
    pub fn of(id: SessionId, policy: Policy, inputs: &[Input]) -> Self {
        let mut chain = Self::launched_with(id, spec(policy));
        for input in inputs {
            chain.step(*input);
        }
        chain
    }

    fn begin(id: SessionId, parent: Option<SessionId>, transition: Transition, spec: Spec) -> Self {
        let at = at(id, Revision::NONE.next());
        let session = Session {
            id,
            parent,
            spec: Arc::new(spec),
            machine: transition.next,
            created_at: at,
            started_at: None,
            ended_at: None,
            intent: None,
            report: None,
            sighting: Sighting::default(),
            notes: Vec::new(),
            learned: Learned::default(),
            requests: Vec::new(),
            requests_count: 0,
            requests_read_to: 0,
            turns_ended: 0,
            bypass_until: None,
        };
        let event = event(&session, None, transition, USER, 0);
        Self { changes: vec![Change { expected: Revision::NONE, session, event }], writer: 0 }
    }

    /// Returns the last change, ready to be stored.
    ///
    /// # Panics
    ///
    /// Never: the launch is a change.
    #[must_use]
    pub fn change(&self) -> &Change {
        self.changes.last().expect("the launch is a change")
    }

    /// Returns all changes, from the first.
    #[must_use]
    pub fn life(&self) -> &[Change] {
        &self.changes
    }

    /// Returns the row after the last change.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.change().session
    }

    /// Takes an input, and returns the change that follows from it.
    ///
    /// # Panics
    ///
    /// When nothing follows from it: then the test says something that it does not mean.
    pub fn step(&mut self, input: Input) -> &Change {
        assert!(self.try_step(input), "{input:?} changes nothing in {}", self.session().status());
        self.change()
    }

    /// Takes an input, and says whether a change follows from it.
    pub fn try_step(&mut self, input: Input) -> bool {
        let before = self.session();
        let revision = before.revision();
        let wall = at(before.id, revision.next());
        let now = Now { wall, monotonic: Monotonic::from_ms(revision.number() * 1_000) };
        let Ok(transition) = before.machine.step(input, now) else {
            return false;
        };
        if transition.cause.is_none() {
            return false;
        }
        let by = if matches!(input, Input::Stop(_)) { USER } else { Actor::Daemon };
        let session = follow(before, input, &transition.next, wall);
        let event = event(&session, Some(before.status()), transition, by, self.writer);
        self.changes.push(Change { expected: revision, session, event });
        true
    }

    /// Returns the same life as another writer would have written it: its last change has an id of
    /// its own.
    #[must_use]
    pub fn by_another_writer(&self) -> Self {
        let mut other = self.clone();
        other.writer += 1;
        if let Some(last) = other.changes.last_mut() {
            last.event.id = event_id(&last.session, other.writer);
        }
        other
    }

    /// Says whether a row that was read is the one after this change.
    #[must_use]
    pub fn is(&self, stored: &StoredSession) -> bool {
        stored.session == *self.session() && stored.last_event == self.change().event.id
    }
}

/// Returns the row that follows, with what lies beside the machine.
fn follow(before: &Session, input: Input, machine: &Machine, wall: Timestamp) -> Session {
    let mut session = Session { machine: *machine, ..before.clone() };
    if machine.is_up() && session.started_at.is_none() {
        session.started_at = Some(wall);
    }
    if machine.verdict().is_some() {
        session.ended_at = Some(wall);
    }
    if let (Some(kind), None) = (machine.intent(), session.intent) {
        session.intent = Some(Intent { kind, by: USER, at: wall });
    }
    match input {
        Input::FinalReport { success } => {
            let message = Some("its own \"words\",\n\u{1f980} and\u{0} all".to_owned());
            session.report = Some(Box::new(Report {
                success,
                kind: Some("result".to_owned()),
                message,
                ..Report::default()
            }));
        }
        Input::Gone(End::Exited { .. }) => {
            let output = OutputSizes { stdout_bytes: u64::MAX, stderr_bytes: 0 };
            let (witness, output) = (Some(Witness::Parent), Some(output));
            session.sighting = Sighting { witness, output, left_behind: Some(u32::MAX) };
        }
        Input::Gone(_) => session.note(wall, "nobody saw it go".to_owned()),
        _ => {}
    }
    session
}

/// Returns the event of a change that has just been made. A transition without a cause is none.
fn event(
    session: &Session,
    from: Option<Status>,
    transition: Transition,
    by: Actor,
    writer: u8,
) -> Event {
    let cause = transition.cause.expect("a transition that changes nothing was left out before");
    Event {
        id: event_id(session, writer),
        session: session.id,
        revision: session.revision(),
        at: at(session.id, session.revision()),
        from,
        to: session.status(),
        cause,
        by,
        verdict: session.verdict(),
    }
}

/// Returns the id of the session with this number. Higher numbers are of later sessions.
#[must_use]
pub fn session_id(number: u64) -> SessionId {
    // Spreads the numbers over all bits, one to one, so that short forms differ.
    let spread = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&spread.to_be_bytes());
    let builder = Builder::from_unix_timestamp_millis(BEGINNING_MS + number, &random);
    SessionId::from_uuid(builder.into_uuid())
}

/// Returns an id that no other change has.
fn event_id(session: &Session, writer: u8) -> EventId {
    let revision = u128::from(session.revision().number());
    let number = session.id.as_uuid().as_u128() ^ (revision << 64) ^ u128::from(writer);
    EventId::from_uuid(Builder::from_u128(number).into_uuid())
}

/// Returns when a session reaches a revision.
fn at(id: SessionId, revision: Revision) -> Timestamp {
    let (created_ms, _) = id.as_uuid().as_u64_pair();
    let at_us = (created_ms >> 16) * 1_000 + revision.number() * STEP_US;
    i64::try_from(at_us)
        .ok()
        .and_then(|at_us| Timestamp::from_microsecond(at_us).ok())
        .expect("numbers of sessions are small, so this is a date that exists")
}

/// Returns what most sessions run, with bytes that are no text among it.
///
/// # Panics
///
/// Never: there is no NUL in what it is made of.
#[must_use]
pub fn spec(policy: Policy) -> Spec {
    let bytes = |bytes: &[u8]| ByteString::new(bytes.to_vec()).expect("there is no NUL in it");
    Spec {
        title: Some("\u{1f980} a 'title'; -- \"quoted\"".to_owned()),
        command: vec![bytes(b"/bin/agent"), bytes(b""), bytes(b"--raw=\xff\xfe\x80")],
        cwd: bytes(b"/tmp/\xc3\x28"),
        environment_names: vec![bytes(b"PATH"), bytes(b"\xf0\x9f")],
        umask: 0o022,
        input: StandardInput::None,
        agent: None,
        request: None,
        policy,
    }
}

/// Returns a short life for each way in which a session can end: policy, inputs after the launch,
/// and the verdict that they lead to.
#[must_use]
pub fn every_end() -> Vec<(Policy, Vec<Input>, Verdict)> {
    let plain = Policy::default();
    let reporting = Policy { always_reports: true, ..plain };
    let code = |code| exited(Exit::Code(code), false);
    let signal = |number, core_dumped| exited(Exit::Signal { number, core_dumped }, false);
    let killed_for_memory = exited(Exit::Signal { number: 9, core_dumped: false }, true);
    let good = Verdict::Completed(Completion::Succeeded);
    let failed = Verdict::Failed;
    let reported = |success| Input::FinalReport { success };

    let mut ends = vec![
        (plain, vec![Input::Spawned, code(0)], good),
        (plain, vec![Input::Spawned, reported(true), code(1)], good),
        (plain, vec![Input::Spawned, reported(false), code(0)], failed(Failure::AgentError)),
        (reporting, vec![Input::Spawned, code(0)], failed(Failure::NoReport)),
        (plain, vec![Input::Spawned, code(255)], failed(Failure::ExitCode(255))),
        (plain, vec![Input::Spawned, signal(15, false)], failed(Failure::Signal(15))),
        (plain, vec![Input::Spawned, signal(11, true)], failed(Failure::CoreDump(11))),
        (plain, vec![Input::Spawned, killed_for_memory], failed(Failure::OomKill)),
        (plain, vec![Input::Gone(End::NeverRan)], failed(Failure::NeverRan)),
    ];
    let stages = [SpawnStage::Prepare, SpawnStage::Folder, SpawnStage::Fork, SpawnStage::Exec];
    ends.extend(stages.map(|stage| {
        let refused = Input::Gone(End::Refused { stage, errno: i32::MAX });
        (plain, vec![refused], failed(Failure::Spawn { stage, errno: i32::MAX }))
    }));
    ends.extend(LostReason::ALL.map(|reason| {
        let gone = Input::Gone(End::Unknown(reason));
        (plain, vec![Input::Spawned, gone], Verdict::Lost(reason))
    }));
    let kinds = [StopKind::Interrupt, StopKind::Kill, StopKind::Shutdown, StopKind::Superseded];
    ends.extend(kinds.map(|kind| {
        let verdict = Verdict::Completed(Completion::Interrupted(kind));
        (plain, vec![Input::Spawned, Input::Stop(kind), signal(2, false)], verdict)
    }));
    let timeout = vec![Input::Spawned, Input::Stop(StopKind::Timeout), code(0)];
    ends.push((plain, timeout, failed(Failure::TimedOut)));
    ends
}

/// Returns the input that tells of an exit.
#[must_use]
pub const fn exited(exit: Exit, oom_killed: bool) -> Input {
    Input::Gone(End::Exited { exit, oom_killed })
}
