//! The rows of the threat model, and where one sees that each comes to nothing.
//!
//! `SECURITY.md` has what Candor does about them. A test of `attacks.rs` holds the list against the tests
//! that there are.

use crate::faults::list::{Fault, here, not, there};

const TERMINAL: &str = "daemon/src/cli/terminal.rs";
const BROWSER: &str = "daemon/tests/browser/run.mjs";

/// In the order of their numbers.
pub(crate) const ATTACKS: &[Fault] = &[
    here("T1", "a name of a stranger that leads here"),
    here("T2", "a form of another page"),
    here("T3", "another page that reads answers"),
    here("T4", "no origin at all"),
    here("T5", "streams and upgrades from another page"),
    here("T6", "the address of all, 0.0.0.0"),
    here("T7", "an address that others reach"),
    here("T8", "secrets in addresses, logs and command lines"),
    here("T9", "guesses"),
    here("T10", "cookies, which all ports share"),
    here("T11", "another user over TCP, and at the files"),
    here("T12", "another user at the socket while it is made"),
    here("T13", "abstract sockets"),
    here("T14", "links that were put in our places"),
    here("T15", "paths in addresses"),
    here("T16", "secrets on the disk, in memory and with `ps`"),
    there(
        "T17",
        "prompts and values that look like options",
        &[("adapters/tests/agents/orders.rs", "nothing_can_be_slipped_in")],
    ),
    here("T18", "commands in texts"),
    there("T19", "scripts in what an agent prints", &[(BROWSER, "scripts_in_text")]),
    there("T20", "links and pictures in what an agent prints", &[(BROWSER, "no_foreign_requests")]),
    there(
        "T21",
        "escape sequences in what an agent prints",
        &[
            (TERMINAL, "no_control_character_reaches_a_terminal"),
            (TERMINAL, "a_control_character_that_is_cut_in_two_is_dropped_too"),
        ],
    ),
    there(
        "T22",
        "a request that is not what it seems",
        &[
            ("daemon/tests/it/agents/decided.rs", "an_answer_is_for_what_was_shown"),
            (BROWSER, "spoofed_requests"),
            (TERMINAL, "json_for_a_terminal_means_the_same_and_has_no_control_character"),
        ],
    ),
    here("T23", "more than there is room for"),
    there("T24", "the page in a frame of another", &[(BROWSER, "embedding")]),
    here("T25", "a hostile folder"),
    not("T26", "settings that send keys elsewhere", "no address changes a setting"),
    here("T27", "an agent that approves itself, or launches others"),
    here("T28", "a stranger at our port"),
    here("T29", "names that forge a line"),
    there("T30", "what a shared browser keeps", &[(BROWSER, "nothing_is_kept")]),
    here("T31", "credentials that were taken back"),
    here("T32", "the file of logins through our own API"),
    here("T33", "an agent at the socket of a shim"),
    there(
        "T34",
        "the environment of the daemon",
        &[(
            "daemon/tests/it/secrets.rs",
            "the_values_of_variables_are_in_no_file_and_not_with_the_daemon",
        )],
    ),
    there(
        "T35",
        "parts of the page from elsewhere",
        &[
            ("daemon/src/http/page/tests.rs", "nothing_refers_to_another_machine"),
            (BROWSER, "no_foreign_requests"),
        ],
    ),
];
