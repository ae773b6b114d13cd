//! What all readers need of a line: text out of bytes, texts of bounded size, and the digest of what
//! is asked.

use std::borrow::Cow;
use std::fmt::Write as _;

use candor_core::agent::SUMMARY_BYTES_MAX;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Reads a line as text. What is no UTF-8 is replaced, so that a stray byte in a tool's output does
/// not hide what the line says.
pub(crate) fn text(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line)
}

/// Says whether a line can be a JSON object. Agents print other lines between theirs: warnings of a
/// runtime, what a hook printed.
pub(crate) fn may_be_object(line: &[u8]) -> bool {
    line.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Says whether there is nothing on a line.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// Returns the beginning of a text, at most `bytes_max` bytes, in whole characters.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Returns the end of a text, at most `bytes_max` bytes, in whole characters.
pub(crate) fn tail(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// Returns a text, cut at `bytes_max` bytes, and whether it had to be cut.
pub(crate) fn cut(text: &str, bytes_max: usize) -> (String, bool) {
    let head = head(text, bytes_max);
    (head.to_owned(), head.len() < text.len())
}

/// What says that a summary is not all, in bytes at most.
const SUMMARY_MARK_BYTES_MAX: usize = 96;

/// Returns what is shown of a request. Where that is not all of it, it says so, for nobody is to approve
/// what he takes for the whole.
pub(crate) fn summary(text: &str) -> String {
    let head = head(text, SUMMARY_BYTES_MAX - SUMMARY_MARK_BYTES_MAX);
    if head.len() == text.len() {
        return text.to_owned();
    }
    format!("{head}\n[candor: this is not all of it, which has {} bytes]", text.len())
}

/// Returns the SHA-256, in hexadecimal, of what a tool is to be used for: of its name and its input as
/// canonical JSON, in which the keys of every object are sorted and nothing is between them.
pub(crate) fn digest(tool: &str, input: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(Value::from(tool).to_string());
    // What ends a string ends the name: no name can be continued by an input.
    write_canonical(input, &mut hash);
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Feeds a value to a hash. A value that was read is at most 128 levels deep, the limit of its parser.
fn write_canonical(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            hash.update("{");
            for (key, value) in members {
                hash.update(Value::from(key.as_str()).to_string());
                hash.update(":");
                write_canonical(value, hash);
                hash.update(",");
            }
            hash.update("}");
        }
        Value::Array(elements) => {
            hash.update("[");
            for element in elements {
                write_canonical(element, hash);
                hash.update(",");
            }
            hash.update("]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            hash.update(value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_all_of_a_request_says_so() {
        assert_eq!(summary("touch a"), "touch a");
        let long = format!("echo harmless{}; touch a", " ".repeat(2_500));
        let shown = summary(&long);
        assert!(shown.contains("not all of it") && shown.contains("2522 bytes"), "{shown}");
        assert!(shown.len() <= SUMMARY_BYTES_MAX);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("aé", 3), "aé");
        assert_eq!(tail("éa", 2), "a");
        assert_eq!(tail("éa", 3), "éa");
        assert_eq!(cut("abc", 2), ("ab".to_owned(), true));
        assert_eq!(cut("abc", 3), ("abc".to_owned(), false));
    }

    #[test]
    fn a_stray_byte_is_replaced() {
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn the_order_of_keys_makes_no_difference_to_a_digest_and_all_else_does() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":[2,{"d":3,"c":4}]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b":[2,{"c":4,"d":3}],"a":1}"#).unwrap();
        assert_eq!(digest("Bash", &one), digest("Bash", &other));
        assert_eq!(digest("Bash", &one).len(), 64);

        let others = [
            digest("Edit", &one),
            digest("Bash", &json!({"a": 1, "b": [2, {"d": 3, "c": "4"}]})),
            digest("Bash", &json!({"a": 1, "b": [{"d": 3, "c": 4}, 2]})),
            digest("Bash", &json!({"a": 1})),
        ];
        for other in others {
            assert_ne!(digest("Bash", &one), other);
        }
    }
}
