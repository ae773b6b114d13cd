//! The tables of hooks, and what tells their file from any other.
//!
//! A migration never changes once it is released.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::sqlite::schema::Kind;

/// "Canh", in the header of every database of hooks.
const APPLICATION_ID: i32 = 0x4361_6e68;

/// The version that this build reads and writes: how many migrations there are.
const VERSION: i32 = 1;

const STEPS: [M<'static>; VERSION as usize] =
    [M::up(include_str!("../migrations/hooks_0001_init.sql"))];

/// The database of hooks. What is stored is on the disk: nothing else has it.
pub(super) static HOOKS: Kind =
    Kind { application_id: APPLICATION_ID, version: VERSION, synchronous: 2, migrate };

fn migrate(connection: &mut Connection) -> Result<(), rusqlite_migration::Error> {
    Migrations::from_slice(&STEPS).to_latest(connection)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use rusqlite_migration::Migrations;

    use super::{APPLICATION_ID, STEPS, VERSION, migrate};

    #[test]
    fn migrations_lead_to_the_version() {
        Migrations::from_slice(&STEPS).validate().unwrap();
        let mut fresh = Connection::open_in_memory().unwrap();
        migrate(&mut fresh).unwrap();
        let pragma = |name| fresh.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        assert_eq!(pragma("user_version").unwrap(), VERSION);
        assert_eq!(pragma("application_id").unwrap(), APPLICATION_ID);
    }
}
