//! `candor search`: looks for words in what agents and their users said.

use std::io::Write as _;

use anstyle::{Effects, Style};

use super::arguments::Search;
use super::reach::Reach;
use super::terminal::{clean, clean_line, json};
use super::{CliError, complain, encoded};
use crate::api::{HitView, HitsView};
use crate::exit_code;

/// Characters of an agent's own words that are shown, at most.
const WORD_CHARS_MAX: usize = 40;

pub(super) async fn main(arguments: Search) -> Result<u8, CliError> {
    let Search { words, session, limit, json: is_json } = arguments;
    let reach = Reach::open().await?;
    let session = session.map_or_else(String::new, |id| format!("&session={}", encoded(&id)));
    let query = encoded(&words.join(" "));
    let path = format!("/v1/search?q={query}&limit={limit}{session}");
    let found: HitsView = reach.get(&path).await?;
    let mut out = anstream::stdout();
    if is_json {
        let text = serde_json::to_string_pretty(&found)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(out, "{}", json(&text))?;
        return Ok(exit_code::SUCCESS);
    }
    for hit in &found.hits {
        write!(out, "{}", shown(hit))?;
    }
    if found.hits.is_empty() {
        complain(&"nothing that was said has these words");
    } else if found.next.is_some() {
        complain(&"there are more: `--limit` shows more of them");
    }
    Ok(exit_code::SUCCESS)
}

/// Returns a hit as two lines: where it is, and the text around it, which is the agent's.
fn shown(hit: &HitView) -> String {
    const DIM: Style = Style::new().effects(Effects::DIMMED);

    let who = match &hit.tool {
        Some(tool) => format!("{} {}", hit.role, clean_line(tool, WORD_CHARS_MAX)),
        None => clean_line(&hit.role, WORD_CHARS_MAX),
    };
    let at = hit.at.as_deref().map(|at| format!("  {}", clean_line(at, WORD_CHARS_MAX)));
    let (short, seq) = (super::ls::short(&hit.session), hit.seq);
    let at = at.unwrap_or_default();
    format!("{short}  {DIM}{seq:>6}  {who}{at}{DIM:#}\n    {}\n", marked(hit))
}

/// Returns the text around a hit on one line, what was found in bold.
fn marked(hit: &HitView) -> String {
    const BOLD: Style = Style::new().effects(Effects::BOLD);

    let on_one_line = |text: &str| clean(text).replace('\n', " ");
    let mut pieces = Vec::new();
    let mut from = 0;
    for &(begin, end) in &hit.marks {
        let (Some(before), Some(word)) =
            (hit.snippet.get(from..begin), hit.snippet.get(begin..end))
        else {
            break;
        };
        pieces.push(on_one_line(before));
        pieces.push(format!("{BOLD}{}{BOLD:#}", on_one_line(word)));
        from = end;
    }
    pieces.push(on_one_line(hit.snippet.get(from..).unwrap_or_default()));
    pieces.concat()
}

#[cfg(test)]
mod tests {
    use super::shown;
    use crate::api::HitView;

    #[test]
    fn a_hit_shows_its_words_and_nothing_that_a_terminal_acts_on() {
        let snippet = "…a\nlong\u{9b}2J ünd end…".to_owned();
        let begin = snippet.find('ü').unwrap();
        let hit = HitView {
            session: "01979a3e-0000-7000-8000-0000abcd1234".to_owned(),
            seq: 12,
            offset: 0,
            role: "tool".to_owned(),
            kind: "tool_result".to_owned(),
            tool: Some("Ba\x1bsh".to_owned()),
            at: None,
            marks: vec![(begin, begin + "ünd".len()), (900, 901)],
            snippet,
        };
        let text = anstream::adapter::strip_str(&shown(&hit)).to_string();
        let expected = "abcd1234      12  tool Ba\u{fffd}sh\n    …a long\u{fffd}2J ünd end…\n";
        assert_eq!(text, expected);
    }
}
