//! The lock file: how large each configuration is. A drift means that the model, core or the search
//! has changed, which is to be seen in a review.

use std::collections::BTreeMap;

use super::search::Report;

/// The first line of the file.
const HEADER: &str =
    "# states transitions depth fingerprint-xor, written by `race-sim lock --bless`";

/// The figures of each configuration, by its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lock {
    lines: BTreeMap<String, String>,
}

/// A configuration whose figures are not those that are locked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drift {
    /// Which.
    pub name: String,
    /// What is locked, if anything is.
    pub locked: Option<String>,
    /// What was found.
    pub found: String,
}

impl Lock {
    /// Reads a lock file. Lines that are no figures are left out, and so drift.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| line.split_once(' '));
        Self { lines: pairs.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect() }
    }

    /// Forgets configurations that are no more.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.lines.retain(|name, _| is_kept(name));
    }

    /// Adds or replaces the figures of a search.
    pub fn record(&mut self, report: &Report) {
        self.lines.insert(report.config.name.to_owned(), figures(report));
    }

    /// Returns what is different from what is locked.
    #[must_use]
    pub fn drift(&self, report: &Report) -> Option<Drift> {
        let found = figures(report);
        let locked = self.lines.get(report.config.name);
        (locked != Some(&found)).then(|| Drift {
            name: report.config.name.to_owned(),
            locked: locked.cloned(),
            found,
        })
    }

    /// Returns the file's text.
    #[must_use]
    pub fn render(&self) -> String {
        let lines = self.lines.iter().map(|(name, rest)| format!("{name} {rest}\n"));
        format!("{HEADER}\n{}", lines.collect::<String>())
    }
}

fn figures(report: &Report) -> String {
    let Report { states, transitions, depth, fingerprint_xor, .. } = report;
    format!("{states} {transitions} {depth} {fingerprint_xor:016x}")
}
