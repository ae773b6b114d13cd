//! `race-sim table`: what each input makes of a session in each status.

use candor_harness::table::Table;
use candor_harness::timeline::load;
use candor_harness::workspace::corpus;

use crate::complain;
use crate::output::{out, outln};

/// What the verb does, for the help.
pub(crate) const HELP: &str = "  race-sim table [--markdown]
      Shows what each input makes of a session in each status, how often the corpus and a fixed set
      of random schedules were there, and where they never were.
        --markdown  as docs/status-table.md has it
";

/// Prints the table, and returns the exit code.
pub(crate) fn run(is_markdown: bool) -> u8 {
    let corpus = match load(&[corpus()]) {
        Ok(corpus) => corpus,
        Err(error) => return complain(&error),
    };
    let mut table = Table::of_machine();
    table.visit(corpus.iter().map(|(_, timeline)| timeline));
    if is_markdown {
        out!("{}", table.markdown());
        return 0;
    }
    out!("{}", table.render());
    let never_hit = table.never_hit();
    outln!("cells in which something changes and which were never hit: {}", never_hit.len());
    never_hit.iter().for_each(|cell| outln!("  {cell}"));
    0
}
