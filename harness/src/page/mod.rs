//! A replay as one page for a browser: lanes, the state at each step, and the timeline to copy.
//!
//! The page reaches nothing outside itself, and a header in it forbids it to. Titles and comments
//! come from anybody, so every text is escaped here, and its script sets text and never markup.

mod lanes;
mod state;

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::failure::Story;
use crate::lanes::place;
use crate::mutant::Mutants;
use crate::shrink::Failing;
use crate::timeline::Timeline;
use crate::trial::{Manner, Trial, schedule_of};

pub use state::{State, state_of};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Makes the page of a timeline, replayed in a world with these mistakes.
#[must_use]
pub fn page(timeline: &Timeline, mutants: Mutants) -> String {
    let ends_fair = timeline.ends_fair() || mutants != Mutants::NONE;
    let manner = Manner { mutants, ends_fair, ..Manner::PLAIN };
    let mut states = Vec::new();
    let trial = Trial::watch(&schedule_of(timeline), manner, |run, _| states.push(state_of(run)));
    let story = Failing::of_timeline(timeline, mutants);
    let story = story.map(|failing| Story::of(timeline.id(), failing));
    let breach = story.as_ref().and_then(|story| story.failing.key.find(&trial));

    let changes = changes(&states);
    let told: Vec<_> = changes
        .iter()
        .map(|changes| {
            changes.iter().map(|change| change.join(": ")).collect::<Vec<_>>().join("; ")
        })
        .collect();

    let name = escaped(&format!("{} {}", timeline.id(), timeline.title()));
    let mut body = format!("<h1>{name}</h1>");
    if mutants != Mutants::NONE {
        let _infallible = write!(body, "<p>in a world that makes the mistake {mutants}</p>");
    }
    if let Some((story, breach)) = story.as_ref().zip(breach) {
        let (told, order) = (escaped(&breach.to_string()), escaped(&story.order.to_string()));
        let _infallible =
            write!(body, "<p class=\"breach\">{told}</p><p class=\"order\">{order}</p>");
    }
    let last = trial.made.len();
    let start = breach.map_or(last, |breach| breach.step.min(last));
    let _infallible = write!(
        body,
        "<div id=\"controls\"><label for=\"slider\">step</label><input id=\"slider\" type=\"range\" \
         min=\"0\" max=\"{last}\" value=\"{start}\" data-start=\"{start}\"><output id=\"words\" \
         for=\"slider\"></output></div><main><div id=\"lanes\">{}</div><aside><h2>State</h2><table><tbody id=\"state\"></tbody></table></aside></main>",
        lanes::draw(&trial, breach, &told)
    );
    body.push_str(&sides(timeline, &trial, mutants));
    body.push_str(&log_table(&trial, breach.map(|breach| breach.step)));
    let _infallible = write!(
        body,
        "<h2>Timeline</h2><p><button id=\"copy\" type=\"button\">copy as timeline</button> <span \
         id=\"copied\" role=\"status\"></span></p><textarea id=\"source\" readonly aria-label=\"the \
         timeline\">{}</textarea>",
        escaped(&timeline.to_string())
    );
    document(&name, &body, &steps(&trial, &changes))
}

/// Puts everything into one document. The rule in it lets nothing in and runs only the one script.
fn document(name: &str, body: &str, steps: &Value) -> String {
    let hash = base64(&Sha256::digest(SCRIPT));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta \
         http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'sha256-{hash}'\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{name}</title><style>{STYLE}</style></head><body>{body}\
         <script type=\"application/json\" id=\"data\">{}</script><script>{SCRIPT}</script></body>\
         </html>\n",
        data(steps)
    )
}

/// Returns what each step changes: the name of each thing, and how it is then.
fn changes(states: &[State]) -> Vec<Vec<[String; 2]>> {
    let nothing = State::new();
    let changes = states.iter().enumerate().map(|(step, state)| {
        let before = step.checked_sub(1).and_then(|at| states.get(at)).unwrap_or(&nothing);
        let come = state.iter().filter(|(key, value)| before.get(*key) != Some(*value));
        let gone = before.keys().filter(|key| !state.contains_key(*key));
        let come = come.map(|(key, value)| [key.clone(), value.clone()]);
        come.chain(gone.map(|key| [key.clone(), "at work, or not there".to_owned()])).collect()
    });
    changes.collect()
}

/// Returns what each step says and what it changes, for the script.
fn steps(trial: &Trial, changes: &[Vec<[String; 2]>]) -> Value {
    let steps = changes.iter().enumerate();
    steps
        .map(|(step, changes)| json!({ "words": words(trial, step), "changes": changes }))
        .collect()
}

fn words(trial: &Trial, step: usize) -> String {
    match step.checked_sub(1).and_then(|at| trial.made.get(at)) {
        Some(made) => format!("{step} @{} {}", made.at_ms, made.choice),
        None => "the beginning".to_owned(),
    }
}

/// The same in words, for whoever does not see the drawing.
fn log_table(trial: &Trial, breach: Option<usize>) -> String {
    let mut table = String::from(
        "<details id=\"table\"><summary>The steps as a table</summary><table class=\"log\"><caption>Every step \
         and what came of it</caption><thead><tr><th scope=\"col\">step</th><th \
         scope=\"col\">choice</th><th scope=\"col\">what happened</th></tr></thead><tbody>",
    );
    for (at, made) in trial.made.iter().enumerate() {
        let step = at + 1;
        let records = trial.log.iter().filter(|entry| entry.step == step);
        let records: Vec<_> = records.filter_map(|entry| Some(place(&entry.record)?.1)).collect();
        let mark = if breach == Some(step) { " (here it breaks)" } else { "" };
        let _infallible = write!(
            table,
            "<tr><th scope=\"row\">{step} @{}</th><td>{}{mark}</td><td>{}</td></tr>",
            made.at_ms,
            escaped(&made.choice.to_string()),
            escaped(&records.join("; "))
        );
    }
    table + "</tbody></table></details>"
}

/// The golden block beside the outcome, where they differ.
fn sides(timeline: &Timeline, trial: &Trial, mutants: Mutants) -> String {
    match &timeline.golden {
        Some(golden) if *golden != trial.golden => {
            let is =
                if mutants == Mutants::NONE { "what it came to" } else { "what the mutant does" };
            format!(
                "<h2>Another outcome than was accepted</h2><div class=\"sides\"><div><h2>accepted</h2>\
                 <pre>{}</pre></div><div><h2>{is}</h2><pre>{}</pre></div></div>",
                marked(golden, &trial.golden, "del"),
                marked(&trial.golden, golden, "ins")
            )
        }
        Some(_) | None => String::new(),
    }
}

/// Returns a text in which each line that the other has not is marked.
fn marked(text: &str, other: &str, tag: &str) -> String {
    let lines = text.lines().map(|line| {
        let safe = escaped(line);
        let is_known = other.lines().any(|known| known == line);
        if is_known { safe + "\n" } else { format!("<{tag}>{safe}</{tag}>\n") }
    });
    lines.collect()
}

/// Returns a text that no browser takes for anything else.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Returns data as it may stand inside a script element: no letter of it can end that.
fn data(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Returns bytes in the alphabet that a browser wants hashes in.
///
/// Source: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = ALPHABET[(bits >> shift & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, escaped};

    #[test]
    fn what_is_escaped_has_no_markup_left() {
        assert_eq!(escaped("<a b=\"'&'\">"), "&lt;a b=&quot;&#39;&amp;&#39;&quot;&gt;");
    }

    #[test]
    fn bytes_are_written_as_the_standard_has_it() {
        let texts = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
