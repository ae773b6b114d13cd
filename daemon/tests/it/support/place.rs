//! A home for one test, with the daemon in it, and the certainty that nothing of it stays.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use candor_adapters::process::await_end_of;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Running, Said};

/// The program under test.
const CANDOR: &str = env!("CARGO_BIN_EXE_candor");

/// Ends the daemon and removes the folder once standard input is closed, which it also is when the
/// test itself is killed.
///
/// The daemon is asked first, and to stop its sessions, which would outlive it. One that does not leave is killed, if the number in its lock is still
/// its own. One in the state folder, where some tests have it, is asked as well.
const GUARDIAN: &str = r#"
    cat > /dev/null
    "$1" daemon stop --sessions & stopping=$!
    (sleep 20 & nap=$!; trap 'kill $nap' TERM; wait $nap && kill -KILL $stopping) & patience=$!
    if ! wait $stopping; then
        pid=$(cat "$CANDOR_HOME/daemon.lock") &&
        case $(ps -p "$pid" -o args=) in *"daemon run"*) kill -KILL "$pid" ;; esac
    fi
    kill $patience
    env -u CANDOR_HOME "$1" daemon stop --sessions
    rm -rf -- "$2"
"#;

/// A folder of its own, in which `home` is Candor's, and the daemon that may run there.
///
/// The daemon is stopped and the folder removed when it is dropped.
pub(crate) struct Place {
    guardian: Child,
    folder: TempDir,
    held: Option<ChildStdin>,
}

impl Place {
    pub(crate) fn new() -> Self {
        // Short, since a socket's path is.
        let folder = tempfile::Builder::new().prefix("candor-").tempdir_in("/tmp").unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        let mut guardian = Command::new("sh");
        guardian.args(["-c", GUARDIAN, "guardian", CANDOR]).arg(folder.path());
        guardian.env("CANDOR_HOME", folder.path().join("home"));
        guardian.env("XDG_STATE_HOME", folder.path().join("state"));
        guardian.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A runner that ends the test's process group must not end it along.
        std::os::unix::process::CommandExt::process_group(&mut guardian, 0);
        let mut guardian = guardian.spawn().unwrap();
        let held = guardian.stdin.take();
        Self { guardian, folder, held }
    }

    /// A home whose daemon has run so many sessions to their ends, and has left.
    pub(crate) fn with_ended_sessions(count: usize) -> Self {
        let place = Self::new();
        for _ in 0..count {
            place.run(["run", "--", "true"]).expect(0);
        }
        place.run(["daemon", "stop"]).expect(0);
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Candor's own folder. Nobody has made it yet.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Returns the names in a folder of the home, in order.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.home().join(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Returns the name, in the folder of sessions, of what tells who a session's process is.
    pub(crate) fn record_of(&self, id: &str) -> String {
        let names = self.names_in("sessions");
        let endings = [".shim", ".identity"];
        let records = endings.map(|ending| format!("{id}{ending}"));
        records.into_iter().find(|name| names.contains(name)).expect("a record")
    }

    /// Returns `candor` with these words, ready to run in the folder of this place.
    pub(crate) fn candor<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = Command::new(CANDOR);
        command.args(words.into_iter().map(Into::into));
        self.settle(&mut command);
        command
    }

