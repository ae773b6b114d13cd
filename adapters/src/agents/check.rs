//! Checks of what a user may order of an agent: every value that ends up among its arguments.

use std::borrow::Cow;

use candor_core::bytes::ByteString;

use super::{PROMPT_BYTES_MAX, PlanError, line};

/// Bytes of a model's name and the like, at most.
const WORD_BYTES_MAX: usize = 256;

/// Bytes of a wrong value that are repeated in the sentence about it, at most.
const SHOWN_BYTES_MAX: usize = 64;

/// Says whether there is a prompt, or a further message, and not too much of it.
///
/// # Errors
///
/// When there is none, when it is longer than [`PROMPT_BYTES_MAX`], or when a NUL is in it.
pub fn prompt(prompt: &str) -> Result<(), PlanError> {
    if prompt.trim().is_empty() {
        return Err(PlanError(Cow::Borrowed("the prompt is empty: say what is to be done")));
    }
    if prompt.len() > PROMPT_BYTES_MAX {
        let (bytes, kib) = (prompt.len(), PROMPT_BYTES_MAX / 1024);
        return Err(PlanError(Cow::Owned(format!(
            "the prompt has {bytes} bytes, and {kib} KiB are the most: put it into a file, and tell \
             the agent to read that",
        ))));
    }
    if prompt.contains('\0') {
        return Err(PlanError(Cow::Borrowed("the prompt has a NUL byte: leave it out")));
    }
    Ok(())
}

/// Says whether a value can be the name of something: of a model, of an agent's session. `what` says
/// in the sentence what it is.
///
/// # Errors
///
/// When it is empty, longer than 256 bytes, begins with a hyphen, or has a character in it that no
/// such name has.
pub(crate) fn word(what: &str, value: &str) -> Result<(), PlanError> {
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+,=~[]".contains(&byte);
    let wrong = if value.is_empty() {
        "it is empty".to_owned()
    } else if value.len() > WORD_BYTES_MAX {
        format!("it is longer than {WORD_BYTES_MAX} bytes")
    } else if value.starts_with('-') {
        "it begins with a hyphen".to_owned()
    } else if !value.bytes().all(is_of_names) {
        "only letters, digits and - _ . : / @ + , = ~ [ ] can be in it".to_owned()
    } else {
        return Ok(());
    };
    Err(PlanError(Cow::Owned(format!("{what} cannot be `{}`: {wrong}", shown(value)))))
}

/// Says whether an agent can be told to stop after so many turns.
///
/// # Errors
///
/// When there is none, or when there are more than `turns_max`.
pub(crate) fn turns(turns: u32, turns_max: u32) -> Result<(), PlanError> {
    if (1..=turns_max).contains(&turns) {
        return Ok(());
    }
    Err(PlanError(Cow::Owned(format!("{turns} turns cannot be the most: say 1 to {turns_max}"))))
}

/// Makes an argument of a text that was checked.
///
/// # Errors
///
/// When a NUL is in it.
pub(crate) fn argument(text: impl Into<Vec<u8>>) -> Result<ByteString, PlanError> {
    ByteString::new(text.into()).map_err(|has_nul| PlanError(Cow::Owned(has_nul.to_string())))
}

/// Returns the beginning of a value, as it can be shown in a sentence: on one line, and nothing that
/// a terminal would act on.
pub(crate) fn shown(value: &str) -> String {
    line::head(value, SHOWN_BYTES_MAX).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_and_nothing_else() {
        for good in ["opus", "claude-opus-4-8[1m]", "anthropic/claude@2025", "a:b", "gpt-5.2"] {
            assert_eq!(word("the model", good), Ok(()), "{good}");
        }
        let long = "a".repeat(257);
        let bad = ["", "-p", "--model=x", "a b", "a\nb", "a;b", "a\"b", "é", "a\0b", "$x", &long];
        for bad in bad {
            let PlanError(sentence) = word("the model", bad).expect_err(bad);
            assert!(sentence.starts_with("the model cannot be `"), "{sentence}");
            assert!(!sentence.contains(['\n', '\0']), "{sentence}");
        }
    }

    #[test]
    fn a_prompt_is_there_and_not_too_long() {
        assert_eq!(prompt("-p"), Ok(()));
        assert_eq!(prompt(&"x".repeat(PROMPT_BYTES_MAX)), Ok(()));
        assert!(prompt(" \n").unwrap_err().0.contains("empty"));
        assert!(prompt(&"x".repeat(10 << 20)).unwrap_err().0.contains("512 KiB"));
        assert!(prompt("a\0b").unwrap_err().0.contains("NUL"));
    }

    #[test]
    fn turns_are_counted_from_one() {
        assert_eq!(turns(1, 10), Ok(()));
        assert_eq!(turns(10, 10), Ok(()));
        assert!(turns(0, 10).is_err());
        assert!(turns(11, 10).is_err());
    }
}
