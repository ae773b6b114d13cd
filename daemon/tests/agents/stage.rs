//! A place with an agent in it, and what must hold of whatever was played there.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use candor_adapters::process::await_end_of;
use jiff::Timestamp;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::kind::Kind;
use crate::mock::Mock;
use crate::support::{Place, Running, Said, assert_chain, end, kernel};

/// The variable by which the processes of a session are found, whatever became of their parents.
pub(crate) const MARK: &str = "CANDOR_AGENTS_MARK";

/// What processes have time for that are being killed while their session is settled.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that an agent may take to be gone when it is asked to stop: its whole ladder, which is
/// 3 s to be asked, 3 s and 2 s for two interrupts and 3 s to be terminated, and a little for a slow
/// machine.
const LADDER_MS_MAX: i64 = 11_000 + 4_000;

/// When something is to happen to an agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// Its process has just been started.
    Start,
    /// Its model does not answer.
    Hang,
    /// Its model has begun to answer.
    Text,
    /// A tool runs.
    Tool,
}

impl Moment {
    pub(crate) const ALL: [Self; 4] = [Self::Start, Self::Hang, Self::Text, Self::Tool];
}

/// A place of its own for an agent.
pub(crate) struct Stage {
    place: Place,
    pub(crate) kind: Kind,
    pub(crate) mock: Mock,
    environment: Vec<(String, OsString)>,
    figures: RefCell<Vec<String>>,
    fifos: RefCell<usize>,
}

