//! How a test of the suite runs, and what it leaves for `cargo xtask faults` to tell.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::invariants::{self, Canary};
use crate::power::freezer;
use crate::support::{self, Place};
use crate::tools::Cgroup;

/// Set to `full`, the suite plays all of its cases instead of a quick selection.
const TIER: &str = "CANDOR_FAULTS";

/// The folder for a file a test that says what became of it, where somebody wants to know.
const REPORT: &str = "CANDOR_FAULTS_REPORT";

/// How much is played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tier {
    /// What a push has time for.
    Quick,
    /// Everything.
    Full,
}

impl Tier {
    pub(crate) fn of_this_run() -> Self {
        match env::var(TIER) {
            Ok(tier) if tier == "full" => Self::Full,
            Ok(_) | Err(_) => Self::Quick,
        }
    }

    /// Returns how many to do of something.
    pub(crate) const fn of<N: Copy>(self, quick: N, full: N) -> N {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// What a machine must have for a test.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Root,
    Strace,
    Flock,
    Git,
    Fsfreeze,
    /// File systems in files, and mounts that nobody else sees.
    Loop,
    /// Control groups of version 2.
    Freezer,
    /// A controller of version 1 of control groups.
    Cgroup(&'static str),
}

impl Need {
    /// Says why the test cannot be, if so.
    fn want(self) -> Option<&'static str> {
        let (is_there, reason) = match self {
            Self::Root => (geteuid().is_root(), "only root can do this"),
            Self::Strace => (answers("strace", &["-V"]), "there is no strace"),
            Self::Flock => (
                answers("flock", &["--no-fork", "/dev/null", "true"]),
                "there is no flock that does not fork",
            ),
            Self::Git => (answers("git", &["--version"]), "there is no git"),
            Self::Fsfreeze => (answers("fsfreeze", &["--version"]), "there is no fsfreeze"),
            Self::Loop => (has_loop(), "no file can be mounted"),
            Self::Freezer => (freezer().is_some(), "there are no control groups of version 2"),
            Self::Cgroup(controller) => {
                (Cgroup::is_there(controller), "there is no such control group of version 1")
            }
        };
        (!is_there).then_some(reason)
    }
}

/// Whether a file can be mounted as a file system, where nobody else sees it.
fn has_loop() -> bool {
    const TRY: &str = "f=$(mktemp) && truncate -s 1M \"$f\" && mkfs.ext4 -q -F \"$f\" && \
                       mount -o loop \"$f\" /mnt; code=$?; rm -f \"$f\"; exit $code";
    answers("setpriv", &["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", TRY])
}

/// Whether a program is there and does this.
fn answers(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A place in which something goes wrong, and what the test is to blame for.
pub(crate) struct Fault {
    place: Place,
    canary: Canary,
    /// Reasons for which sessions may be lost.
    caused: RefCell<BTreeSet<&'static str>>,
    figures: RefCell<Vec<String>>,
}

impl Deref for Fault {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Fault {
    /// Takes the blame for sessions that are lost for this reason.
    pub(crate) fn causes(&self, reason: &'static str) {
        self.caused.borrow_mut().insert(reason);
    }

    pub(crate) fn is_cause_of(&self, reason: &str) -> bool {
        self.caused.borrow().contains(reason)
    }

    /// Keeps a figure, in words, for the table.
    pub(crate) fn tell(&self, figure: impl Into<String>) {
        self.figures.borrow_mut().push(figure.into());
    }

    pub(crate) const fn canary(&self) -> &Canary {
        &self.canary
    }
}

/// Plays a fault on a place of its own, and holds the invariants against what is left.
pub(crate) fn fault<P: FnOnce(&Fault)>(needs: &[Need], play: P) {
    let name = std::any::type_name::<P>();
    report(name, needs, || {
        let fault = Fault {
            place: Place::new(),
            canary: Canary::new(),
            caused: RefCell::default(),
            figures: RefCell::default(),
        };
        play(&fault);
        invariants::hold(&fault);
        fault.figures.take().join(", ")
    });
}

/// Plays something that judges for itself. It returns its figures, in words.
pub(crate) fn play<P: FnOnce() -> String>(needs: &[Need], play: P) {
    report(std::any::type_name::<P>(), needs, play);
}

/// Plays where the machine has what it takes, and tells what became of it.
fn report(name: &str, needs: &[Need], play: impl FnOnce() -> String) {
    let said = match needs.iter().find_map(|need| need.want()) {
        Some(reason) => {
            support::skip(reason);
            format!("skipped: {reason}")
        }
        None => format!("passed: {}", play()),
    };
    // Of `faults::cuts::r1_kills::{{closure}}` the function.
    let name = name.trim_end_matches("::{{closure}}").rsplit("::").next().unwrap_or(name);
    tell(name, &said);
}

fn tell(name: &str, said: &str) {
    let Some(folder) = env::var_os(REPORT) else { return };
    fs::create_dir_all(&folder).unwrap();
    let file = Path::new(&folder).join(name);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(file).unwrap();
    writeln!(file, "{said}").unwrap();
}
