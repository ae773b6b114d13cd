//! Makes up a history that leads to a row, where what came before it was not recorded.
//!
//! Each change is one revision, so the search goes as deep as the row's revision, and knows few
//! states on each level: it is short.

use std::collections::BTreeMap;

use candor_core::input::{Deadline, Input};
use candor_core::machine::Machine;
use candor_core::protocol::{CommitAnswer, Origin};
use candor_core::recording::Call;
use candor_core::status::Status;
use candor_core::step::Transition;
use candor_core::stop::StopKind;
use candor_core::time::{Monotonic, Now, Timestamp};

use super::track::Outline;

/// Changes that a made-up history may have.
const CHANGES_MAX: u64 = 300;

/// One way to one state.
#[derive(Clone)]
struct Path {
    machine: Machine,
    now_ms: u64,
    deadlines: BTreeMap<Deadline, Monotonic>,
    calls: Vec<(u64, Call)>,
}

/// Returns calls, each with its moment in milliseconds from the beginning, that lead to a machine
/// like this one. The process comes up at 0. `None` where there are none, or too many.
pub(super) fn of(row: &Machine) -> Option<Vec<(u64, Call)>> {
    let revision = row.revision().number();
    if revision == 0 || revision > CHANGES_MAX {
        return None;
    }
    let wanted = Outline::of(row);
    [false, true].into_iter().find_map(|queued| {
        let mut level = vec![Path::begin(row, queued)];
        for _ in 1..revision {
            level = next_level(&level);
        }
        let path = level.into_iter().find(|path| Outline::of(&path.machine) == wanted)?;
        Some(path.calls)
    })
}

fn next_level(level: &[Path]) -> Vec<Path> {
    let mut next: Vec<Path> = Vec::new();
    for path in level {
        for input in inputs(path) {
            let Some(path) = path.after(input) else { continue };
            let twin = next.iter_mut().find(|known| known.machine == path.machine);
            match twin {
                Some(known) if known.now_ms > path.now_ms => *known = path,
                Some(_) => {}
                None => next.push(path),
            }
        }
    }
    next
}

fn inputs(path: &Path) -> Vec<Input> {
    let mut inputs = vec![
        Input::ParentEnded,
        Input::Spawned,
        Input::RequestOpened,
        Input::RequestClosed,
        Input::FinalReport { success: true },
        Input::FinalReport { success: false },
        Input::Stop(StopKind::Interrupt),
        Input::Stop(StopKind::Kill),
        Input::Stop(StopKind::Shutdown),
    ];
    inputs.extend(path.deadlines.keys().copied().map(Input::Due));
    inputs
}

impl Path {
    fn begin(row: &Machine, queued: bool) -> Self {
        let policy = *row.policy();
        let first = if queued { Machine::queue(policy) } else { Machine::launch(policy) };
        let calls = vec![(0, Call::Create { policy, queued }), (0, STORED)];
        Self { machine: first.next, now_ms: 0, deadlines: BTreeMap::new(), calls }
    }

    /// Returns the path after something that changes the session and does not end it.
    fn after(&self, input: Input) -> Option<Self> {
        let mut path = self.clone();
        if let Input::Due(deadline) = input {
            path.now_ms = path.deadlines.remove(&deadline)?.as_ms().max(path.now_ms);
        }
        let monotonic = Monotonic::from_ms(path.now_ms);
        let now = Now { wall: Timestamp::UNIX_EPOCH, monotonic };
        let Transition { next, cause, deadline, .. } = self.machine.step(input, now).ok()?;
        if cause.is_none() || next.status().is_terminal() || next.status() == Status::Queued {
            return None;
        }
        let origin = if matches!(input, Input::Stop(_)) { Origin::Command } else { Origin::Fact };
        path.calls.push((path.now_ms, Call::Take { input, origin }));
        path.calls.push((path.now_ms, STORED));
        path.deadlines.extend(deadline);
        path.machine = next;
        Some(path)
    }
}

const STORED: Call = Call::Answered(CommitAnswer::Stored);