impl Deref for Stage {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Stage {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, Mock::start())
    }

    /// A stage on which nobody listens where the agent looks for its model.
    pub(crate) fn refusing(kind: Kind) -> Self {
        Self::with(kind, Mock::refusing())
    }

    fn with(kind: Kind, mock: Mock) -> Self {
        let place = Place::new();
        for folder in ["user", "work"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        // The daemon must not have the mark, by which only sessions are found.
        place.run(["daemon", "start"]).expect(0);
        let mut environment =
            kind.settle(&place.path("user"), &place.path("config"), &mock.url("ok"));
        environment.push((MARK.to_owned(), place.folder().as_os_str().to_owned()));
        let (figures, fifos) = (RefCell::default(), RefCell::default());
        Self { place, kind, mock, environment, figures, fifos }
    }

    /// Keeps a figure, in words, for the table.
    pub(crate) fn tell(&self, figure: impl Into<String>) {
        self.figures.borrow_mut().push(figure.into());
    }

    pub(crate) fn figures(&self) -> String {
        self.figures.borrow().join(", ")
    }

    /// Returns the folder in which agents work.
    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Returns a fifo that nobody has used.
    pub(crate) fn new_fifo(&self) -> PathBuf {
        let mut count = self.fifos.borrow_mut();
        *count += 1;
        self.fifo(&format!("fifo-{count}"))
    }

    /// Returns `candor` as the agent's user calls it.
    pub(crate) fn user<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = self.candor(words);
        command.env_clear();
        self.settle(&mut command);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.work());
        command
    }

    /// Runs the agent in the background on a prompt, with further options, and returns its id.
    #[track_caller]
    pub(crate) fn begin(&self, options: &[&str], prompt: &str) -> String {
        let words = [&[self.kind.name(), "--detach"], options, &[prompt]].concat();
        let said = Said::by(self.user(words)).expect(0);
        said.stdout().trim().to_owned()
    }

    /// Runs the agent to its end on a prompt, with further options, and returns what is known of it.
    #[track_caller]
    pub(crate) fn play(&self, options: &[&str], prompt: &str) -> Value {
        let id = self.begin(options, prompt);
        self.ended(&id)
    }

    /// Goes on with a session in the background, and returns the id of the new one.
    #[track_caller]
    pub(crate) fn go_on(&self, id: &str, options: &[&str], prompt: &str) -> String {
        let words = [&["continue", "--detach"], options, &[id, prompt]].concat();
        let said = Said::by(self.user(words)).expect(0);
        said.stdout().trim().to_owned()
    }

    /// Waits for the end of a session, checks what must hold of every one, and returns what is known
    /// of it.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str) -> Value {
        let session = self.end_of(id);
        let events = self.story(id);
        assert_chain(&events);
        assert_eq!(events.last().unwrap()["to"], session["status"]);
        session
    }

    /// Returns the prompt that brings the agent to a moment, and what is told when it is there.
    pub(crate) fn prompt_for(&self, moment: Moment) -> (String, Reached) {
        let fifo = self.new_fifo();
        let path = fifo.display();
        if self.kind == Kind::Replayed {
            let steps = match moment {
                Moment::Start => format!("ready {path}\nhang\ninit"),
                Moment::Hang => format!("ready {path}\nhang"),
                Moment::Text => format!("say I was about to\nready {path}\nhang"),
                Moment::Tool => format!("tool echo > {path}; sleep 300"),
            };
            return (format!("steps:\n{steps}"), Reached::Fifo(fifo));
        }
        match moment {
            Moment::Start => ("do it @@hang".to_owned(), Reached::Running),
            Moment::Hang => ("do it @@hang".to_owned(), Reached::Request("hang")),
            Moment::Text => ("do it @@hangmid".to_owned(), Reached::Partial),
            Moment::Tool => {
                (format!("do it @@shell echo > {path}; sleep 300"), Reached::Fifo(fifo))
            }
        }
    }

    /// Waits until the agent has come to where it was sent. `id` is its session.
    pub(crate) fn await_reached(&self, reached: &Reached, id: &str) {
        match reached {
            Reached::Running => {}
            Reached::Fifo(fifo) => drop(fs::read(fifo).unwrap()),
            Reached::Request(scenario) => drop(self.mock.await_request(scenario)),
            Reached::Partial => drop(self.mock.await_event("partial", |_| true)),
        }
        // What it has done may be seen before the daemon has stored that it runs.
        self.await_running(id);
    }

    /// Follows the events of a session until one is as wanted, and returns it.
    pub(crate) fn await_event(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut events: Running = self.start(["events", "--follow", "--json", "--session", id]);
        events.value(wanted)
    }

    /// Kills the process of a session, and nothing else of it.
    pub(crate) fn kill_from_outside(&self, id: &str) {
        let children = kernel::children(kernel::shim_of(id));
        let first = children.split_whitespace().next().expect("the shim has a child");
        end(Pid::from_raw(first.parse().unwrap()).unwrap(), Signal::KILL);
    }

    /// Checks that a session has ended as one that somebody stopped, that nobody was told otherwise on
    /// the way, and that it took no longer than its ladder. Returns how long it took, in milliseconds.
    #[track_caller]
    pub(crate) fn assert_interrupted(&self, session: &Value, intent: &str) -> i64 {
        let id = session["id"].as_str().unwrap();
        let events = self.story(id);
        let why = || format!("{session:#}\n{}", told(&events));
        assert_eq!(session["status"], "completed", "{}", why());
        assert_eq!(session["outcome"], "interrupted", "{}", why());
        assert_eq!(session["intent"]["kind"], intent, "{}", why());
        assert!(events.iter().all(|event| event["to"] != "failed"), "{}", why());
        let asked = events.iter().find(|event| event["cause"] == intent).expect("the stop itself");
        let took = time(events.last().unwrap()) - time(asked);
        assert!(took <= LADDER_MS_MAX, "it took {took} ms: {}", why());
        took
    }

    /// Checks that a session has ended like this.
    #[track_caller]
    pub(crate) fn assert_ended(&self, session: &Value, status: &str, outcome: &str) {
        let events = self.story(session["id"].as_str().unwrap());
        let ended = (session["status"].as_str().unwrap(), session["outcome"].as_str().unwrap());
        assert_eq!(ended, (status, outcome), "{session:#}\n{}", told(&events));
    }

    fn mark(&self) -> String {
        format!("{MARK}={}", self.folder().display())
    }

    /// Checks that no process of any session is there any more.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_nothing_has(&self.mark());
    }
}

/// Checks that no process with this in its environment is there any more.
#[track_caller]
pub(crate) fn assert_nothing_has(mark: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for pid in kernel::with_in_environment(mark) {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let ended: io::Result<()> = runtime.block_on(async {
            let ended = await_end_of(u32::try_from(pid).unwrap());
            tokio::time::timeout(PATIENCE, ended).await?
        });
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        assert!(ended.is_ok(), "{command:?} ({pid}) is left: {ended:?}");
    }
    assert_eq!(kernel::with_in_environment(mark), [0; 0], "somebody has started another one");
}

/// How one sees that an agent has come to a moment.
#[derive(Debug)]
pub(crate) enum Reached {
    Running,
    Fifo(PathBuf),
    Request(&'static str),
    Partial,
}

/// Returns when an event happened, in milliseconds.
pub(crate) fn time(event: &Value) -> i64 {
    event["at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond()
}

/// Returns events as a person reads them.
pub(crate) fn told(events: &[Value]) -> String {
    let line = |event: &Value| format!("{} {} {}", event["at"], event["to"], event["cause"]);
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the lines of a file, none if there is no file.
pub(crate) fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
