//! Plays a timeline on a real daemon: what the world decides there is done here, and the places of
//! the daemon are held and let go so that it happens in that order.
//!
//! A place that a line of the timeline stands for is a gate: it opens when the line is there. All
//! other places are windows: the daemon passes them, but the one in which it is to be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candor_adapters::failpoint::{Point, VARIABLE};
use candor_core::stop::Rung;
use candor_harness::timeline::choice::{
    Ask, AttachAnswer, Boot, Choice, DueKind, InFlight, SignalEffect, SpawnOutcome, WriteOutcome,
};
use candor_harness::timeline::names::{ProcessName, SessionName};
use candor_harness::timeline::{self, Timeline};
use rustix::process::Signal;
use serde_json::Value;

use super::cast::{Role, process_of};
use super::follower::Follower;
use super::listener::Listener;
use super::stage::{Daemon, GATES};
use crate::support::{Place, Running, wire};

/// Where the timelines are.
pub(crate) const TIMELINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../harness/timelines");

/// One session.
pub(super) struct Part {
    pub(super) role: Role,
    pub(super) id: Option<String>,
    /// What its last change must have as its cause, and its exit.
    pub(super) end: (&'static str, Value),
    /// Its end may be told as soon as it is seen.
    pub(super) may_be_seen: bool,
}

/// A play under way.
pub(super) struct Play<'t> {
    pub(super) place: Place,
    pub(super) timeline: &'t Timeline,
    pub(super) choices: Vec<&'t Choice>,
    pub(super) now: usize,
    /// Where the daemon is to be killed each time, if not where the timeline leaves it.
    pub(super) windows: Vec<Point>,
    /// It is killed nowhere else, so that everybody is told what the golden block says.
    pub(super) is_left_alone: bool,
    pub(super) daemon: Option<Daemon>,
    pub(super) daemons: usize,
    pub(super) parts: BTreeMap<SessionName, Part>,
    pub(super) follower: Follower,
    pub(super) asked: BTreeSet<String>,
    /// Who has no answer yet.
    pub(super) asking: Vec<String>,
    pub(super) said: Vec<String>,
}

/// Plays the timeline of this name, and checks that it came out as its golden block says. The
/// daemon is killed in `windows`, one for each crash; without any, it is killed where the timeline
/// leaves it, and everybody was told exactly what the block says.
pub(crate) fn play(name: &str, windows: &[Point]) {
    let file = Path::new(TIMELINES).join(format!("{name}.timeline"));
    let timeline = timeline::read_file(&file).unwrap();
    let mut play = Play {
        place: Place::new(),
        timeline: &timeline,
        choices: timeline.steps().map(|step| &step.choice).collect(),
        now: 0,
        is_left_alone: windows.is_empty(),
        windows: windows.iter().rev().copied().collect(),
        daemon: None,
        daemons: 0,
        parts: BTreeMap::new(),
        follower: Follower::new(&timeline),
        asked: BTreeSet::new(),
        asking: Vec::new(),
        said: Vec::new(),
    };
    play.boot();
    while let Some(&choice) = play.choices.get(play.now) {
        play.take(choice);
        play.now += 1;
    }
    play.check_end();
}

/// Whether a real machine does this on order.
pub(crate) const fn can_be_played(choice: &Choice) -> bool {
    match choice {
        Choice::Launch { options, .. } => !options.always_reports,
        Choice::Write { outcome, .. } => matches!(outcome, WriteOutcome::Ok),
        Choice::Spawn { outcome, .. } => !matches!(outcome, SpawnOutcome::Unknown(_)),
        Choice::Exit { oom_killed, .. } => !*oom_killed,
        Choice::Reap { lost, .. } => lost.is_none(),
        Choice::Boot { boot } => matches!(boot, Boot::Same),
        Choice::Attach { answer, .. } => {
            matches!(answer, AttachAnswer::Lost(_) | AttachAnswer::NeverRan)
        }
        Choice::Signal { effect, .. } => {
            use SignalEffect::{Exits, Gone, Ignored, Kills};
            matches!(effect, Kills | Exits { report: None, .. } | Ignored | Gone)
        }
        Choice::Due { kind, .. } => matches!(kind, DueKind::Rung | DueKind::Timeout),
        Choice::Stop { .. }
        | Choice::Shutdown
        | Choice::Fork { .. }
        | Choice::Crash { .. }
        | Choice::Connect { .. } => true,
        _ => false,
    }
}

