//! The verbs of `race-sim` that search: `explore`, `mutants`, `random`, `pct`, `lock`, `doctor` and
//! the model's part of the push tier.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::Config;
use super::conform::{self, Conformance, tell_trace};
use super::coverage::{Push, coverage_statement};
use super::doctor::doctor;
use super::figures::{Speed, replays};
use super::flags::{Wanted, no_flag, numbers, wanted_of};
use super::lock::Lock;
use super::matrix::{Kill, Matrix, mutants, mutants_of};
use super::sample::{Oracle, Pct, Sampled, Uniform, sample};
use super::search::{Report, explore, explore_for};
use crate::mutant::{Mutant, NoSuchMutant};
use crate::timeline::load;
use crate::workspace::{corpus, in_workspace};

/// Where the lock file lies in the workspace.
const LOCK_FILE: &str = "harness/model.lock";

/// Where it lies in the workspace how fast the search was.
const SPEED_FILE: &str = "harness/model.speed";

/// How often a search that seems slow is measured once more.
const MEASURES_MAX: usize = 3;

/// How long the night searches a configuration that has no end.
const NIGHT_MAX: Duration = Duration::from_secs(15 * 60);

/// Schedules that each oracle draws in the push tier.
const PUSH_RUNS: u64 = 20_000;

/// Schedules of each configuration and oracle that are compared with the world.
const CONFORM_RUNS: u64 = 250;

/// Schedules that `random` and `pct` run, unless they are told otherwise.
const RUNS: u64 = 200_000;

/// Things in one order that a bug needs, where `pct` is not told otherwise.
const DEPTH: u64 = 3;

/// Schedules that one call may run, and the depth that it may look for: more never ends.
const RUNS_MAX: u64 = 1_000_000_000;
const DEPTH_MAX: u64 = 100;

/// The exit codes that searches come to. See the harness's plan, section 8.
const USAGE: u8 = 1;
const LIVENESS: u8 = 128;
const SAFETY: u8 = 129;
const NONDETERMINISM: u8 = 130;
const SURVIVOR: u8 = 131;

/// The invariants that speak of what never ends.
const LIVENESS_INVARIANTS: [u8; 1] = [34];

/// What the verbs are, for the help of the binary that has them.
pub const HELP: &str =
    "  race-sim explore [--config NAME] [--sessions N] [--crash N] [--dbfault N] [--interrupts N]
                   [--continues N] [--requests N] [--turns N] [--settings N]
                   [--finish] [--ladder] [--silences N] [--misfires N] [--reuses N]
                   [--exits N] [--reports N]
                   [--shutdowns N] [--connects N] [--timeout] [--sym] [--nightly]
                   [--budget SECONDSs]
      Searches every world of a configuration: the push tier's, the night's, or your own.
  race-sim mutants [--only NAME]
      Looks for every seeded bug, and prints who kills whom; for one, as a timeline too.
  race-sim conform [--runs N] [--seed N]
      Makes the timelines of the corpus in the model, and schedules of the model in the world, and
      compares what follows.
  race-sim random|pct [--runs N] [--seed N] [--depth N]
      Draws schedules of three sessions with every fault; only `pct` has a depth.
  race-sim lock [--check|--bless] [--nightly]
      Compares the sizes of the push tier's configurations, or of the night's, with
      harness/model.lock, and the speed of the push tier's searches with harness/model.speed.
  race-sim figures
      Measures what replays and searches cost.
  race-sim doctor
      Checks the search itself.
  race-sim push
      Explores, hunts mutants, checks the search and the lock, and says what was covered.
";

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It was called in a wrong way.
    #[error("{0}")]
    Usage(String),
    /// A file that it needs cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Its output, or the lock file, could not be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

impl CommandError {
    /// Returns the exit code that stands for it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        USAGE
    }
}

