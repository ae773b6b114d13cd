//! What each input makes of a session in each status, as one table to read.
//!
//! The table is `machine.txt`, beside this file. `UPDATE_EXPECT=1` writes it anew: read its diff.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::step::{Act, Answer, Transition};
use candor_core::stop::{Rung, StopKind};
use candor_core::verdict::{End, LostReason, SpawnStage};
use expect_test::expect_file;

use crate::support::{IDLE_MS, STOPS, at, code, follow, policy};

const NOW_MS: u64 = 100_000;

const INTERRUPT: Input = Input::Stop(StopKind::Interrupt);
const FINISH: Input = Input::Stop(StopKind::Finish);
const REPORT: Input = Input::FinalReport { success: true };

type State = (&'static str, Machine);

fn states() -> Vec<State> {
    let up = |inputs: &[Input]| launched(&[&[Input::Spawned], inputs].concat());
    let climb = |rung| Input::Due(Deadline::RungOver(rung));
    let linger = Input::Due(Deadline::Linger);
    vec![
        ("queued", Machine::queue(policy()).next),
        ("starting", launched(&[])),
        ("running", up(&[])),
        ("waiting_input, 1 request open", up(&[Input::RequestOpened])),
        ("waiting_input, 2 requests open", up(&[Input::RequestOpened, Input::RequestOpened])),
        ("waiting_input, a turn has ended", up(&[Input::TurnEnded])),
        (
            "waiting_input, a turn has ended, 1 request open",
            up(&[Input::TurnEnded, Input::RequestOpened]),
        ),
        ("completing, interrupt asked, not up", launched(&[INTERRUPT])),
        ("completing, kill asked, not up", launched(&[Input::Stop(StopKind::Kill)])),
        ("completing, interrupt asked, at INT", up(&[INTERRUPT])),
        ("completing, interrupt asked, at TERM", up(&[INTERRUPT, climb(Rung::Interrupt)])),
        ("completing, kill asked, at KILL", up(&[Input::Stop(StopKind::Kill)])),
        ("completing, time limit over, at INT", up(&[Input::Due(Deadline::Timeout)])),
        ("completing, reported success", up(&[REPORT])),
        ("completing, reported success, lingers at INT", up(&[REPORT, linger])),
        ("completing, reported success, then interrupt asked", up(&[REPORT, INTERRUPT])),
        ("completing, interrupt asked, then reported success", up(&[INTERRUPT, REPORT])),
        ("completing, finish asked, at INT", up(&[FINISH])),
        ("completing, finish asked, at TERM", up(&[FINISH, climb(Rung::Interrupt)])),
        ("completing, reported success, then finish asked", up(&[REPORT, FINISH])),
        ("completed", up(&[Input::Gone(code(0))])),
        ("failed", up(&[Input::Gone(code(1))])),
        ("lost", up(&[Input::Gone(End::Unknown(LostReason::Reboot))])),
    ]
}

/// Launches at once, and takes a second for each input.
fn launched(inputs: &[Input]) -> Machine {
    let timed: Vec<_> = inputs.iter().zip(1..).map(|(&input, s)| (s * 1_000, input)).collect();
    let policy = Policy { idle_ms: NonZeroU32::new(IDLE_MS), ..policy() };
    follow(Machine::launch(policy), &timed).next
}

pub(crate) fn inputs() -> Vec<(String, Input)> {
    let mut inputs: Vec<_> =
        STOPS.iter().map(|&kind| (format!("stop {kind}"), Input::Stop(kind))).collect();
    let refused = End::Refused { stage: SpawnStage::Exec, errno: 2 };
    let others = [
        ("spawned", Input::Spawned),
        ("unreachable", Input::Unreachable),
        ("adopted", Input::Adopted),
        ("request opened", Input::RequestOpened),
        ("request closed", Input::RequestClosed),
        ("turn ended", Input::TurnEnded),
        ("turn began", Input::TurnBegan),
        ("settings changed", Input::SettingsChanged),
        ("final report: success", REPORT),
        ("final report: error", Input::FinalReport { success: false }),
        ("gone: spawn refused", Input::Gone(refused)),
        ("gone: never ran", Input::Gone(End::NeverRan)),
        ("gone: code 0", Input::Gone(code(0))),
        ("gone: code 1", Input::Gone(code(1))),
        ("gone: exit unknown", Input::Gone(End::Unknown(LostReason::DaemonKilled))),
        ("due: time limit", Input::Due(Deadline::Timeout)),
        ("due: linger", Input::Due(Deadline::Linger)),
        ("due: idle", Input::Due(Deadline::Idle)),
        ("due: grace of ask", Input::Due(Deadline::RungOver(Rung::Ask))),
        ("due: grace of INT", Input::Due(Deadline::RungOver(Rung::Interrupt))),
        ("due: grace of INT again", Input::Due(Deadline::RungOver(Rung::InterruptAgain))),
        ("due: grace of TERM", Input::Due(Deadline::RungOver(Rung::Terminate))),
        ("due: grace of KILL", Input::Due(Deadline::RungOver(Rung::Kill))),
        ("parent ended", Input::ParentEnded),
    ];
    inputs.extend(others.map(|(name, input)| (name.to_owned(), input)));
    inputs
}

/// One line of the table: what follows from `input`, in words.
fn outcome(machine: &Machine, input: Input) -> String {
    let Ok(Transition { next, cause, act, deadline, idle_at, answer }) =
        machine.step(input, at(NOW_MS))
    else {
        return "illegal".to_owned();
    };
    let mut line = match (cause, next.verdict()) {
        (None, _) => "unchanged".to_owned(),
        (Some(_), Some(verdict)) => verdict.to_string(),
        (Some(_), None) => next.status().to_string(),
    };
    if let Some(cause) = cause {
        write!(line, ", because {cause}").unwrap();
    }
    match act {
        Act::Nothing => {}
        Act::Launch => line.push_str("; launch"),
        Act::Attach => line.push_str("; attach"),
        Act::Signal(rung) => write!(line, "; send {}", name_of(rung)).unwrap(),
    }
    if let Some((deadline, due)) = deadline {
        let name = match deadline {
            Deadline::Timeout => "time limit",
            Deadline::Linger => "linger",
            Deadline::Idle => "idle",
            Deadline::RungOver(rung) => {
                line.push_str("; grace of ");
                name_of(rung)
            }
        };
        let joint = if let Deadline::RungOver(_) = deadline { "" } else { "; " };
        write!(line, "{joint}{name} due at {} ms", due.as_ms()).unwrap();
    }
    if let Some(due) = idle_at {
        write!(line, "; idle due at {} ms", due.as_ms()).unwrap();
    }
    match answer {
        Answer::Accepted => {}
        Answer::AlreadyStopping(kind) => write!(line, "; already stopping: {kind}").unwrap(),
        Answer::AlreadyEnded(verdict) => write!(line, "; already ended: {verdict}").unwrap(),
    }
    line
}

fn name_of(rung: Rung) -> &'static str {
    match rung {
        Rung::Ask => "ask",
        Rung::Interrupt => "INT",
        Rung::InterruptAgain => "INT again",
        Rung::Terminate => "TERM",
        Rung::Kill => "KILL",
    }
}

#[test]
fn the_table_of_the_machine_is_the_one_that_was_read_and_agreed() {
    let mut table = format!(
        "What each input makes of a session at {NOW_MS} ms. Graces: 7 s, 3 s, 20 s after a report; \
         time limit 300 s; idle limit 60 s; up since 1 s.\n"
    );
    for (name, machine) in states() {
        let revision = machine.revision();
        writeln!(table, "\n{name} (revision {revision})").unwrap();
        let lines: Vec<_> =
            inputs().into_iter().map(|(name, input)| (name, outcome(&machine, input))).collect();
        if lines.iter().all(|(_, line)| *line == lines[0].1) {
            writeln!(table, "    {:<24}{}", "anything at all", lines[0].1).unwrap();
        } else {
            for (name, line) in lines {
                writeln!(table, "    {name:<24}{line}").unwrap();
            }
        }
    }
    expect_file!["machine.txt"].assert_eq(&table);
}
