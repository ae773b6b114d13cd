//! Whole lives, drawn at random, with time that moves: what the walk over all machines cannot
//! show, because it stands still and counts no revisions.

use candor_core::input::{Deadline, Input};
use candor_core::machine::Machine;
use candor_core::status::Status;
use candor_core::step::{Act, Transition};
use candor_core::stop::{Rung, StopKind};
use candor_core::time::Monotonic;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use crate::support::{ALL_GRACES, IDLE_MS, TIMEOUT_MS, at, talking};
use crate::table::inputs;

/// Up to 40 things, with the time between them.
fn stories() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let inputs: Vec<_> = inputs().into_iter().map(|(_, input)| input).collect();
    // Half of all stories would end at once if the ends were not rare.
    let rarely_gone =
        (select(inputs.clone()), select(inputs), any::<u8>()).prop_map(|(first, second, luck)| {
            let is_end = matches!(first, Input::Gone(_));
            if is_end && luck > 40 { second } else { first }
        });
    vec((0_u64..30_000, rarely_gone), 0..40)
}

/// When a deadline that is set by this step must fall due.
fn due(transition: &Transition, deadline: Deadline, up_since: Option<u64>, now_ms: u64) -> u64 {
    assert!(transition.next.is_up(), "a deadline without a process");
    match deadline {
        Deadline::Timeout => up_since.map_or(u64::MAX, |since| since + TIMEOUT_MS),
        Deadline::Linger => now_ms + u64::from(ALL_GRACES.linger_ms),
        Deadline::Idle => now_ms + u64::from(IDLE_MS),
        // A turn may come to its end.
        Deadline::RungOver(Rung::Ask) if transition.next.intent() == Some(StopKind::Finish) => {
            now_ms + u64::from(ALL_GRACES.linger_ms)
        }
        Deadline::RungOver(rung) => {
            let grace_ms = [2_000, 7_000, 4_000, 3_000, 0][rung as usize];
            now_ms + grace_ms
        }
    }
}

proptest! {
    #[test]
    fn in_every_life_revisions_have_no_gap_and_deadlines_fall_due_in_time(
        at_once in any::<bool>(), story in stories()
    ) {
        let first = if at_once { Machine::launch(talking()) } else { Machine::queue(talking()) };
        let (mut machine, mut changes, mut now_ms) = (first.next, 1, 0);
        let (mut up_since, mut signalled) = (None, Vec::new());
        for (later_ms, input) in story {
            now_ms += later_ms;
            let Ok(transition) = machine.step(input, at(now_ms)) else { continue };
            let Transition { next, cause, act, deadline, idle_at, .. } = transition;
            if next.is_up() && !machine.is_up() {
                up_since = Some(now_ms);
            }
            changes += u64::from(cause.is_some());
            prop_assert_eq!(next.revision().number(), changes);
            if let Some((deadline, point)) = deadline {
                let expected = due(&transition, deadline, up_since, now_ms);
                prop_assert_eq!(point, Monotonic::from_ms(expected), "{:?}", deadline);
            }
            if let Some(point) = idle_at {
                let expected = due(&transition, Deadline::Idle, up_since, now_ms);
                prop_assert!(next.awaits_message());
                prop_assert_eq!(point, Monotonic::from_ms(expected));
            }
            if let Act::Signal(rung) = act {
                prop_assert_eq!(next.status(), Status::Completing);
                prop_assert!(signalled.last().is_none_or(|last: &Rung| *last <= rung));
                signalled.push(rung);
            }
            machine = next;
        }
        prop_assert!(machine.is_coherent());
    }
}