/// Carries out a verb, and returns its exit code; `None` where the verb is none of these.
///
/// # Errors
///
/// [`CommandError::Usage`] for a wrong flag; [`CommandError::Unusable`] without a corpus or a lock
/// that can be read; [`CommandError::Write`] where `out` or the lock file
/// cannot be written.
pub fn run(words: &[&str], out: &mut dyn Write) -> Result<Option<u8>, CommandError> {
    let code = match words {
        ["explore", flags @ ..] => run_explore(flags, out)?,
        ["mutants"] => print_matrix(&mutants(), out)?,
        ["mutants", "--only", name] => print_kill(name, out)?,
        ["conform", flags @ ..] => run_conform(flags, out)?,
        ["random", flags @ ..] => run_sample(flags, false, out)?,
        ["pct", flags @ ..] => run_sample(flags, true, out)?,
        ["lock", flags @ ..] => run_lock(flags, out)?,
        ["doctor"] => run_doctor(out)?,
        ["figures"] => run_figures(out)?,
        ["push"] => push_tier(out)?,
        ["mutants", "--only", ..] => {
            return Err(CommandError::Usage("`--only` needs one mutant, such as M01".to_owned()));
        }
        [verb @ ("mutants" | "doctor" | "figures" | "push"), flag, ..] => {
            return Err(no_flag(verb, flag));
        }
        _ => return Ok(None),
    };
    Ok(Some(code))
}

fn run_explore(flags: &[&str], out: &mut dyn Write) -> Result<u8, CommandError> {
    let Wanted { configs, time_max, is_nightly } = wanted_of(flags)?;
    let mut worst = 0;
    for config in configs {
        let report = explore_for(&config, time_max);
        worst = worst.max(print_report(&report, out)?);
        if is_nightly && report.is_exhaustive() {
            worst = worst.max(check_lock(&[report], out)?);
        }
    }
    if is_nightly {
        let report = explore_for(&Config::TWO_FULL, time_max.min(NIGHT_MAX));
        worst = worst.max(print_report(&report, out)?);
    }
    Ok(worst)
}

fn run_sample(flags: &[&str], is_pct: bool, out: &mut dyn Write) -> Result<u8, CommandError> {
    let (runs, seed) = (("--runs", RUNS, 1..=RUNS_MAX), ("--seed", 1, 0..=u64::MAX));
    let (runs, mut oracle): (u64, Box<dyn Oracle>) = if is_pct {
        let depth = ("--depth", DEPTH, 1..=DEPTH_MAX);
        let [runs, seed, depth] = numbers("pct", flags, [runs, seed, depth])?;
        (runs, Box::new(Pct::new(seed, usize::try_from(depth).unwrap_or(usize::MAX))))
    } else {
        let [runs, seed] = numbers("random", flags, [runs, seed])?;
        (runs, Box::new(Uniform::new(seed)))
    };
    let sampled = sample(&Config::SAMPLED, oracle.as_mut(), runs);
    print_sampled(&sampled, is_pct, out)
}

fn print_sampled(sampled: &Sampled, is_pct: bool, out: &mut dyn Write) -> Result<u8, CommandError> {
    let name = if is_pct { "pct" } else { "uniform" };
    let Sampled { runs, choices, elapsed, broken, trace } = sampled;
    let rate = sampled.runs_per_second();
    writeln!(out, "{name}: {runs} runs, {choices} choices, {elapsed:.1?}, {rate:.0} runs/s")?;
    if broken.is_empty() {
        return Ok(0);
    }
    writeln!(out, "{} broken by", broken.join(", "))?;
    print_lines(trace, out)?;
    let title = format!("{}, found at random", broken.join(", "));
    writeln!(out, "{}", tell_trace(&Config::SAMPLED, Mutant::None, &title, trace))?;
    Ok(SAFETY)
}

fn print_lines<T: fmt::Display>(lines: &[T], out: &mut dyn Write) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "      {line}"))
}

fn print_report(report: &Report, out: &mut dyn Write) -> Result<u8, CommandError> {
    let Report { config, states, transitions, depth, fingerprint_xor, values, elapsed, .. } =
        report;
    writeln!(
        out,
        "{:<14} {states:>9} states {transitions:>10} transitions, depth {depth:>3}, xor \
         {fingerprint_xor:016x}, {} machines, {} protocols, {elapsed:.2?}, {:.1} M transitions/s",
        config.name,
        values.0,
        values.1,
        report.transitions_per_second() / 1e6
    )?;
    if !report.is_exhaustive() {
        let Report { depth, frontier, .. } = report;
        writeln!(
            out,
            "  not exhaustive: every world that is less than {depth} choices away, and {frontier} \
             that were met and not looked at"
        )?;
    }
    let mut worst = 0;
    for violation in &report.violations {
        writeln!(out, "  {} after {} choices:", violation.id(), violation.depth)?;
        print_lines(&violation.trace, out)?;
        let title = format!("{}, found by a search of {}", violation.id(), config.name);
        writeln!(out, "{}", tell_trace(config, Mutant::None, &title, &violation.trace))?;
        let is_liveness = LIVENESS_INVARIANTS.contains(&violation.invariant);
        worst = worst.max(if is_liveness { LIVENESS } else { SAFETY });
    }
    Ok(worst)
}

