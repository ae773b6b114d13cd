//! What a search must have met, lest its silence mean nothing; and the crash-point table.

use candor_core::event::Cause;
use candor_core::status::Status;
use candor_core::stop::StopKind;

use super::Model;

/// Edges of core's table that no choice of this model can take, each with its reason.
const BARRED: [(Option<Status>, Status, &str); 1] = [(
    Some(Status::Completing),
    Status::Lost,
    "what completes has an intent or a report, and that decides; `finish` will not, one day",
)];

/// Something that must happen somewhere in a search.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Probe {
    Conflict,
    InDoubt,
    InDoubtOurs,
    InDoubtBefore,
    Refused,
    Retried,
    Abandoned,
    Usurped,
    Asked,
    Escalated,
    StaleDeadline,
    Signalled,
    SignalMissed,
    LateSpawnSignalled,
    ReapedWhileSignalled,
    ExitBeforeSpawnAnswer,
    LaunchUnknown,
    OrphanAdopted,
    OrphanLost,
    CrashInRecovery,
    CrashWhileSignalling,
    SecondStop,
    ConnectDuringChange,
    SlowClient,
    SignalDenied,
    SignalUnknown,
    NumberReused,
    Unreached,
}

impl Probe {
    /// Every probe with what reports call it.
    pub(super) const ALL: [(Self, &'static str); 28] = [
        (Self::Conflict, "conflict"),
        (Self::InDoubt, "answer in doubt"),
        (Self::InDoubtOurs, "in doubt, and ours"),
        (Self::InDoubtBefore, "in doubt, and not stored"),
        (Self::Refused, "command refused"),
        (Self::Retried, "retried"),
        (Self::Abandoned, "creation abandoned"),
        (Self::Usurped, "left to a second daemon"),
        (Self::Asked, "process asked to end"),
        (Self::Escalated, "rung climbed"),
        (Self::StaleDeadline, "stale deadline dropped"),
        (Self::Signalled, "signalled"),
        (Self::SignalMissed, "signal ignored or too late"),
        (Self::LateSpawnSignalled, "late spawn signalled"),
        (Self::ReapedWhileSignalled, "collected while a signal is on its way"),
        (Self::ExitBeforeSpawnAnswer, "exit before the spawn's answer"),
        (Self::LaunchUnknown, "launch unknown"),
        (Self::OrphanAdopted, "orphan adopted"),
        (Self::OrphanLost, "orphan lost"),
        (Self::CrashInRecovery, "crash in recovery"),
        (Self::CrashWhileSignalling, "crash while signalling"),
        (Self::SecondStop, "second stop"),
        (Self::ConnectDuringChange, "connect during a change"),
        (Self::SlowClient, "client behind by more than one event"),
        (Self::SignalDenied, "signal denied"),
        (Self::SignalUnknown, "signal of unknown fate"),
        (Self::NumberReused, "number reused"),
        (Self::Unreached, "rung stored without a process to signal"),
    ];
}

/// Writes that the model does not make, and why.
pub(super) const UNWRITTEN: [(Cause, &str); 1] =
    [(Cause::Stop(StopKind::Superseded), "a continuation stops its parent in the world alone")];

/// Where a crash cuts a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Window {
    Issued,
    Effective,
    Acknowledged,
}

/// How often a crash fell into each window of each write.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CrashTable {
    counts: [[u64; 3]; Cause::ALL.len()],
}

impl CrashTable {
    pub(super) fn count(&mut self, cause: Cause, window: Window) {
        if let Some(place) = Cause::ALL.iter().position(|known| *known == cause) {
            self.counts[place][window as usize] += 1;
        }
    }

    /// Returns each kind of write with its crashes: issued, effective, acknowledged.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, [u64; 3])> + '_ {
        Cause::ALL.iter().zip(self.counts).map(|(cause, counts)| (cause.as_str(), counts))
    }

    /// Returns the kinds of writes that were met, and not in every window.
    #[must_use]
    pub fn holes(&self) -> Vec<&'static str> {
        let is_hole = |counts: &[u64; 3]| counts.contains(&0) && *counts != [0; 3];
        self.rows().filter(|(_, counts)| is_hole(counts)).map(|(cause, _)| cause).collect()
    }

    /// Returns the kinds of writes that no crash has met, and that the model has.
    #[must_use]
    pub fn unwritten(&self) -> Vec<&'static str> {
        let is_barred = |cause: &str| UNWRITTEN.iter().any(|(barred, _)| barred.as_str() == cause);
        let missing = self.rows().filter(|(cause, counts)| *counts == [0; 3] && !is_barred(cause));
        missing.map(|(cause, _)| cause).collect()
    }

    /// Says whether no crash was met at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts == [[0; 3]; Cause::ALL.len()]
    }

    /// Adds what another search met.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *mine += theirs;
        }
    }
}

/// What a search has met.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sightings {
    probes: u64,
    edges: u128,
}

impl Sightings {
    /// Adds what another search has met.
    pub const fn add(&mut self, other: &Self) {
        self.probes |= other.probes;
        self.edges |= other.edges;
    }

    /// Returns the probes that were never hit.
    #[must_use]
    pub fn missing_probes(&self) -> Vec<&'static str> {
        let is_missing = |probe: Probe| self.probes & (1 << probe as u64) == 0;
        let missing = Probe::ALL.iter().filter(|(probe, _)| is_missing(*probe));
        missing.map(|(_, name)| *name).collect()
    }

    /// Returns the edges of core's table that were never taken.
    #[must_use]
    pub fn missing_edges(&self) -> Vec<(Option<Status>, Status)> {
        let froms = [None].into_iter().chain(Status::ALL.map(Some));
        let edges = froms.flat_map(|from| Status::ALL.map(|to| (from, to)));
        let legal = edges.filter(|(from, to)| Status::edge(*from, *to));
        let is_barred = |edge: &(Option<Status>, Status)| {
            BARRED.iter().any(|(from, to, _)| (*from, *to) == *edge)
        };
        let legal = legal.filter(|edge| !is_barred(edge));
        legal.filter(|(from, to)| self.edges & edge_bit(*from, *to) == 0).collect()
    }
}

fn edge_bit(from: Option<Status>, to: Status) -> u128 {
    let from = from.map_or(0, |from| from as u32 + 1);
    1 << (from * Status::ALL.len() as u32 + to as u32)
}

impl Model {
    pub(super) const fn see(&mut self, probe: Probe) {
        self.sightings.probes |= 1 << probe as u64;
    }

    pub(super) fn see_edge(&mut self, from: Option<Status>, to: Status) {
        self.sightings.edges |= edge_bit(from, to);
    }
}
