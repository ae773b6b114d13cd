//! Plays a timeline on a real daemon: what the world decides there is done here, and the places of
//! the daemon are held and let go so that it happens in that order.
//!
//! A place that a line of the timeline stands for is a gate: it opens when the line is there. All
//! other places are windows: the daemon passes them, but the one in which it is to be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candor_adapters::failpoint::{Point, VARIABLE};
use candor_harness::timeline::choice::{
    Ask, AttachAnswer, Boot, Choice, InFlight, SpawnOutcome, WriteOutcome,
};
use candor_harness::timeline::names::{ClientName, SessionName};
use candor_harness::timeline::{self, Timeline};
use rustix::process::Signal;
use serde_json::Value;

use super::cast::{Role, process_of};
use super::golden;
use super::listener::{Arrival, Listener, News};
use crate::support::{Place, Running, assert_chain, wire};

/// Where the timelines are.
const TIMELINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../harness/timelines");

/// Places that open only when the timeline comes to them.
const GATES: [Point; 6] = [
    Point::CommitBegun,
    Point::LaunchBegun,
    Point::LaunchOpened,
    Point::SignalBegun,
    Point::ExitSeen,
    Point::AttachBegun,
];

/// A daemon with the places at which it stands.
struct Daemon {
    process: Running,
    listener: Listener,
    stands_at: Vec<Arrival>,
}

/// A client that follows the events.
struct Follower {
    process: Running,
    /// What it is to get before it is cut off.
    expected: Vec<u64>,
}

/// One session.
struct Part {
    role: Role,
    id: Option<String>,
    /// What its last change must have as its cause, and its exit.
    end: (&'static str, Value),
    /// Its end may be told as soon as it is seen.
    may_be_seen: bool,
}

/// A play under way.
struct Play<'t> {
    place: Place,
    timeline: &'t Timeline,
    choices: Vec<&'t Choice>,
    now: usize,
    /// Where the daemon is to be killed each time, if not where the timeline leaves it.
    windows: Vec<Point>,
    daemon: Option<Daemon>,
    daemons: usize,
    parts: BTreeMap<SessionName, Part>,
    followers: BTreeMap<ClientName, Follower>,
    followed: Vec<Vec<u64>>,
    asked: BTreeSet<String>,
    /// Who has no answer yet.
    asking: Vec<String>,
    said: Vec<String>,
}

/// Plays the timeline of this name, and checks that it came out as its golden block says. The
/// daemon is killed in `windows`, one for each crash; without any, it is killed where the timeline
/// leaves it, and everybody was told exactly what the block says.
pub(crate) fn play(name: &str, windows: &[Point]) {
    let file = Path::new(TIMELINES).join(format!("{name}.timeline"));
    let timeline = timeline::read_file(&file).unwrap();
    let followed = segments(&golden::line(&timeline, "c1"));
    let mut play = Play {
        place: Place::new(),
        timeline: &timeline,
        choices: timeline.steps().map(|step| &step.choice).collect(),
        now: 0,
        windows: windows.iter().rev().copied().collect(),
        daemon: None,
        daemons: 0,
        parts: BTreeMap::new(),
        followers: BTreeMap::new(),
        followed,
        asked: BTreeSet::new(),
        asking: Vec::new(),
        said: Vec::new(),
    };
    play.boot();
    while let Some(&choice) = play.choices.get(play.now) {
        play.take(choice);
        play.now += 1;
    }
    play.check_end(windows.is_empty());
}

/// Returns what a client gets between one connection and the next.
fn segments(words: &[String]) -> Vec<Vec<u64>> {
    let mut segments = Vec::new();
    for word in words {
        if word.starts_with("after") {
            segments.push(Vec::new());
        } else if let Some(segment) = segments.last_mut() {
            segment.push(word.parse().unwrap());
        }
    }
    segments.reverse();
    segments
}

impl Daemon {
    fn stands_at(&self, point: Point, session: &str) -> bool {
        self.stands_at.iter().any(|arrival| arrival.is(point, session))
    }

    fn let_go(&mut self, point: Point, session: &str) {
        self.stands_at.retain(|arrival| !arrival.is(point, session));
    }
}

impl Arrival {
    /// Places that are not one session's are everybody's.
    fn is(&self, point: Point, session: &str) -> bool {
        self.point == point && (self.session == session || self.session == "-")
    }
}

