//! What core needs from the world, and the promises that it relies on.
//!
//! Each promise is a MUST in a method's documentation, and a case of a contract suite in
//! `candor-harness` that every implementation runs, fake or real.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use async_trait::async_trait;

use crate::bytes::ByteString;
use crate::event::{Event, Seq, StoredEvent};
use crate::recording::Entry;
use crate::session::{EventId, MessageId, OutputSizes, Revision, Session, SessionId, Spec};
use crate::stop::Signal;
use crate::time::Now;
use crate::verdict::{Exit, LostReason, SpawnStage, Witness};

/// One change, ready to be stored: the row as it will be, and the event that tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The revision that the row must be at, or [`Revision::NONE`] when there must be no row.
    pub expected: Revision,
    /// The row after the change.
    pub session: Session,
    /// The event of the change.
    pub event: Event,
}

/// A row as it was read, with what identifies the change that wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    /// The row.
    pub session: Session,
    /// The change that led to its revision.
    pub last_event: EventId,
    /// That change's place in the order of the store.
    pub last_seq: Seq,
}

/// Why a commit did not end as stored.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written. Trying again is safe, and may work later.
    #[error("not stored: {reason}")]
    NotStored {
        /// What the store said.
        reason: String,
    },
    /// It may or may not have been written. Read the row to find out.
    #[error("may or may not be stored: {reason}")]
    Unknown {
        /// What the store said.
        reason: String,
    },
    /// The row was not at the expected revision, and nothing was written. Read the row: either
    /// this very change is there already, or somebody else writes.
    #[error("the row has moved on")]
    Conflict,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer. Trying again may work later.
    #[error("the store does not answer: {reason}")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// The row is there and is not what was written. Trying again is no use.
    #[error("the row of session {session} is damaged: {reason}")]
    Damaged {
        /// Whose row.
        session: SessionId,
        /// What gave it away.
        reason: String,
    },
}

/// Keeps sessions and their events.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Repository: Send + Sync {
    /// Stores a change, and returns the place of its event.
    ///
    /// Row and event MUST become durable together, before this returns, and survive a power cut
    /// from then on. Places MUST rise with each commit and never be used twice.
    ///
    /// It MUST answer within 2 s.
    ///
    /// Not cancel safe: dropped, the change may or may not be stored.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]. MUST be [`CommitError::Conflict`], with nothing written, when the row
    /// is not at `change.expected`.
    async fn commit(&self, change: &Change) -> Result<Seq, CommitError>;

    /// Returns the row, or `None` when there is none.
    ///
    /// It MUST see every commit that was acknowledged before the call. After a commit that ended
    /// as [`CommitError::Unknown`] it MUST show that commit's final outcome: a change that it does
    /// not show then MUST NOT appear later.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    async fn load(&self, id: SessionId) -> Result<Option<StoredSession>, ReadError>;

    /// Returns the ids of all sessions that have not ended, oldest first.
    ///
    /// # Errors
    ///
    /// [`ReadError::Unavailable`].
    async fn live(&self) -> Result<Vec<SessionId>, ReadError>;

    /// Returns the events after `cursor`, in order and without a hole, at most `limit` of them.
    ///
    /// Events of a session that was deleted are not there any more, not one of them.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    async fn events_after(&self, cursor: Seq, limit: u32) -> Result<Vec<StoredEvent>, ReadError>;
}

/// The environment of a session, with its values. It is handed to the process and to nobody else.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Environment(Vec<(ByteString, ByteString)>);

impl Environment {
    /// Takes names and values as they are.
    #[must_use]
    pub const fn new(variables: Vec<(ByteString, ByteString)>) -> Self {
        Self(variables)
    }

    /// Returns names and values, for the process alone.
    #[must_use]
    pub fn variables(&self) -> &[(ByteString, ByteString)] {
        &self.0
    }

    /// Returns the names, which may be stored and shown.
    #[must_use]
    pub fn names(&self) -> Vec<ByteString> {
        self.0.iter().map(|(name, _value)| name.clone()).collect()
    }
}

/// Shows how many there are, and no value.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Environment({} variables, values hidden)", self.0.len())
    }
}

