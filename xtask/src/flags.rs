//! The command line of `cargo xtask`, and nothing else: the text here is the help.

use std::path::PathBuf;

use crate::bench::GroupName;
use crate::ci::StepName;

xflags::xflags! {
    /// Every chore of the workspace.
    cmd xtask {
        /// Runs all checks, cheapest first, and stops at the first that fails.
        cmd ci {
            /// Runs one step alone, by the name that `ci` prints.
            optional --only step: StepName
        }

        /// Takes a real command through a real daemon, in a home of its own, and shows it.
        cmd demo {}

        /// Builds the program as it is published: on Linux static and at a fixed address.
        cmd dist {}

        /// Proves that core reaches no clock, randomness, file, thread or runtime.
        cmd purity {}

        /// Proves who depends on whom, and that SQL, `unsafe` and status changes stay in their rooms.
        cmd layers {}

        /// Checks what is cheap to keep and dull to review: file heads, lengths, blanks, banned words.
        cmd tidy {}

        /// Passes everything after it to the harness's `race-sim`, and exits with its exit code.
        /// Without arguments: the tier of every push, and what it covers.
        cmd race-sim {
            repeated arguments: String
        }

        /// Plays timelines of the harness on the real daemon, and kills it at its failpoints.
        cmd crash-sim {}

        /// Makes everything go wrong that is known to go wrong, and prints what came of it.
        cmd faults {
            /// Only tests with this in their names, such as `l1_` or `r3_`.
            optional filter: String
            /// Plays the selection that a push has time for.
            optional --quick
            /// How often the power is cut.
            optional --power-cuts count: usize
        }

        /// Tries what somebody could try who is not the user, and prints what came of it.
        cmd attacks {
            /// Only tests with this in their names, such as `t1_`.
            optional filter: String
            /// Attacks the program of a release build.
            optional --release
        }

        /// Asks a daemon what schemathesis makes of its API's document, and checks all answers.
        cmd fuzz-api {
            /// Installs schemathesis first where it is not there, from PyPI, into a folder of its own.
            optional --install
            /// Asks no more than a push has time for.
            optional --quick
        }

        /// Runs the real agents against stand-ins for their model APIs, and prints what came of it.
        cmd agents {
            /// Only tests with this in their names, such as `claude` or `stops`.
            optional filter: String
            /// Installs the programs first that are not there, from npm, into a folder of their own.
            optional --install
            /// Plays the selection that a push has time for.
            optional --quick
            /// Interrupts so many agents at random moments, and does nothing else.
            optional --interrupts count: usize
        }

        /// Runs the page's tests: its parts alone, and all of it in a headless Chromium.
        cmd browser {
            /// Only tests with this in their names, such as `races` or `keys`.
            optional filter: String
            /// Installs the packages first that are not there, from npm, into a folder of their own.
            optional --install
            /// Plays the selection that a push has time for, with the build of the checks.
            optional --quick
            /// Takes the pictures of the README as well.
            optional --screenshots
            /// The seed of a run that is to be played again.
            optional --seed seed: u32
        }

        /// Builds an earlier program from the history, and has today's daemon take over its sessions.
        cmd upgrade {}

        /// Proves that nothing of the tests is in the program that people install.
        cmd shipped {
            /// Looks into this program alone (unless told into that of the checks).
            optional --binary file: PathBuf
        }

        /// Measures the release build against the figures that it must reach.
        cmd bench {
            /// Measures one group alone: daemon, restart, shims, overhead, output, tree,
            /// conversations, http, agents, page.
            optional --only group: GroupName
            /// How many sessions to interrupt (10000 unless told).
            optional --interrupts count: usize
            /// How many times to kill the daemon of 200 sessions (50 unless told).
            optional --rounds count: usize
            /// Writes an output of 10 GB, and not of 3.
            optional --full
        }
    }
}
