//! What somebody looks for, in the language of the index of words.
//!
//! Nothing that was typed reaches the index as it is: everything is a quoted string there, in which
//! no character means anything.

use std::str::FromStr;

/// Bytes of a query, at most.
pub const QUERY_BYTES_MAX: usize = 1_024;

/// Words and phrases of a query, at most.
pub const QUERY_TERMS_MAX: usize = 32;

/// What is looked for in conversations: all of its words, in any order.
///
/// A word finds all that begin like it, unless it is a single letter or digit of ASCII. `"Several words"` in
/// quotes are found as they stand, one after the other. What has `-` before it must not be there, as
/// a whole word or phrase. A `*` behind a word or a phrase means whatever begins like it, wherever it
/// stands. Capital letters and accents make no difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query(String);

/// Why nothing can be looked for. Its text is a sentence for the user.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// There is no letter and no digit in it.
    #[error("there is no word to look for: give at least one, such as `timeout`")]
    NoWord,
    /// It only says what must not be there.
    #[error("it only says what is not to be found: give at least one word without a `-` before it")]
    OnlyExclusions,
    /// It is too long.
    #[error("that is too long to look for: {QUERY_BYTES_MAX} bytes at most")]
    TooLong,
    /// It has too many words.
    #[error("those are too many words to look for: {QUERY_TERMS_MAX} at most")]
    TooManyTerms,
}

impl Query {
    /// Returns it in the language of the index.
    pub(super) fn as_expression(&self) -> &str {
        &self.0
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong);
        }
        let terms: Vec<Term> = Terms { rest: text }.filter(|term| has_word(&term.text)).collect();
        if terms.len() > QUERY_TERMS_MAX {
            return Err(QueryError::TooManyTerms);
        }
        let (excluded, wanted): (Vec<_>, Vec<_>) = terms.iter().partition(|term| term.is_excluded);
        if wanted.is_empty() {
            return Err(match excluded.is_empty() {
                true => QueryError::NoWord,
                false => QueryError::OnlyExclusions,
            });
        }
        let wanted: Vec<String> = wanted.into_iter().map(Term::as_expression).collect();
        let mut expression = wanted.join(" ");
        for term in excluded {
            expression = format!("({expression}) NOT {}", term.as_expression());
        }
        Ok(Self(expression))
    }
}

/// One word or phrase.
#[derive(Debug, Eq, PartialEq)]
struct Term {
    text: String,
    is_excluded: bool,
    /// Whether it finds what only begins like it.
    is_beginning: bool,
}

impl Term {
    /// A quoted string of the index's language; a quote in it is written twice. It ends at the first
    /// byte that is zero, so there must be none.
    ///
    /// Source: <https://sqlite.org/fts5.html#fts5_strings>.
    fn as_expression(&self) -> String {
        let text = self.text.replace('\0', " ").replace('"', "\"\"");
        let star = if self.is_beginning { " *" } else { "" };
        format!("\"{text}\"{star}")
    }
}

/// Cuts a query into its terms.
struct Terms<'text> {
    rest: &'text str,
}

impl Iterator for Terms<'_> {
    type Item = Term;

    fn next(&mut self) -> Option<Term> {
        let mut rest = self.rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let is_excluded = rest.starts_with('-');
        if is_excluded {
            rest = &rest[1..];
        }
        let is_quoted = rest.starts_with('"');
        let text;
        if is_quoted {
            // A quote that nobody closes goes on to the end.
            (text, rest) = rest[1..].split_once('"').unwrap_or_else(|| (&rest[1..], ""));
        } else {
            let ends = |character: char| character.is_whitespace() || character == '"';
            (text, rest) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        }
        let has_star = if is_quoted { rest.starts_with('*') } else { text.ends_with('*') };
        if is_quoted && has_star {
            rest = &rest[1..];
        }
        self.rest = rest;
        let is_beginning = has_star || (!is_quoted && !is_excluded && text.len() > 1);
        Some(Term { text: text.to_owned(), is_excluded, is_beginning })
    }
}

/// Says whether something in it is a word for the index.
fn has_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::{QUERY_BYTES_MAX, QUERY_TERMS_MAX, Query, QueryError};

    fn check(text: &str, expression: &str) {
        assert_eq!(text.parse(), Ok(Query(expression.to_owned())), "{text}");
    }

    #[test]
    fn words_phrases_and_exclusions_are_told_apart() {
        check("timeout", r#""timeout" *"#);
        check("  two\twords ", r#""two" * "words" *"#);
        check(r#""a phrase""#, r#""a phrase""#);
        check(r#"x "a phrase" y"#, r#""x" "a phrase" "y""#);
        check("keep -drop", r#"("keep" *) NOT "drop""#);
        check(r#"-"not this" keep -that"#, r#"(("keep" *) NOT "not this") NOT "that""#);
        check(r#"begin* "a phr"* -not*"#, r#"("begin*" * "a phr" *) NOT "not*" *"#);
    }

    #[test]
    fn what_means_something_to_the_index_is_text() {
        check("a AND b", r#""a" "AND" * "b""#);
        check("text:x", r#""text:x" *"#);
        check("NEAR(a b)", r#""NEAR(a" * "b)" *"#);
        check("^begin {", r#""^begin" *"#);
        check("nul\0byte", "\"nul byte\" *");
        check(r#"open "quote to the end"#, r#""open" * "quote to the end""#);
        check(r#"glued"to it""#, r#""glued" * "to it""#);
        assert_eq!("--twice".parse::<Query>(), Err(QueryError::OnlyExclusions));
    }

    #[test]
    fn what_cannot_be_looked_for_is_told() {
        for text in ["", "  ", "\"\"", "!! -- *", "-"] {
            assert_eq!(text.parse::<Query>(), Err(QueryError::NoWord), "{text}");
        }
        assert_eq!("-only -this".parse::<Query>(), Err(QueryError::OnlyExclusions));
        let many = "w ".repeat(QUERY_TERMS_MAX + 1);
        assert_eq!(many.parse::<Query>(), Err(QueryError::TooManyTerms));
        let long = "w".repeat(QUERY_BYTES_MAX + 1);
        assert_eq!(long.parse::<Query>(), Err(QueryError::TooLong));
    }
}