impl Play<'_> {
    fn take(&mut self, choice: &Choice) {
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
            Choice::Signal { process, .. } => {
                let session =
                    self.session_of(|session| process_of(self.timeline, session) == Some(*process));
                self.open(Point::SignalBegun, session);
                self.reach(Point::SignalSent, session);
            }
            Choice::Exit { process, .. } => self.part_of(*process).role.end(),
            Choice::Reap { process, lost: None } => {
                let session =
                    self.session_of(|session| process_of(self.timeline, session) == Some(*process));
                self.reap(session);
            }
            Choice::Due { session, .. } => self.reach(Point::CommitBegun, *session),
            Choice::Crash { in_flight } => self.crash(in_flight.as_ref()),
            Choice::Boot { boot: Boot::Same } => self.boot(),
            Choice::Attach { session, answer } => self.attach(*session, *answer),
            Choice::Connect { client } => self.connect(*client),
            other => panic!("`{other}` cannot be played on a real machine"),
        }
    }

    /// Starts a daemon, and lets it come to where it looks for sessions of an earlier one.
    fn boot(&mut self) {
        if self.daemon.is_some() {
            // The first `boot` of a timeline is the start of its second daemon.
            panic!("there is a daemon already");
        }
        self.daemons += 1;
        let socket = self.place.path(&format!("failpoints-{}", self.daemons));
        let listener = Listener::at(&socket);
        let mut command = self.place.candor(["daemon", "run"]);
        command.env(VARIABLE, socket);
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

    fn connect(&mut self, client: ClientName) {
        let after = match self.followed.last() {
            Some(_) if self.daemons == 1 => 0,
            _ => self.followers.get(&client).and_then(|old| old.expected.last().copied()).unwrap(),
        };
        let expected = self.followed.pop().unwrap();
        let words = ["events", "--json", "--follow", "--after", &after.to_string()];
        let process = self.place.start(words);
        self.followers.insert(client, Follower { process, expected });
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
                // Before nobody is left to give them: the answers that the golden block promises.
                let promised = golden::line(self.timeline, "said");
                let is_promised = |asked: &String| {
                    let head = format!("{asked}:");
                    !asked.starts_with("launch")
                        && promised.iter().any(|said| said.starts_with(&head))
                };
                let asked: Vec<_> =
                    self.asking.iter().filter(|asked| is_promised(asked)).cloned().collect();
                self.go_on_until_answered(&asked);
            }
        }
        for follower in self.followers.values_mut() {
            follower.check();
        }
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

    /// Opens a gate, as soon as the daemon is there.
    fn open(&mut self, gate: Point, session: SessionName) {
        self.reach(gate, session);
        let id = self.id(session);
        self.daemon_mut().let_go(gate, &id);
    }

    /// Leaves the windows in which the daemon was held.
    fn pass_windows(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.stands_at.retain(|arrival| GATES.contains(&arrival.point));
        }
    }

    fn reach(&mut self, point: Point, session: SessionName) {
        self.go_until(point, |play, arrival| {
            play.parts[&session].id.as_deref().is_some_and(|id| arrival.is(point, id))
        });
    }

    fn reach_any(&mut self, point: Point) {
        self.go_until(point, |_, arrival| arrival.point == point);
    }

    /// Lets the daemon go on until it stands where it is wanted, and holds it there.
    fn go_until(&mut self, point: Point, is_there: impl Fn(&Self, &Arrival) -> bool) {
        while !self.daemon().stands_at.iter().any(|arrival| is_there(self, arrival)) {
            let Some(arrival) = self.next(&format!("{point:?}")) else { continue };
            if self.is_gate(&arrival) || is_there(self, &arrival) {
                self.daemon_mut().stands_at.push(arrival);
            }
        }
    }

    /// Lets the daemon go on to the next gates until these have their answers.
    fn go_on_until_answered(&mut self, asked: &[String]) {
        while self.asking.iter().any(|asking| asked.contains(asking)) {
            let Some(arrival) = self.next(&format!("the answer to one of {asked:?}")) else {
                continue;
            };
            if self.is_gate(&arrival) {
                self.daemon_mut().stands_at.push(arrival);
            }
        }
    }

    /// Waits for the next place that the daemon reaches, or for an answer, of which it takes note.
    fn next(&mut self, wanted: &str) -> Option<Arrival> {
        let news = self.daemon().listener.next();
        match news {
            Some(News::Arrival(arrival)) => {
                self.baptise(&arrival);
                Some(arrival)
            }
            Some(News::Answer(asked, answer)) => {
                let at = self.asking.iter().position(|asking| *asking == asked).unwrap();
                self.asking.swap_remove(at);
                // Whoever launches waits until it is known whether there is a process, which no
                // timeline is about.
                let is_stop = !asked.starts_with("launch") && !asked.starts_with("wait");
                if let Some(answer) = answer.filter(|_| is_stop) {
                    self.said.push(golden::reply(&asked, &answer));
                }
                None
            }
            None => {
                let (stands_at, now) = (&self.daemon().stands_at, self.choices.get(self.now));
                panic!("{wanted} does not come at {now:?}; the daemon stands at {stands_at:?}");
            }
        }
    }

    fn is_gate(&self, arrival: &Arrival) -> bool {
        let may_pass = self.parts.values().any(|part| {
            part.may_be_seen && part.id.as_ref().is_some_and(|id| arrival.is(Point::ExitSeen, id))
        });
        GATES.contains(&arrival.point) && !may_pass
    }

    /// The first commit of an unknown session is the birth of the one that was launched last.
    fn baptise(&mut self, arrival: &Arrival) {
        let is_known = self.parts.values().any(|part| part.id.as_ref() == Some(&arrival.session));
        if arrival.point == Point::CommitBegun && !is_known {
            let nameless = self.parts.values_mut().find(|part| part.id.is_none());
            nameless.unwrap().id = Some(arrival.session.clone());
        }
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

    /// Lets everything end, and compares it with the golden block.
    fn check_end(mut self, was_left_alone: bool) {
        self.pass_windows();
        self.daemon_mut().stands_at.clear();
        for (name, part) in &self.parts {
            let asked = format!("wait {name}");
            let mut wait = self.place.candor(["wait", part.id.as_ref().unwrap()]);
            self.asking.push(asked.clone());
            self.daemon().listener.ask(asked, move || wait.output().map(|_| Value::Null).ok());
        }
        while !self.asking.is_empty() {
            drop(self.next("the end of all sessions"));
        }
        let Daemon { process, listener, .. } = self.daemon.take().unwrap();
        listener.let_go();
        self.followers.values_mut().for_each(Follower::check);
        self.check_stories(was_left_alone);
        drop(process);
        let mut promised = golden::line(self.timeline, "said");
        promised.retain(|said| !said.starts_with("launch") && !said.starts_with("shutdown"));
        if was_left_alone {
            promised.sort();
            self.said.sort();
            assert_eq!(self.said, promised, "{}", self.timeline.title());
        } else {
            assert!(self.said.iter().all(|said| promised.contains(said)), "{:?}", self.said);
        }
    }

    fn check_stories(&self, was_left_alone: bool) {
        for (name, part) in &self.parts {
            let id = part.id.as_ref().unwrap();
            let (session, story) = (self.place.session(id), self.place.story(id));
            assert_chain(&story);
            let golden = golden::line(self.timeline, &name.to_string());
            assert_eq!(golden::words(&story), golden, "{}", self.timeline.title());
            let last = story.last().unwrap()["cause"].as_str().unwrap();
            assert_eq!((last, &session["exit"]), (part.end.0, &part.end.1), "{session}");
            let processes = usize::from(process_of(self.timeline, *name).is_some());
            let starts = part.role.starts();
            assert!(starts <= processes, "{starts} processes for one session");
            assert!(starts == processes || !was_left_alone, "its process never started");
        }
        let known = self.place.sessions().len();
        assert_eq!(known, self.parts.len(), "sessions that nobody has launched");
    }

    fn session_of(&self, is_it: impl Fn(SessionName) -> bool) -> SessionName {
        self.parts.keys().copied().find(|&session| is_it(session)).unwrap()
    }

    fn part(&mut self, session: SessionName) -> &mut Part {
        self.parts.get_mut(&session).unwrap()
    }

    fn part_of(&mut self, process: timeline::names::ProcessName) -> &mut Part {
        let session =
            self.session_of(|session| process_of(self.timeline, session) == Some(process));
        self.part(session)
    }

    fn id(&self, session: SessionName) -> String {
        self.parts[&session].id.clone().unwrap()
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("a daemon that runs")
    }

    fn daemon_mut(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("a daemon that runs")
    }
}

impl Follower {
    /// Checks that it gets what it is to get, and nothing in between.
    fn check(&mut self) {
        for seq in &self.expected {
            let event: Value = serde_json::from_str(&self.process.line()).unwrap();
            assert_eq!(event["seq"], *seq, "{event}");
        }
    }
}
