//! Many sessions, and a daemon that is killed again and again: what it says of them each time, how
//! soon, and whether it was true in the end.

pub(crate) mod agent;
mod daemon;
mod fleet;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xshell::Shell;

use self::daemon::Daemon;
use self::fleet::Agent;
use super::process::shims_of;
use super::random::Random;
use super::sample::Sample;
use super::{Figure, Verdict};
use crate::candor::{Candor, Form};

/// How many sessions live through all of it.
const SESSIONS: usize = 200;

/// How many sessions are launched in each round that end by themselves in one of the next.
const PASSING: usize = 2;

/// Lines after which such a session ends, at most. They come at [`agent::PACE`].
const PASSING_LINES_MAX: u64 = 30;

/// How many shims are held in the rounds with shims that hang, and how many such rounds there are.
const HELD: usize = 20;
const HELD_ROUNDS: usize = 5;

/// When a daemon is killed at the latest, after all its sessions were adopted.
const KILL_WITHIN: Duration = Duration::from_millis(300);

/// When it is killed at the latest that is killed while it recovers, which is one in so many.
const KILL_EARLY_WITHIN: Duration = Duration::from_millis(200);
const KILL_EARLY_EACH: u64 = 3;

const READ_TARGET: Duration = Duration::from_millis(250);
const ADOPTED_TARGET: Duration = Duration::from_secs(1);

/// How long it is waited for an adoption before it counts as failed.
const ADOPTED_MAX: Duration = Duration::from_secs(60);

/// How often it is asked whether all are adopted, of which there is no event.
const ASK_EACH: Duration = Duration::from_millis(10);

/// How many rounds go by between two lines of progress.
const PROGRESS_EVERY: usize = 50;

/// What was seen in all rounds together.
#[derive(Debug, Default)]
struct Seen {
    rounds: usize,
    kills: usize,
    /// Rounds in which not every session was adopted.
    incomplete: usize,
    /// Live sessions that were shown as anything but running, or changed.
    guessed: usize,
    first_read: Sample,
    adopted: Sample,
    adopted_beside_held: Sample,
    recovered: Sample,
}

/// What was found when all had ended.
#[derive(Debug, Default)]
struct Found {
    sessions: usize,
    duplicates: usize,
    ends_right: usize,
    bytes_wrong: usize,
}

pub(super) fn measure(shell: &Shell, rounds: usize) -> Result<Vec<Figure>> {
    let candor = Candor::build(shell, Form::Release)?;
    let mut bench = Bench {
        candor: &candor,
        random: Random::new(),
        agents: Vec::with_capacity(SESSIONS),
        seen: Seen::default(),
    };
    let mut daemon = Daemon::start(&candor)?;
    daemon.sessions("")?;
    for number in 0..SESSIONS {
        bench.agents.push(Agent::launch(&candor, number, 0)?);
    }
    for round in 1..=rounds {
        daemon = bench.round(daemon)?;
        if round % PROGRESS_EVERY == 0 {
            println!("{round} of {rounds} rounds");
        }
    }
    for _ in 0..HELD_ROUNDS {
        daemon = bench.round_with_held_shims(daemon)?;
    }
    let found = bench.finish(daemon)?;
    Ok(figures(&bench.seen, &found))
}

struct Bench<'candor> {
    candor: &'candor Candor,
    random: Random,
    /// First those that live through all of it, and then those that do not.
    agents: Vec<Agent>,
    seen: Seen,
}

