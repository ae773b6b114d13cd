//! What agents have said beside their reports, as far as it matters later.

use std::collections::{BTreeMap, BTreeSet};

use super::stage::State;
use crate::ghost::Record;
use crate::mutant::Mutant;
use crate::timeline::choice::Word;
use crate::timeline::names::ProcessName;

/// The words that are not done with.
#[derive(Default)]
pub(crate) struct Words {
    /// Final reports that are written and not read.
    unread: BTreeMap<ProcessName, bool>,
    /// Who wrote to its standard error.
    complained: BTreeSet<ProcessName>,
    /// Whose next request has no row in the conversation.
    unstored: BTreeSet<ProcessName>,
    /// Whether the requests of an agent have names, once it has asked for anything.
    has_names: BTreeMap<ProcessName, bool>,
    /// M50: whose output is not read any more.
    deaf: BTreeSet<ProcessName>,
}

impl State {
    /// Lets an agent say something. Only its final report decides anything, and only once it is
    /// read.
    pub(crate) fn say(&mut self, process: ProcessName, word: Word) {
        self.log.push(Record::Said { process, word });
        match word {
            Word::Unread { success } => {
                self.words.unread.insert(process, success);
            }
            Word::Stderr => {
                self.words.complained.insert(process);
            }
            Word::Unstored => {
                self.words.unstored.insert(process);
            }
            Word::Oversized if self.mutants.has(Mutant::M50) => {
                self.words.deaf.insert(process);
            }
            Word::Usage if self.mutants.has(Mutant::M28) => self.read_for_usage(process),
            Word::Oversized | Word::Usage => {}
        }
    }

    /// Says whether an agent may write its final report: it has written none that is not read yet.
    pub(crate) fn may_report(&self, process: ProcessName) -> bool {
        !self.words.unread.contains_key(&process)
    }

    /// Reads the final report that an agent has written, if it is there.
    pub(crate) fn read_report(&mut self, process: ProcessName) -> Option<bool> {
        if self.mutants.has(Mutant::M43) {
            return None;
        }
        self.words.unread.remove(&process)
    }

    /// Says whether the daemon has stopped reading the output of a process.
    pub(crate) fn is_deaf_to(&self, process: ProcessName) -> bool {
        self.words.deaf.contains(&process)
    }

    /// Notes whether the requests of an agent have names. It keeps to that.
    pub(crate) fn note_names(&mut self, process: ProcessName, has_names: bool) {
        self.words.has_names.insert(process, has_names);
    }

    /// Returns whether the requests of an agent have names, once it has asked for anything.
    pub(crate) fn names_requests(&self, process: ProcessName) -> Option<bool> {
        self.words.has_names.get(&process).copied()
    }

    /// Says whether the next request of an agent has a row in the conversation.
    pub(crate) fn take_link(&mut self, process: ProcessName) -> bool {
        !self.words.unstored.remove(&process)
    }

    /// Says whether an agent wrote to its standard error.
    pub(crate) fn has_complained(&self, process: ProcessName) -> bool {
        self.words.complained.contains(&process)
    }
}
