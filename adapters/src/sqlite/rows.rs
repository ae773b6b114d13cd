//! Rows: a change as columns, and columns as what they were written from.
//!
//! Every row carries a checksum over all its other columns, the key among them. A row is handed
//! out only when the checksum is right, its columns agree with its body, and the machine in it is
//! one that the rules can produce. Whatever else is in the file, nothing here panics.

use candor_core::event::{Cause, Event, Seq, StoredEvent};
use candor_core::ports::{Change, CommitError, StoredSession};
use candor_core::session::{EventId, Revision, Session, SessionId};
use candor_core::status::Status;
use candor_core::time::Timestamp;
use candor_core::verdict::Verdict;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::launches::Launch;

mod removal;

pub(super) use removal::{RemovalColumns, read_removal, removal_columns};

/// A body that is longer is not stored, in bytes. It is far above what the operating system takes
/// as arguments and environment.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The columns of `sessions`, in the order of their checksum, which comes last.
macro_rules! session_columns {
    () => {
        "id, short, revision, status, outcome, parent, created_at_us, ended_at_us, \
         last_event, last_seq, body, crc"
    };
}
pub(super) use session_columns;

/// The columns of `events`, in the order of their checksum, which comes last.
macro_rules! event_columns {
    () => {
        "seq, session, revision, id, at_us, from_status, to_status, cause, by_actor, verdict, crc"
    };
}
pub(super) use event_columns;

const SESSION_VALUES: usize = 11;
const EVENT_VALUES: usize = 10;

/// Says which table a checksum is of, so that no row passes for one of the other table.
#[derive(Clone, Copy, Debug)]
enum Table {
    Sessions = 1,
    Events = 2,
    Removals = 3,
}

/// What is wrong with a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Damage {
    /// Whose row it is, if that much can be read; it may be wrong too.
    pub(super) session: Option<SessionId>,
    /// What gave it away.
    pub(super) reason: String,
}

/// A change as columns, all but its place in the order of the store.
#[derive(Debug)]
pub(super) struct EncodedChange {
    /// The revision that the row must be at, 0 for no row.
    pub(super) expected: i64,
    /// The row.
    pub(super) session: SessionColumns,
    /// The event.
    pub(super) event: EventColumns,
    /// What is kept of a launch, with the first change of a session.
    pub(super) launch: Option<Launch>,
}

/// The columns of a session.
#[derive(Debug)]
pub(super) struct SessionColumns {
    id: [u8; 16],
    short: String,
    revision: i64,
    status: &'static str,
    outcome: Option<&'static str>,
    parent: Option<[u8; 16]>,
    created_at_us: i64,
    ended_at_us: Option<i64>,
    last_event: [u8; 16],
    body: String,
}

/// The columns of an event.
#[derive(Debug)]
pub(super) struct EventColumns {
    session: [u8; 16],
    revision: i64,
    id: [u8; 16],
    at_us: i64,
    from: Option<&'static str>,
    to: &'static str,
    cause: &'static str,
    by: String,
    verdict: Option<String>,
}

impl EncodedChange {
    /// Returns whose change it is.
    #[cfg(candor_failpoints)]
    pub(super) const fn session(&self) -> SessionId {
        SessionId::from_uuid(Uuid::from_bytes(self.session.id))
    }

    /// Takes a change apart. Times are cut to the microsecond.
    pub(super) fn of(change: &Change) -> Result<Self, CommitError> {
        let encoded = check(change).and_then(|()| Self::encode(change));
        encoded.map_err(|reason| CommitError::NotStored { reason })
    }

    fn encode(change: &Change) -> Result<Self, String> {
        let Change { expected, session, event } = change;
        let body = serde_json::to_string(session).map_err(|error| error.to_string())?;
        if body.len() > BODY_BYTES_MAX {
            return Err(format!("the session has {} bytes: {BODY_BYTES_MAX} at most", body.len()));
        }
        Ok(Self {
            expected: number(expected.number())?,
            session: SessionColumns::of(session, event.id, body)?,
            event: EventColumns::of(event)?,
            launch: (expected.number() == 0).then(|| Launch::of(session)),
        })
    }
}

