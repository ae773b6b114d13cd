//! What the command says of itself: all of it, or of one verb.

use candor_harness::model::command;

use crate::codes::{self, USAGE};
use crate::output::errln;
use crate::{compare, convert, explain, import, mutants, next, repl, replay, show, shrink, table};

const INTRODUCTION: &str = "\
race-sim: replays races, and looks for more

  race-sim
      The push tier: replays the corpus, searches, hunts seeded bugs, checks the search and the lock.
";

/// How the paragraph of a verb begins.
const START: &str = "  race-sim ";

/// What every verb says of itself, in order.
fn verbs() -> String {
    let verbs = [
        replay::HELP,
        next::HELP,
        show::HELP,
        shrink::HELP,
        explain::HELP,
        repl::HELP,
        table::HELP,
        compare::HELP,
        convert::HELP,
        import::HELP,
        mutants::HELP,
        command::HELP,
        "  race-sim help [VERB]\n      Says this, or what stands here of one verb.\n",
    ];
    verbs.concat()
}

/// Returns the whole help.
pub(crate) fn whole() -> String {
    [INTRODUCTION, &verbs(), "\n", codes::HELP].concat()
}

/// Returns what the help says of one verb, or `None` where there is no such verb.
pub(crate) fn of(verb: &str) -> Option<String> {
    let (mut found, mut is_its) = (String::new(), false);
    for line in verbs().lines() {
        if let Some(usage) = line.strip_prefix(START) {
            let names = usage.split(' ').next().unwrap_or_default();
            is_its = names.split('|').any(|name| name == verb);
        }
        if is_its {
            found.push_str(line);
            found.push('\n');
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Says what is wrong with the words after a verb and what is right, and returns the exit code.
pub(crate) fn misuse(verb: &str, message: &str) -> u8 {
    let own = of(verb).map_or_else(String::new, |own| format!("\n{own}\n"));
    errln!("race-sim: {message}\n{own}see `race-sim help`");
    USAGE
}
