//! A session's conversation as text for people: who said what, what was done, what it cost.

use std::io::Write;

use anstyle::{AnsiColor, Effects, Style};
use candor_core::status::Status;
use serde_json::Value;

use super::CliError;
use super::reach::Reach;
use super::terminal::{clean, clean_line};
use crate::api::{MessageView, MessagesView, TurnUsageView};
use crate::client::Lines;

/// Lines of a tool's result or of a thought that are shown, at most.
const SHORT_LINES_MAX: usize = 6;

/// Characters of such a line, and of what a tool is given.
const LINE_CHARS_MAX: usize = 200;

/// Pieces that are asked for at one time.
const PAGE_ITEMS: u32 = 200;

/// What a tool is given under these names says enough of it.
const TELLING: [&str; 8] =
    ["command", "cmd", "file_path", "path", "pattern", "query", "url", "description"];

/// Prints a session's conversation, to its end or to what there is now. It goes on where it was when
/// the daemon goes away meanwhile. Returns how many pieces it had.
///
/// # Errors
///
/// [`CliError::OutputClosed`] when nobody reads any more.
pub(super) async fn show(
    reach: &Reach,
    id: &str,
    status: Status,
    follow: bool,
) -> Result<u64, CliError> {
    let mut cursor = 0;
    let path = format!("{}/messages?limit={PAGE_ITEMS}", super::path_of(id));
    // Of one that has ended, the last piece may not have been put down yet, and is waited for.
    let follow = follow || status.is_terminal();
    reach
        .ask(async |client, progress| {
            if follow {
                let path = format!("{path}&follow=true&after={cursor}");
                let mut lines = Lines::new(client.open(&path).await?);
                while let Some(line) = lines.next().await? {
                    let message: MessageView = serde_json::from_slice(&line).map_err(|error| {
                        CliError::Own(format!("a piece of it cannot be read: {error}"))
                    })?;
                    progress.made();
                    cursor = message.seq;
                    print(vec![message]).await?;
                }
                return Ok(());
            }
            loop {
                let page: MessagesView = client.get(&format!("{path}&after={cursor}")).await?;
                progress.made();
                cursor = page.next;
                print(page.items).await?;
                if page.at_end {
                    return Ok(());
                }
            }
        })
        .await?;
    Ok(cursor)
}

/// Whoever should read it may not, and Ctrl-C must be heard meanwhile.
async fn print(messages: Vec<MessageView>) -> Result<(), CliError> {
    let writing = tokio::task::spawn_blocking(move || {
        let mut out = anstream::stdout();
        messages.iter().try_for_each(|message| write(&mut out, message))?;
        out.flush()
    });
    Ok(writing.await.map_err(std::io::Error::other)??)
}

/// Writes one piece. All of its text is the agent's, and is cleaned.
fn write(out: &mut impl Write, message: &MessageView) -> std::io::Result<()> {
    const DIM: Style = Style::new().effects(Effects::DIMMED);

    // What a sub-agent says stands further in.
    let margin = if message.within.is_some() { "    " } else { "" };
    match message.kind.as_str() {
        "tool_call" => {
            let style = colour(AnsiColor::Cyan);
            let tool = clean_line(message.tool.as_deref().unwrap_or("tool"), LINE_CHARS_MAX);
            let given = clean_line(&given(&message.text), LINE_CHARS_MAX);
            writeln!(out, "{margin}{style}→ {tool}{style:#} {given}")
        }
        "tool_result" => {
            let style = if message.is_error { colour(AnsiColor::Red) } else { DIM };
            write_short(out, message, &format!("{margin}  "), style)
        }
        "thinking" => {
            writeln!(out, "{margin}{DIM}thinking:{DIM:#}")?;
            write_short(out, message, &format!("{margin}  "), DIM)
        }
        "turn_end" => {
            let style = if message.is_error { colour(AnsiColor::Red) } else { DIM };
            let said = match clean_line(&message.text, LINE_CHARS_MAX) {
                said if said.is_empty() => said,
                said => format!(": {said}"),
            };
            let used = message.usage.as_ref().map(used).unwrap_or_default();
            writeln!(out, "{margin}{style}— end of turn{said}{used}{style:#}\n")
        }
        "notice" => {
            let style = colour(AnsiColor::Yellow);
            write_short(out, message, &format!("{margin}! "), style)
        }
        _ => {
            let (name, style) = match message.role.as_str() {
                "user" => ("user", colour(AnsiColor::Green)),
                "assistant" => ("assistant", colour(AnsiColor::Blue)),
                role => (role, Style::new()),
            };
            let style = style.effects(Effects::BOLD);
            writeln!(out, "{margin}{style}{}:{style:#}", clean_line(name, LINE_CHARS_MAX))?;
            for line in clean(&message.text).trim_end().lines() {
                writeln!(out, "{}", format!("{margin}{line}").trim_end())?;
            }
            if message.is_cut {
                writeln!(out, "{margin}{DIM}[candor: cut here; `--raw` shows all of it]{DIM:#}")?;
            }
            writeln!(out)
        }
    }
}