impl<'candor> Bench<'candor> {
    /// Kills the daemon and looks at what the next one tells.
    fn round(&mut self, daemon: Daemon<'candor>) -> Result<Daemon<'candor>> {
        for _ in 0..PASSING {
            let (number, lines) = (self.agents.len(), 1 + self.random.below(PASSING_LINES_MAX));
            self.agents.push(Agent::launch(self.candor, number, lines)?);
        }
        thread::sleep(self.random.moment(KILL_WITHIN));
        self.kill(daemon)?;
        if self.random.below(KILL_EARLY_EACH) == 0 {
            let daemon = Daemon::start(self.candor)?;
            thread::sleep(self.random.moment(KILL_EARLY_WITHIN));
            self.kill(daemon)?;
        }
        let mut daemon = Daemon::start(self.candor)?;
        daemon.sessions("running")?;
        self.seen.first_read.add(daemon.age());
        self.await_supervised(&mut daemon, SESSIONS)?;
        self.seen.adopted.add(daemon.age());
        self.look_at_passing(&mut daemon)?;
        self.seen.rounds += 1;
        Ok(daemon)
    }

    /// Looks at those that end by themselves: each runs, or has ended as it was to.
    fn look_at_passing(&mut self, daemon: &mut Daemon<'candor>) -> Result<()> {
        let listed = by_id(daemon.sessions("")?)?;
        let is_false = |agent: &&Agent| {
            let session = listed.get(&agent.session);
            !session.is_some_and(|it| is_as_it_was(it) || agent.ended_as(it))
        };
        let guessed = self.agents[SESSIONS..].iter().filter(is_false).count();
        self.seen.guessed = self.seen.guessed.max(guessed);
        Ok(())
    }

    fn kill(&mut self, daemon: Daemon<'candor>) -> Result<()> {
        daemon.kill()?;
        self.seen.kills += 1;
        Ok(())
    }

    /// The same, while some shims do not answer.
    fn round_with_held_shims(&mut self, daemon: Daemon<'candor>) -> Result<Daemon<'candor>> {
        self.kill(daemon)?;
        let sessions: Vec<_> =
            self.agents[..SESSIONS].iter().map(|agent| agent.session.clone()).collect();
        let shims = shims_of(&sessions)?;
        ensure!(shims.len() == SESSIONS, "only {} sessions have a shim", shims.len());
        let held = Held::hold(shims.values().copied().take(HELD))?;

        let mut daemon = Daemon::start(self.candor)?;
        daemon.sessions("running")?;
        self.seen.first_read.add(daemon.age());
        self.await_supervised(&mut daemon, SESSIONS - HELD)?;
        self.seen.adopted_beside_held.add(daemon.age());
        self.await_counts(&mut daemon, "unreachable", HELD)?;

        let released = Instant::now();
        drop(held);
        self.await_supervised(&mut daemon, SESSIONS)?;
        self.seen.recovered.add(released.elapsed());
        self.seen.rounds += 1;
        Ok(daemon)
    }

    fn await_supervised(&mut self, daemon: &mut Daemon<'candor>, count: usize) -> Result<()> {
        self.await_counts(daemon, "ok", count)
    }

    /// Waits until so many sessions of those that live through all of it have this supervision, and
    /// looks at all of them each time.
    fn await_counts(
        &mut self,
        daemon: &mut Daemon<'candor>,
        supervision: &str,
        count: usize,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            let listed = by_id(daemon.sessions("running")?)?;
            let (mut guessed, mut found) = (0, 0);
            for agent in &self.agents[..SESSIONS] {
                let session = listed.get(&agent.session);
                guessed += usize::from(!session.is_some_and(is_as_it_was));
                found += usize::from(session.is_some_and(|it| it["supervision"] == supervision));
            }
            self.seen.guessed = self.seen.guessed.max(guessed);
            if found >= count {
                return Ok(());
            }
            if start.elapsed() > ADOPTED_MAX {
                eprintln!("{found} of {count} sessions are `{supervision}`");
                self.seen.incomplete += 1;
                return Ok(());
            }
            thread::sleep(ASK_EACH);
        }
    }

    /// Has all sessions end, half of them while no daemon runs, and compares.
    fn finish(&mut self, daemon: Daemon<'candor>) -> Result<Found> {
        self.kill(daemon)?;
        let (without, with) = self.agents[..SESSIONS].split_at(SESSIONS / 2);
        without.iter().try_for_each(Agent::tell_to_end)?;
        without.iter().try_for_each(Agent::await_last_line)?;
        let mut daemon = Daemon::start(self.candor)?;
        with.iter().try_for_each(Agent::tell_to_end)?;
        let sessions = self.agents.iter().map(|agent| agent.session.as_str());
        // Most of them fail, as they are to, and so does this.
        self.candor.output(["wait"].into_iter().chain(sessions))?;

        let listed = by_id(daemon.sessions("")?)?;
        let mut found = Found { sessions: self.agents.len(), ..Found::default() };
        for agent in &self.agents {
            found.duplicates += agent.duplicates()?;
            found.bytes_wrong += agent.bytes_wrong(self.candor)?;
            let session = listed.get(&agent.session).context("a session is gone")?;
            if agent.ended_as(session) {
                found.ends_right += 1;
            } else {
                eprintln!("not the end of {agent:?}: {session}");
            }
        }
        Ok(found)
    }
}

fn by_id(sessions: Vec<Value>) -> Result<BTreeMap<String, Value>> {
    let named = sessions.into_iter().map(|session| {
        let id = session["id"].as_str().context("a session has no id")?.to_owned();
        Ok((id, session))
    });
    named.collect()
}

/// Whether a session is shown as running, and nothing has happened to it since: the second revision
/// is that of `running`.
fn is_as_it_was(session: &Value) -> bool {
    session["status"] == "running" && session["revision"] == 2
}

/// Shims that are stopped. Dropped, they go on.
struct Held(Vec<Pid>);

impl Held {
    fn hold(shims: impl Iterator<Item = Pid>) -> Result<Self> {
        let mut held = Self(Vec::new());
        for shim in shims {
            kill_process(shim, Signal::STOP)?;
            held.0.push(shim);
        }
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for &shim in &self.0 {
            // It is gone where this fails, and that is found.
            let _ = kill_process(shim, Signal::CONT);
        }
    }
}

fn figures(seen: &Seen, found: &Found) -> Vec<Figure> {
    let count = |what: String, target: usize, measured: usize, of: usize| Figure {
        what,
        target: target.to_string(),
        measured: format!("{measured} of {of}"),
        verdict: if target == measured { Verdict::Reached } else { Verdict::Wrong },
    };
    let (rounds, kills, sessions) = (seen.rounds, seen.kills, found.sessions);
    let complete = rounds.saturating_sub(seen.incomplete);
    let rest = SESSIONS - HELD;
    let mut figures = vec![
        count(
            format!(
                "{kills} × kill -9 of the daemon, rounds with {SESSIONS} of {SESSIONS} adopted"
            ),
            rounds,
            complete,
            rounds,
        ),
        count("  sessions that were started twice".to_owned(), 0, found.duplicates, sessions),
        count("  live sessions with another status".to_owned(), 0, seen.guessed, sessions),
        count("  ends as they were".to_owned(), sessions, found.ends_right, sessions),
        Figure {
            what: "  bytes of output lost or repeated".to_owned(),
            target: "0".to_owned(),
            measured: found.bytes_wrong.to_string(),
            verdict: if found.bytes_wrong == 0 { Verdict::Reached } else { Verdict::Wrong },
        },
    ];
    let times = [
        ("  start to the first answer".to_owned(), READ_TARGET, &seen.first_read),
        (format!("  start to {SESSIONS} adopted"), ADOPTED_TARGET, &seen.adopted),
        (
            format!("  start to {rest} adopted, {HELD} shims held"),
            ADOPTED_TARGET,
            &seen.adopted_beside_held,
        ),
        ("  held shims go on to all adopted".to_owned(), ADOPTED_TARGET, &seen.recovered),
    ];
    figures.extend(times.map(|(what, target, sample)| sample.figure(&what, target)));
    figures
}

#[cfg(test)]
mod tests {
    use super::{Found, Seen, Verdict, figures};

    #[test]
    fn one_false_answer_makes_the_figure_wrong() {
        let seen = Seen { rounds: 3, kills: 4, ..Seen::default() };
        let found = Found { sessions: 9, ends_right: 9, ..Found::default() };
        let wrong = |seen: &Seen, found: &Found| {
            let figures = figures(seen, found);
            figures.iter().filter(|figure| figure.verdict == Verdict::Wrong).count()
        };
        assert_eq!(wrong(&seen, &found), 0);
        assert_eq!(wrong(&Seen { guessed: 1, rounds: 3, ..Seen::default() }, &found), 1);
        assert_eq!(wrong(&Seen { incomplete: 1, rounds: 3, ..Seen::default() }, &found), 1);
        assert_eq!(
            wrong(&seen, &Found { duplicates: 1, sessions: 9, ends_right: 9, ..Found::default() }),
            1
        );
        assert_eq!(
            wrong(&seen, &Found { bytes_wrong: 1, sessions: 9, ends_right: 8, ..Found::default() }),
            2
        );
    }
}
