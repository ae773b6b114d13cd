//! Names as they stand in a timeline: `s1`, `p1`, `c1`, `s1#2`.
//!
//! A timeline never holds an id, a pid or a path of the machine that it was made on.

use std::fmt;
use std::str::FromStr;

use candor_core::session::SessionId;
use uuid::Uuid;

/// Version 7, variant 1, and zero everywhere else, so that the last digits are the number.
const UUID_FRAME: u128 = 0x0000_0000_0000_7000_8000_0000_0000_0000;

/// A word that is not the name that was expected.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected}, found `{found}`")]
pub struct BadName {
    expected: &'static str,
    found: String,
}

fn number<T: FromStr>(text: &str, letter: char, expected: &'static str) -> Result<T, BadName> {
    let digits = text.strip_prefix(letter).filter(|digits| is_canonical(digits));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| BadName { expected, found: text.to_owned() })
}

/// Whether the digits are a number from 1 that prints as they stand here.
fn is_canonical(digits: &str) -> bool {
    !digits.starts_with(['0', '+'])
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $letter:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(u16);

        impl $name {
            /// Returns the name with this number; numbers count from 1.
            #[must_use]
            pub const fn new(number: u16) -> Self {
                Self(number)
            }

            /// Returns its number.
            #[must_use]
            pub const fn number(self) -> u16 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}{}", $letter, self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                number(text, $letter, $expected).map(Self)
            }
        }
    };
}

name!(
    /// A session, in the order of the launches: `s1`.
    SessionName,
    's',
    "a session such as s1"
);
name!(
    /// A process, in the order in which they were made: `p1`.
    ProcessName,
    'p',
    "a process such as p1"
);
name!(
    /// A client that follows the events: `c1`.
    ClientName,
    'c',
    "a client such as c1"
);

name!(
    /// Something that an agent asks its user to approve: `a1`.
    ApprovalName,
    'a',
    "an approval such as a1"
);

impl SessionName {
    /// Returns the id that stands for this name in a replay.
    #[must_use]
    pub const fn id(self) -> SessionId {
        SessionId::from_uuid(Uuid::from_u128(UUID_FRAME | self.0 as u128))
    }

    /// Returns the name that an id of a replay stands for.
    #[must_use]
    pub const fn of(id: SessionId) -> Self {
        Self((id.as_uuid().as_u128() & 0xffff) as u16)
    }
}

/// One call on the store, by its place among the calls for its session: `s1#2`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallName {
    /// Whose row it reads or writes.
    pub session: SessionName,
    /// Its place, counted from 1, reads and writes together.
    pub number: u32,
}

impl fmt::Display for CallName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.session, self.number)
    }
}

impl FromStr for CallName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName { expected: "a call such as s1#2", found: text.to_owned() };
        let (session, digits) = text.split_once('#').ok_or_else(bad)?;
        let number = digits.parse().ok().filter(|_| is_canonical(digits)).ok_or_else(bad)?;
        Ok(Self { session: session.parse().map_err(|_| bad())?, number })
    }
}

#[cfg(test)]
mod tests {
    use super::{CallName, ProcessName, SessionName};

    #[test]
    fn names_print_as_they_are_read() {
        assert_eq!("s12".parse::<SessionName>().unwrap().to_string(), "s12");
        assert_eq!("s1#2".parse::<CallName>().unwrap().to_string(), "s1#2");
    }

    #[test]
    fn other_words_are_refused_with_what_was_expected() {
        for word in ["", "s", "s0", "s01", "s+1", "p1", "s70000", "s-1"] {
            assert!(word.parse::<SessionName>().is_err(), "{word}");
        }
        let error = "x1".parse::<ProcessName>().unwrap_err().to_string();
        assert_eq!(error, "expected a process such as p1, found `x1`");
        assert!("s1#0".parse::<CallName>().is_err());
    }

    #[test]
    fn an_id_leads_back_to_its_name() {
        let name = SessionName::new(7);
        assert_eq!(SessionName::of(name.id()), name);
    }
}
