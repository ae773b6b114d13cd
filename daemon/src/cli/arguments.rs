//! The words of the command line.

mod agents;
mod hooks;
mod web;

pub(super) use agents::{AgentOptions, AgentRun, Approvals, Bypass, Continue, Decide};
pub(super) use hooks::{HookAdd, HookDeliveries, HookVerb};
pub(super) use web::TokenVerb;

use std::ffi::OsString;
use std::path::PathBuf;

use candor_core::status::Status;
use candor_core::stop::Graces;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use super::CliError;
use crate::api::EventKind;
use crate::duration;

/// Launches, watches, interrupts and continues long-running sessions, and never lies about where
/// they stand.
#[derive(Debug, Parser)]
#[command(name = "candor", version, arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Run(Run),
    /// Runs Claude Code on a prompt, as `run --agent claude` does
    Claude(AgentRun),
    /// Runs Codex on a prompt, as `run --agent codex` does
    Codex(AgentRun),
    /// Runs Gemini CLI on a prompt, as `run --agent gemini` does
    Gemini(AgentRun),
    /// Runs opencode on a prompt, as `run --agent opencode` does
    Opencode(AgentRun),
    /// Runs an agent that speaks the Agent Client Protocol on a prompt
    ///
    /// Behind the prompt comes the command that speaks it: candor acp "PROMPT" -- gemini --acp
    Acp(AgentRun),
    Continue(Continue),
    Approvals(Approvals),
    /// Allows what an agent asks for
    Approve(Decide),
    /// Denies what an agent asks for
    Deny(Decide),
    Bypass(Bypass),
    /// Ends an interactive session when its agent is through with its turn
    ///
    /// How it ends is what the agent says of its last turn, and no interruption.
    Finish {
        /// The session: its id, or a unique beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    Ls(Ls),
    /// Shows all sessions on one screen, live
    ///
    /// `?` shows the keys: to interrupt and kill, to follow an output, to answer what agents ask for.
    Top,
    Show(Show),
    Logs(Logs),
    Send(Send),
    /// Asks a session to stop: SIGINT, then SIGTERM, then SIGKILL
    Interrupt {
        /// The session: its id, or a unique beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Stops a session with SIGKILL
    Kill {
        /// The session: its id, or a unique beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    Wait(Wait),
    Events(Events),
    Search(Search),
    Rm(Rm),
    Prune(Prune),
    /// Prints a session's flight recording, which replays what happened to it
    ///
    /// It holds every input and no output, text or environment: attach it to a bug report.
    Timeline {
        /// The session: its id, or a unique beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Opens the page in your browser
    ///
    /// The daemon begins to listen on the loopback interface for it. The address holds a code that logs
    /// one browser in, within a minute.
    Open {
        /// Prints the address instead
        #[arg(long)]
        print: bool,
    },
    /// Logs all browsers out
    Logout,
    /// Makes, lists and takes back tokens for scripts that come over TCP
    Token {
        #[command(subcommand)]
        verb: TokenVerb,
    },
    /// Runs, starts, looks at and stops the daemon
    Daemon {
        #[command(subcommand)]
        verb: DaemonVerb,
    },
    /// Has other programs told of what happens, by webhook
    Hook {
        #[command(subcommand)]
        verb: HookVerb,
    },
    Doctor(Doctor),
    /// Prints the completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Launches a command, or an agent, as a session
///
/// In front, its output is shown as it comes, Ctrl-C interrupts it and a second one kills it, and
/// the exit code tells the verdict: 0 if and only if it succeeded; its own code when it failed, or
/// 128+n for signal n; 130 interrupted; 124 timed out; 125 an error of Candor's; 126 cannot be
/// executed; 127 not found; 120 lost. If the terminal or this program goes away, the session runs
/// on.
#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) launch: LaunchOptions,
    /// The exit codes that count as success
    #[arg(long, value_name = "CODES", value_delimiter = ',', default_value = "0")]
    pub(super) success_codes: Vec<u8>,
    /// Passes standard input on to it, to the end; with --detach, holds it open for `candor send`
    #[arg(long, conflicts_with = "agent")]
    pub(super) stdin: bool,
    /// Runs this agent on a prompt: claude, codex, gemini, opencode or acp
    #[arg(long, value_name = "AGENT")]
    pub(super) agent: Option<String>,
    #[command(flatten)]
    pub(super) options: AgentOptions,
    /// The command, and its arguments; with --agent the prompt, or `-` for standard input, and further
    /// arguments for the agent
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(super) command: Vec<OsString>,
}

/// What every new session can be given, also one that goes on with another.
#[derive(Args, Debug)]
pub(super) struct NewOptions {
    /// Prints the session's id and leaves it to run
    #[arg(short, long)]
    pub(super) detach: bool,
    /// What to call it
    #[arg(long)]
    pub(super) title: Option<String>,
    /// Sets an environment variable; can be given many times
    #[arg(long, value_name = "K=V")]
    pub(super) env: Vec<OsString>,
    /// How long it may take after SIGINT, and after SIGTERM [default: 10s,5s; 3s,3s for agents]
    #[arg(long, value_name = "DURATION,DURATION", value_parser = duration::parse_graces)]
    pub(super) grace: Option<Graces>,
    /// Prints the session as JSON: at its end, for an agent instead of what is said, or with --detach
    /// once it has started
    #[arg(long)]
    pub(super) json: bool,
}

/// What every launch can be given.
#[derive(Args, Debug)]
pub(super) struct LaunchOptions {
    #[command(flatten)]
    pub(super) new: NewOptions,
    /// The folder to run in, instead of this one
    #[arg(long, value_name = "DIR")]
    pub(super) cwd: Option<PathBuf>,
    /// Ends it when it has run for so long
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_ms)]
    pub(super) timeout: Option<u64>,
}

/// Lists sessions, newest first
#[derive(Args, Debug)]
pub(super) struct Ls {
    /// Only sessions of this status; can be given many times
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Vec<Status>,
    /// Only sessions with this outcome; can be given many times
    #[arg(long, value_name = "OUTCOME")]
    pub(super) outcome: Vec<String>,
    /// Only sessions of this agent
    #[arg(long, value_name = "AGENT")]
    pub(super) agent: Option<String>,
    /// Only sessions that run in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(super) folder: Option<PathBuf>,
    /// Only sessions that have this in their title, command, prompt, folder or id
    #[arg(long, value_name = "TEXT")]
    pub(super) search: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
    /// Prints a list of sessions as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Shows everything about a session, and how it came to its status
#[derive(Args, Debug)]
pub(super) struct Show {
    /// The session: its id, or a unique beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) id: String,
    /// Prints the session as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Looks for words in what agents and their users said, the newest first
///
/// All of the words must be in one piece of a conversation, in any order; each finds all words that
/// begin like it. "Words in quotes" are found as they stand, and -word keeps out what has that word.
/// Put the whole in single quotes, so that the shell leaves it alone.
#[derive(Args, Debug)]
pub(super) struct Search {
    /// What to look for
    #[arg(required = true, value_name = "WORDS")]
    pub(super) words: Vec<String>,
    /// Only in this session
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) session: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(super) limit: u32,
    /// Prints what is found as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Prints what a session has said from the beginning
///
/// Of a command that is its output: standard output to standard output, standard error to standard
/// error. Of an agent it is the conversation as text: what was said, what was done with which tools,
/// and what each turn has used; its standard error goes to standard error.
#[derive(Args, Debug)]
pub(super) struct Logs {
    /// The session: its id, or a unique beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) id: String,
    /// Goes on until the session ends
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Prints the bytes as they are: an agent's lines, and control sequences to a terminal, too
    #[arg(long)]
    pub(super) raw: bool,
}

/// Sends a session something to read, which was launched with `run --stdin`, or an interactive agent
/// its next message
///
/// It returns when the session is certain to get it, once, whatever becomes of the daemon. A session
/// that does not read is waited for, for 30 seconds.
#[derive(Args, Debug)]
pub(super) struct Send {
    /// The session: its id, or a unique beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) id: String,
    /// A line, or `-` for standard input to its end
    #[arg(required_unless_present = "end")]
    pub(super) text: Option<OsString>,
    /// Closes its standard input afterwards
    #[arg(long)]
    pub(super) end: bool,
}

/// Waits until sessions have ended, and prints `ID STATUS OUTCOME` for each
///
/// The exit code is that of the first, in the order named, that did not succeed, or 124 when the
/// time is over.
#[derive(Args, Debug)]
pub(super) struct Wait {
    /// The sessions: their ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) ids: Vec<String>,
    /// Waits no longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_ms)]
    pub(super) timeout: Option<u64>,
}

/// Prints the event log
///
/// Events of removed sessions are gone, but for one that says so. A reader that goes on from before
/// one of those is told first, by a line of the type `reset`.
#[derive(Args, Debug)]
pub(super) struct Events {
    /// Only events after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(super) after: u64,
    /// Only events of this session
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) session: Option<String>,
    /// Only events that lead to this status; can be given many times
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Vec<Status>,
    /// Only events of this type: status_changed, session_changed or session_removed; can be given
    /// many times
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Vec<EventKind>,
    /// Goes on with what comes
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Prints a JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// Removes sessions that have ended, with their output, recordings and events
///
/// All of them or none: if one of them is live or unknown, it says so and removes nothing. What
/// cannot be removed then all the same, since somebody else was quicker or the disk fails, is told,
/// and the others are removed. What is removed cannot be brought back.
///
/// The exit code is 0 when all of them are removed, and 125 otherwise.
#[derive(Args, Debug)]
pub(super) struct Rm {
    /// The sessions: their ids, or unique beginnings of them
    #[arg(required = true, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) ids: Vec<String>,
    /// Prints what was removed, and what was not, as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Removes all sessions that ended longer ago than this, with their output, recordings and events
///
/// It says how many they were, and how many bytes their files held. Live sessions are left alone.
/// What is removed cannot be brought back.
#[derive(Args, Debug)]
pub(super) struct Prune {
    /// Only sessions that ended so long ago, such as 30d, 2w or 12h; 0s means all that have ended
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_age_ms)]
    pub(super) older: u64,
    /// Only sessions that ended like this; can be given many times
    #[arg(long, value_name = "completed|failed|lost", value_parser = ended_status)]
    pub(super) status: Vec<Status>,
    /// Removes nothing, and lists what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Prints what was removed, and what was not, as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Reads a status that a session can have ended with.
fn ended_status(text: &str) -> Result<Status, String> {
    match text.parse::<Status>() {
        Ok(status) if status.is_terminal() => Ok(status),
        Ok(_) | Err(_) => Err("a session ends as completed, failed or lost".to_owned()),
    }
}

/// Checks the home, its database and its records, and says what is wrong and what would mend it
///
/// It changes nothing without --fix, starts no daemon, and ends no process. --fix takes the rights
/// of others away, and moves what belongs to no session into set-aside/ of the home; it deletes
/// nothing, leaves a damaged database and whatever belongs to a live session as they are, and needs
/// the daemon to be stopped. The exit code is 0 when all is well, 4 for warnings, 5 for problems.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Does what it would do
    #[arg(long)]
    pub(super) fix: bool,
    /// Lists the checks that passed, too
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Prints everything as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum DaemonVerb {
    /// Runs the daemon here, in front
    Run {
        /// Reports on standard output to the program that started it, and logs into the home
        #[arg(long, hide = true)]
        background: bool,
    },
    /// Starts the daemon in the background, if none runs
    Start,
    /// Tells which daemon runs, counts its sessions, and says when its database was last copied
    Status {
        /// Prints it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stops the daemon; its sessions go on, and the next daemon takes them over
    Stop {
        /// Stops all sessions first, and waits for their ends
        #[arg(long)]
        sessions: bool,
    },
}

/// A shell that completions can be printed for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the completions for `shell`.
pub(super) fn print_completions(shell: Shell) -> Result<u8, CliError> {
    use std::io::Write as _;

    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "candor", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(crate::exit_code::SUCCESS)
}
