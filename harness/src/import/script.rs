//! Writes the choices of an import: a world is driven from entry to entry.
//!
//! What a session waits for is read from the list of choices that are enabled, in the words of the
//! format, so that nothing here knows how the world works inside.

use candor_core::input::{Deadline, Input};
use candor_core::machine::Policy;
use candor_core::protocol::{CommitAnswer, RowSeen};
use candor_core::recording::Call;
use candor_core::session::Revision;
use candor_core::stop::{Rung, StopKind};
use candor_core::verdict::End;

use super::inferred::{self, Fate, death_by, exit_words, session};
use super::launch::options;
use super::track::{Expected, Track};
use super::{ImportError, describe, describe_call};
use crate::replay::Run;
use crate::timeline::choice::signal_word;
use crate::timeline::names::{ProcessName, SessionName};
use crate::timeline::{BodyLine, Choice, Moment, Step};

/// The comment at what the recording does not hold.
const INFERRED: &str = " inferred";

/// The comment at what stands for a past that was not recorded.
const MADE_UP: &str = " made up";

/// The body of a timeline while it is written.
pub(super) struct Script<'a> {
    tracks: &'a mut [Track],
    /// How many entries of each track the replay has recorded.
    done: Vec<usize>,
    run: Run,
    /// How many entries of the replay were looked at.
    seen: usize,
    /// What is enabled now, in words.
    menu: Vec<String>,
    body: Vec<BodyLine>,
    moved: usize,
    tie: Tie,
}

/// Whose entry comes first where several sessions have one in the same millisecond. The recordings
/// do not say, so each order is tried.
#[derive(Clone, Copy)]
enum Tie {
    /// That of the session that began first.
    First,
    /// That of the session that began last.
    Last,
    /// That of the session that is most behind.
    Behind,
}

/// Why an entry cannot be made to happen.
struct Stuck(String);

type Made = Result<(), Stuck>;

impl Stuck {
    fn because(reason: impl Into<String>) -> Made {
        Err(Self(reason.into()))
    }
}

