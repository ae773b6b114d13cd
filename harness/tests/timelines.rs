//! Every timeline of the corpus is a test: replayed twice, judged by every invariant, and compared
//! with its golden block.

use std::fs;
use std::path::Path;

use candor_harness::check::check;
use candor_harness::replay::Mode;
use candor_harness::timeline::Timeline;

/// Replays one file.
fn passes(path: &Path) -> datatest_stable::Result<()> {
    let text = fs::read_to_string(path)?;
    let timeline: Timeline = text.parse()?;
    check(&timeline, Mode::Strict)?;
    let canonical = timeline.to_string();
    let differs = text.lines().zip(canonical.lines()).find(|(is, should_be)| is != should_be);
    if let Some((is, should_be)) = differs {
        return Err(format!("not in its canonical form:\n  {is}\nshould be\n  {should_be}").into());
    }
    if text.len() == canonical.len() { Ok(()) } else { Err("it has a line too many".into()) }
}

datatest_stable::harness! {
    { test = passes, root = "timelines", pattern = r"\.timeline$" },
}
