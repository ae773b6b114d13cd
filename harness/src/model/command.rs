//! The verbs of `race-sim` that search: `explore`, `mutants`, `random`, `pct`, `lock`, `doctor` and
//! the model's part of the push tier.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::conform::{self, Conformance, tell_trace};
use super::coverage::{Push, coverage_statement};
use super::doctor::doctor;
use super::figures::{Speed, replays};
use super::lock::Lock;
use super::matrix::{Kill, Matrix, mutants, mutants_of};
use super::sample::{Oracle, Pct, Sampled, Uniform, sample};
use super::search::{Report, explore, explore_for};
use super::{Config, SESSIONS_MAX};
use crate::mutant::{Mutant, NoSuchMutant};
use crate::timeline::load;

/// Where the lock file lies, seen from the folder of the workspace.
pub const LOCK_FILE: &str = "harness/model.lock";

/// Where it lies how fast the search was.
pub const SPEED_FILE: &str = "harness/model.speed";

/// How often a search that seems slow is measured once more.
const MEASURES_MAX: usize = 3;

/// Where the corpus lies, seen from the folder of the workspace.
const CORPUS: &str = "harness/timelines";

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
                   [--continues N] [--requests N] [--silences N] [--misfires N] [--reuses N]
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
      Draws schedules of three sessions with every fault.
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
/// [`CommandError::Usage`] for a wrong flag; [`CommandError::Write`] where `out` or the lock file
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
        ["mutants" | "doctor" | "figures" | "push", flag, ..] => {
            return Err(CommandError::Usage(format!("there is no flag `{flag}` here")));
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
            worst = worst.max(check_lock(&[report], Path::new(LOCK_FILE), out)?);
        }
    }
    if is_nightly {
        let report = explore_for(&Config::TWO_FULL, time_max.min(NIGHT_MAX));
        worst = worst.max(print_report(&report, out)?);
    }
    Ok(worst)
}

/// What is to be searched.
struct Wanted {
    configs: Vec<Config>,
    time_max: Duration,
    is_nightly: bool,
}

/// Reads flags with numbers into a configuration.
fn wanted_of(flags: &[&str]) -> Result<Wanted, CommandError> {
    let mut time_max = Duration::MAX;
    let (mut is_nightly, mut is_custom) = (false, false);
    let mut config = Config { name: "custom", exits: 4, ..Config::PLAIN };
    let mut words = flags.iter();
    while let Some(flag) = words.next() {
        match *flag {
            "--nightly" => {
                is_nightly = true;
                continue;
            }
            "--budget" => {
                time_max = budget(words.next().copied())?;
                continue;
            }
            "--timeout" => config.has_timeout = true,
            "--sym" => config.is_symmetric = true,
            "--config" => {
                let name = words.next().copied().unwrap_or_default();
                config = Config::named(name).ok_or_else(|| {
                    CommandError::Usage(format!("there is no configuration `{name}`"))
                })?;
            }
            flag => *field(&mut config, flag)? = small_number(flag, words.next().copied())?,
        }
        is_custom = true;
    }
    if is_nightly {
        return Ok(Wanted { configs: Config::NIGHTLY.to_vec(), time_max, is_nightly });
    }
    if !is_custom {
        return Ok(Wanted { configs: Config::PUSH.to_vec(), time_max, is_nightly });
    }
    let is_searchable = (1..=SESSIONS_MAX).contains(&config.slots()) && config.sessions > 0;
    let sorts_children = config.is_symmetric && config.continues > 0;
    if !is_searchable || sorts_children || config.continues > 1 {
        let message =
            "at most three sessions in all, one of them a continuation, and no --sym then";
        return Err(CommandError::Usage(message.to_owned()));
    }
    Ok(Wanted { configs: vec![config], time_max, is_nightly })
}

fn budget(word: Option<&str>) -> Result<Duration, CommandError> {
    let seconds = word.and_then(|word| word.strip_suffix('s')).and_then(|word| word.parse().ok());
    let seconds = seconds
        .ok_or_else(|| CommandError::Usage("`--budget` needs seconds, as 60s".to_owned()))?;
    Ok(Duration::from_secs(seconds))
}

fn field<'a>(config: &'a mut Config, flag: &str) -> Result<&'a mut u8, CommandError> {
    Ok(match flag {
        "--sessions" => &mut config.sessions,
        "--crash" => &mut config.crashes,
        "--dbfault" => &mut config.store_faults,
        "--interrupts" => &mut config.interrupts,
        "--continues" => &mut config.continues,
        "--requests" => &mut config.requests,
        "--silences" => &mut config.silences,
        "--misfires" => &mut config.misfires,
        "--reuses" => &mut config.reuses,
        "--exits" => &mut config.exits,
        "--reports" => &mut config.reports,
        "--shutdowns" => &mut config.shutdowns,
        "--connects" => &mut config.connects,
        _ => return Err(CommandError::Usage(format!("`explore` has no flag `{flag}`"))),
    })
}

