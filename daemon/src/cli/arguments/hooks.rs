//! The words of `candor hook`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use crate::serve::DEFAULT_WORDS;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HookVerb {
    Add(HookAdd),
    /// Lists hooks, and what became of their deliveries
    Ls {
        /// Prints it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Removes a hook, with all that waits for it
    Rm {
        /// The hook: its id, or a unique beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Prints what was removed as JSON
        #[arg(long)]
        json: bool,
    },
    Deliveries(HookDeliveries),
    /// Sends a hook something that is no event, once, and says what came of it
    ///
    /// The exit code is 0 when it was taken, and 125 otherwise.
    Test {
        /// The hook: its id, or a unique beginning of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Prints it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Has an address told of what happens from now on
///
/// Each event is posted as JSON, at least once and for each session in order, and signed as the
/// Standard Webhooks specification says. It is tried for a day. The secret is printed once.
#[derive(Args, Debug)]
pub(in crate::cli) struct HookAdd {
    /// Where to, such as `https://example.com/hook`
    pub(in crate::cli) url: String,
    /// Which events: statuses, outcomes such as interrupted, removed, or all
    #[arg(
        long,
        value_name = "WORDS",
        value_delimiter = ',',
        default_values_t = DEFAULT_WORDS.map(str::to_owned)
    )]
    pub(in crate::cli) on: Vec<String>,
    /// Only of this session
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) session: Option<String>,
    /// Lets it be in this machine or its network
    #[arg(long)]
    pub(in crate::cli) allow_local: bool,
    /// Prints the hook with its secret as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Lists the last deliveries of a hook, the newest event first
#[derive(Args, Debug)]
pub(in crate::cli) struct HookDeliveries {
    /// The hook: its id, or a unique beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) id: String,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in crate::cli) limit: u32,
    /// Prints them as JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
