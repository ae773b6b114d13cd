//! Removals as columns, and columns as removals.

use candor_core::session::Revision;
use candor_core::time::Timestamp;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::{
    Damage, Table, check_sum, checksum, columns, integer, number, positive, seq, session_id,
    status, text, word,
};
use crate::sqlite::removal::Removal;

/// The columns of `removals`, in the order of their checksum, which comes last.
macro_rules! removal_columns {
    () => {
        "seq, session, revision, at_us, from_status, by_actor, last_seq, gone_up_to, crc"
    };
}
pub(in crate::sqlite) use removal_columns;

const REMOVAL_VALUES: usize = 8;

/// The columns of a removal.
#[derive(Debug)]
pub(in crate::sqlite) struct RemovalColumns {
    seq: i64,
    session: [u8; 16],
    revision: i64,
    at_us: i64,
    from: &'static str,
    by: String,
    last_seq: i64,
    gone_up_to: i64,
}

impl RemovalColumns {
    /// Takes a removal apart.
    pub(in crate::sqlite) fn of(removal: &Removal) -> Result<Self, String> {
        Ok(Self {
            seq: number(removal.seq.number())?,
            session: removal.session.as_uuid().into_bytes(),
            revision: number(removal.revision.number())?,
            at_us: removal.at.as_microsecond(),
            from: removal.from.as_str(),
            by: removal.by.to_string(),
            last_seq: number(removal.last_seq.number())?,
            gone_up_to: number(removal.gone_up_to.number())?,
        })
    }

    /// Returns all columns, the checksum last.
    pub(in crate::sqlite) fn values(&self) -> [ValueRef<'_>; REMOVAL_VALUES + 1] {
        let values = [
            ValueRef::Integer(self.seq),
            ValueRef::Blob(&self.session),
            ValueRef::Integer(self.revision),
            ValueRef::Integer(self.at_us),
            text(self.from),
            text(&self.by),
            ValueRef::Integer(self.last_seq),
            ValueRef::Integer(self.gone_up_to),
        ];
        let crc = checksum(Table::Removals, &values);
        let [a, b, c, d, e, f, g, h] = values;
        [a, b, c, d, e, f, g, h, ValueRef::Integer(crc)]
    }
}

/// Reads a removal from a row of `removal_columns!`.
///
/// # Errors
///
/// SQLite's own; what is wrong with the row itself is the inner error.
pub(in crate::sqlite) fn read_removal(row: &Row<'_>) -> rusqlite::Result<Result<Removal, Damage>> {
    let values = columns::<REMOVAL_VALUES>(row)?;
    let crc = row.get_ref(REMOVAL_VALUES)?;
    let session = session_id(values[1]).ok();
    Ok(decode_removal(&values, crc).map_err(|reason| Damage { session, reason }))
}

fn decode_removal(
    values: &[ValueRef<'_>; REMOVAL_VALUES],
    crc: ValueRef<'_>,
) -> Result<Removal, String> {
    check_sum(Table::Removals, values, crc)?;
    let [place, session, revision, at_us, from, by, last_seq, gone_up_to] = *values;
    let removal = Removal {
        seq: seq(integer(place)?)?,
        session: session_id(session)?,
        revision: Revision::from_number(positive(revision)?),
        at: Timestamp::from_microsecond(integer(at_us)?).map_err(|error| error.to_string())?,
        from: status(from)?,
        by: word(by)?.parse().map_err(|_| "its actor is nobody")?,
        last_seq: seq(integer(last_seq)?)?,
        gone_up_to: seq(integer(gone_up_to)?)?,
    };
    let is_possible = removal.from.is_terminal()
        && removal.last_seq <= removal.gone_up_to
        && removal.gone_up_to < removal.seq;
    if is_possible { Ok(removal) } else { Err("it contradicts itself".to_owned()) }
}
