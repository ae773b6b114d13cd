//! A release daemon in a home of its own, its command line, and the end of it: for the benchmark
//! and the demonstration.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio, id};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::dist;

/// Tells the homes of one run apart.
static NEXT_HOME: AtomicUsize = AtomicUsize::new(0);

/// How the program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As everybody builds it.
    Release,
    /// As it is published.
    Shipped,
}

/// A running release daemon with a home that nobody else uses. Dropping it stops the daemon and
/// removes the home.
pub(crate) struct Candor {
    binary: PathBuf,
    agent: PathBuf,
    home: PathBuf,
}

impl Candor {
    /// Builds the release binaries, and starts the daemon.
    pub(crate) fn start(shell: &Shell) -> Result<Self> {
        let candor = Self::build(shell, Form::Release)?;
        candor.text(["daemon", "start"])?;
        Ok(candor)
    }

    /// Builds the binaries, and makes a home in which no daemon runs yet.
    pub(crate) fn build(shell: &Shell, form: Form) -> Result<Self> {
        Self::build_in(shell, form, &std::env::temp_dir())
    }

    /// The same, with the home in this folder.
    pub(crate) fn build_in(shell: &Shell, form: Form, folder: &Path) -> Result<Self> {
        cmd!(shell, "cargo build --release --package candor --package candor-harness --bins")
            .run()?;
        let json = cmd!(shell, "cargo metadata --format-version 1 --no-deps").quiet().read()?;
        let metadata: Value = serde_json::from_str(&json)?;
        let target = metadata["target_directory"].as_str().context("no target folder")?;
        let release = Path::new(target).join("release");
        // Short, because the path of a Unix socket inside it must fit into about 100 bytes.
        let number = NEXT_HOME.fetch_add(1, Ordering::Relaxed);
        let home = folder.join(format!("candor-xtask-{}-{number}", id()));
        fs::create_dir_all(home.join("scratch")).context("cannot make a home: check TMPDIR")?;
        let binary = match form {
            Form::Release => release.join("candor"),
            Form::Shipped => dist::build(shell, &["--package", "candor"])?.join("candor"),
        };
        Ok(Self { binary, agent: release.join("fake-agent"), home })
    }

    /// Writes the settings, which a daemon reads that is started afterwards.
    pub(crate) fn set(&self, settings: &str) -> Result<()> {
        let folder = self.home.join("config/candor");
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join("config.toml"), settings)?)
    }

    /// Where the daemon listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join("state/candor.sock")
    }

    /// The scripted agent of the harness.
    pub(crate) fn agent(&self) -> &Path {
        &self.agent
    }

    /// Returns the path of a file that a child may write.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.home.join("scratch").join(name)
    }

    /// Returns `candor` with these arguments, the home set, and no settings of the user's.
    pub(crate) fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("CANDOR_HOME", self.home.join("state"))
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `candor` and returns its output, whatever its exit code.
    pub(crate) fn output<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        arguments: I,
    ) -> Result<Output> {
        let mut command = self.command(arguments);
        command.output().with_context(|| format!("cannot start {}", self.binary.display()))
    }

    /// Runs `candor`, which must succeed, and returns what it printed, trimmed.
    pub(crate) fn text<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Result<String> {
        let arguments: Vec<_> =
            arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let output = self.output(&arguments)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "candor {} ended with {}: {}",
            arguments.join(OsStr::new(" ")).display(),
            output.status,
            errors.trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Launches `command` in the background and returns the session's id.
    pub(crate) fn launch<I: IntoIterator<Item: AsRef<OsStr>>>(&self, command: I) -> Result<String> {
        let start = ["run", "-d", "--"].map(|word| OsStr::new(word).to_owned());
        let command = command.into_iter().map(|word| word.as_ref().to_owned());
        self.text(start.into_iter().chain(command))
    }

    /// Returns the answer of `candor daemon status --json`.
    pub(crate) fn status(&self) -> Result<Value> {
        let text = self.text(["daemon", "status", "--json"])?;
        serde_json::from_str(&text).context("candor daemon status --json printed no JSON")
    }
}

impl Drop for Candor {
    fn drop(&mut self) {
        // Nothing can be done about an error here, and the figures are printed already.
        drop(self.output(["daemon", "stop", "--sessions"]));
        drop(fs::remove_dir_all(&self.home));
    }
}
