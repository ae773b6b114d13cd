//! The API under load: how soon a change is told to one and to many, what those cost who do not read,
//! how fast the log is read again, and whether the daemon answers at once meanwhile.

mod clients;
mod wire;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use xshell::{Shell, cmd};

use self::clients::Clients;
use super::idle::ticks;
use super::process::status_of;
use super::sample::{Sample, milliseconds};
use super::{Figure, Verdict};
use crate::candor::{Candor, Form};

/// Sessions in the store, with three events each.
const SESSIONS: usize = 100_000;

/// Clients at one time.
const CLIENTS: usize = 1_000;

/// Sessions that are launched while clients follow, one after the other.
const LAUNCHES: usize = 100;

/// How often a list is asked for.
const LISTS: usize = 50;

const TO_ONE_MAX: Duration = Duration::from_millis(2);
const TO_MANY_MAX: Duration = Duration::from_millis(10);
const LIST_MAX: Duration = Duration::from_millis(10);
const HEALTH_MAX: Duration = Duration::from_millis(250);
const STALLED_MAX_KB: u64 = 32 * 1_024;
const REPLAYED_PER_S_MIN: f64 = 50_000.0;

/// The daemon has sent all that it can to those who do not read when it works no more than this, in
/// clock ticks, for so long.
const IDLE_TICKS_MAX: u64 = 2;
const IDLE: Duration = Duration::from_secs(1);

/// After how many such times it counts as one that never rests.
const IDLE_LOOKS_MAX: usize = 300;

/// How often it is asked whether the daemon is well.
const HEALTH_EACH: Duration = Duration::from_millis(20);

pub(super) fn measure(shell: &Shell) -> Result<Vec<Figure>> {
    raise_open_files()?;
    let mut figures = Vec::new();
    // In memory, where a commit takes next to nothing: an event bears the time before its commit.
    let in_memory = Path::new("/dev/shm");
    if in_memory.is_dir() {
        figures.extend(told(&Candor::build_in(shell, Form::Release, in_memory)?, "")?);
    }
    let candor = Candor::build(shell, Form::Release)?;
    fill(shell, &candor)?;
    for view in ["", "&view=session"] {
        // A new one, since memory that was used once is not always given back.
        candor.text(["daemon", "start"])?;
        figures.extend(stalled(&candor, view)?);
        candor.text(["daemon", "stop"])?;
    }
    candor.text(["daemon", "start"])?;
    figures.extend(lists(&candor)?);
    figures.push(replayed(&candor)?);
    figures.extend(told(&candor, ", its commit to a disk included")?);
    Ok(figures)
}

/// A client is a descriptor.
fn raise_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}

/// Makes the store that a daemon will find.
fn fill(shell: &Shell, candor: &Candor) -> Result<()> {
    let example = ["--package", "candor-adapters", "--example", "figures"];
    cmd!(shell, "cargo build --release {example...}").run()?;
    let figures = candor.agent().with_file_name("examples").join("figures");
    candor.text(["daemon", "start"])?;
    candor.text(["daemon", "stop"])?;
    let database = database(candor);
    std::fs::remove_file(&database)?;
    let output =
        Command::new(figures).arg("sessions").arg(SESSIONS.to_string()).arg(&database).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn database(candor: &Candor) -> PathBuf {
    candor.socket().with_file_name("candor.db")
}

/// How soon an event is with one client, and with many.
fn told(candor: &Candor, how: &str) -> Result<Vec<Figure>> {
    candor.text(["daemon", "start"])?;
    [(1, TO_ONE_MAX), (CLIENTS, TO_MANY_MAX)]
        .into_iter()
        .map(|(count, target)| {
            let before = last_seq(candor)?;
            let mut clients = Clients::open(&candor.socket(), count, before)?;
            let mut came = Vec::new();
            for number in 1..=LAUNCHES {
                candor.launch(["true"])?;
                came.extend(clients.read_to(before + 3 * number as u64)?);
            }
            let decided = decided(candor, before)?;
            let mut late = Vec::with_capacity(came.len());
            for (place, came_ns) in came {
                let at_ns = decided.get(&place).context("an event that is not in the log")?;
                late.push(Duration::from_nanos(u64::try_from(came_ns.saturating_sub(*at_ns))?));
            }
            let many = if count == 1 { "one client" } else { "each of 1,000 clients" };
            Ok(Sample::of(late).figure(&format!("a change is told to {many}{how}"), target))
        })
        .collect()
}

/// Returns when each event after a place was decided, on the wall clock in nanoseconds.
fn decided(candor: &Candor, after: u64) -> Result<HashMap<u64, u128>> {
    let lines = candor.text(["events", "--json", "--after", &after.to_string()])?;
    let (mut places, mut times) = (Vec::new(), String::new());
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line)?;
        places.push(event["seq"].as_u64().context("an event has no place")?);
        writeln!(times, "{}", event["at"].as_str().context("an event has no time")?)?;
    }
    let file = candor.scratch("times");
    std::fs::write(&file, times)?;
    // One process for all of them, which knows what a date is.
    let output = Command::new("date").args(["-u", "+%s%N", "-f"]).arg(&file).output()?;
    let numbers = String::from_utf8(output.stdout)?;
    let numbers: Result<Vec<u128>, _> = numbers.lines().map(str::parse).collect();
    let numbers = numbers.context("date does not know a time")?;
    ensure!(numbers.len() == places.len(), "date does not know all times");
    Ok(places.into_iter().zip(numbers).collect())
}