fn print_matrix(matrix: &Matrix, out: &mut dyn Write) -> Result<u8, CommandError> {
    write!(out, "{matrix}")?;
    let idle = matrix.idle_invariants();
    if !idle.is_empty() {
        writeln!(out, "invariants that kill nothing: {}", idle.join(" "))?;
    }
    let survivors = matrix.survivors();
    Ok(if survivors.is_empty() { 0 } else { SURVIVOR })
}

fn run_conform(flags: &[&str], out: &mut dyn Write) -> Result<u8, CommandError> {
    let known = [("--runs", CONFORM_RUNS, 1..=RUNS_MAX), ("--seed", 1, 0..=u64::MAX)];
    let [runs, seed] = numbers("conform", flags, known)?;
    print_conformance(&conform_corpus(runs, seed)?, out)
}

fn conform_corpus(runs: u64, seed: u64) -> Result<Conformance, CommandError> {
    let corpus = load(&[corpus()]);
    let corpus = corpus.map_err(|error| CommandError::Unusable(error.to_string()))?;
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let corpus: Vec<_> =
        corpus.into_iter().map(|(path, timeline)| (name(&path), timeline)).collect();
    Ok(conform::conform(&corpus, runs, seed))
}

fn print_conformance(found: &Conformance, out: &mut dyn Write) -> Result<u8, CommandError> {
    if found.is_good() {
        writeln!(out, "{found}")?;
        return Ok(0);
    }
    print_lines(&found.differences, out)?;
    if let Some(first) = &found.first {
        writeln!(out, "{}", first.timeline)?;
    }
    Ok(SAFETY)
}

fn print_kill(name: &str, out: &mut dyn Write) -> Result<u8, CommandError> {
    let mutant =
        name.parse().map_err(|error: NoSuchMutant| CommandError::Usage(error.to_string()))?;
    let matrix = mutants_of(&[mutant]);
    if matrix.kills.is_empty() {
        return Err(CommandError::Usage(format!("{mutant} is not seeded in the model")));
    }
    for timeline in matrix.kills.iter().filter_map(Kill::timeline) {
        writeln!(out, "{timeline}")?;
    }
    write!(out, "{matrix}")?;
    Ok(if matrix.survivors().is_empty() { 0 } else { SURVIVOR })
}

fn run_doctor(out: &mut dyn Write) -> Result<u8, CommandError> {
    let findings = doctor(&Config::SMALL);
    print_lines(&findings, out)?;
    Ok(if findings.iter().all(|finding| finding.is_good) { 0 } else { NONDETERMINISM })
}

fn run_figures(out: &mut dyn Write) -> Result<u8, CommandError> {
    writeln!(out, "{}", replays())?;
    let reports: Vec<_> = Config::PUSH.iter().map(explore).collect();
    for report in &reports {
        print_report(report, out)?;
    }
    writeln!(out, "speed: {} choices in the fixed work's time", Speed::of(&reports).0)?;
    Ok(0)
}

