//! What the readers of all agents do alike: lines are parsed, texts are cut, pieces are made.

use candor_core::agent::{SAID_BYTES_MAX, Usage, View};
use candor_core::session::Report;
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer};
use serde_json::value::RawValue;

use super::{Item, ItemKind, Place, Role, TurnUsage, line};

/// Bytes of a sentence in a report or of a trouble, at most.
const SENTENCE_BYTES_MAX: usize = 2_048;

/// Returns what a line of JSON says, or `None` if it is not what was expected.
///
/// Bytes that are no UTF-8 cost their characters and not the line: what a tool printed may hold any.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    match serde_json::from_slice(line) {
        Ok(parsed) => Some(parsed),
        Err(_) if std::str::from_utf8(line).is_err() => {
            serde_json::from_str(&String::from_utf8_lossy(line)).ok()
        }
        Err(_) => None,
    }
}

/// Makes the piece that ends a turn.
pub(super) fn turn_end(place: Place, report: &Report, usage: TurnUsage) -> Item {
    let is_error = !report.success;
    // What was said at a good end stands before it.
    let text = if is_error { report.message.clone() } else { None };
    let text = text.or_else(|| report.kind.clone()).unwrap_or_default();
    let usage = Some(usage);
    Item { is_error, usage, ..Item::new(place, Role::System, ItemKind::TurnEnd, text) }
}

/// Returns the end of what was said, at most [`SAID_BYTES_MAX`].
pub(super) fn last_said(text: &str) -> String {
    line::tail(text, SAID_BYTES_MAX).to_owned()
}

/// Returns the sentence for a person that an error of a provider holds, cut where it is too long.
///
/// Agents pass such errors on as they came: a sentence, or an object of JSON around one.
pub(super) fn sentence(text: &str) -> String {
    /// Objects around the sentence, at most.
    const DEPTH_MAX: usize = 4;

    let mut inner = text.trim().to_owned();
    for _ in 0..DEPTH_MAX {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(&inner) else { break };
        let message = value.get("error").unwrap_or(&value).get("message");
        let Some(message) = message.and_then(serde_json::Value::as_str) else { break };
        inner = message.trim().to_owned();
    }
    line::head(&inner, SENTENCE_BYTES_MAX).to_owned()
}

/// Returns the word for an error by the status of the provider's answer: what a user would have to do
/// about it differs.
pub(super) const fn word_of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => "authentication_failed",
        404 => "not_found",
        429 => "rate_limit",
        _ => "api_error",
    }
}

/// Returns the first line of standard error that holds `sign`, without the codes of a terminal.
pub(super) fn line_with(stderr: &str, sign: &str) -> Option<String> {
    stderr
        .lines()
        .find(|line| line.contains(sign))
        .map(|line| line::head(plain(line).trim(), SENTENCE_BYTES_MAX).to_owned())
}

/// Returns a text without the escape sequences that colour it.
///
/// Source: ECMA-48, 5.4: such a sequence ends with a byte from `@` to `~`.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        let end = sequence.find(|character: char| ('@'..='~').contains(&character));
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    text.push_str(rest);
    text
}

/// Returns the report that an agent was unable to give itself.
pub(super) fn failure(kind: &str, message: String) -> Report {
    Report { kind: Some(kind.to_owned()), message: Some(message), ..Report::default() }
}

/// Adds what a turn used to what the session did.
pub(super) fn add(total: &mut Usage, turn: Usage) {
    total.input_tokens = total.input_tokens.saturating_add(turn.input_tokens);
    total.cached_tokens = total.cached_tokens.saturating_add(turn.cached_tokens);
    total.output_tokens = total.output_tokens.saturating_add(turn.output_tokens);
}

/// Counts a line that says nothing to anybody here.
pub(super) fn count_unknown(view: &mut View) {
    view.learned.lines_unknown = view.learned.lines_unknown.saturating_add(1);
}

/// Takes a part of a line that is worth having and not worth losing the line for: what is not of the
/// expected form is left out.
///
/// # Errors
///
/// That of the deserializer, when the line is no JSON.
pub(super) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Returns the report for what a program says on standard error when it does not even begin: the first
/// of `signs` that is there, with its word. What nobody knows says nothing.
pub(super) fn failure_told(stderr: &str, signs: &[(&str, &str)]) -> Option<Report> {
    signs.iter().find_map(|(sign, word)| Some(failure(word, line_with(stderr, sign)?)))
}

/// Returns a cost in millionths of a dollar. What is negative counts as nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion of floats to integers stops at their bounds"
)]
pub(super) fn microusd(usd: f64) -> u64 {
    const MICROUSD_PER_USD: f64 = 1e6;

    (usd * MICROUSD_PER_USD).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_taken_out_of_what_is_around_it() {
        let sentences = [
            (" plain ", "plain"),
            (r#"{"error":{"message":"down","code":503}}"#, "down"),
            (r#"{"message":"{\"error\":{\"message\":\"deep\"}}"}"#, "deep"),
            (r#"{"error":"odd"}"#, r#"{"error":"odd"}"#),
            ("[]", "[]"),
        ];
        for (text, expected) in sentences {
            assert_eq!(sentence(text), expected);
        }
        assert_eq!(sentence(&"é".repeat(SENTENCE_BYTES_MAX)).len(), SENTENCE_BYTES_MAX);
    }

    #[test]
    fn colours_are_left_out_and_what_is_torn_is_no_trouble() {
        let lines = [
            ("\u{1b}[91m\u{1b}[1mError: \u{1b}[0mno", "Error: no"),
            ("a\u{1b}[", "a"),
            ("a\u{1b}[1", "a"),
            ("a\u{1b}b", "a\u{1b}b"),
        ];
        for (line, expected) in lines {
            assert_eq!(plain(line), expected);
        }
    }

    #[test]
    fn a_cost_is_counted_in_millionths() {
        let costs =
            [(0.0, 0), (0.0125, 12_500), (-1.0, 0), (f64::NAN, 0), (f64::INFINITY, u64::MAX)];
        for (usd, expected) in costs {
            assert_eq!(microusd(usd), expected);
        }
    }
}
