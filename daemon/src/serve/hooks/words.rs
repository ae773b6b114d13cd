//! Which events a hook wants, in the words of the event log.

use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::verdict::LostReason;

use crate::api::{EventKind, EventView};

/// What is wanted when nothing is said.
pub(crate) const DEFAULT_WORDS: [&str; 4] = ["completed", "failed", "lost", "waiting_input"];

/// Every change, also those that keep the status.
const ALL: &str = "all";

/// The removal of a session.
const REMOVED: &str = "removed";

/// How sessions can end, beside the reasons for which one is lost.
const OUTCOMES: [&str; 10] = [
    "succeeded",
    "interrupted",
    "timed_out",
    "spawn",
    "agent_error",
    "no_report",
    "oom_kill",
    "signal",
    "core_dump",
    "exit_code",
];

/// What a hook wants to be told of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    words: Vec<String>,
    session: Option<SessionId>,
}

impl Words {
    /// Takes words as they are.
    pub(crate) const fn new(words: Vec<String>, session: Option<SessionId>) -> Self {
        Self { words, session }
    }

    /// Says whether an event is wanted.
    pub(super) fn match_event(&self, event: &EventView, session: SessionId) -> bool {
        if self.session.is_some_and(|wanted| wanted != session) {
            return false;
        }
        self.words.iter().any(|word| is_about(word, event))
    }
}

fn is_about(word: &str, event: &EventView) -> bool {
    if word == ALL {
        return true;
    }
    match event.kind {
        EventKind::StatusChanged => {
            let is_status = event.to.is_some_and(|to| to.as_str() == word);
            is_status || event.outcome.as_deref() == Some(word)
        }
        EventKind::SessionChanged => false,
        EventKind::SessionRemoved => word == REMOVED,
    }
}

/// Returns all words that there are.
fn known() -> impl Iterator<Item = &'static str> {
    let statuses = Status::ALL.into_iter().map(Status::as_str);
    let lost = LostReason::ALL.into_iter().map(LostReason::as_str);
    [ALL, REMOVED].into_iter().chain(statuses).chain(OUTCOMES).chain(lost)
}

/// Returns the words without repetitions, or those of [`DEFAULT_WORDS`] where there are none.
///
/// # Errors
///
/// A sentence that names a word that is none, and those that there are.
pub(crate) fn check(words: Vec<String>) -> Result<Vec<String>, String> {
    let mut checked: Vec<String> = Vec::new();
    for word in words {
        if !known().any(|known| known == word) {
            let all: Vec<&str> = known().collect();
            let word: String = word.chars().take(40).collect();
            return Err(format!("no such word: {word:?}; use some of {}", all.join(", ")));
        }
        if !checked.contains(&word) {
            checked.push(word);
        }
    }
    if checked.is_empty() {
        checked = DEFAULT_WORDS.into_iter().map(str::to_owned).collect();
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use candor_core::session::SessionId;
    use candor_core::status::Status;
    use candor_core::stop::StopKind;
    use candor_core::verdict::{Completion, Failure, LostReason, SpawnStage, Verdict};

    use super::{OUTCOMES, Words, check};
    use crate::api::{EventKind, EventView};

    fn event(kind: EventKind, to: Option<Status>, outcome: Option<&str>) -> EventView {
        EventView {
            seq: 1,
            session: String::new(),
            revision: 1,
            at: String::new(),
            kind,
            from: Some(Status::Running),
            to,
            cause: String::new(),
            by: String::new(),
            outcome: outcome.map(str::to_owned),
        }
    }

    #[test]
    fn words_find_the_statuses_and_outcomes_that_they_name() {
        let session = SessionId::from_uuid(uuid());
        let ended = event(EventKind::StatusChanged, Some(Status::Completed), Some("interrupted"));
        let asks = event(EventKind::StatusChanged, Some(Status::WaitingInput), None);
        let rung = event(EventKind::SessionChanged, Some(Status::Completed), None);
        let removed = event(EventKind::SessionRemoved, None, None);
        for (word, expected) in [
            ("completed", [true, false, false, false]),
            ("interrupted", [true, false, false, false]),
            ("succeeded", [false, false, false, false]),
            ("waiting_input", [false, true, false, false]),
            ("removed", [false, false, false, true]),
            ("all", [true, true, true, true]),
        ] {
            let words = Words::new(vec![word.to_owned()], None);
            let found =
                [&ended, &asks, &rung, &removed].map(|event| words.match_event(event, session));
            assert_eq!(found, expected, "{word}");
        }
        let other = Words::new(vec!["all".to_owned()], Some(session));
        assert!(other.match_event(&ended, session));
        assert!(!other.match_event(&ended, SessionId::from_uuid(other_uuid())));
    }

    fn uuid() -> uuid::Uuid {
        uuid::Uuid::from_u128(1)
    }

    fn other_uuid() -> uuid::Uuid {
        uuid::Uuid::from_u128(2)
    }

    #[test]
    fn every_way_to_end_has_its_word() {
        let completions = [Completion::Succeeded, Completion::Interrupted(StopKind::Kill)]
            .map(Verdict::Completed);
        let failures = [
            Failure::TimedOut,
            Failure::Spawn { stage: SpawnStage::Exec, errno: 2 },
            Failure::NeverRan,
            Failure::AgentError,
            Failure::NoReport,
            Failure::OomKill,
            Failure::Signal(9),
            Failure::CoreDump(11),
            Failure::ExitCode(1),
        ]
        .map(Verdict::Failed);
        for verdict in completions.into_iter().chain(failures) {
            assert!(OUTCOMES.contains(&verdict.outcome()), "{verdict}");
        }
        for reason in LostReason::ALL {
            let word = Verdict::Lost(reason).outcome().to_owned();
            assert_eq!(check(vec![word.clone()]), Ok(vec![word]));
        }
    }

    #[test]
    fn words_that_are_none_are_named() {
        assert_eq!(check(Vec::new()).unwrap(), super::DEFAULT_WORDS);
        let twice = ["failed", "failed"].map(str::to_owned).to_vec();
        assert_eq!(check(twice).unwrap(), ["failed"]);
        let error = check(vec!["done".to_owned()]).unwrap_err();
        assert!(error.contains("\"done\"") && error.contains("waiting_input"), "{error}");
    }
}