impl Play<'_> {
    fn take(&mut self, choice: &Choice) {
        assert!(can_be_played(choice), "`{choice}` cannot be played on a real machine");
        if !matches!(choice, Choice::Crash { .. }) {
            self.pass_windows();
        }
        match choice {
            Choice::Launch { session, .. } => self.launch(*session),
            Choice::Stop { session, ask } => self.stop(*session, *ask),
            Choice::Shutdown => self.shutdown(),
            Choice::Write { call, outcome: WriteOutcome::Ok } => self.write(call.session),
            Choice::Fork { session, .. } => self.fork(*session),
            Choice::Spawn { session, outcome } => self.spawn(*session, *outcome),
            Choice::Signal { process, signal, .. } => self.signal(*process, *signal),
            Choice::Exit { process, .. } => {
                let session = self.session_of(*process);
                self.part(session).role.end();
            }
            Choice::Reap { process, lost: None } => self.reap(self.session_of(*process)),
            Choice::Due { session, .. } => self.reach(Point::CommitBegun, *session),
            Choice::Crash { in_flight } => self.crash(in_flight.as_ref()),
            Choice::Boot { boot: Boot::Same } => self.boot(),
            Choice::Attach { session, answer } => self.attach(*session, *answer),
            // What a client has seen depends on where exactly the daemon is killed.
            Choice::Connect { .. } if !self.is_left_alone => {}
            Choice::Connect { .. } => self.follower.connect(&self.place),
            other => unreachable!("`{other}` can be played"),
        }
    }

    /// Starts a daemon, and lets it come to where it looks for sessions of an earlier one.
    fn boot(&mut self) {
        self.daemons += 1;
        let socket = self.place.path(&format!("failpoints-{}", self.daemons));
        let listener = Listener::at(&socket);
        let mut command = self.place.candor(["daemon", "run"]);
        command.env(VARIABLE, socket);
        // A launch by a shim is made by another process, which nobody holds still.
        command.env("CANDOR_FAILPOINT_SPAWNER", "direct");
        let process = Running::start(command);
        self.daemon = Some(Daemon { process, listener, stands_at: Vec::new() });
        self.reach_any(Point::RecoveryBegun);
    }

    fn launch(&mut self, session: SessionName) {
        let role = Role::new(&self.place, self.timeline, session);
        let request = role.request();
        let end = ("", Value::Null);
        self.parts.insert(session, Part { role, id: None, end, may_be_seen: false });
        self.ask(format!("launch {session}"), "/v1/sessions".to_owned(), request);
        self.reach(Point::CommitBegun, session);
    }

    fn stop(&mut self, session: SessionName, ask: Ask) {
        let verb = match ask {
            Ask::Interrupt => "interrupt",
            Ask::Kill => "kill",
            Ask::Finish => "finish",
        };
        let path = format!("/v1/sessions/{}/{verb}", self.id(session));
        let asked = format!("{verb} {session}");
        let is_first = !self.asked.contains(&asked);
        self.ask(asked, path, String::new());
        if is_first && !self.daemon().stands_at(Point::CommitBegun, &self.id(session)) {
            self.reach(Point::CommitBegun, session);
        }
    }

    fn shutdown(&mut self) {
        self.daemon().process.signal(Signal::TERM);
        if !self.halts_at(&[Point::ShutdownBegun]) {
            let sessions: Vec<_> = self.parts.keys().copied().collect();
            sessions.into_iter().for_each(|session| self.reach(Point::CommitBegun, session));
        }
    }

    /// Lets a commit through until its event is published.
    fn write(&mut self, session: SessionName) {
        self.open(Point::CommitBegun, session);
        if !self.halts_at(&[Point::PublishBegun]) {
            self.reach(Point::PublishDone, session);
        }
    }

    /// Lets a launch go on until the program runs.
    fn fork(&mut self, session: SessionName) {
        self.open(Point::LaunchBegun, session);
        if !self.halts_at(&[Point::IdentityStored]) {
            self.reach(Point::LaunchOpened, session);
            self.part(session).role.await_start();
        }
    }

    fn spawn(&mut self, session: SessionName, outcome: SpawnOutcome) {
        let id = self.id(session);
        match outcome {
            SpawnOutcome::Up(_) if self.daemon().stands_at(Point::LaunchOpened, &id) => {}
            SpawnOutcome::Up(_) => self.fork(session),
            SpawnOutcome::Refused { .. } => {
                self.open(Point::LaunchBegun, session);
                self.part(session).end.0 = "spawn_refused";
            }
            SpawnOutcome::Unknown(_) => panic!("no real launch can be made to answer so"),
        }
        self.daemon_mut().let_go(Point::LaunchOpened, &id);
        self.reach(Point::CommitBegun, session);
    }

    /// Lets a signal be sent, which must be the one that the timeline has.
    fn signal(&mut self, process: ProcessName, rung: Rung) {
        let session = self.session_of(process);
        self.reach(Point::SignalBegun, session);
        let id = self.id(session);
        let mut waits = self.daemon().stands_at.iter();
        let sent = waits.find(|arrival| arrival.is(Point::SignalBegun, &id)).unwrap();
        assert_eq!(sent.detail, format!("{rung:?}"));
        self.open(Point::SignalBegun, session);
        self.reach(Point::SignalSent, session);
    }

    /// Lets the end of a process be seen: now, or, where the session is busy, after that.
    fn reap(&mut self, session: SessionName) {
        let id = self.id(session);
        let part = self.part(session);
        part.role.await_end();
        part.end = ("exited", part.role.exit().clone());
        let signal_is_next = matches!(self.choices.get(self.now + 1), Some(Choice::Signal { .. }));
        let is_busy = self.daemon().stands_at(Point::CommitBegun, &id) || signal_is_next;
        if is_busy {
            self.part(session).may_be_seen = true;
        } else {
            self.reach(Point::ExitSeen, session);
            if self.next_window() != Some(Point::ExitSeen) {
                self.open(Point::ExitSeen, session);
                self.reach(Point::CommitBegun, session);
            }
        }
    }

    fn attach(&mut self, session: SessionName, answer: AttachAnswer) {
        let cause = match answer {
            AttachAnswer::Lost(_) => "gone",
            AttachAnswer::NeverRan => "never_ran",
            other => panic!("without a parent that stays behind, no attach answers {other}"),
        };
        self.open(Point::AttachBegun, session);
        let part = self.part(session);
        part.end = (cause, Value::Null);
        if !self.halts_at(&[Point::AttachDone]) {
            self.reach(Point::CommitBegun, session);
        }
        self.part(session).role.await_end();
    }

    /// Kills the daemon: in the window that was asked for, or else where it stands.
    fn crash(&mut self, in_flight: Option<&InFlight>) {
        let session = self.kept(in_flight);
        match (self.windows.pop(), in_flight) {
            (Some(window), _) => self.go_on_to(window, session),
            (None, Some(InFlight::Lose)) => self.reach(Point::CommitBegun, session),
            (None, Some(_)) => self.go_on_to(Point::CommitDone, session),
            (None, None) => {
                self.pass_windows();
                self.hear_what_is_promised();
            }
        }
        self.follower.check();
        self.daemon().process.signal(Signal::KILL);
        while !self.asking.is_empty() {
            drop(self.next("the end of all connections"));
        }
        self.daemon.take().unwrap().process.dies_of(Signal::KILL);
        self.parts.values_mut().for_each(|part| part.may_be_seen = false);
    }

    /// The session of the commit that reaches the store, or of whatever else is under way.
    fn kept(&self, in_flight: Option<&InFlight>) -> SessionName {
        match in_flight {
            Some(InFlight::KeepOnly(calls)) => {
                let [call] = calls.as_slice() else { panic!("one transaction, and no more") };
                call.session
            }
            Some(InFlight::Keep | InFlight::Lose) | None => *self.parts.keys().next().unwrap(),
        }
    }

    /// Opens the gate that leads to a window, and waits until the daemon is there.
    fn go_on_to(&mut self, window: Point, session: SessionName) {
        let id = self.id(session);
        if self.daemon().stands_at(window, &id) {
            return;
        }
        self.pass_windows();
        let gate = match window {
            Point::CommitWritten | Point::CommitDone => Some(Point::CommitBegun),
            Point::LaunchClaimed
            | Point::LaunchForked
            | Point::IdentityUnfinished
            | Point::IdentityStored => Some(Point::LaunchBegun),
            Point::StopStored => None,
            gate if GATES.contains(&gate) => None,
            other => panic!("nothing leads to {other:?} from here"),
        };
        if let Some(gate) = gate {
            self.open(gate, session);
        }
        self.reach(window, session);
    }

    /// Returns the window of the crash that comes next, where it is the next choice.
    fn next_window(&self) -> Option<Point> {
        let is_next = matches!(self.choices.get(self.now + 1), Some(Choice::Crash { .. }));
        self.windows.last().copied().filter(|_| is_next)
    }

    /// Goes on to the window of the crash that comes next, if it is one of these on the way.
    fn halts_at(&mut self, on_the_way: &[Point]) -> bool {
        let window = self.next_window().filter(|window| on_the_way.contains(window));
        window.inspect(|&window| self.reach_any(window)).is_some()
    }

    fn ask(&mut self, asked: String, path: String, body: String) {
        let home = self.place.home();
        self.asked.insert(asked.clone());
        self.asking.push(asked.clone());
        self.daemon().listener.ask(asked, move || {
            let reply = wire::try_ask(&home, "POST", &path, body.as_bytes())?;
            serde_json::from_slice(&reply.body).ok()
        });
    }

    fn session_of(&self, process: ProcessName) -> SessionName {
        let has = |session| process_of(self.timeline, session) == Some(process);
        self.parts.keys().copied().find(|&session| has(session)).unwrap()
    }

    pub(super) fn part(&mut self, session: SessionName) -> &mut Part {
        self.parts.get_mut(&session).unwrap()
    }
}
