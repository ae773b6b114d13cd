//! `cargo xtask fuzz-api`: schemathesis against a daemon, from the API's own document.
//!
//! A daemon of its own, in a home of its own, whose sessions can run nothing but `true`: see
//! `fuzz_api/hooks.py`. Nothing may be answered that the document does not have, and no 5xx.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::crash_sim::folders;

/// The version that the hooks were written for.
const VERSION: &str = "4.32.5";

/// What is left out: what ends the daemon, what is for the socket alone, and what has the daemon talk to
/// addresses that a fuzzer made up.
const LEFT_OUT: &str = "^/v1/(daemon/stop|web/.*|hooks.*)$";

/// What each answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method";

/// Examples of each operation in the quick selection.
const QUICK_EXAMPLES: u32 = 5;

/// Examples of each operation otherwise.
const EXAMPLES: u32 = 200;

/// How long an answer may take, in seconds.
const ANSWER_S_MAX: &str = "30";

/// A daemon in a home of its own, which is stopped and removed when this is dropped.
struct Daemon {
    program: PathBuf,
    home: PathBuf,
}

/// Asks little, where schemathesis is installed.
pub(crate) fn quick(shell: &Shell) -> Result<()> {
    run(shell, false, true)
}

/// Asks what schemathesis thinks of.
pub(crate) fn run(shell: &Shell, install: bool, is_quick: bool) -> Result<()> {
    let (target, _) = folders(shell)?;
    let environment = target.join("schemathesis");
    let program = environment.join("bin/schemathesis");
    if install && !program.exists() {
        cmd!(shell, "python3 -m venv {environment}").run().context("is python3-venv there?")?;
        let pip = environment.join("bin/pip");
        cmd!(shell, "{pip} install --quiet schemathesis=={VERSION}").run()?;
    }
    if !program.exists() {
        println!("fuzz-api: skipped, since schemathesis is not there: --install installs it");
        return Ok(());
    }
    cmd!(shell, "cargo build --package candor").run()?;
    let daemon = Daemon::start(target.join("debug/candor"))?;
    let address = daemon.address()?;
    let token = daemon.said(&["token", "add", "fuzz"])?;
    let hooks = shell.current_dir().join("xtask/src/fuzz_api");
    let examples = if is_quick { QUICK_EXAMPLES } else { EXAMPLES }.to_string();
    let asked = Command::new(program)
        .args(["run", "docs/openapi.json", "--url", &address, "--checks", CHECKS])
        .args(["--exclude-path-regex", LEFT_OUT, "--max-examples", &examples])
        .args(["--request-timeout", ANSWER_S_MAX])
        .args(["--generation-database", "none", "--warnings", "off"])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", token.trim()))
        .current_dir(shell.current_dir())
        .env("PYTHONPATH", hooks)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CANDOR_FUZZ_FOLDER", daemon.home.join("work"))
        .env("CANDOR_FUZZ_PROGRAMS", daemon.home.join("programs"))
        .status()?;
    ensure!(asked.success(), "the daemon has given answers that its document does not have");
    // It has outlived all of it, and no damage was done.
    daemon.said(&["doctor"])?;
    Ok(())
}

impl Daemon {
    fn start(program: PathBuf) -> Result<Self> {
        let home = std::env::temp_dir().join(format!("candor-fuzz-{}", std::process::id()));
        for folder in ["work", "programs", "config"] {
            fs::create_dir_all(home.join(folder))?;
        }
        symlink("/bin/true", home.join("programs/true"))?;
        let daemon = Self { program, home };
        daemon.said(&["daemon", "start"])?;
        Ok(daemon)
    }

    /// Returns what `candor` says, which must succeed.
    fn said(&self, words: &[&str]) -> Result<String> {
        let path = |name: &str| self.home.join(name);
        let output = Command::new(&self.program)
            .args(words)
            .env_clear()
            .env("CANDOR_HOME", path("home"))
            .env("HOME", path("work"))
            .env("XDG_CONFIG_HOME", path("config"))
            .env("PATH", path("programs"))
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "candor {words:?}: {errors}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Has it listen on the loopback interface, and returns where.
    fn address(&self) -> Result<String> {
        let url = self.said(&["open", "--print"])?;
        let (address, _code) = url.split_once("/#").context("`candor open` prints no address")?;
        Ok(address.to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.said(&["daemon", "stop", "--sessions"]) {
            println!("fuzz-api: {error:#}");
        }
        remove(&self.home);
    }
}

fn remove(home: &Path) {
    if let Err(error) = fs::remove_dir_all(home) {
        println!("fuzz-api: {} is left: {error}", home.display());
    }
}