/// Says what no caller that follows the rules can ask for: an event that is not the one step from
/// the expected revision to the row.
fn check(change: &Change) -> Result<(), String> {
    let Change { expected, session, event } = change;
    let agrees = event.session == session.id
        && event.revision == session.revision()
        && expected.number().checked_add(1) == Some(session.revision().number())
        && event.to == session.status()
        && session.machine.is_coherent();
    if agrees {
        return Ok(());
    }
    Err(format!(
        "the change of session {} to revision {} does not fit its event: this is a bug",
        session.id,
        session.revision()
    ))
}

fn number(number: u64) -> Result<i64, String> {
    i64::try_from(number).map_err(|_| format!("{number} is too large to be stored"))
}

impl SessionColumns {
    fn of(session: &Session, last_event: EventId, body: String) -> Result<Self, String> {
        Ok(Self {
            id: session.id.as_uuid().into_bytes(),
            short: session.id.short(),
            revision: number(session.revision().number())?,
            status: session.status().as_str(),
            outcome: session.verdict().map(Verdict::outcome),
            parent: session.parent.map(|parent| parent.as_uuid().into_bytes()),
            created_at_us: session.created_at.as_microsecond(),
            ended_at_us: session.ended_at.map(Timestamp::as_microsecond),
            last_event: last_event.as_uuid().into_bytes(),
            body,
        })
    }

    /// Returns all columns, the checksum last.
    pub(super) fn values(&self, last_seq: i64) -> [ValueRef<'_>; SESSION_VALUES + 1] {
        let values = self.covered(last_seq);
        let crc = checksum(Table::Sessions, &values);
        let [a, b, c, d, e, f, g, h, i, j, k] = values;
        [a, b, c, d, e, f, g, h, i, j, k, ValueRef::Integer(crc)]
    }

    fn covered(&self, last_seq: i64) -> [ValueRef<'_>; SESSION_VALUES] {
        [
            ValueRef::Blob(&self.id),
            text(&self.short),
            ValueRef::Integer(self.revision),
            text(self.status),
            self.outcome.map_or(ValueRef::Null, text),
            self.parent.as_ref().map_or(ValueRef::Null, |parent| ValueRef::Blob(parent)),
            ValueRef::Integer(self.created_at_us),
            self.ended_at_us.map_or(ValueRef::Null, ValueRef::Integer),
            ValueRef::Blob(&self.last_event),
            ValueRef::Integer(last_seq),
            text(&self.body),
        ]
    }
}

impl EventColumns {
    fn of(event: &Event) -> Result<Self, String> {
        let verdict = event.verdict.map(|verdict| serde_json::to_string(&verdict)).transpose();
        Ok(Self {
            session: event.session.as_uuid().into_bytes(),
            revision: number(event.revision.number())?,
            id: event.id.as_uuid().into_bytes(),
            at_us: event.at.as_microsecond(),
            from: event.from.map(Status::as_str),
            to: event.to.as_str(),
            cause: event.cause.as_str(),
            by: event.by.to_string(),
            verdict: verdict.map_err(|error| error.to_string())?,
        })
    }

