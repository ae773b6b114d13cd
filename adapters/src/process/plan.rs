//! What to execute, in the form that the kernel takes: prepared before the fork, because nothing
//! may be allocated after it.

use std::ffi::CString;

use candor_core::bytes::ByteString;
use candor_core::ports::{Environment, Launch};
use candor_core::session::{Spec, StandardInput};
use candor_core::verdict::SpawnStage;
use rustix::io::Errno;

/// Where programs are looked for when the session has no `PATH`.
///
/// Source: `confstr(3)`, `_CS_PATH`.
const DEFAULT_SEARCH: &[u8] = b"/bin:/usr/bin";

/// A launch that did not come about: there is no process, and never was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// The step that was refused.
    pub(super) stage: SpawnStage,
    /// The operating system's error number.
    pub(super) errno: i32,
}

impl Refusal {
    /// Returns a closure that blames `stage`, for use with `map_err`.
    pub(super) fn at<E: Into<std::io::Error>>(stage: SpawnStage) -> impl Fn(E) -> Self {
        move |error| {
            let errno = error.into().raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            Self { stage, errno }
        }
    }

    pub(super) const fn new(stage: SpawnStage, errno: Errno) -> Self {
        Self { stage, errno: errno.raw_os_error() }
    }
}

impl From<Refusal> for Launch {
    fn from(Refusal { stage, errno }: Refusal) -> Self {
        Self::Refused { stage, errno }
    }
}

/// One launch, prepared.
#[derive(Debug)]
pub(super) struct Plan {
    /// The program as it was named, then its arguments.
    pub(super) arguments: Vec<CString>,
    /// `NAME=value`, in the caller's order.
    pub(super) variables: Vec<CString>,
    /// The session's own `PATH`, or the system's default; folders between colons.
    pub(super) search: Vec<u8>,
    /// The folder to run in.
    pub(super) folder: CString,
    /// The file mode creation mask.
    pub(super) umask: u32,
    /// Whether its standard input is a pipe that is held open.
    pub(super) holds_input: bool,
    /// Whether what it leaves behind ends with it unless it leaves with code 0: so it is with agents.
    /// Only a shim does it.
    pub(super) ends_rest: bool,
}

impl Plan {
    /// Prepares a launch.
    ///
    /// # Errors
    ///
    /// `EINVAL` where the kernel could only get something else than was asked for: a command
    /// without a program, a variable whose name would end elsewhere, a folder that depends on
    /// where the daemon happens to stand.
    pub(super) fn new(spec: &Spec, environment: &Environment) -> Result<Self, Refusal> {
        let exec = Refusal::new(SpawnStage::Exec, Errno::INVAL);
        let folder = Refusal::new(SpawnStage::Folder, Errno::INVAL);
        if spec.command.is_empty() {
            return Err(exec);
        }
        if !spec.cwd.as_bytes().starts_with(b"/") {
            return Err(folder);
        }
        let arguments: Result<_, _> =
            spec.command.iter().map(|text| c_string(text, exec)).collect();
        let variables = environment.variables();
        let search = variables.iter().find(|(name, _)| name.as_bytes() == b"PATH");
        let search = search.map_or(DEFAULT_SEARCH, |(_, value)| value.as_bytes()).to_vec();
        let variables: Result<_, _> =
            variables.iter().map(|(name, value)| variable(name, value, exec)).collect();
        Ok(Self {
            arguments: arguments?,
            variables: variables?,
            search,
            folder: c_string(&spec.cwd, folder)?,
            umask: spec.umask & 0o777,
            holds_input: spec.input == StandardInput::Held,
            ends_rest: spec.agent.is_some(),
        })
    }
}

fn c_string(text: &ByteString, refusal: Refusal) -> Result<CString, Refusal> {
    CString::new(text.as_bytes()).map_err(|_| refusal)
}

/// A name may begin with `=`: such variables exist, and are read back with that name.
fn variable(name: &ByteString, value: &ByteString, refusal: Refusal) -> Result<CString, Refusal> {
    match name.as_bytes() {
        [] => return Err(refusal),
        [_, rest @ ..] if rest.contains(&b'=') => return Err(refusal),
        [..] => {}
    }
    let both = [name.as_bytes(), b"=", value.as_bytes()].concat();
    CString::new(both).map_err(|_| refusal)
}

#[cfg(test)]
mod tests {
    use candor_core::bytes::ByteString;
    use candor_core::ports::Environment;
    use candor_core::session::{Spec, StandardInput};
    use candor_core::verdict::SpawnStage;
    use rustix::io::Errno;

    use super::{DEFAULT_SEARCH, Plan, Refusal};

    fn bytes(text: &str) -> ByteString {
        ByteString::try_from(text).unwrap()
    }

    fn plan(command: &[&str], cwd: &str, variables: &[(&str, &str)]) -> Result<Plan, Refusal> {
        let spec = Spec {
            title: None,
            command: command.iter().map(|text| bytes(text)).collect(),
            cwd: bytes(cwd),
            environment_names: Vec::new(),
            umask: 0o7777,
            input: StandardInput::None,
            agent: None,
            request: None,
            policy: candor_core::machine::Policy::default(),
        };
        let pairs = variables.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        Plan::new(&spec, &Environment::new(pairs))
    }

    #[test]
    fn the_first_path_counts_and_none_means_the_default() {
        let two = [("A", "1"), ("PATH", "/x:/y"), ("PATH", "/z")];
        assert_eq!(plan(&["a"], "/", &two).unwrap().search, b"/x:/y");
        assert_eq!(plan(&["a"], "/", &[]).unwrap().search, DEFAULT_SEARCH);
        assert_eq!(plan(&["a"], "/", &[("PATH", "")]).unwrap().search, b"");
    }

    #[test]
    fn variables_keep_their_order_and_odd_names() {
        let odd = [("B", "2=3"), ("=A", ""), ("B", "4")];
        let texts = plan(&["a"], "/", &odd).unwrap().variables;
        assert_eq!(texts, [c"B=2=3", c"=A=", c"B=4"].map(std::ffi::CStr::to_owned));
    }

    #[test]
    fn what_would_become_something_else_is_refused() {
        let errno = Errno::INVAL.raw_os_error();
        let exec = Refusal { stage: SpawnStage::Exec, errno };
        assert_eq!(plan(&[], "/", &[]).unwrap_err(), exec);
        assert_eq!(plan(&["a"], "/", &[("A=B", "C")]).unwrap_err(), exec);
        assert_eq!(plan(&["a"], "/", &[("", "C")]).unwrap_err(), exec);
        let folder = Refusal { stage: SpawnStage::Folder, errno };
        assert_eq!(plan(&["a"], "here", &[]).unwrap_err(), folder);
        assert_eq!(plan(&["a"], "", &[]).unwrap_err(), folder);
    }
}