    /// Returns a shell script in which `$CANDOR` is the program.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("CANDOR", CANDOR);
        self.settle(&mut command);
        command
    }

    /// Lets a command know this place and none else.
    pub(crate) fn settle(&self, command: &mut Command) {
        command
            .current_dir(self.folder())
            .env("CANDOR_HOME", self.home())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"));
    }

    /// Writes the user's settings.
    pub(crate) fn configure(&self, settings: &str) {
        let folder = self.path("config/candor");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), settings).unwrap();
    }

    /// Runs `candor` to its end.
    pub(crate) fn run<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Said {
        Said::by(self.candor(words))
    }

    /// Starts `candor` and leaves it to run.
    pub(crate) fn start<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Running {
        Running::start(self.candor(words))
    }

    /// Launches a session and returns its id.
    pub(crate) fn launch<W: Into<OsString>>(&self, command: impl IntoIterator<Item = W>) -> String {
        self.launch_with([""; 0], command)
    }

    /// Launches a session with options of `candor run`, and returns its id.
    pub(crate) fn launch_with<O: Into<OsString>, W: Into<OsString>>(
        &self,
        options: impl IntoIterator<Item = O>,
        command: impl IntoIterator<Item = W>,
    ) -> String {
        let mut words: Vec<OsString> = vec!["run".into(), "--detach".into()];
        words.extend(options.into_iter().map(Into::into));
        words.push("--".into());
        words.extend(command.into_iter().map(Into::into));
        let said = self.run(words).expect(0);
        let id = said.stdout().strip_suffix('\n').unwrap().to_owned();
        assert!(id.len() == 36 && !id.contains('\n'), "{id:?} is not an id alone");
        id
    }

    /// Waits for the end of a session and returns what there is to know of it.
    pub(crate) fn end_of(&self, id: &str) -> Value {
        self.run(["wait", id]);
        self.session(id)
    }

    /// Returns what `show --json` tells of a session.
    pub(crate) fn session(&self, id: &str) -> Value {
        self.run(["show", "--json", id]).expect(0).json()
    }

    /// Returns what there is to know of a session once a daemon that has just started has looked for its
    /// process.
    pub(crate) fn settled(&self, id: &str) -> Value {
        loop {
            let session = self.session(id);
            if session["supervision"] != "reconciling" {
                return session;
            }
        }
    }

    /// Returns all sessions, newest first.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        let said = self.run(["ls", "--json", "--limit", "100000"]).expect(0);
        said.json().as_array().unwrap().clone()
    }

    /// Returns all events, or those that the options leave.
    pub(crate) fn events<W: Into<OsString>>(
        &self,
        options: impl IntoIterator<Item = W>,
    ) -> Vec<Value> {
        let mut words: Vec<OsString> = vec!["events".into(), "--json".into()];
        words.extend(options.into_iter().map(Into::into));
        self.run(words).expect(0).json_lines()
    }

    /// Returns the events of one session.
    pub(crate) fn story(&self, id: &str) -> Vec<Value> {
        self.events(["--session", id])
    }

    /// Follows the event log from its beginning.
    pub(crate) fn follow_events(&self) -> Running {
        self.start(["events", "--follow", "--json"])
    }

    /// Waits until a session is known to run: a slow machine may answer a launch before that.
    pub(crate) fn await_running(&self, id: &str) {
        let mut events = self.start(["events", "--follow", "--json", "--session", id]);
        events.value(|event| event["to"] == "running");
    }

    /// Returns the id of the session whose title is `title`.
    pub(crate) fn titled(&self, title: &str) -> String {
        let sessions = self.sessions();
        let session = sessions.iter().find(|session| session["title"] == title);
        session.expect("a session with this title")["id"].as_str().unwrap().to_owned()
    }

    /// Launches a session of which nobody can know how it ended: its daemon and its shim are killed
    /// before, and what was recorded of it is damaged. Returns its id.
    #[cfg(target_os = "linux")]
    pub(crate) fn launch_and_lose(&self) -> String {
        let (held, go) = (self.fifo("held"), self.fifo("go"));
        let script = super::words!["--hold", &held, "--await", &go, "--exit", "0"];
        let id = self.launch(agent(script));
        let mut process = fs::File::open(held).unwrap();
        self.await_running(&id);
        self.kill_daemon();
        end(super::kernel::shim_of(&id), Signal::KILL);
        let started = self.home().join("sessions").join(format!("{id}.shim/started"));
        fs::File::options().write(true).open(started).unwrap().set_len(20).unwrap();
        fs::write(go, "go\n").unwrap();
        // It holds its end open for as long as it lives.
        std::io::Read::read_to_end(&mut process, &mut Vec::new()).unwrap();
        id
    }

    /// Makes a fifo and returns its path.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// Returns the process of the daemon, which must run.
    pub(crate) fn daemon(&self) -> Pid {
        let status = self.run(["daemon", "status", "--json"]).expect(0).json();
        Pid::from_raw(i32::try_from(status["pid"].as_i64().unwrap()).unwrap()).unwrap()
    }

    /// Kills the daemon and waits until it is gone.
    pub(crate) fn kill_daemon(&self) {
        self.end_daemon(Signal::KILL);
    }

    /// Sends the daemon a signal that ends it, and waits until it is gone.
    pub(crate) fn end_daemon(&self, signal: Signal) {
        end(self.daemon(), signal);
    }
}

/// Sends a process a signal that ends it, and waits until it is gone.
pub(crate) fn end(pid: Pid, signal: Signal) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ended = await_end_of(u32::try_from(pid.as_raw_nonzero().get()).unwrap());
        kill_process(pid, signal).unwrap();
        ended.await.unwrap();
    });
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.held.take());
        // Whatever it met, there is nothing more to do than it has done.
        let _ended = self.guardian.wait();
    }
}

/// Returns the command line of an agent that does what it is told.
pub(crate) fn agent<W: Into<OsString>>(script: impl IntoIterator<Item = W>) -> Vec<OsString> {
    let agent = candor_harness::programs::fake_agent().as_os_str().to_owned();
    [agent].into_iter().chain(script.into_iter().map(Into::into)).collect()
}

/// Returns how Candor names whoever runs the tests.
pub(crate) fn user() -> String {
    format!("user:{}", rustix::process::geteuid().as_raw())
}
