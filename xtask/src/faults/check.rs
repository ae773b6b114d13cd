//! Holds lists of what can go wrong against the tests that show it.

use std::collections::BTreeSet;

use super::list::{Fault, Shown};
use super::{is_of, names_of_tests, tests_in};

/// Holds a list against the tests that there are: each of its lines has a test or a reason, and each
/// test of the suite is of a line.
#[track_caller]
pub(crate) fn check_list(list: &[Fault], suite: &str) {
    let tests = names_of_tests(&crate::source::Sources::read(&crate::root()).unwrap(), suite);
    let unique: BTreeSet<&String> = tests.iter().collect();
    assert_eq!(unique.len(), tests.len(), "two tests have one name");
    for test in &tests {
        assert!(list.iter().any(|fault| is_of(test, fault)), "{test} begins with the id of none");
    }
    for fault in list {
        let of_it = tests.iter().filter(|test| is_of(test, fault)).count();
        match &fault.shown {
            Shown::Here => assert!(of_it > 0, "{} has no test in the suite", fault.id),
            Shown::There(_) | Shown::Not(_) => {
                assert_eq!(of_it, 0, "{} has a test in the suite: list it as that", fault.id);
            }
        }
        if let Shown::There(elsewhere) = &fault.shown {
            assert!(!elsewhere.is_empty(), "{}", fault.id);
            for (path, name) in *elsewhere {
                let text = std::fs::read_to_string(crate::root().join(path));
                let text = text.unwrap_or_else(|error| panic!("{}: {path}: {error}", fault.id));
                // The tests in a browser are a list of names.
                let is_listed = path.ends_with(".mjs") && text.contains(&format!("['{name}',"));
                let is_there = is_listed || tests_in(&text).iter().any(|test| test == name);
                assert!(is_there, "{}: there is no test {name} in {path}", fault.id);
            }
        }
        if let Shown::Not(why) = &fault.shown {
            assert!(!why.is_empty(), "{}", fault.id);
        }
    }
}
