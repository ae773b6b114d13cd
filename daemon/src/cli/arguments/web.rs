//! Words about browsers and scripts.

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Makes a token for a script and prints it, this once
    ///
    /// The daemon keeps its hash alone. Hand it to no session: whoever has it can approve what the
    /// session asks for.
    Add {
        /// What to call it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Lets it look, and change nothing
        #[arg(long)]
        read_only: bool,
    },
    /// Lists the tokens
    Ls {
        /// Prints a list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Takes a token back: whatever goes on by it ends
    Rm {
        /// The token's name
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}
