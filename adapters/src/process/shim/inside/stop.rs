//! The end of everything that the session started.
//!
//! A signal that asks for an end goes to the group, as the port says, and beyond: agents start their
//! tools in sessions of their own, and a user who stops a session means those as well. When the
//! process itself has ended, what is left of its family is told to end, is given a short time for it
//! and is killed then, until nothing is left or it is clear that something cannot be killed. Where
//! nobody asked for an end, all of it is left alone and counted; but the tools of an agent that was
//! killed, or failed, work for nobody any more, and are ended as well.

use std::time::Duration;

use candor_core::ports::Delivery;
use candor_core::stop::Signal;
use rustix::process::{self, Pid, getpid, kill_process_group};

use super::tree::Tree;
use crate::process::child;
use crate::process::shim::cgroup::Cgroup;

/// How long what is left has to end by itself once it was told to.
const GRACE: Duration = Duration::from_millis(500);

/// How long it is tried to kill what is left. What is not gone then is in the hands of a driver or
/// of another user.
const KILL_MAX: Duration = Duration::from_secs(2);

/// How often it is looked for what was started meanwhile. Ends are told, beginnings are not.
const KILL_EACH: Duration = Duration::from_millis(10);

/// All that a session started, apart from its process.
#[derive(Debug)]
pub(super) struct Family {
    agent: Pid,
    tree: Tree,
    cgroup: Option<Cgroup>,
    stop: Stop,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stop {
    /// Nothing.
    None,
    /// An end, with grace.
    End,
    /// The same, and what is left was told when the process had ended.
    Told,
    /// An end at once, or the grace is over. It began when this much time had passed.
    Kill { since: Option<Duration> },
}

/// How far the end of a family has come.
pub(super) enum Settling {
    /// Nothing more is done. This many live.
    Done { left: u32 },
    /// Ask again when one has ended, and at the latest after this time.
    Wait(Duration),
}

impl Family {
    pub(super) fn of(agent: Pid, cgroup: Option<Cgroup>) -> Self {
        Self { agent, tree: Tree::of(getpid(), agent), cgroup, stop: Stop::None }
    }

    /// Passes a signal on that the group was sent, with what became of that.
    pub(super) fn signal(&mut self, signal: Signal, delivery: Delivery) {
        if signal == Signal::Kill && self.stop != Stop::None {
            // Even if it is too late for the process itself, what is left has waited long enough.
            self.kill_soon();
        }
        if delivery == Delivery::AlreadyEnded {
            return;
        }
        match signal {
            Signal::Interrupt | Signal::Terminate => {
                if self.stop == Stop::None {
                    self.stop = Stop::End;
                }
            }
            Signal::Kill => {
                self.kill_soon();
                self.kill_cgroup();
            }
            // It follows each of the others, for what is stopped, or comes before an agent is asked to
            // end in its own words: then it is what tells of that wish.
            Signal::Continue => {
                if self.stop == Stop::None {
                    self.stop = Stop::End;
                }
            }
        }
        self.tree.send(child::number(signal), Some(self.agent));
    }

    const fn kill_soon(&mut self) {
        if !matches!(self.stop, Stop::Kill { .. }) {
            self.stop = Stop::Kill { since: None };
        }
    }

    /// Takes the end of the process for a wish that the rest ends as well.
    pub(super) fn is_wanted_no_more(&mut self) {
        if self.stop == Stop::None {
            self.stop = Stop::End;
        }
    }

    /// Whether its end was asked for.
    pub(super) fn is_to_end(&self) -> bool {
        self.stop != Stop::None
    }

    /// Whether there is anything left of it.
    pub(super) fn is_alive(&self) -> bool {
        self.tree.is_alive()
    }

    /// Does what is to be done when the process has ended, `elapsed` ago, and is not reaped.
    pub(super) fn settle(&mut self, elapsed: Duration) -> Settling {
        if self.stop == Stop::None {
            return Settling::Done { left: self.tree.count() };
        }
        if !self.tree.is_alive() {
            return Settling::Done { left: 0 };
        }
        match self.stop {
            Stop::End => {
                for signal in [process::Signal::TERM, process::Signal::CONT] {
                    self.send_to_all(signal);
                }
                self.stop = Stop::Told;
                Settling::Wait(GRACE)
            }
            Stop::Told if elapsed < GRACE => Settling::Wait(GRACE - elapsed),
            Stop::None | Stop::Told | Stop::Kill { since: None } => {
                self.stop = Stop::Kill { since: Some(elapsed) };
                self.kill_all(Duration::ZERO)
            }
            Stop::Kill { since: Some(since) } => self.kill_all(elapsed.saturating_sub(since)),
        }
    }

    fn kill_all(&self, tried: Duration) -> Settling {
        self.kill_cgroup();
        match self.send_to_all(process::Signal::KILL) {
            left if tried >= KILL_MAX => Settling::Done { left },
            _ => Settling::Wait(KILL_EACH),
        }
    }

    fn send_to_all(&self, signal: process::Signal) -> u32 {
        // The process is a zombie, and so the group's number still its own. First the group: nothing
        // forks its way out of that.
        let _ = kill_process_group(self.agent, signal);
        self.tree.send(signal, Some(self.agent))
    }

    fn kill_cgroup(&self) {
        if let Some(cgroup) = &self.cgroup {
            // What it cannot kill, the tree is there for.
            drop(cgroup.kill());
        }
    }

    /// Removes the session's cgroup, if nothing is left in it.
    pub(super) fn remove_cgroup(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove();
        }
    }
}
