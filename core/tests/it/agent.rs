//! Small things of what core knows of agents.

use candor_core::agent::{Asked, cut};
use proptest::prelude::{prop_assert, proptest};

/// What an agent asks in the line at this offset.
pub(crate) fn asked(offset: u64, command: &str) -> Asked {
    Asked {
        agent_id: format!("request {offset}"),
        tool: "Bash".to_owned(),
        summary: command.to_owned(),
        command: Some(command.to_owned()),
        paths: Vec::new(),
        digest: format!("{offset:064x}"),
        offset,
        length: 1,
    }
}

proptest! {
    #[test]
    fn a_cut_text_is_the_longest_beginning_that_fits(text in "\\PC{0,30}", bytes_max in 0_usize..40) {
        let short = cut(&text, bytes_max);
        prop_assert!(text.starts_with(&short) && short.len() <= bytes_max);
        let next = text[short.len()..].chars().next();
        prop_assert!(next.is_none_or(|next| short.len() + next.len_utf8() > bytes_max));
    }
}
