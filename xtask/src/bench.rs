//! `cargo xtask bench`: the release build against the figures that it must reach.
//!
//! It drives the daemon from outside, by its command line alone, as a user's script would: what is
//! measured is what people get, the start of each `candor` process included.

mod adapters;
mod agents;
mod http;
mod idle;
mod interrupts;
mod latency;
mod launches;
pub(crate) mod output;
mod page;
mod process;
mod random;
pub(crate) mod restart;
mod sample;
mod shims;
pub(crate) mod stamp;

use std::ffi::OsString;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Result, bail};
use xshell::Shell;

use crate::candor::Candor;
use crate::flags::Bench;

/// How many sessions are interrupted unless `--interrupts` says otherwise.
const INTERRUPTS: usize = 10_000;

/// How often the daemon is killed unless `--rounds` says otherwise.
const ROUNDS: usize = 50;

/// Figures that are measured together.
struct Group {
    name: &'static str,
    measure: fn(&Shell, &Bench) -> Result<Vec<Figure>>,
}

const GROUPS: [Group; 10] = [
    Group { name: "daemon", measure: one_daemon },
    Group {
        name: "restart",
        measure: |shell, bench| restart::measure(shell, bench.rounds.unwrap_or(ROUNDS)),
    },
    Group { name: "shims", measure: |shell, _| shims::measure(shell) },
    Group { name: "overhead", measure: |shell, _| adapters::measure_launches(shell) },
    Group { name: "output", measure: |shell, bench| output::measure(shell, bench.full) },
    Group { name: "tree", measure: |shell, _| adapters::measure_tree(shell) },
    Group { name: "conversations", measure: |shell, _| adapters::measure_conversations(shell) },
    Group { name: "http", measure: |shell, _| http::measure(shell) },
    Group { name: "agents", measure: |shell, _| agents::measure(shell) },
    Group { name: "page", measure: |shell, _| page::measure(shell) },
];

/// The name of a group that exists.
#[derive(Debug)]
pub(crate) struct GroupName(&'static str);

impl FromStr for GroupName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut names = GROUPS.iter().map(|group| group.name);
        names.find(|name| *name == text).map(Self).ok_or_else(|| {
            let names: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
            format!("no group is called `{text}`: the groups are {}", names.join(", "))
        })
    }
}

/// Plays the part of a child that the benchmark starts, where the arguments ask for one: none of
/// these is a verb for people.
pub(crate) fn child(arguments: &[OsString]) -> Option<Result<ExitCode>> {
    let (verb, arguments) = arguments.split_first()?;
    match verb.to_str()? {
        stamp::VERB => Some(stamp::child(arguments)),
        output::VERB => Some(output::child(arguments)),
        restart::agent::VERB => Some(restart::agent::child(arguments)),
        _ => None,
    }
}

/// One line of the table.
struct Figure {
    what: String,
    target: String,
    measured: String,
    verdict: Verdict,
}

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    /// Slower or bigger than it should be. A busy machine can do that, so the benchmark passes.
    Missed,
    /// A false answer. No machine is busy enough to excuse it, so the benchmark fails.
    Wrong,
    /// There is no target.
    ForInformation,
}

impl Verdict {
    const fn of(reached: bool) -> Self {
        if reached { Self::Reached } else { Self::Missed }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Reached => "ok",
            Self::Missed => "MISSED",
            Self::Wrong => "WRONG",
            Self::ForInformation => "",
        }
    }
}

/// Measures all groups, or only one, and prints the table; exits 1 if an answer was false.
pub(crate) fn run(shell: &Shell, bench: &Bench) -> Result<ExitCode> {
    let only = bench.only.as_ref();
    let mut figures = Vec::new();
    for group in GROUPS.iter().filter(|group| only.is_none_or(|only| only.0 == group.name)) {
        println!("measuring: {}", group.name);
        figures.extend((group.measure)(shell, bench)?);
    }
    if figures.is_empty() {
        bail!("there is nothing to measure on this system");
    }
    print!("{}", table(&figures));
    let wrong = figures.iter().any(|figure| figure.verdict == Verdict::Wrong);
    if wrong {
        eprintln!("candor gave a false answer: see the lines marked WRONG");
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What one daemon does for one session after the other.
fn one_daemon(shell: &Shell, bench: &Bench) -> Result<Vec<Figure>> {
    let candor = Candor::start(shell)?;
    let mut figures = launches::measure(&candor)?;
    figures.extend(latency::measure(&candor)?);
    // Before the interrupts: the figure is for a thousand ended sessions.
    figures.extend(idle::measure(&candor)?);
    figures.extend(interrupts::measure(&candor, bench.interrupts.unwrap_or(INTERRUPTS))?);
    Ok(figures)
}

fn table(figures: &[Figure]) -> String {
    let width = |text: fn(&Figure) -> &str| {
        figures.iter().map(|figure| text(figure).chars().count()).max().unwrap_or(0)
    };
    let what_width = width(|figure| &figure.what);
    let target_width = width(|figure| &figure.target).max("target".len());
    let measured_width = width(|figure| &figure.measured).max("measured".len());
    let row = |what: &str, target: &str, measured: &str, word: &str| {
        let row = format!(
            "{what:<what_width$}  {target:<target_width$}  {measured:<measured_width$}  {word}"
        );
        row.trim_end().to_owned() + "\n"
    };
    let mut text = format!("\n{}", row("what", "target", "measured", ""));
    for figure in figures {
        text += &row(&figure.what, &figure.target, &figure.measured, figure.verdict.word());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Figure, Verdict, table};

    #[test]
    fn the_table_lines_up_and_says_what_was_missed() {
        let figures = [
            Figure {
                what: "a launch".into(),
                target: "<= 1.0 s".into(),
                measured: "2.5 s".into(),
                verdict: Verdict::of(false),
            },
            Figure {
                what: "floor".into(),
                target: String::new(),
                measured: "0.1 s".into(),
                verdict: Verdict::ForInformation,
            },
        ];
        let expected = "\nwhat      target    measured\n\
                        a launch  <= 1.0 s  2.5 s     MISSED\n\
                        floor               0.1 s\n";
        assert_eq!(table(&figures), expected);
    }
}
