//! What makes two failures the same: the invariant, the part that the session plays, and the class
//! of what is the case instead.

use crate::invariants::Violation;
use crate::timeline::Choice;
use crate::trial::Trial;

/// What a failure is known by. A shorter schedule counts only where it has the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// The invariant.
    pub id: &'static str,
    /// The part that the session of the message plays: `launched`, `queued`, or nothing where it
    /// speaks of none.
    pub role: &'static str,
    /// The message without its numbers: the edge, but not which session, process or exit code.
    pub class: String,
}

impl Key {
    /// Returns the key of a breach.
    #[must_use]
    pub fn of(violation: &Violation, trial: &Trial) -> Self {
        let class = class_of(&violation.message);
        Self { id: violation.id, role: role_of(&violation.message, trial), class }
    }

    /// Returns the breach of a run that has this key.
    #[must_use]
    pub fn find<'a>(&self, trial: &'a Trial) -> Option<&'a Violation> {
        trial.violations.iter().find(|violation| Self::of(violation, trial) == *self)
    }
}

/// Returns a message with every run of digits as one `#`, so that names and codes do not count.
fn class_of(message: &str) -> String {
    let mut class = String::new();
    for letter in message.chars() {
        if !letter.is_ascii_digit() {
            class.push(letter);
        } else if !class.ends_with('#') {
            class.push('#');
        }
    }
    class
}

/// Returns the part of the first session or process that a message names.
fn role_of(message: &str, trial: &Trial) -> &'static str {
    let mut words = message.split(|letter: char| !letter.is_ascii_alphanumeric());
    let Some(session) = words.find_map(|word| session_of(word, trial)) else {
        return "";
    };
    let is_queued = trial.made.iter().any(|made| match &made.choice {
        Choice::Queue { session: queued, .. } => queued.to_string() == session,
        _ => false,
    });
    if is_queued { "queued" } else { "launched" }
}

/// Returns the session that a word names, itself or by its process.
fn session_of(word: &str, trial: &Trial) -> Option<String> {
    let (letter, digits) = word.split_at_checked(1)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match letter {
        "s" => Some(word.to_owned()),
        "p" => {
            let forked = format!("forked {word} of ");
            let records = trial.log.iter().map(|entry| entry.record.to_string());
            let mut sessions =
                records.filter_map(|record| record.strip_prefix(&forked).map(str::to_owned));
            sessions.next()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::class_of;

    #[test]
    fn numbers_do_not_make_a_class() {
        let class = class_of("s1.4 leads from running to failed by exited, code 130");
        assert_eq!(class, "s#.# leads from running to failed by exited, code #");
    }
}