const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(colour)))
}

/// Writes the first lines of a text, and how many more there are.
fn write_short(
    out: &mut impl Write,
    message: &MessageView,
    margin: &str,
    style: Style,
) -> std::io::Result<()> {
    let text = clean(&message.text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    for line in lines.iter().take(SHORT_LINES_MAX) {
        writeln!(out, "{margin}{style}{}{style:#}", clean_line(line, LINE_CHARS_MAX))?;
    }
    match lines.len().saturating_sub(SHORT_LINES_MAX) {
        0 if message.is_cut => writeln!(out, "{margin}{style}…{style:#}"),
        0 => Ok(()),
        1 => writeln!(out, "{margin}{style}… 1 more line{style:#}"),
        more => writeln!(out, "{margin}{style}… {more} more lines{style:#}"),
    }
}

/// Returns what says most of what a tool is given, or all of it.
fn given(input: &str) -> String {
    let Ok(Value::Object(object)) = serde_json::from_str::<Value>(input) else {
        return input.to_owned();
    };
    let telling = TELLING.iter().find_map(|name| object.get(*name));
    match telling {
        Some(Value::String(text)) => text.clone(),
        Some(_) | None => Value::Object(object).to_string(),
    }
}

/// Tells tokens and cost of a turn.
fn used(usage: &TurnUsageView) -> String {
    let tokens = usage.tokens;
    let cached = match tokens.cached_tokens {
        0 => String::new(),
        cached => format!(" and {cached} cached"),
    };
    let cost = usage.cost_usd.map(|cost| format!(", ${cost:.4}")).unwrap_or_default();
    format!(" ({}{cached} tokens in, {} out{cost})", tokens.input_tokens, tokens.output_tokens)
}

#[cfg(test)]
mod tests {
    use candor_core::agent::Usage;
    use expect_test::expect;

    use super::write;
    use crate::api::{MessageView, TurnUsageView};

    fn message(role: &str, kind: &str, text: &str) -> MessageView {
        MessageView {
            seq: 1,
            offset: 0,
            length: 0,
            part: 0,
            role: role.to_owned(),
            kind: kind.to_owned(),
            text: text.to_owned(),
            is_cut: false,
            tool: None,
            call: None,
            is_error: false,
            within: None,
            at: None,
            model: None,
            usage: None,
        }
    }

    fn shown(messages: &[MessageView]) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        messages.iter().for_each(|message| write(&mut out, message).unwrap());
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn a_conversation_is_shown_as_text() {
        let tool = Some("Bash".to_owned());
        let long: String = (1..=9).map(|line| format!("file {line}\n")).collect();
        let tokens = Usage { input_tokens: 12, cached_tokens: 3_400, output_tokens: 56 };
        let usage = Some(TurnUsageView { tokens, cost_usd: Some(0.0123) });
        let text = shown(&[
            message("user", "text", "Which files\nare there?\n"),
            message("assistant", "thinking", "I should look."),
            MessageView {
                tool: tool.clone(),
                ..message("assistant", "tool_call", r#"{"command":"ls -a\ncat x","timeout":5}"#)
            },
            message("tool", "tool_result", &long),
            MessageView { tool, ..message("assistant", "tool_call", r#"{"odd":[1]}"#) },
            MessageView { is_error: true, ..message("tool", "tool_result", "denied") },
            message("system", "notice", "rate limit, tried again in 5 s"),
            MessageView {
                within: Some("call".to_owned()),
                ..message("assistant", "text", "I am a sub-agent.")
            },
            MessageView { is_cut: true, ..message("assistant", "text", "Nine.") },
            MessageView { usage, ..message("system", "turn_end", "success") },
        ]);
        expect![[r#"
            user:
            Which files
            are there?

            thinking:
              I should look.
            → Bash ls -a cat x
              file 1
              file 2
              file 3
              file 4
              file 5
              file 6
              … 3 more lines
            → Bash {"odd":[1]}
              denied
            ! rate limit, tried again in 5 s
                assistant:
                I am a sub-agent.

            assistant:
            Nine.
            [candor: cut here; `--raw` shows all of it]

            — end of turn: success (12 and 3400 cached tokens in, 56 out, $0.0123)

        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn no_control_character_of_an_agent_is_written() {
        let evil = "a\x1b]0;title\x07b\u{9b}2J\u{202e}c\r\x08";
        for kind in ["text", "thinking", "tool_call", "tool_result", "turn_end", "notice"] {
            let evil_message = MessageView {
                tool: Some(evil.to_owned()),
                ..message(evil, kind, &format!("{{\"command\":{evil:?}}}\n{evil}"))
            };
            let mut out = anstream::StripStream::new(Vec::new());
            write(&mut out, &evil_message).unwrap();
            let text = String::from_utf8(out.into_inner()).unwrap();
            let bad = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(bad, None, "{kind}: {text:?}");
            assert!(!text.contains('\u{202e}'), "{kind}: {text:?}");
        }
    }
}
