//! The keys of a header whose values mean something: what is expected, and of which mutant.

use std::str::FromStr;

use super::Timeline;
use crate::invariants::ALL;
use crate::mutant::Mutant;

/// What the invariants are to find.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expectation {
    /// Nothing.
    Pass,
    /// These break, by their ids, and perhaps others: the timeline is a witness.
    Violates(Vec<String>),
}

/// A mutant that this timeline must kill.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Victim {
    /// Its id, such as `M01`.
    pub mutant: String,
    /// The invariants that it breaks.
    pub violates: Vec<String>,
}

/// A value that its key does not allow.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadValue {
    /// It has not the form that its key wants.
    #[error("expected {expected}, found `{found}`")]
    Form {
        /// What was expected.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// It names a mutant that nobody knows.
    #[error("there is no mutant `{0}`: `race-sim mutants` lists them")]
    Mutant(String),
    /// It names an invariant that nobody knows.
    #[error("there is no invariant `{0}`: harness/README.md lists them")]
    Invariant(String),
}

/// Invariants that only the searched model looks at; no timeline can break them.
const OF_THE_MODEL: [&str; 2] = ["INV-23", "INV-33"];

impl FromStr for Expectation {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text == "pass" {
            return Ok(Self::Pass);
        }
        let ids = text.strip_prefix("violates ").and_then(ids);
        let expected = "`pass`, or `violates` and ids such as INV-05,INV-17";
        ids.map(Self::Violates).ok_or_else(|| BadValue::Form { expected, found: text.to_owned() })
    }
}

impl FromStr for Victim {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let victim = text.split_once(" violates ").and_then(|(mutant, broken)| {
            let violates = ids(broken)?;
            is_id(mutant, "M").then(|| Self { mutant: mutant.to_owned(), violates })
        });
        let expected = "a mutant and what it breaks, such as `M01 violates INV-05`";
        victim.ok_or_else(|| BadValue::Form { expected, found: text.to_owned() })
    }
}

/// Reads ids of invariants with commas between them.
fn ids(text: &str) -> Option<Vec<String>> {
    let ids = text.split(',').map(|id| is_id(id, "INV-").then(|| id.to_owned()));
    ids.collect()
}

/// Whether it is the prefix and two digits.
fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Says what is wrong with the value of a key, where anything is.
pub(super) fn check(key: &str, value: &str) -> Result<(), BadValue> {
    match key {
        "expect" => match value.parse()? {
            Expectation::Pass => Ok(()),
            Expectation::Violates(ids) => check_invariants(&ids),
        },
        "mutant" => {
            let Victim { mutant, violates } = value.parse()?;
            let known = mutant.parse::<Mutant>();
            known.map_err(|_| BadValue::Mutant(mutant))?;
            check_invariants(&violates)
        }
        _ => Ok(()),
    }
}

fn check_invariants(ids: &[String]) -> Result<(), BadValue> {
    let is_known = |id: &&String| {
        ALL.iter().any(|invariant| invariant.id == *id) || OF_THE_MODEL.contains(&id.as_str())
    };
    match ids.iter().find(|id| !is_known(id)) {
        None => Ok(()),
        Some(id) => Err(BadValue::Invariant(id.clone())),
    }
}

impl Timeline {
    /// Returns what the invariants are to find; where the header does not say, nothing.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        let said = self.values("expect").next().and_then(|value| value.parse().ok());
        said.unwrap_or(Expectation::Pass)
    }

    /// Returns the mutants that this timeline must kill.
    pub fn victims(&self) -> impl Iterator<Item = Victim> {
        self.values("mutant").filter_map(|value| value.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectation, Victim};

    #[test]
    fn values_are_read_in_their_form_alone() {
        let both = vec!["INV-05".to_owned(), "INV-17".to_owned()];
        assert_eq!("pass".parse(), Ok(Expectation::Pass));
        assert_eq!("violates INV-05,INV-17".parse(), Ok(Expectation::Violates(both.clone())));
        let victim = Victim { mutant: "M01".to_owned(), violates: both };
        assert_eq!("M01 violates INV-05,INV-17".parse(), Ok(victim));
        for text in ["", "fail", "violates", "violates INV-5", "violates INV-05, INV-17"] {
            assert!(text.parse::<Expectation>().is_err(), "{text}");
        }
        for text in ["M01", "M1 violates INV-05", "M01 violates", "INV-05"] {
            assert!(text.parse::<Victim>().is_err(), "{text}");
        }
    }
}