/// The largest budget that a flag may set.
const BUDGET_MAX: u64 = 9;

fn small_number(flag: &str, word: Option<&str>) -> Result<u8, CommandError> {
    let number = number(flag, word)?;
    u8::try_from(number).ok().filter(|_| number <= BUDGET_MAX).ok_or_else(|| {
        CommandError::Usage(format!("`{flag}` goes up to {BUDGET_MAX}, and not to {number}"))
    })
}

fn number(flag: &str, word: Option<&str>) -> Result<u64, CommandError> {
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| CommandError::Usage(format!("`{flag}` needs a number")))
}

/// Reads flags that each take a number, beside what they are where they are not given.
fn numbers<const N: usize>(
    flags: &[&str],
    known: [(&str, u64); N],
) -> Result<[u64; N], CommandError> {
    let mut values = known.map(|(_, value)| value);
    let mut words = flags.iter();
    while let Some(flag) = words.next() {
        let place = known.iter().position(|(name, _)| name == flag);
        let place =
            place.ok_or_else(|| CommandError::Usage(format!("there is no flag `{flag}` here")))?;
        values[place] = number(flag, words.next().copied())?;
    }
    Ok(values)
}

fn run_sample(flags: &[&str], is_pct: bool, out: &mut dyn Write) -> Result<u8, CommandError> {
    let [runs, seed, depth] =
        numbers(flags, [("--runs", RUNS), ("--seed", 1), ("--depth", DEPTH)])?;
    if !is_pct && flags.contains(&"--depth") {
        return Err(CommandError::Usage("only `pct` has a depth".to_owned()));
    }
    let mut oracle: Box<dyn Oracle> = if is_pct {
        Box::new(Pct::new(seed, usize::try_from(depth).unwrap_or(usize::MAX)))
    } else {
        Box::new(Uniform::new(seed))
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
    let [runs, seed] = numbers(flags, [("--runs", CONFORM_RUNS), ("--seed", 1)])?;
    print_conformance(&conform_corpus(runs, seed)?, out)
}

fn conform_corpus(runs: u64, seed: u64) -> Result<Conformance, CommandError> {
    let corpus = load(&[PathBuf::from(CORPUS)]);
    let corpus = corpus.map_err(|error| CommandError::Usage(error.to_string()))?;
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
        return Err(CommandError::Usage(format!("there is no flag `{flag}` here")));
    }
    let is_nightly = flags.contains(&"--nightly");
    let configs = if is_nightly { Config::NIGHTLY.as_slice() } else { &Config::PUSH };
    let reports: Vec<_> = configs.iter().map(explore).collect();
    if flags.contains(&"--bless") {
        return bless(&reports, is_nightly, out);
    }
    let drift = check_lock(&reports, Path::new(LOCK_FILE), out)?;
    Ok(if is_nightly { drift } else { drift.max(check_speed(&reports, out)?) })
}

/// Locks what was found. What was not looked at stays as it is locked.
fn bless(reports: &[Report], is_nightly: bool, out: &mut dyn Write) -> Result<u8, CommandError> {
    let mut lock = Lock::parse(&fs::read_to_string(LOCK_FILE).unwrap_or_default());
    lock.retain(|name| Config::named(name).is_some());
    reports.iter().for_each(|report| lock.record(report));
    fs::write(LOCK_FILE, lock.render())?;
    writeln!(out, "{LOCK_FILE} is written")?;
    if !is_nightly {
        fs::write(SPEED_FILE, Speed::of(reports).render())?;
        writeln!(out, "{SPEED_FILE} is written")?;
    }
    Ok(0)
}

/// Fails where the search has become much slower. What is slow once may have been disturbed.
fn check_speed(reports: &[Report], out: &mut dyn Write) -> Result<u8, CommandError> {
    let text = fs::read_to_string(SPEED_FILE)
        .map_err(|error| CommandError::Usage(format!("cannot read {SPEED_FILE}: {error}")))?;
    let locked = Speed::parse(&text)
        .ok_or_else(|| CommandError::Usage(format!("{SPEED_FILE} holds no figure")))?;
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

fn check_lock(reports: &[Report], file: &Path, out: &mut dyn Write) -> Result<u8, CommandError> {
    let text = fs::read_to_string(file)
        .map_err(|error| CommandError::Usage(format!("cannot read {}: {error}", file.display())))?;
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
        fs::read(file)
            .map_err(|error| CommandError::Usage(format!("cannot read {file}: {error}")))?;
    }
    let mut worst = 0;
    let reports: Vec<_> = Config::PUSH.iter().map(explore).collect();
    for report in &reports {
        worst = worst.max(print_report(report, out)?);
    }
    worst = worst.max(check_lock(&reports, Path::new(LOCK_FILE), out)?);
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
