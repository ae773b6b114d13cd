//! What a text check has found, the excuses that are accepted, and the one way to report both.

use std::fmt;

use anyhow::{Result, bail};

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the root of the workspace, with `/`.
    pub(crate) path: String,
    /// Counts from 1.
    pub(crate) line: usize,
    /// What is wrong, and what to do instead.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// An exception from a rule.
///
/// It names the file and a piece of the line, not the line's number, so that it survives edits
/// above it.
#[derive(Debug)]
pub(crate) struct Escape {
    pub(crate) path: &'static str,
    /// A piece of the line that breaks the rule.
    pub(crate) piece: &'static str,
    /// Why the rule does not apply there. For the reader of the list: no code looks at it.
    #[expect(dead_code, reason = "read by people")]
    pub(crate) reason: &'static str,
}

/// Removes the findings that `escapes` excuse, and adds one for each escape that excuses nothing.
///
/// `line_of` returns the text of a line, given a path and a number that counts from 1.
pub(crate) fn excuse<'a>(
    findings: Vec<Finding>,
    escapes: &[Escape],
    line_of: impl Fn(&str, usize) -> &'a str,
) -> Vec<Finding> {
    let mut used = vec![false; escapes.len()];
    let mut left = Vec::new();
    for finding in findings {
        let line = line_of(&finding.path, finding.line);
        let escape = escapes
            .iter()
            .position(|escape| escape.path == finding.path && line.contains(escape.piece));
        match escape {
            Some(at) => used[at] = true,
            None => left.push(finding),
        }
    }
    // A stale escape would silently excuse the next offence at the same place.
    for (escape, _) in escapes.iter().zip(used).filter(|(_, used)| !used) {
        let message = format!("nothing needs the escape for `{}`: remove it", escape.piece);
        left.push(Finding::new(escape.path, 0, message));
    }
    left
}

/// Prints the findings of `check` and fails if there are any.
pub(crate) fn report(check: &str, findings: &[Finding]) -> Result<()> {
    for finding in findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        return Ok(());
    }
    let count = findings.len();
    bail!("{check} found {count} place{} to mend", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{Escape, Finding, excuse, report};

    const ESCAPE: [Escape; 1] =
        [Escape { path: "a.rs", piece: "_ => digit", reason: "an integer has no last variant" }];

    #[test]
    fn an_escape_excuses_its_line_and_no_other() {
        let findings = vec![Finding::new("a.rs", 1, "x"), Finding::new("a.rs", 2, "x")];
        let line_of = |_: &str, line| if line == 1 { "    _ => digit," } else { "    _ => other," };
        assert_eq!(excuse(findings, &ESCAPE, line_of), [Finding::new("a.rs", 2, "x")]);
    }

    #[test]
    fn an_escape_that_excuses_nothing_is_a_finding() {
        let left = excuse(Vec::new(), &ESCAPE, |_, _| "");
        assert_eq!(left.len(), 1);
        assert!(left[0].message.contains("remove it"), "{}", left[0]);
    }

    #[test]
    fn any_finding_fails_the_check() {
        assert!(report("tidy", &[]).is_ok());
        let error = report("tidy", &[Finding::new("a.rs", 7, "too long")]).unwrap_err();
        assert_eq!(error.to_string(), "tidy found 1 place to mend");
    }
}
