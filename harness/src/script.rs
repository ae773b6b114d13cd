//! Scripts of users, longer than any budget of the search, in a world that is drawn around them.

use crate::random::{Budget, Picker, Schedule};
use crate::replay::Run;
use crate::timeline::Choice;
use crate::timeline::choice::{Ask, LaunchOptions};
use crate::timeline::names::SessionName;
use crate::world::World;

/// One thing that a user asks for, in any world. Sessions are counted from 0, around and around.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new session.
    Launch(LaunchOptions),
    /// A new session after this one.
    Queue(u16),
    /// The end of this one.
    Stop(u16, Ask),
    /// The daemon leaves.
    Shutdown,
}

/// Runs a script of users, each command after so many choices that are drawn by a seed, and a fair
/// end after it. The budget holds for what is drawn; what the world refuses is left out.
///
/// # Panics
///
/// As [`run`](crate::random::run).
#[must_use]
pub fn run_script(seed: u64, script: &[(u8, Command)], budget: Budget) -> Schedule {
    let mut picker = Picker::new(seed, budget);
    let mut run = Run::default();
    let mut steps = Vec::new();
    for (pause, command) in script {
        for _ in 0..*pause {
            if run.violations().is_empty() {
                picker.draw_into(&mut run, &mut steps);
            }
        }
        let at_ms = run.world().now_ms();
        let choice = command.in_world(run.world());
        if run.violations().is_empty() && run.choose(at_ms, &choice).is_ok() {
            steps.push((at_ms, choice));
        }
    }
    let ends_fair = run.violations().is_empty();
    if ends_fair {
        run.finish_fair();
    }
    Schedule::of(seed, steps, ends_fair, &run)
}

impl Command {
    fn in_world(&self, world: &World) -> Choice {
        let session = world.next_session();
        let known = |at: u16| SessionName::new(1 + at % session.number().saturating_sub(1).max(1));
        match self {
            Self::Launch(options) => Choice::Launch { session, options: options.clone() },
            Self::Queue(parent) => Choice::Queue { session, parent: known(*parent) },
            Self::Stop(at, ask) => Choice::Stop { session: known(*at), ask: *ask },
            Self::Shutdown => Choice::Shutdown,
        }
    }
}
