//! The command line: what to do, in order.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use signal_hook::low_level::signal_name;

/// The highest signal that has a name: those above are named by number.
const NAMED_SIGNALS_MAX: i32 = 31;

/// The word for a process that does not hold the output open. It is no argument.
pub(crate) const CLOSED: &str = "closed";

/// What to do.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) reactions: Vec<(i32, Action)>,
    pub(crate) core: bool,
    pub(crate) stamp: Option<PathBuf>,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

/// What to do when a signal comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Ignore,
    Exit(u8),
    Die,
    Delay { ms: u64, code: u8 },
    Report { success: bool, code: u8 },
}

#[derive(Debug)]
pub(crate) enum Step {
    Print(OsString),
    PrintError(OsString),
    Result {
        success: bool,
    },
    Lines(u64),
    Flood(u64),
    Fork(Vec<OsString>),
    Hold(PathBuf),
    Dump(PathBuf),
    Ready(PathBuf),
    Await(PathBuf),
    /// Asks a server by hand: how somebody asks who keeps to no client's rules.
    Ask(OsString),
    /// Tells the parent that this process is ready: how `--fork` starts its own kind.
    Report,
    /// Leaves the session: how `--fork` starts its own kind.
    Detach,
    /// Becomes a shell that runs this: how a replayed agent runs a tool.
    Shell(OsString),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Exit(u8),
    Die(i32),
    Hang,
    Digest,
}

impl Script {
    pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Self, String> {
        let mut script = Self {
            reactions: Vec::new(),
            core: false,
            stamp: None,
            steps: Vec::new(),
            end: End::Exit(0),
        };
        let mut rest = arguments.into_iter();
        while let Some(word) = rest.next() {
            let name = text(&word)?.to_owned();
            let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--on" => script.reactions.push(reaction(text(&value()?)?)?),
                "--ignore" => {
                    script.reactions.push((signal(text(&value()?)?)?, Action::Ignore));
                }
                "--core" => script.core = true,
                "--stamp" => script.stamp = Some(value()?.into()),
                "--exit" => script.end = End::Exit(number(&value()?)?),
                "--die" => script.end = End::Die(signal(text(&value()?)?)?),
                "--hang" => script.end = End::Hang,
                "--digest" => script.end = End::Digest,
                "--report-ready" => script.steps.push(Step::Report),
                "--detach" => script.steps.push(Step::Detach),
                _ => {
                    let value = value()?;
                    script.steps.push(step(&name, value)?);
                }
            }
        }
        Ok(script)
    }
}

fn step(name: &str, value: OsString) -> Result<Step, String> {
    Ok(match name {
        "--print" => Step::Print(value),
        "--print-error" => Step::PrintError(value),
        "--result" => Step::Result { success: success(text(&value)?)? },
        "--lines" => Step::Lines(number(&value)?),
        "--flood" => Step::Flood(number(&value)?),
        "--fork" => Step::Fork(children(text(&value)?)?),
        "--hold" => Step::Hold(value.into()),
        "--dump" => Step::Dump(value.into()),
        "--ready" => Step::Ready(value.into()),
        "--await" => Step::Await(value.into()),
        "--ask" => Step::Ask(value),
        "--shell" => Step::Shell(value),
        _ => return Err(format!("there is no {name}: see --help")),
    })
}

/// Returns the command line of the process to start.
fn children(kind: &str) -> Result<Vec<OsString>, String> {
    let mut words = kind.split(',');
    if words.next() != Some("stay") {
        return Err(format!("`{kind}` does not begin with `stay`"));
    }
    let mut arguments = Vec::new();
    let mut end = vec!["--hang"];
    for word in words {
        match word.split_once('=') {
            Some(("hold", fifo)) => arguments.extend(["--hold", fifo]),
            Some(("await", fifo)) => end = vec!["--await", fifo],
            None if word == "setsid" => arguments.push("--detach"),
            None if word == "stubborn" => {
                arguments.extend(["--ignore", "HUP", "--ignore", "INT", "--ignore", "TERM"]);
            }
            // The starter sees to it.
            None if word == CLOSED => arguments.push(CLOSED),
            Some(_) | None => return Err(format!("no process can be `{word}`: see --help")),
        }
    }
    arguments.push("--report-ready");
    arguments.extend(end);
    Ok(arguments.into_iter().map(OsString::from).collect())
}

fn reaction(text: &str) -> Result<(i32, Action), String> {
    let (name, action) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`"))?;
    let words: Vec<&str> = action.split(':').collect();
    let action = match words.as_slice() {
        ["ignore"] => Action::Ignore,
        ["exit", code] => Action::Exit(parse(code)?),
        ["die"] => Action::Die,
        ["delay", ms, code] => Action::Delay { ms: parse(ms)?, code: parse(code)? },
        [outcome @ ("error" | "success"), code] => {
            Action::Report { success: success(outcome)?, code: parse(code)? }
        }
        _ => return Err(format!("nobody can `{action}`: see --help")),
    };
    Ok((signal(name)?, action))
}

fn success(word: &str) -> Result<bool, String> {
    match word {
        "success" => Ok(true),
        "error" => Ok(false),
        _ => Err(format!("`{word}` is neither `success` nor `error`")),
    }
}

pub(crate) fn signal(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let full = format!("SIG{}", text.strip_prefix("SIG").unwrap_or(text));
    (1..=NAMED_SIGNALS_MAX)
        .find(|&number| signal_name(number) == Some(full.as_str()))
        .ok_or_else(|| format!("there is no signal {text}"))
}

fn text(word: &OsStr) -> Result<&str, String> {
    word.to_str().ok_or_else(|| format!("{word:?} is not a word"))
}

fn number<T: FromStr>(word: &OsStr) -> Result<T, String> {
    parse(text(word)?)
}

pub(crate) fn parse<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number that fits"))
}