/// What became of a launch.
#[derive(Clone)]
pub enum Launch {
    /// There is a process.
    Up(Arc<dyn Process>),
    /// There is none, and never was.
    Refused {
        /// The step that was refused.
        stage: SpawnStage,
        /// The operating system's error number.
        errno: i32,
    },
    /// Nobody can say yet. Ask by [`ProcessSpawner::attach`].
    Unknown,
}

/// What became of a process that an earlier daemon launched, or may have.
#[derive(Clone)]
pub enum Attach {
    /// It runs, and is ours again.
    Up(Arc<dyn Process>),
    /// It ended, and somebody saw how.
    Ended(Ending),
    /// It is gone, and its exit cannot be known.
    Lost(LostReason),
    /// It provably never ran, and never will.
    NeverRan,
    /// Nobody can say yet, or reach it. Ask again later.
    Unreachable,
}

/// How a process ended, as it was seen.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Ending {
    /// What the kernel said.
    pub exit: Exit,
    /// Whether an out-of-memory kill of this very process was seen.
    pub oom_killed: bool,
    /// Who saw it.
    pub witness: Witness,
    /// How much output there was at that moment.
    pub output: OutputSizes,
    /// How many processes that the session had started were still alive when this was settled, or
    /// `None` where nobody could tell. It decides nothing.
    pub left_behind: Option<u32>,
}

/// Makes processes, and finds them again.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait ProcessSpawner: Send + Sync {
    /// Starts the session's process.
    ///
    /// Called twice for one session, it MUST NOT make a second process. The process MUST NOT run a
    /// single instruction of its program before it is recorded in a way that a later
    /// [`attach`](Self::attach) finds, so that a daemon that dies in between leaves nothing behind
    /// that nobody knows of.
    ///
    /// Not cancel safe: dropped, the process may or may not be there; then attach.
    async fn launch(&self, id: SessionId, spec: &Spec, environment: &Environment) -> Launch;

    /// Finds out what became of the session's process.
    ///
    /// It MUST be idempotent. It MUST answer [`Attach::NeverRan`] only when no process of this
    /// session can come up later, and [`Attach::Lost`] only when none is left that it could reach.
    ///
    /// Cancel safe.
    async fn attach(&self, id: SessionId) -> Attach;
}

/// What a process tells of itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fact {
    /// It ended, and this is how.
    Ended(Ending),
    /// It is gone, and its exit cannot be known.
    Lost(LostReason),
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// The process that was launched, alone.
    Process,
    /// Its process group.
    Group,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Delivery {
    /// The kernel took it.
    Delivered,
    /// The process had ended before.
    AlreadyEnded,
    /// The kernel refused: the process has become somebody else's.
    NotPermitted,
    /// It cannot be told.
    Unknown,
}

/// Bytes of one message, at most.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes that may wait for one process to read them, at most.
pub const INPUT_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// Messages of one process that are known again when they are sent once more: the last so many.
pub const MESSAGES_REMEMBERED_MAX: usize = 64;

/// Bytes for a process's standard input.
///
/// The end is part of a message, and none of its own, so that it has its place in the order, and is
/// repeated like everything else.
#[derive(Clone, Eq, PartialEq)]
pub struct Message {
    /// Names it. The same bytes that are meant twice have two names.
    pub id: MessageId,
    /// What is written. It may be nothing.
    pub bytes: Vec<u8>,
    /// Whether the input is closed once the bytes are written.
    pub is_last: bool,
}

/// Shows how many bytes there are, and none of them: what is typed is as secret as what is set.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, bytes, is_last } = self;
        write!(formatter, "Message({id}, {} bytes, is_last: {is_last})", bytes.len())
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sent {
    /// It is written, or will be as soon as the process reads what is before it.
    Accepted,
    /// The process has ended, or its input has: nothing is ever written to it again.
    AlreadyEnded,
    /// There is no room for it until the process reads what waits, and nothing of it was taken.
    Full,
    /// It cannot be told. Send it again, with the same id.
    Unknown,
}