impl<'a> Script<'a> {
    /// Returns choices that lead a world through the tracks. Moments that turn out to decide nothing
    /// are moved to those of the world.
    pub(super) fn write(
        tracks: &mut Vec<Track>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<BodyLine>, ImportError> {
        let mut attempt = |tie| {
            let mut fresh = tracks.clone();
            let body = Script::write_in_order(&mut fresh, notes, tie)?;
            *tracks = fresh;
            Ok(body)
        };
        let first = attempt(Tie::First);
        first.or_else(|error| {
            attempt(Tie::Last).or_else(|_: ImportError| attempt(Tie::Behind)).map_err(|_| error)
        })
    }

    fn write_in_order(
        tracks: &'a mut [Track],
        notes: &mut Vec<String>,
        tie: Tie,
    ) -> Result<Vec<BodyLine>, ImportError> {
        let done = vec![0; tracks.len()];
        let run = Run::default();
        let (menu, body) = (Vec::new(), Vec::new());
        let mut script = Self { tracks, done, run, seen: 0, menu, body, moved: 0, tie };
        script.read_menu();
        while let Some(at) = script.next_track() {
            let before = script.done[at];
            let made = script.advance(at);
            let made = made.and_then(|()| match script.done[at] {
                after if after > before => Ok(()),
                _ => Stuck::because("the world does nothing"),
            });
            made.map_err(|Stuck(reason)| script.stuck(at, reason))?;
        }
        script.close().map_err(|Stuck(reason)| script.stuck(0, reason))?;
        if script.moved > 0 {
            notes.push(format!(
                "{} entries stand at another moment than in the recording, where the moment \
                 decides nothing",
                script.moved
            ));
        }
        Ok(script.body)
    }

    fn stuck(&self, at: usize, reason: String) -> ImportError {
        let track = &self.tracks[at];
        let next = track.entries.get(self.done[at]).or_else(|| track.entries.last());
        ImportError::NotShown {
            at: track.place(next.map_or(0, |next| next.line)),
            entry: next.map_or_else(String::new, |next| describe_call(&next.entry.call)),
            reason,
        }
    }

    /// Returns the track whose next entry comes first.
    fn next_track(&self) -> Option<usize> {
        let next = |at: &usize| self.tracks[*at].entries.get(self.done[*at]);
        let open = (0..self.tracks.len()).filter(|at| next(at).is_some());
        open.min_by_key(|at| {
            let rank = match self.tie {
                Tie::First => *at,
                Tie::Last => self.tracks.len() - at,
                Tie::Behind => self.done[*at],
            };
            (next(at).map(|expected| expected.at_ms), self.is_queueable(*at), rank)
        })
    }

    /// Ranks a session that is to be queued: first as soon as it can be, so that the one that it
    /// waits for does not end before, and last until then.
    fn is_queueable(&self, at: usize) -> u8 {
        if !matches!(self.coming(at).next(), Some(Call::Create { queued: true, .. })) {
            return 1;
        }
        let queue = |parent| format!("user queue {} after {parent}", session(at));
        if self.parent(at).is_some_and(|parent| self.offers(&queue(parent))) { 0 } else { 2 }
    }

    /// Makes the next entry of a track happen.
    fn advance(&mut self, at: usize) -> Made {
        let Some(&expected) = self.tracks[at].entries.get(self.done[at]) else { return Ok(()) };
        self.answer_signals()?;
        let before = self.done[at];
        self.make(at, &expected)?;
        if self.done[at] == before { Ok(()) } else { self.answer_signals() }
    }

    /// Answers what is on its way when the recordings end.
    fn close(&mut self) -> Made {
        self.answer_signals()
    }

    /// Starts a daemon where the last one has left and no recording tells of the next.
    fn be_up(&mut self, at_ms: u64) -> Made {
        if self.offers("boot same") {
            return self.say(at_ms, "boot same".to_owned(), Some(INFERRED));
        }
        Ok(())
    }

    fn make(&mut self, at: usize, expected: &Expected) -> Made {
        let session = session(at);
        let at_ms = expected.at_ms;
        match expected.entry.call {
            Call::Create { policy, queued: false } => {
                let options = options(&policy).ok_or_else(|| {
                    let reason = "`user launch` has no word for a session without a good code";
                    Stuck(reason.to_owned())
                })?;
                self.be_up(at_ms)?;
                self.say(at_ms, format!("user launch {session}{options}"), None)
            }
            Call::Create { policy, queued: true } => {
                if policy != Policy::default() {
                    return Stuck::because(
                        "`user queue` has no options, and this session has some",
                    );
                }
                let parent = self.parent(at).ok_or_else(|| {
                    Stuck("add the recording of the session that it waits for".to_owned())
                })?;
                self.say(at_ms, format!("user queue {session} after {parent}"), None)
            }
            Call::Resume { .. } => self.restart(expected),
            Call::Take { input, .. } => self.take(at, at_ms, input),
            Call::Answered(answer) => {
                self.post_late(at, expected)?;
                let call = self.call("write", session)?;
                let word = match answer {
                    CommitAnswer::Stored => "ok",
                    CommitAnswer::NotStored => "err",
                    CommitAnswer::InDoubt => {
                        inferred::end_of_doubt(self.coming(at).skip(1), self.offered(at))
                    }
                };
                self.say(at_ms, format!("write {word} {call}"), None)
            }
            Call::Looked(seen) => {
                self.post_late(at, expected)?;
                let call = self.call("read", session)?;
                let word = if seen == RowSeen::NoAnswer { "err" } else { "ok" };
                self.say(at_ms, format!("read {word} {call}"), None)
            }
            Call::Retry => self.say(at_ms, format!("due {session} retry"), None),
        }
    }

    /// Returns the session that a queued one waits for: of those that have begun, the one that ends
    /// last before it is launched.
    fn parent(&self, at: usize) -> Option<SessionName> {
        let launched_ms = self.tracks[at].launched_ms();
        let ends_ms = |other: &usize| self.tracks[*other].last_ms();
        let others = (0..at).filter(|other| ends_ms(other) <= launched_ms);
        others.max_by_key(ends_ms).map(session)
    }

    /// Where the session ends with this answer, hands in first what it took afterwards: it lay in the
    /// mailbox already, since nothing is taken of a session that is over.
    fn post_late(&mut self, at: usize, expected: &Expected) -> Made {
        if expected.protocol.machine().verdict().is_none() {
            return Ok(());
        }
        let rest: Vec<Call> = self.coming(at).skip(1).copied().collect();
        for call in rest {
            let Call::Take { input, .. } = call else { return Ok(()) };
            self.take(at, expected.at_ms, input)?;
        }
        Ok(())
    }

    fn take(&mut self, at: usize, at_ms: u64, input: Input) -> Made {
        let session = session(at);
        let process = self.process(at);
        let words = match input {
            Input::Stop(StopKind::Interrupt) => format!("user interrupt {session}"),
            Input::Stop(StopKind::Kill) => format!("user kill {session}"),
            Input::Stop(StopKind::Finish) => format!("user finish {session}"),
            Input::Stop(StopKind::Shutdown) => "shutdown".to_owned(),
            Input::Stop(kind @ (StopKind::Timeout | StopKind::Superseded)) => {
                return Stuck::because(format!("nobody can ask for a {kind}"));
            }
            Input::Spawned => format!("spawn ok {session} -> {process}"),
            Input::Unreachable if self.offers(&format!("attach {session} ")) => {
                format!("attach {session} unreachable")
            }
            Input::Unreachable if self.had_process(at) => {
                format!("spawn unknown {session} -> {process}")
            }
            Input::Unreachable => format!("spawn unknown {session}"),
            Input::Adopted => format!("attach {session} up"),
            Input::TurnEnded => format!("turn {process} ended"),
            Input::TurnBegan => format!("turn {process} began"),
            // For how long is not recorded, and decides nothing.
            Input::SettingsChanged => format!("user bypass {session} 1"),
            Input::RequestOpened => format!("request {process} opened"),
            Input::RequestClosed => format!("request {process} closed"),
            Input::FinalReport { success: true } => format!("report {process} success"),
            Input::FinalReport { success: false } => format!("report {process} error"),
            Input::Gone(end) => return self.gone(at, at_ms, end),
            Input::Due(Deadline::Timeout) => format!("due {session} timeout"),
            Input::Due(Deadline::Linger) => format!("due {session} linger"),
            Input::Due(Deadline::Idle) => format!("due {session} idle"),
            Input::Due(Deadline::RungOver(_)) => format!("due {session} rung"),
            Input::ParentEnded => {
                return Stuck::because("the session that it waits for has not ended");
            }
        };
        self.say(at_ms, words, None)
    }

    fn gone(&mut self, at: usize, at_ms: u64, end: End) -> Made {
        let (session, process) = (session(at), self.process(at));
        let attaches = self.offers(&format!("attach {session} "));
        let is_alive = self.offers(&format!("exit {process} "));
        match end {
            End::Refused { stage, errno } => {
                let words = format!("spawn refused {session} {} {errno}", stage.as_str());
                self.say(at_ms, words, None)
            }
            End::NeverRan => self.say(at_ms, format!("attach {session} never_ran"), None),
            End::Exited { exit, oom_killed } => {
                if is_alive {
                    let words = exit_words(process, exit, oom_killed);
                    self.say(at_ms, words, Some(INFERRED))?;
                }
                let seen = format!("reap {process}");
                let words = if attaches { format!("attach {session} ended") } else { seen };
                self.say(at_ms, words, None)
            }
            End::Unknown(reason) => {
                let ended = match inferred::fate_of_process(self.coming(at)) {
                    _ if !is_alive => None,
                    Fate::Ended(exit, oom_killed) => Some((exit, oom_killed)),
                    Fate::Unseen | Fate::FoundAlive if attaches => None,
                    Fate::Unseen | Fate::FoundAlive => Some((death_by(Rung::Kill), false)),
                };
                if let Some((exit, oom_killed)) = ended {
                    self.say(at_ms, exit_words(process, exit, oom_killed), Some(INFERRED))?;
                }
                let how =
                    if attaches { format!("attach {session}") } else { format!("reap {process}") };
                self.say(at_ms, format!("{how} lost {}", reason.as_str()), None)
            }
        }
    }

    /// Kills the daemon, unless it is gone, and starts the next one.
    fn restart(&mut self, expected: &Expected) -> Made {
        let now_ms = self.run.world().now_ms();
        if !self.offers("boot same") {
            for at in 0..self.tracks.len() {
                let fork = format!("fork {} ", session(at));
                if self.offers(&fork) && self.had_process(at) {
                    let words = format!("{fork}-> {}", self.process(at));
                    self.say(now_ms, words, Some(INFERRED))?;
                }
            }
            if expected.is_after_reboot {
                self.end_before_reboot()?;
            }
            let words = self.crash_words();
            self.say(now_ms, words, Some(INFERRED))?;
        }
        let boot = if expected.is_after_reboot { "boot other" } else { "boot same" };
        self.say(expected.at_ms, boot.to_owned(), None)
    }

    /// Ends each process of which somebody saw the end although the machine was restarted.
    fn end_before_reboot(&mut self) -> Made {
        for at in 0..self.tracks.len() {
            let process = self.process(at);
            if self.offers(&format!("exit {process} "))
                && let Fate::Ended(exit, oom_killed) = inferred::fate_of_process(self.coming(at))
            {
                let now_ms = self.run.world().now_ms();
                self.say(now_ms, exit_words(process, exit, oom_killed), Some(INFERRED))?;
            }
        }
        Ok(())
    }

    /// Says which of the commits on their way reached the store, as the rows that come next say.
    fn crash_words(&self) -> String {
        let (mut kept, mut lost) = (Vec::new(), 0);
        for at in 0..self.tracks.len() {
            let Ok(call) = self.call("write", session(at)) else { continue };
            let offered = self.offered(at);
            let next = self.coming(at).next();
            match next {
                Some(Call::Resume { machine }) if Some(machine.revision()) >= offered => {
                    kept.push(call);
                }
                Some(_) | None => lost += 1,
            }
        }
        match (kept.is_empty(), lost) {
            (true, 0) => "crash".to_owned(),
            (true, _) => "crash lose".to_owned(),
            (false, 0) => "crash keep".to_owned(),
            (false, _) => format!("crash keep {}", kept.join(" ")),
        }
    }

    /// Returns the revision that a track's session offers to the store, if it does.
    fn offered(&self, at: usize) -> Option<Revision> {
        let last = self.done[at].checked_sub(1).and_then(|last| self.tracks[at].entries.get(last));
        let transition = last.and_then(|last| last.protocol.offered().copied());
        transition.map(|transition| transition.next.revision())
    }

    /// Returns what a track's session is still handed.
    fn coming(&self, at: usize) -> impl Iterator<Item = &Call> {
        self.tracks[at].calls(self.done[at])
    }

    /// Says whether there is a process, or anything that is still to come was heard of one.
    fn had_process(&self, at: usize) -> bool {
        let is_there = self.offers(&format!("exit {} ", self.process(at)));
        is_there || inferred::was_heard_of(self.coming(at))
    }

    /// Answers each signal that is on its way, until there is none.
    fn answer_signals(&mut self) -> Made {
        for at in 0..self.tracks.len() {
            let process = self.process(at);
            for rung in [Rung::Interrupt, Rung::Terminate, Rung::Kill] {
                let signal = format!("signal {process} {}", signal_word(rung));
                if self.offers(&format!("{signal} ")) {
                    self.answer_signal(at, &signal, rung)?;
                }
            }
        }
        Ok(())
    }

    fn answer_signal(&mut self, at: usize, signal: &str, rung: Rung) -> Made {
        let now_ms = self.run.world().now_ms();
        let process = self.process(at);
        let is_alive = self.offers(&format!("exit {process} "));
        let effect = match rung {
            _ if !is_alive => "gone".to_owned(),
            Rung::Ask | Rung::Interrupt | Rung::InterruptAgain | Rung::Terminate => {
                inferred::effect_of(self.coming(at), rung)
            }
            Rung::Kill => match inferred::fate_of_process(self.coming(at)) {
                Fate::FoundAlive => "unknown".to_owned(),
                Fate::Ended(exit, oom_killed) if exit != death_by(rung) || oom_killed => {
                    let words = exit_words(process, exit, oom_killed);
                    self.say(now_ms, words, Some(INFERRED))?;
                    "gone".to_owned()
                }
                Fate::Ended(..) | Fate::Unseen => "kills".to_owned(),
            },
        };
        self.say(now_ms, format!("{signal} {effect}"), Some(INFERRED))
    }

    /// Makes a choice, as late as it can be made where that is before its moment.
    fn say(&mut self, at_ms: u64, words: String, comment: Option<&str>) -> Made {
        let choice: Choice = words.parse().map_err(|error| Stuck(format!("`{words}`: {error}")))?;
        let (now_ms, latest_ms) = (self.run.world().now_ms(), self.run.world().latest_ms());
        let at_ms = at_ms.min(latest_ms).max(now_ms);
        self.run
            .choose(at_ms, &choice)
            .map_err(|refusal| Stuck(format!("`{words}` is not enabled: {refusal}")))?;
        self.read_menu();
        let is_first = self.body.is_empty();
        let moment = if is_first { Moment::At(at_ms) } else { Moment::After(at_ms - now_ms) };
        let comment = comment.or_else(|| self.is_made_up().then_some(MADE_UP)).map(str::to_owned);
        self.body.push(BodyLine::Step(Step { line: 0, moment, choice, comment }));
        self.compare()
    }

    fn is_made_up(&self) -> bool {
        let is_open = |(track, done): (&Track, &usize)| {
            track.entries.get(*done).is_some_and(|expected| expected.line == 0)
        };
        self.tracks.iter().zip(&self.done).any(is_open)
    }

    /// Holds what the replay has recorded against the tracks.
    fn compare(&mut self) -> Made {
        let recorded = self.run.world().recording_after(self.seen);
        self.seen += recorded.len();
        for (id, entry) in &recorded {
            let at = usize::from(SessionName::of(*id).number()).saturating_sub(1);
            let Some(done) = self.done.get_mut(at) else {
                return Stuck::because("the replay has a session more");
            };
            // What follows within the moment of the last entry was not recorded any more.
            let Some(expected) = self.tracks[at].entries.get_mut(*done) else { continue };
            let is_same = (expected.entry.call, expected.entry.fingerprint)
                == (entry.call, entry.fingerprint);
            if !is_same {
                return Stuck::because(format!("the world records {}", describe(entry)));
            }
            self.moved += usize::from(expected.entry.at != entry.at);
            expected.entry.at = entry.at;
            *done += 1;
        }
        Ok(())
    }

    /// Returns the call on the store that waits for its answer.
    fn call(&self, verb: &str, session: SessionName) -> Result<String, Stuck> {
        let (verb, call) = (format!("{verb} "), format!(" {session}#"));
        let mut answers =
            self.menu.iter().filter(|words| words.starts_with(&verb) && words.contains(&call));
        let answer = answers.next();
        let name = answer.and_then(|words| words.rsplit(' ').next()).map(str::to_owned);
        name.ok_or_else(|| Stuck(format!("no {verb}of {session} is on its way")))
    }

    /// Says whether a choice that begins with these words is enabled.
    fn offers(&self, words: &str) -> bool {
        self.menu.iter().any(|enabled| enabled.starts_with(words))
    }

    fn read_menu(&mut self) {
        let enabled = self.run.world().enabled();
        self.menu = enabled.iter().map(|enabled| enabled.choice.to_string()).collect();
    }

    /// Returns the process of a track's session, or the name that it will have.
    fn process(&self, at: usize) -> ProcessName {
        self.run.world().process_to_be(session(at))
    }
}
