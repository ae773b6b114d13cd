//! Real programs for tests: where `fake-agent` is, and the behaviours of the spawner's contract
//! played by it.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use candor_core::bytes::ByteString;
use candor_core::machine::Policy;
use candor_core::ports::Environment;
use candor_core::session::{SessionId, Spec, StandardInput};

use crate::contract::spawner::{Behaviour, Program, Programs};

/// The name of the binary.
const NAME: &str = "fake-agent";

/// The mask that the programs get, unlike any default.
const UMASK: u32 = 0o027;

/// Returns the path of the `fake-agent` that belongs to the running test, and builds it first where
/// cargo did not: cargo builds binaries of other packages only when it is asked to.
///
/// # Panics
///
/// When there is none and it cannot be built.
#[must_use]
pub fn fake_agent() -> &'static Path {
    static AGENT: OnceLock<PathBuf> = OnceLock::new();

    AGENT.get_or_init(|| find_or_build().expect("the fake agent is there or can be built"))
}

fn find_or_build() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    // Test executables lie in `deps` below the folder of the profile, binaries in that itself.
    let folder = test.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let folder = folder.ok_or(io::ErrorKind::NotFound)?;
    let agent = folder.join(NAME);
    if is_fresh(&agent) {
        return Ok(agent);
    }
    // Under some runners each test is a process, and all of them come here at once.
    let lock = File::create(folder.join(format!("{NAME}.build-lock")))?;
    lock.lock()?;
    if !is_fresh(&agent) {
        build(folder)?;
    }
    Ok(agent)
}

/// Whether the binary is there and no older than its source.
fn is_fresh(agent: &Path) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin").join(NAME);
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let Ok(built) = changed(agent) else {
        return false;
    };
    let folders = [source.join("claude"), source];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let newest = files.filter_map(|file| changed(&file.path()).ok()).max();
    newest.unwrap_or(SystemTime::UNIX_EPOCH) <= built
}

fn build(folder: &Path) -> io::Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", "candor-harness", "--bin", NAME]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    // The folder of the profile `dev` is called `debug`, all others like their profile.
    if let Some(profile) = folder.file_name().filter(|name| *name != "debug") {
        command.arg("--profile").arg(profile);
    }
    let status = command.status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("cargo build of {NAME}: {status}")))
}

/// Plays the behaviours of the contract by real processes.
#[derive(Clone, Debug)]
pub struct RealPrograms {
    folder: PathBuf,
}

impl RealPrograms {
    /// Runs the programs in `folder`, which is absolute.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns `fake-agent` with these arguments.
    ///
    /// # Panics
    ///
    /// As [`fake_agent`] does, and for an argument with a NUL in it.
    #[must_use]
    pub fn agent<T: AsRef<[u8]>>(&self, arguments: impl IntoIterator<Item = T>) -> Program {
        self.command(fake_agent().as_os_str().as_encoded_bytes(), arguments)
    }

    /// Returns any program with these arguments.
    ///
    /// # Panics
    ///
    /// For an argument with a NUL in it.
    #[must_use]
    pub fn command<T: AsRef<[u8]>>(
        &self,
        program: impl AsRef<[u8]>,
        arguments: impl IntoIterator<Item = T>,
    ) -> Program {
        let bytes = |text: &[u8]| ByteString::new(text.to_vec()).expect("no NUL");
        let arguments = arguments.into_iter().map(|argument| bytes(argument.as_ref()));
        let spec = Spec {
            title: None,
            command: [bytes(program.as_ref())].into_iter().chain(arguments).collect(),
            cwd: bytes(self.folder.as_os_str().as_encoded_bytes()),
            environment_names: Vec::new(),
            umask: UMASK,
            input: StandardInput::None,
            agent: None,
            request: None,
            policy: Policy::default(),
        };
        Program { spec, environment: Environment::default() }
    }
}

impl Programs for RealPrograms {
    fn program(&self, _session: SessionId, behaviour: Behaviour) -> Program {
        match behaviour {
            Behaviour::Exits(code) => self.agent(["--exit", &code.to_string()]),
            Behaviour::DiesOf(signal) => self.agent(["--die", &signal.to_string()]),
            Behaviour::Hangs => self.agent(["--hang"]),
            Behaviour::Digests => self.agent(["--digest"]),
            Behaviour::IsMissing => self.command("no-such-program", [""; 0]),
            Behaviour::HasNoFolder => {
                let elsewhere = Self::new(self.folder.join("no-such-folder"));
                elsewhere.agent(["--exit", "0"])
            }
        }
    }
}
