//! All faults that are known of, and where each is made to happen.
//!
//! Whoever finds another one adds a line. A test of `faults.rs` holds the list against the tests that
//! there are.

/// One thing that can go wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    /// A letter for its kind, and a number.
    pub(crate) id: &'static str,
    pub(crate) words: &'static str,
    pub(crate) shown: Shown,
}

/// Where one sees what comes of it.
#[derive(Debug)]
pub(crate) enum Shown {
    /// In the suite, by tests whose names begin with the id.
    Here,
    /// By tests that are elsewhere, or are named after another fault: file and name.
    There(&'static [(&'static str, &'static str)]),
    /// Nowhere yet, or nowhere ever, and why.
    Not(&'static str),
}

pub(crate) const fn here(id: &'static str, words: &'static str) -> Fault {
    Fault { id, words, shown: Shown::Here }
}

pub(crate) const fn there(
    id: &'static str,
    words: &'static str,
    tests: &'static [(&'static str, &'static str)],
) -> Fault {
    Fault { id, words, shown: Shown::There(tests) }
}

pub(crate) const fn not(id: &'static str, words: &'static str, why: &'static str) -> Fault {
    Fault { id, words, shown: Shown::Not(why) }
}

const CUTS: &str = "daemon/tests/faults/cuts/mod.rs";
const KILLED: &str = "r1_a_shim_that_is_killed_at_any_system_call_leaves_the_truth_or_its_loss";
const LAUNCHER_KILLED: (&str, &str) =
    ("adapters/tests/it/process/shim/killed.rs", "killed_launcher_leaves_one_process_or_none");
const PROMISE: (&str, &str) =
    ("daemon/tests/it/promise.rs", "an_interrupted_session_is_never_shown_as_failed");
const ADAPTERS: &str = "what an agent prints is understood with the adapter of its kind";
const CONTINUE: &str = "sessions are not continued yet";

/// By kind, in the order of their numbers.
pub(crate) const FAULTS: &[Fault] = &[
    here("L1", "the program is missing"),
    here("L2", "the program may not or cannot be executed"),
    here("L3", "the folder is missing"),
    here("L4", "the folder is removed after the launch"),
    not("L5", "the folder is on a file system that hangs", "what hangs a read takes a network"),
    here("L6", "NUL in a text"),
    there(
        "L7",
        "arguments of 128 KiB and more",
        &[(
            "adapters/tests/it/process/refusals.rs",
            "longest_argument_that_the_kernel_takes_arrives",
        )],
    ),
    here("L8", "a text that looks like an option"),
    there(
        "L9",
        "bytes that are no text",
        &[("daemon/tests/it/bad_input.rs", "bytes_that_are_no_text_are_kept_as_they_are")],
    ),
    here("L10", "no descriptor is left (EMFILE)"),
    here("L11", "no process is left (EAGAIN)"),
    here("L12", "no memory for a fork (ENOMEM)"),
    there(
        "L13",
        "the daemon is killed in the midst of a launch",
        &[LAUNCHER_KILLED, (CUTS, KILLED)],
    ),
    here("L14", "the client leaves in the midst of a launch"),
    there(
        "L15",
        "two launches of one session",
        &[(
            "adapters/tests/it/process/many.rs",
            "of_simultaneous_launches_of_one_session_one_makes_a_process",
        )],
    ),
    there(
        "L16",
        "the program is being replaced (ETXTBSY)",
        &[(
            "adapters/tests/it/process/refusals.rs",
            "executable_that_is_being_written_is_tried_again_for_a_while",
        )],
    ),
    there(
        "L17",
        "the daemon was started with SIGINT ignored",
        &[(
            "daemon/tests/it/inheritance.rs",
            "an_interrupt_reaches_a_session_whose_daemon_was_started_with_interrupts_ignored",
        )],
    ),
    there(
        "L18",
        "descriptors that are inherited",
        &[(
            "daemon/tests/it/inheritance.rs",
            "a_session_has_three_descriptors_whatever_the_caller_had_open",
        )],
    ),
    there(
        "L19",
        "the environment is too large",
        &[(
            "daemon/tests/it/bad_input.rs",
            "an_environment_that_is_too_large_is_told_before_anything_runs",
        )],
    ),
    here("L20", "the program makes itself a daemon"),
    here("P1", "every exit code"),
    here("P2", "every signal"),
    here("P3", "a core dump"),
    here("P4", "the program is killed for want of memory"),
    here("P5", "a child of the program is killed for want of memory"),
    there(
        "P6",
        "a grandchild keeps the output open",
        &[(
            "daemon/tests/it/run_front.rs",
            "a_grandchild_that_keeps_the_output_open_does_not_hold_back_the_end",
        )],
    ),
    here("P7", "grandchildren leave the group"),
    here("P8", "thousands of orphans"),
    there(
        "P9",
        "the number of a process is another's",
        &[("adapters/tests/it/process/shim/records.rs", "number_of_somebody_else_is_nobody")],
    ),
    there(
        "P10",
        "a zombie looks alive",
        &[(
            "adapters/tests/it/process/shim/orphan.rs",
            "process_that_died_with_its_shim_is_not_guessed",
        )],
    ),
    here("P11", "a process that cannot be killed (state D)"),
    there(
        "P12",
        "a process that is stopped (state T)",
        &[("daemon/tests/it/stop.rs", "a_stopped_process_is_continued_so_that_it_sees_the_signal")],
    ),
    here("P13", "a process that is traced"),
    not(
        "P14",
        "the program becomes another user",
        "it needs a program that is installed with setuid",
    ),
    here("P15", "the program leaves its group"),
    not("P16", "a result, and no end", ADAPTERS),
    not("P17", "an end, and no result", ADAPTERS),
    not("P18", "a result of success, and exit code 1", ADAPTERS),
    there(
        "P19",
        "the program waits for input",
        &[("daemon/tests/it/run_front.rs", "standard_input_is_empty_whatever_the_caller_has")],
    ),
    here("P20", "the program forks without bound"),
    there(
        "P21",
        "output after the end",
        &[("adapters/tests/it/process/tree.rs", "what_is_written_after_the_end_is_not_counted")],
    ),
    here("P22", "500 ends at once"),
    there("I1", "signals are ignored", &[PROMISE]),
    there(
        "I2",
        "a shell that waits for its child",
        &[("daemon/tests/it/stop.rs", "a_shell_that_waits_for_its_child_is_interrupted")],
    ),
    there("I3", "every way to answer an interrupt", &[PROMISE]),
    here("I4", "exit code 130, and nobody asked"),
    there(
        "I5",
        "an interrupt before the process is up",
        &[("daemon/tests/it/stop.rs", "whoever_sees_the_launch_can_stop_the_session_at_once")],
    ),
    here("I6", "a storm of interrupts"),
    there(
        "I7",
        "an interrupt that races the end",
        &[("daemon/tests/it/promise.rs", "an_interrupt_that_races_the_end_leaves_one_truth")],
    ),
    not("I8", "continued while it is interrupted", CONTINUE),
    not("I9", "continued twice", CONTINUE),
    not("I10", "continued while it ignores signals", CONTINUE),
    here("I11", "a stop in the midst of git's writing"),
    there(
        "I12",
        "an interrupt while no daemon runs",
        &[("daemon/tests/it/daemon_life.rs", "every_verb_but_those_starts_one")],
    ),
    not("I13", "an interrupt while an approval is open", ADAPTERS),
    here("O1", "a flood without a newline"),
    here("O2", "a single long line"),
    there(
        "O3",
        "output that is no text",
        &[("daemon/tests/it/run_front.rs", "stdout_and_stderr_come_apart_and_byte_for_byte")],
    ),
    not("O4", "torn JSON at the end", ADAPTERS),
    not("O5", "malformed JSON", ADAPTERS),
    here("O6", "text on standard error, and success"),
    not("O7", "the order between the two outputs", "they are two files, and it is not kept"),
    here("O8", "the daemon stands still for a while"),
    not("O9", "the quota of an output", "outputs have no quota yet"),
    there(
        "O10",
        "the disk is full under outputs and records",
        &[(
            "adapters/tests/it/process/shim/disk.rs",
            "exit_that_cannot_be_written_is_kept_until_it_can",
        )],
    ),
    here("O11", "an output is cut by hand"),
    not("O12", "a flipped bit in an output", "it is the program's own file, without frames"),
    there(
        "O13",
        "a grandchild that holds the output costs no processor",
        &[("daemon/tests/it/idle.rs", "no_thread_wakes_up_while_nothing_happens")],
    ),
    there(
        "O14",
        "escapes in the output",
        &[("daemon/src/cli/terminal.rs", "no_control_character_reaches_a_terminal")],
    ),
    there(
        "O15",
        "a power cut under the output",
        &[("daemon/tests/faults/power/mod.rs", "r3_a_power_cut_takes_back_nothing_that_was_told")],
    ),
    there(
        "D1",
        "the daemon is killed at every point of a write",
        &[
            ("adapters/tests/it/sqlite/kill.rs", "killed_before_any_system_call"),
            (
                "daemon/tests/it/crash.rs",
                "after_a_kill_at_any_moment_every_session_has_a_true_status",
            ),
        ],
    ),
    there(
        "D2",
        "a power cut",
        &[("daemon/tests/faults/power/mod.rs", "r3_a_power_cut_takes_back_nothing_that_was_told")],
    ),
    there(
        "D3",
        "the disk is full",
        &[(
            "daemon/tests/it/full_disk.rs",
            "an_exit_while_the_disk_is_full_is_settled_truly_when_there_is_room",
        )],
    ),
    there(
        "D4",
        "the database cannot be written",
        &[("adapters/tests/it/sqlite/refusal.rs", "what_cannot_be_written_is_refused")],
    ),
    there(
        "D5",
        "the database is damaged",
        &[("daemon/tests/it/bad_home.rs", "a_damaged_database_is_refused_with_what_to_do")],
    ),
    there(
        "D6",
        "a flipped bit in a row",
        &[("adapters/tests/it/sqlite/damage.rs", "every_flipped_bit_of_a_session_is_found")],
    ),
    here("D7", "the write-ahead log is damaged or gone"),
    here("D8", "the shared memory file is removed"),
    there(
        "D9",
        "somebody else holds the lock",
        &[("adapters/tests/it/sqlite/group.rs", "a_foreign_lock_is_answered_in_time")],
    ),
    there(
        "D10",
        "a read that becomes a write",
        &[("adapters/tests/it/sqlite/group.rs", "what_waits_is_stored_in_one_transaction")],
    ),
    there(
        "D11",
        "two daemons on one home",
        &[(
            "daemon/tests/it/daemon_life.rs",
            "a_second_daemon_on_the_same_home_leaves_with_3_and_names_the_first",
        )],
    ),
    there(
        "D12",
        "a sync fails",
        &[("adapters/tests/it/sqlite/disk.rs", "a_failed_sync_is_unknown_and_the_row_tells")],
    ),
    there(
        "D13",
        "a crash in a migration",
        &[("adapters/tests/it/sqlite/kill.rs", "killed_before_any_system_call")],
    ),
    there(
        "D14",
        "a database of a newer version",
        &[(
            "daemon/tests/it/bad_home.rs",
            "a_database_of_a_newer_version_is_refused_and_left_as_it_is",
        )],
    ),
    there(
        "D15",
        "a connection without its settings",
        &[("adapters/src/sqlite/connection.rs", "a_reader_cannot_write")],
    ),
    there(
        "D16",
        "a long read lets the log grow",
        &[("adapters/tests/it/sqlite/contract.rs", "the_log_is_cut_after_a_long_read")],
    ),
    there(
        "D17",
        "a copy is made while it is written",
        &[("adapters/tests/it/sqlite/backup.rs", "copies_are_made_while_changes_are_stored")],
    ),
    there(
        "D18",
        "a file system of another machine",
        &[(
            "daemon/src/doctor/ground.rs",
            "file_systems_of_other_machines_have_a_name_and_local_ones_have_none",
        )],
    ),
    there(
        "D19",
        "a vulnerable SQLite",
        &[(
            "adapters/src/sqlite/connection.rs",
            "the_library_that_runs_is_the_one_that_was_bundled",
        )],
    ),
    here("D20", "the database is renamed under the daemon"),
    there(
        "D21",
        "a descriptor of the database in a child",
        &[(
            "adapters/tests/it/process/inheritance.rs",
            "exactly_three_descriptors_however_many_leak",
        )],
    ),
    not("D22", "ten million events", "a matter of the benchmark, which does not measure it yet"),
    here("C1", "the daemon is killed at random"),
    there("C2", "killed between the row and the exec", &[LAUNCHER_KILLED, (CUTS, KILLED)]),
    there("C3", "killed between the exec and its record", &[(CUTS, KILLED)]),
    there(
        "C4",
        "killed between the record of the exit and the database",
        &[("daemon/tests/it/failpoints/mod.rs", "the_daemon_is_killed_at_every_place")],
    ),
    not("C5", "killed while output is taken in", ADAPTERS),
    there(
        "C6",
        "the shim is killed, its process is quiet",
        &[(
            "adapters/tests/it/process/shim/orphan.rs",
            "daemon_that_adopts_an_orphan_sees_its_exit",
        )],
    ),
    here("C7", "the shim is killed, its process writes"),
    here("C8", "shim and daemon are killed together"),
    here("C9", "the process is killed"),
    here("C10", "shims hang"),
    there(
        "C11",
        "the shim breaks off by itself",
        &[(
            "adapters/tests/it/process/shim/orphan.rs",
            "orphan_is_signalled_and_its_exit_is_never_guessed",
        )],
    ),
    here("C12", "a record is damaged"),
    there(
        "C13",
        "the path of a socket is too long",
        &[("adapters/tests/it/process/shim/restart.rs", "long_paths_are_no_hindrance")],
    ),
    there(
        "C14",
        "nobody reaps",
        &[(
            "adapters/tests/it/process/shim/orphan.rs",
            "process_that_died_with_its_shim_is_not_guessed",
        )],
    ),
    there(
        "C15",
        "a restart of the machine",
        &[
            (
                "adapters/tests/it/process/shim/records.rs",
                "another_boot_is_no_reason_to_look_for_a_process",
            ),
            ("daemon/tests/faults/power/mod.rs", "r3_a_power_cut_takes_back_nothing_that_was_told"),
        ],
    ),
    there(
        "C16",
        "the session's folder is removed",
        &[(
            "daemon/tests/it/crash.rs",
            "a_folder_that_is_removed_under_a_session_costs_the_output_and_not_the_truth",
        )],
    ),
    not("C17", "the runtime folder is removed", "nothing is kept there: sockets lie in the home"),
    not(
        "C18",
        "a panic in one session's task",
        "the failpoints stand still or die, and do not panic",
    ),
    not(
        "C19",
        "the daemon is killed for want of memory",
        "to it this is C1; sessions are no likelier victims yet",
    ),
    there(
        "C20",
        "SIGTERM to the daemon",
        &[(
            "daemon/tests/it/outlive.rs",
            "a_session_goes_on_without_the_daemon_and_is_interrupted_by_the_next",
        )],
    ),
    here("C21", "other signals to the daemon and the shim"),
    there(
        "C22",
        "the daemon is killed while input is passed on",
        &[
            (
                "daemon/tests/it/input.rs",
                "a_file_goes_through_a_session_whose_daemon_is_killed_over_and_over",
            ),
            (
                "adapters/tests/it/process/shim/input.rs",
                "message_whose_sender_goes_in_the_midst_is_written_whole_or_not_at_all",
            ),
        ],
    ),
    there(
        "C23",
        "the shim is killed, and holds an input",
        &[("adapters/tests/it/process/shim/input.rs", "input_ends_with_its_shim_and_that_is_said")],
    ),
    here("R1", "each system call of a shim is cut"),
    here("R3", "the power is cut"),
];