    /// Returns all columns, the checksum last.
    pub(super) fn values(&self, seq: i64) -> [ValueRef<'_>; EVENT_VALUES + 1] {
        let values = [
            ValueRef::Integer(seq),
            ValueRef::Blob(&self.session),
            ValueRef::Integer(self.revision),
            ValueRef::Blob(&self.id),
            ValueRef::Integer(self.at_us),
            self.from.map_or(ValueRef::Null, text),
            text(self.to),
            text(self.cause),
            text(&self.by),
            self.verdict.as_deref().map_or(ValueRef::Null, text),
        ];
        let crc = checksum(Table::Events, &values);
        let [a, b, c, d, e, f, g, h, i, j] = values;
        [a, b, c, d, e, f, g, h, i, j, ValueRef::Integer(crc)]
    }
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

/// Returns the CRC-32 of the values in an encoding of which no two lists of values share one.
fn checksum(table: Table, values: &[ValueRef<'_>]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[table as u8]);
    for value in values {
        match value {
            ValueRef::Null => hasher.update(&[0]),
            ValueRef::Integer(number) => {
                hasher.update(&[1]);
                hasher.update(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                hasher.update(&[2]);
                hasher.update(&number.to_bits().to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hasher.update(&[if matches!(value, ValueRef::Text(_)) { 3 } else { 4 }]);
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            }
        }
    }
    i64::from(hasher.finalize())
}

/// Reads a session from a row of `session_columns!`.
///
/// # Errors
///
/// SQLite's own; what is wrong with the row itself is the inner error.
pub(super) fn read_session(row: &Row<'_>) -> rusqlite::Result<Result<StoredSession, Damage>> {
    let values = columns::<SESSION_VALUES>(row)?;
    let crc = row.get_ref(SESSION_VALUES)?;
    let session = session_id(values[0]).ok();
    Ok(decode_session(&values, crc).map_err(|reason| Damage { session, reason }))
}

/// Reads an event from a row of `event_columns!`.
///
/// # Errors
///
/// SQLite's own; what is wrong with the row itself is the inner error.
pub(super) fn read_event(row: &Row<'_>) -> rusqlite::Result<Result<StoredEvent, Damage>> {
    let values = columns::<EVENT_VALUES>(row)?;
    let crc = row.get_ref(EVENT_VALUES)?;
    let session = session_id(values[1]).ok();
    Ok(decode_event(&values, crc).map_err(|reason| Damage { session, reason }))
}

fn columns<'row, const COUNT: usize>(
    row: &'row Row<'_>,
) -> rusqlite::Result<[ValueRef<'row>; COUNT]> {
    let mut values = [ValueRef::Null; COUNT];
    for (index, value) in values.iter_mut().enumerate() {
        *value = row.get_ref(index)?;
    }
    Ok(values)
}

fn check_sum(table: Table, values: &[ValueRef<'_>], crc: ValueRef<'_>) -> Result<(), String> {
    if crc == ValueRef::Integer(checksum(table, values)) {
        return Ok(());
    }
    Err("its checksum is wrong".to_owned())
}

fn decode_session(
    values: &[ValueRef<'_>; SESSION_VALUES],
    crc: ValueRef<'_>,
) -> Result<StoredSession, String> {
    check_sum(Table::Sessions, values, crc)?;
    let [.., last_event, last_seq, body] = *values;
    let body = word(body)?;
    let session: Session = serde_json::from_str(body)
        .map_err(|error| format!("its body cannot be understood ({error})"))?;
    if !session.machine.is_coherent() {
        return Err("its body contradicts itself".to_owned());
    }
    let last_event = event_id(last_event)?;
    let last_seq = integer(last_seq)?;
    // What the body says, as columns, must be what the columns say.
    let columns = SessionColumns::of(&session, last_event, body.to_owned())?;
    if columns.covered(last_seq) != *values {
        return Err("its columns contradict its body".to_owned());
    }
    Ok(StoredSession { session, last_event, last_seq: seq(last_seq)? })
}

fn decode_event(
    values: &[ValueRef<'_>; EVENT_VALUES],
    crc: ValueRef<'_>,
) -> Result<StoredEvent, String> {
    check_sum(Table::Events, values, crc)?;
    let [place, session, revision, id, at_us, from, to, cause, by, verdict] = *values;
    let verdict = match verdict {
        ValueRef::Null => None,
        value => {
            let verdict: Verdict = serde_json::from_str(word(value)?)
                .map_err(|error| format!("its verdict cannot be understood ({error})"))?;
            Some(verdict)
        }
    };
    let from = match from {
        ValueRef::Null => None,
        value => Some(status(value)?),
    };
    let event = Event {
        id: event_id(id)?,
        session: session_id(session)?,
        revision: Revision::from_number(positive(revision)?),
        at: Timestamp::from_microsecond(integer(at_us)?).map_err(|error| error.to_string())?,
        from,
        to: status(to)?,
        cause: Cause::from_word(word(cause)?).ok_or("its cause is no cause")?,
        by: word(by)?.parse().map_err(|_| "its actor is nobody")?,
        verdict,
    };
    if event.verdict.is_some_and(|verdict| verdict.status() != event.to) {
        return Err("its verdict contradicts its status".to_owned());
    }
    Ok(StoredEvent { seq: seq(integer(place)?)?, event })
}

fn word(value: ValueRef<'_>) -> Result<&str, String> {
    value.as_str().map_err(|error| error.to_string())
}

fn status(value: ValueRef<'_>) -> Result<Status, String> {
    word(value)?.parse().map_err(|_| "its status is no status".to_owned())
}

fn integer(value: ValueRef<'_>) -> Result<i64, String> {
    value.as_i64().map_err(|error| error.to_string())
}

fn positive(value: ValueRef<'_>) -> Result<u64, String> {
    match u64::try_from(integer(value)?) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a count in it is not above 0".to_owned()),
    }
}

fn seq(number: i64) -> Result<Seq, String> {
    positive(ValueRef::Integer(number)).map(Seq::from_number)
}

/// Reads the id of a session.
pub(super) fn session_id(value: ValueRef<'_>) -> Result<SessionId, String> {
    uuid(value).map(SessionId::from_uuid)
}

fn event_id(value: ValueRef<'_>) -> Result<EventId, String> {
    uuid(value).map(EventId::from_uuid)
}

fn uuid(value: ValueRef<'_>) -> Result<Uuid, String> {
    let bytes = value.as_blob().map_err(|error| error.to_string())?;
    Uuid::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use candor_core::event::Seq;
    use candor_core::input::Input;
    use candor_core::machine::Policy;
    use candor_harness::contract::repository::chain::{Chain, session_id};
    use rusqlite::types::{ToSqlOutput, ValueRef};
    use rusqlite::{Connection, params_from_iter};

    use super::{Damage, EncodedChange, StoredSession, read_event};

    fn encoded() -> EncodedChange {
        let chain = Chain::of(session_id(1), Policy::default(), &[Input::Spawned]);
        EncodedChange::of(chain.change()).unwrap()
    }

    /// Reads a row of these values, without a table in between.
    fn read<T>(
        values: &[ValueRef<'_>],
        read: fn(&rusqlite::Row<'_>) -> rusqlite::Result<Result<T, Damage>>,
    ) -> Result<T, Damage> {
        let connection = Connection::open_in_memory().unwrap();
        let marks = vec!["?"; values.len()].join(", ");
        let values = values.iter().map(|value| ToSqlOutput::Borrowed(*value));
        connection.query_row(&format!("SELECT {marks}"), params_from_iter(values), read).unwrap()
    }

    fn read_session(change: &EncodedChange) -> Result<StoredSession, String> {
        read(&change.session.values(7), super::read_session).map_err(|damage| damage.reason)
    }

    #[test]
    fn a_row_whose_columns_contradict_its_body_is_damaged_though_its_checksum_is_right() {
        assert_eq!(read_session(&encoded()).unwrap().last_seq, Seq::from_number(7));
        let spoil: [fn(&mut EncodedChange); 8] = [
            |change| change.session.id[15] ^= 1,
            |change| change.session.short = "00000000".to_owned(),
            |change| change.session.revision += 1,
            |change| change.session.status = "completed",
            |change| change.session.outcome = Some("succeeded"),
            |change| change.session.parent = Some([1; 16]),
            |change| change.session.created_at_us += 1,
            |change| change.session.ended_at_us = Some(1),
        ];
        for spoil in spoil {
            let mut change = encoded();
            spoil(&mut change);
            assert_eq!(read_session(&change).unwrap_err(), "its columns contradict its body");
        }
    }

    #[test]
    fn a_row_that_no_rule_can_produce_is_damaged_though_its_checksum_is_right() {
        let mut change = encoded();
        change.session.body = change.session.body.replace("\"is_up\":true", "\"is_up\":false");
        assert_eq!(read_session(&change).unwrap_err(), "its body contradicts itself");

        let spoil: [fn(&mut EncodedChange); 5] = [
            |change| change.event.to = "walking",
            |change| change.event.cause = "because",
            |change| change.event.by = "nobody".to_owned(),
            |change| change.event.verdict = Some("{\"lost\":\"reboot\"}".to_owned()),
            |change| change.event.revision = 0,
        ];
        for spoil in spoil {
            let mut change = encoded();
            spoil(&mut change);
            let damage = read(&change.event.values(7), read_event).unwrap_err();
            assert_eq!(damage.session, Some(session_id(1)), "{damage:?}");
        }
    }

    #[test]
    fn no_row_passes_for_one_of_the_other_table() {
        let change = encoded();
        assert_eq!(change.session.values(7).len(), session_columns!().split(", ").count());
        assert_eq!(change.event.values(7).len(), event_columns!().split(", ").count());
        let event = change.event.values(7);
        let crc = super::checksum(super::Table::Sessions, &event[..event.len() - 1]);
        let mut spoiled = event;
        spoiled[event.len() - 1] = ValueRef::Integer(crc);
        assert_eq!(read(&spoiled, read_event).unwrap_err().reason, "its checksum is wrong");
    }
}
