//! A process that is our own child.
//!
//! Its number stays its own for as long as we have not reaped it. So reaping and signalling take
//! turns under one lock, and no signal ever reaches a process that got the number later.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use candor_core::ports::{Delivery, Ending, Fact, Message, Process, Sent, Target};
use candor_core::session::{OutputSizes, SessionId};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason, Witness};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    self, Pid, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, kill_process_group,
    waitid, waitpid,
};

use super::feeder::Feeder;
use super::files;
use super::platform::{EXIT_PROBE, ExitWatch};
use super::registry::Registry;

/// One launched process.
pub(super) struct DirectProcess {
    session: SessionId,
    /// The folder of all sessions.
    sessions: PathBuf,
    pid: Pid,
    watch: ExitWatch,
    life: Mutex<Life>,
    /// Its standard input, if it is held.
    feeder: Option<Arc<Feeder>>,
    registry: Weak<Registry>,
}

/// Whether the number is still ours.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Life {
    /// It is: the process runs, or waits to be reaped.
    Unreaped,
    /// It is not, and the last fact has been told.
    Reaped,
}

/// What came of reaping a process that has ended.
enum Reaping {
    /// It was reaped now, and this is the last fact.
    Done(Fact),
    /// It was reaped earlier, and its last fact was told.
    DoneBefore,
}

impl DirectProcess {
    pub(super) const fn new(
        session: SessionId,
        sessions: PathBuf,
        pid: Pid,
        watch: ExitWatch,
        feeder: Option<Arc<Feeder>>,
        registry: Weak<Registry>,
    ) -> Self {
        Self { session, sessions, pid, watch, life: Mutex::new(Life::Unreaped), feeder, registry }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `None` while the process has not ended.
    fn reap(&self) -> Option<Reaping> {
        let mut life = self.life();
        if *life == Life::Reaped {
            return Some(Reaping::DoneBefore);
        }
        // First look and leave it a zombie, so that the sizes are those at its end: nothing that
        // it wrote itself can come later.
        let ended = retry_on_intr(|| waitid(WaitId::Pid(self.pid), EXIT_PROBE));
        if let Ok(None) = ended {
            return None;
        }
        let output = files::sizes(&self.sessions, self.session);
        let status = retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()));
        *life = Life::Reaped;
        drop(life);
        if let Some(feeder) = &self.feeder {
            feeder.close();
        }
        let exit = status.ok().flatten().and_then(|(_pid, status)| exit(status));
        let fact = match exit {
            Some(exit) => Fact::Ended(ending(exit, output)),
            // Something else in this daemon has reaped it, which is a bug; the exit went there.
            None => {
                tracing::error!(session = %self.session, "the exit was taken by somebody else");
                Fact::Lost(LostReason::BadRecord)
            }
        };
        if let Some(registry) = self.registry.upgrade() {
            registry.ended(self.session, fact);
        }
        Some(Reaping::Done(fact))
    }
}

#[async_trait]
impl Process for DirectProcess {
    async fn next_fact(&self) -> Fact {
        match self.watch.until(|| self.reap()).await {
            Reaping::Done(fact) => {
                crate::failpoint!(ExitSeen, self.session);
                fact
            }
            // The watch goes on telling that the process has ended. Asking it again would spin.
            Reaping::DoneBefore => std::future::pending().await,
        }
    }

    async fn signal(&self, target: Target, signal: Signal) -> Delivery {
        crate::failpoint!(SignalBegun, self.session, signal);
        let delivery = self.deliver(target, signal);
        crate::failpoint!(SignalSent, self.session, signal);
        delivery
    }

    async fn send(&self, message: &Message) -> Sent {
        match &self.feeder {
            Some(feeder) if !self.has_ended() => feeder.send(message),
            Some(_) | None => Sent::AlreadyEnded,
        }
    }
}

impl DirectProcess {
    fn has_ended(&self) -> bool {
        // Held while it is looked: afterwards the number may be another child's.
        let life = self.life();
        *life == Life::Reaped || has_ended(self.pid)
    }

    fn deliver(&self, target: Target, signal: Signal) -> Delivery {
        // Held until the signal is sent: nobody reaps meanwhile.
        let life = self.life();
        if *life == Life::Reaped {
            return Delivery::AlreadyEnded;
        }
        send(self.pid, target, signal)
    }
}

/// Sends a signal to a child that is not reaped before this returns.
pub(super) fn send(pid: Pid, target: Target, signal: Signal) -> Delivery {
    // A zombie can be sent signals, and they do nothing. Its group may have other members, but a
    // signal to them must not depend on how soon the zombie is looked at: once the process has
    // ended, none is sent.
    if has_ended(pid) {
        return Delivery::AlreadyEnded;
    }
    // The group has the process's number, since that was made a session leader before it executed
    // anything, and a session leader cannot leave its group.
    let sent = match target {
        Target::Process => kill_process(pid, number(signal)),
        Target::Group => kill_process_group(pid, number(signal)),
    };
    delivery(sent)
}

/// Says what became of a signal, from what the kernel said.
pub(super) const fn delivery(sent: Result<(), Errno>) -> Delivery {
    match sent {
        Ok(()) => Delivery::Delivered,
        Err(Errno::SRCH) => Delivery::AlreadyEnded,
        Err(Errno::PERM) => Delivery::NotPermitted,
        Err(_) => Delivery::Unknown,
    }
}

/// Returns the system's name of a signal.
pub(super) const fn number(signal: Signal) -> process::Signal {
    match signal {
        Signal::Interrupt => process::Signal::INT,
        Signal::Terminate => process::Signal::TERM,
        Signal::Kill => process::Signal::KILL,
        Signal::Continue => process::Signal::CONT,
    }
}

/// Whether a child has ended, although it was not reaped.
fn has_ended(pid: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(retry_on_intr(|| waitid(WaitId::Pid(pid), look)), Ok(None))
}

/// Returns what is known of an end. What kills for want of memory is not asked, and what left the
/// group does not fall to this process, so that nobody could count it.
const fn ending(exit: Exit, output: OutputSizes) -> Ending {
    let witness = Witness::Parent;
    Ending { exit, oom_killed: false, witness, output, left_behind: None }
}

/// Reads a status word of `waitpid`. `None` for a process that still exists.
fn exit(status: WaitStatus) -> Option<Exit> {
    /// Set where the kernel wrote a core dump.
    ///
    /// Source: glibc `bits/waitstatus.h`, `WCOREFLAG`; the same on macOS.
    const CORE_DUMPED: i32 = 0x80;

    if let Some(code) = status.exit_status() {
        return u8::try_from(code).ok().map(Exit::Code);
    }
    let number = u8::try_from(status.terminating_signal()?).ok()?;
    Some(Exit::Signal { number, core_dumped: status.as_raw() & CORE_DUMPED != 0 })
}
