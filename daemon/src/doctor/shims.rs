//! The folders of shims: whose they are, whether the shim lives, what of them is damaged.
//!
//! Nothing of a shim that lives, or whose process runs, is ever mended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candor_adapters::process::{Piece, ShimLife, ShimTrace, shim_trace};
use candor_core::session::SessionId;

use super::database::Known;
use super::records::{Findings, MOVES, Records};
use super::tree::Tree;
use super::{Check, counted};
use crate::home::Home;

/// What the folders tell; the reason where nobody knows.
#[derive(Debug, Default)]
pub(super) struct Shims {
    found: BTreeMap<SessionId, (PathBuf, Result<ShimTrace, String>)>,
}

impl Shims {
    /// Looks at what the tree has found.
    pub(super) fn of(home: &Home, tree: &Tree) -> Self {
        let folders = tree.pieces.iter().filter(|(_, piece, _)| *piece == Piece::Shim);
        let look = |id| shim_trace(&home.sessions(), id).map_err(|error| error.to_string());
        let found = folders.map(|(id, _, path)| (*id, (path.clone(), look(*id)))).collect();
        Self { found }
    }

    /// Says whether a shim or its process may live.
    pub(super) fn may_live(&self, id: SessionId) -> bool {
        self.found.get(&id).is_some_and(|(_path, trace)| match trace {
            Ok(trace) => matches!(trace.life, ShimLife::Lives | ShimLife::Unsupervised),
            Err(_unknown) => true,
        })
    }

    /// Returns the sessions whose process runs, with its number.
    pub(super) fn running(&self) -> impl Iterator<Item = (SessionId, u32)> {
        let pid = |trace: &Result<ShimTrace, String>| trace.as_ref().ok().and_then(|it| it.pid);
        self.found.iter().filter_map(move |(id, (_path, trace))| Some((*id, pid(trace)?)))
    }

    /// Checks all of them.
    pub(super) fn checks(&self, home: &Home, known: &Known, records: &Records) -> [Check; 2] {
        [self.folders(home, known, records), self.unsupervised(known)]
    }

    fn folders(&self, home: &Home, known: &Known, records: &Records) -> Check {
        let mut findings = Findings::default();
        for (id, (path, trace)) in &self.found {
            let is_orphan = known.is_complete && known.get(*id).is_none();
            let why = match (trace, is_orphan) {
                (Err(reason), _) => reason.clone(),
                (Ok(trace), false) => wrongs(trace),
                (Ok(trace), true) => format!("of no session, {}", words(trace)),
            };
            // One that a daemon has removed since the names were read is none.
            if !why.is_empty() && home.folder().join(path).symlink_metadata().is_ok() {
                records.set_aside(&mut findings, *id, path, &format!(" ({why})"));
            }
        }
        for id in self.missing(home, known, records) {
            let path = Path::new(Home::SESSIONS).join(format!("{id}.shim"));
            let why = "(it is gone, and the session lives: nobody can learn how it ends)";
            findings.items.push(format!("{} {why}", path.display()));
        }
        let well = format!("every shim's folder is whole and belongs to a session; {}", self.sum());
        let mut check = findings.check(
            "shims",
            &well,
            (
                "folder of a shim is damaged, gone or of no session",
                "folders of shims are damaged, gone or of no session",
            ),
            MOVES,
        );
        if check.items.is_empty() {
            check = check.about(self.found.values().map(told).collect());
        }
        check
    }

    /// Returns the sessions that live and of whose process nothing is recorded.
    fn missing(&self, home: &Home, known: &Known, records: &Records) -> Vec<SessionId> {
        let lives = known.iter().filter(|session| session.is_live && session.has_run);
        let is_bare = |id: &SessionId| {
            // Its row was read after the names, and so it may have begun in between.
            let is_there = |ending| {
                let path = home.sessions().join(format!("{id}.{ending}"));
                path.symlink_metadata().is_ok()
            };
            !self.found.contains_key(id)
                && !records.has_identity(*id)
                && !is_there("shim")
                && !is_there("identity")
        };
        lives.map(|session| session.id).filter(is_bare).collect()
    }

    /// Says how many there are of each kind.
    fn sum(&self) -> String {
        let lives = self.found.values().filter(|(_path, trace)| {
            trace.as_ref().is_ok_and(|trace| trace.life == ShimLife::Lives)
        });
        let living = lives.count();
        format!("living: {living}, others: {}", self.found.len() - living)
    }

    /// Looks for processes that have lost their shim.
    fn unsupervised(&self, known: &Known) -> Check {
        const ID: &str = "unsupervised";
        let is_alone = |trace: &ShimTrace| trace.life == ShimLife::Unsupervised;
        let items: Vec<_> = self
            .found
            .iter()
            .filter(|(id, _)| known.get(**id).is_none_or(|session| session.is_live))
            .filter_map(|(id, (_path, trace))| {
                let trace = trace.as_ref().ok().filter(|trace| is_alone(trace))?;
                Some(format!("{} of session {id}", trace.pid?))
            })
            .collect();
        if items.is_empty() {
            return Check::ok(ID, "no process has lost its shim");
        }
        let found = counted(items.len(), "process runs", "processes run");
        let would = "nothing: it goes on and can be stopped, only how it ends will not be known";
        Check::warning(ID, format!("{found} without a shim, which was killed"), would).about(items)
    }
}

/// Says what is wrong with a folder that belongs to a session.
fn wrongs(trace: &ShimTrace) -> String {
    let damaged = trace.damaged.iter().map(|name| format!("its record {name:?} is damaged"));
    let faults = trace.faults.iter().map(|fault| (*fault).to_owned());
    damaged.chain(faults).collect::<Vec<_>>().join("; ")
}

fn words(trace: &ShimTrace) -> &'static str {
    match trace.life {
        ShimLife::Unstarted => "no process is known",
        ShimLife::Lives => "its shim lives",
        ShimLife::Unsupervised => "its process runs without a shim",
        ShimLife::Over => "its process is over",
        ShimLife::Unknown => "what became of its process is not known",
    }
}

fn told((path, trace): &(PathBuf, Result<ShimTrace, String>)) -> String {
    let words = trace.as_ref().map_or("nobody knows", words);
    format!("{} ({words})", path.display())
}