fn run_lock(flags: &[&str], out: &mut dyn Write) -> Result<u8, CommandError> {
    let wrong = |flag: &&&str| !["--check", "--bless", "--nightly"].contains(*flag);
    if let Some(flag) = flags.iter().find(wrong) {
        return Err(no_flag("lock", flag));
    }
    if flags.contains(&"--check") && flags.contains(&"--bless") {
        let message = "`--check` compares and `--bless` writes: give one of them";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let is_nightly = flags.contains(&"--nightly");
    let configs = if is_nightly { Config::NIGHTLY.as_slice() } else { &Config::PUSH };
    let reports: Vec<_> = configs.iter().map(explore).collect();
    if flags.contains(&"--bless") {
        return bless(&reports, is_nightly, out);
    }
    let drift = check_lock(&reports, out)?;
    Ok(if is_nightly { drift } else { drift.max(check_speed(&reports, out)?) })
}

/// Locks what was found. What was not looked at stays as it is locked.
fn bless(reports: &[Report], is_nightly: bool, out: &mut dyn Write) -> Result<u8, CommandError> {
    let mut lock = Lock::parse(&fs::read_to_string(in_workspace(LOCK_FILE)).unwrap_or_default());
    lock.retain(|name| Config::named(name).is_some());
    reports.iter().for_each(|report| lock.record(report));
    fs::write(in_workspace(LOCK_FILE), lock.render())?;
    writeln!(out, "{LOCK_FILE} is written")?;
    if !is_nightly {
        fs::write(in_workspace(SPEED_FILE), Speed::of(reports).render())?;
        writeln!(out, "{SPEED_FILE} is written")?;
    }
    Ok(0)
}

/// Fails where the search has become much slower. What is slow once may have been disturbed.
fn check_speed(reports: &[Report], out: &mut dyn Write) -> Result<u8, CommandError> {
    let text = read(SPEED_FILE)?;
    let locked = Speed::parse(&text)
        .ok_or_else(|| CommandError::Unusable(format!("{SPEED_FILE} holds no figure")))?;
    let mut speed = Speed::of(reports);
    for _ in 1..MEASURES_MAX {
        if speed.is_slower_than(locked) {
            let again: Vec<_> = reports.iter().map(|report| explore(&report.config)).collect();
            speed = Speed(speed.0.max(Speed::of(&again).0));
        }
    }
    writeln!(out, "speed: {} choices in the fixed work's time, locked {}", speed.0, locked.0)?;
    if speed.is_slower_than(locked) {
        writeln!(out, "the search is less than half as fast as it was")?;
        return Ok(NONDETERMINISM);
    }
    Ok(0)
}

/// Reads a file of the workspace.
fn read(file: &str) -> Result<String, CommandError> {
    fs::read_to_string(in_workspace(file))
        .map_err(|error| CommandError::Unusable(format!("cannot read {file}: {error}")))
}

fn check_lock(reports: &[Report], out: &mut dyn Write) -> Result<u8, CommandError> {
    let text = read(LOCK_FILE)?;
    let lock = Lock::parse(&text);
    let drifts: Vec<_> = reports.iter().filter_map(|report| lock.drift(report)).collect();
    for drift in &drifts {
        let locked = drift.locked.as_deref().unwrap_or("nothing");
        writeln!(out, "{} drifts: locked {locked}, found {}", drift.name, drift.found)?;
    }
    if drifts.is_empty() {
        writeln!(out, "lock: {} configurations are as locked", reports.len())?;
        return Ok(0);
    }
    writeln!(out, "if that is meant: race-sim lock --bless")?;
    Ok(NONDETERMINISM)
}

/// The model's part of the push tier.
fn push_tier(out: &mut dyn Write) -> Result<u8, CommandError> {
    for file in [LOCK_FILE, SPEED_FILE] {
        // Nobody should wait for a search that has nothing to be compared with.
        read(file)?;
    }
    let mut worst = 0;
    let reports: Vec<_> = Config::PUSH.iter().map(explore).collect();
    for report in &reports {
        worst = worst.max(print_report(report, out)?);
    }
    worst = worst.max(check_lock(&reports, out)?);
    worst = worst.max(check_speed(&reports, out)?);
    writeln!(out, "{}", replays())?;
    let matrix = mutants();
    worst = worst.max(print_matrix(&matrix, out)?);
    let conformance = conform_corpus(CONFORM_RUNS, 1)?;
    worst = worst.max(print_conformance(&conformance, out)?);
    let findings = doctor(&Config::SMALL);
    print_lines(&findings, out)?;
    if findings.iter().any(|finding| !finding.is_good) {
        worst = worst.max(NONDETERMINISM);
    }
    let uniform = sample(&Config::SAMPLED, &mut Uniform::new(1), PUSH_RUNS);
    worst = worst.max(print_sampled(&uniform, false, out)?);
    let pct = sample(&Config::SAMPLED, &mut Pct::new(1, 3), PUSH_RUNS);
    worst = worst.max(print_sampled(&pct, true, out)?);
    let push = Push { reports, matrix, findings, conformance, sampled: vec![uniform, pct] };
    writeln!(out, "crash points          issued  effective  acknowledged")?;
    for (cause, [issued, effective, acknowledged]) in push.crash_table().rows() {
        writeln!(out, "  {cause:<16} {issued:>9} {effective:>10} {acknowledged:>13}")?;
    }
    let vacuities = push.vacuities();
    print_lines(&vacuities, out)?;
    if !vacuities.is_empty() {
        worst = worst.max(SAFETY);
    }
    writeln!(out, "{}", coverage_statement(&push))?;
    Ok(worst)
}