/// One launched process, for as long as it takes.
///
/// No pid, path, descriptor or shell shows here: what cannot be named cannot be confused.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Process: Send + Sync {
    /// Waits for the next fact; [`Fact::Ended`] or [`Fact::Lost`] is the last one, and MUST come
    /// exactly once, however many processes it leaves behind that hold its output open.
    ///
    /// Only one task calls this. After the last fact it never returns.
    ///
    /// Cancel safe: a fact that was not returned is returned by the next call.
    async fn next_fact(&self) -> Fact;

    /// Sends a signal.
    ///
    /// It MUST reach only processes that this session started, whatever became of their numbers
    /// meanwhile. It MUST NOT wait for an effect of the signal.
    async fn signal(&self, target: Target, signal: Signal) -> Delivery;

    /// Sends bytes to the standard input of a process that was launched with
    /// [`StandardInput::Held`](crate::session::StandardInput::Held). Any other one has no input that
    /// could be written to: the answer MUST be [`Sent::AlreadyEnded`].
    ///
    /// What was accepted MUST be written whole, once, and in the order in which it was accepted,
    /// unless the process ends or closes its input before. That MUST hold whatever becomes of the
    /// caller, for a process that outlives it. A message whose id is one of the last
    /// [`MESSAGES_REMEMBERED_MAX`] that were accepted MUST NOT be written again, and MUST be answered
    /// with [`Sent::Accepted`] for as long as the process lives.
    ///
    /// After anything but [`Sent::Accepted`] and [`Sent::Unknown`] nothing of the message MUST ever be
    /// written. After [`Sent::Unknown`] all of it may be, or nothing.
    ///
    /// The input MUST NOT end before a message that says so was accepted and all is written, or
    /// whoever holds it has died.
    ///
    /// It MUST NOT wait for the process to read. A message that would make more than
    /// [`INPUT_BYTES_MAX`] wait, or has more than [`MESSAGE_BYTES_MAX`], MUST be answered with
    /// [`Sent::Full`]. To an input for which nothing waits, and nothing is on its way, one of
    /// [`MESSAGE_BYTES_MAX`] MUST NOT.
    ///
    /// Not cancel safe: dropped, it is as after [`Sent::Unknown`].
    async fn send(&self, message: &Message) -> Sent;

    /// Says how well the process is looked after. It MUST answer at once, from what is known.
    fn supervision(&self) -> Supervision {
        Supervision::Ok
    }
}

/// How well a process is looked after. It decides nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Supervision {
    /// Its end will be seen.
    Ok,
    /// Nobody can be reached at the moment who would see its end.
    Unreachable,
    /// Whoever should see its end is gone. Signals reach it, and its exit may be lost.
    Unsupervised,
}

/// Tells readers that there is something to read. It carries no state, and nothing is lost when a
/// wake-up is: readers read the store after their own cursor.
#[cfg_attr(test, mockall::automock)]
pub trait EventBus: Send + Sync {
    /// Says that all events up to `seq` can be read.
    ///
    /// It MUST NOT block, and MUST NOT fail when nobody listens.
    fn publish(&self, seq: Seq);

    /// Starts to listen. Everything that is published from now on MUST wake the subscription.
    fn subscribe(&self) -> Box<dyn Subscription>;
}

/// One listener.
#[async_trait]
pub trait Subscription: Send {
    /// Waits until something has been published since the last call, and returns the highest
    /// `seq` that it knows of, or `None` when the bus is gone.
    ///
    /// A listener that is slow MUST be woken once for all that it missed.
    ///
    /// Cancel safe.
    async fn woken(&mut self) -> Option<Seq>;
}

/// Reads the clocks.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// Returns the time. The monotonic part MUST NOT go back, not even across restarts of the
    /// daemon within one boot.
    fn now(&self) -> Now;
}

/// Mints ids.
#[cfg_attr(test, mockall::automock)]
pub trait IdSource: Send + Sync {
    /// Returns an id that no session has, and that sorts after all earlier ones.
    fn session_id(&self) -> SessionId;

    /// Returns an id that no event has.
    fn event_id(&self) -> EventId;
}

/// Keeps the flight recordings of sessions.
pub trait Recorder: Send + Sync {
    /// Appends an entry to a session's recording.
    ///
    /// It MUST be quick, and MUST NOT fail: a recording that cannot be kept is no reason to hold up
    /// the session.
    fn record(&self, session: SessionId, entry: &Entry);
}

/// Keeps none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _session: SessionId, _entry: &Entry) {}
}
