//! Tests that need what only core has: the insides of a machine, and mocks of the ports.
//!
//! What can be tested from outside is tested in `core/tests`.

mod coherence;
mod supervisor;
mod walk;

use core::num::NonZeroU64;

use crate::input::Input;
use crate::machine::{Machine, Policy};
use crate::stop::Graces;
use crate::time::{Monotonic, Now, Timestamp};
use crate::verdict::{End, Exit};

/// Both clocks, `ms` milliseconds after their zero.
fn at(ms: u64) -> Now {
    let wall = Timestamp::from_millisecond(1_700_000_000_000 + ms.cast_signed());
    Now { wall: wall.unwrap(), monotonic: Monotonic::from_ms(ms) }
}

/// Graces that are all different, and a time limit of five minutes.
fn policy() -> Policy {
    let graces =
        Graces { interrupt_ms: 7_000, terminate_ms: 3_000, linger_ms: 20_000, ..Graces::DEFAULT };
    Policy { graces, timeout_ms: NonZeroU64::new(300_000), ..Policy::default() }
}

const fn code(code: u8) -> End {
    End::Exited { exit: Exit::Code(code), oom_killed: false }
}

/// A session that was launched at once, after `inputs`, all of them at 1 s.
fn after(inputs: &[Input]) -> Machine {
    inputs.iter().fold(Machine::launch(policy()).next, |machine, &input| {
        machine.step(input, at(1_000)).unwrap_or_else(|error| panic!("{error}")).next
    })
}