fn last_seq(candor: &Candor) -> Result<u64> {
    candor.status()?["last_seq"].as_u64().context("the daemon tells no place")
}

/// How soon the newest of very many are listed.
fn lists(candor: &Candor) -> Result<Vec<Figure>> {
    let socket = candor.socket();
    let paths = [
        (format!("list of 100 out of {SESSIONS} sessions"), "/v1/sessions?limit=100"),
        ("  of those that have failed".to_owned(), "/v1/sessions?limit=100&status=failed"),
        ("  with the counts and their place in the log".to_owned(), "/v1/snapshot?limit=100"),
    ];
    paths
        .into_iter()
        .map(|(what, path)| {
            let mut taken = Vec::with_capacity(LISTS);
            for _ in 0..LISTS {
                let begun = Instant::now();
                wire::ask(&socket, path)?;
                taken.push(begun.elapsed());
            }
            Ok(Sample::of(taken).figure(&what, LIST_MAX))
        })
        .collect()
}

/// How fast one client reads all of the log.
fn replayed(candor: &Candor) -> Result<Figure> {
    let last = last_seq(candor)?;
    let mut client = Clients::open(&candor.socket(), 1, 0)?;
    let begun = Instant::now();
    client.read_to(last)?;
    #[expect(clippy::cast_precision_loss, reason = "it is printed without digits")]
    let per_s = last as f64 / begun.elapsed().as_secs_f64();
    Ok(Figure {
        what: format!("{last} events read again by one client"),
        target: format!(">= {REPLAYED_PER_S_MIN} /s"),
        measured: format!("{per_s:.0} /s"),
        verdict: Verdict::of(per_s >= REPLAYED_PER_S_MIN),
    })
}

/// What clients cost that ask for all of the log and read nothing of it, whether the daemon answers
/// meanwhile, and whether one of them misses anything when it does read.
fn stalled(candor: &Candor, view: &str) -> Result<Vec<Figure>> {
    let socket = candor.socket();
    let pid = candor.status()?["pid"].as_i64().context("the daemon has no number")?;
    let pid = Pid::from_raw(i32::try_from(pid)?).context("the daemon has no number")?;
    let before_kb = status_of(pid, "VmRSS")?;
    let is_over = AtomicBool::new(false);
    let (sockets, health) = thread::scope(|scope| -> Result<_> {
        let health = scope.spawn(|| health(&socket, &is_over));
        let sockets: Result<Vec<_>> =
            (0..CLIENTS).map(|_| wire::follow(&socket, 0, view)).collect();
        let rests = await_rest(pid);
        is_over.store(true, Ordering::Relaxed);
        rests?;
        Ok((sockets?, health.join().expect("it does not panic")?))
    })?;
    let held_kb = status_of(pid, "VmRSS")?.saturating_sub(before_kb);
    drop(sockets);
    let with = if view.is_empty() { "" } else { " with sessions" };
    Ok(vec![
        Figure {
            what: format!("{CLIENTS} clients{with} that read nothing, memory of the daemon"),
            target: format!("<= {} MB", STALLED_MAX_KB / 1_024),
            measured: format!("{} MB", held_kb.div_ceil(1_024)),
            verdict: Verdict::of(held_kb <= STALLED_MAX_KB),
        },
        Figure {
            what: format!("  health meanwhile, worst of {}", health.len()),
            target: format!("<= {} ms", HEALTH_MAX.as_millis()),
            measured: milliseconds(health.worst()),
            verdict: Verdict::of(health.worst() <= HEALTH_MAX),
        },
    ])
}

/// Waits until the daemon has nothing to do but to answer that it is well.
fn await_rest(pid: Pid) -> Result<()> {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let read =
        || ticks(&std::fs::read_to_string(&stat)?).context("/proc/PID/stat has another form");
    for _ in 0..IDLE_LOOKS_MAX {
        let before = read()?;
        thread::sleep(IDLE);
        if read()? - before <= IDLE_TICKS_MAX {
            return Ok(());
        }
    }
    bail!("the daemon does not come to rest")
}

/// Asks again and again whether the daemon is well, and returns how long each answer took.
fn health(socket: &Path, is_over: &AtomicBool) -> Result<Sample> {
    let mut taken = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        wire::ask(socket, "/v1/health")?;
        taken.push(begun.elapsed());
        thread::sleep(HEALTH_EACH);
    }
    Ok(Sample::of(taken))
}
