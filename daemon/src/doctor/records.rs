//! What lies in the folder of sessions: whose it is, whether it is whole, and what still runs.
//!
//! Nothing of a session that lives, or whose process runs, is ever mended here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candor_adapters::process::{Piece, Trace, has_outputs, trace};
use candor_adapters::recorder::FileRecorder;
use candor_core::session::SessionId;

use super::database::Known;
use super::shims::Shims;
use super::tree::Tree;
use super::{Check, Remedy, counted};
use crate::home::Home;

/// What lies there.
#[derive(Debug)]
pub(super) struct Records {
    pieces: Vec<(SessionId, Piece, PathBuf)>,
    /// What the identities tell; the reason where nobody knows.
    traces: BTreeMap<SessionId, Result<Trace, String>>,
    shims: Shims,
    /// Sessions of which nothing is touched.
    kept: BTreeSet<SessionId>,
}

/// What was found wrong, and what of it is mended.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) items: Vec<String>,
    remedies: Vec<Remedy>,
}

impl Findings {
    pub(super) fn check(
        self,
        id: &'static str,
        well: &str,
        wrong: (&str, &str),
        would: &str,
    ) -> Check {
        if self.items.is_empty() {
            return Check::ok(id, well);
        }
        let found = counted(self.items.len(), wrong.0, wrong.1);
        let left = self.items.len() - self.remedies.len();
        let would = match (self.remedies.len(), left) {
            (_, 0) => would.to_owned(),
            (0, _) => "nothing: it may belong to something that lives".to_owned(),
            _ => format!("{would}, but for {left} that may belong to something that lives"),
        };
        Check::warning(id, found, would).about(self.items).mended_by(self.remedies)
    }
}

/// What `--fix` does with what belongs to nobody.
pub(super) const MOVES: &str = "moves each to set-aside/ in the home";

impl Records {
    /// Looks at what the tree has found, after the rows were read.
    pub(super) fn of(home: &Home, tree: &Tree, known: &Known) -> Self {
        let pieces = tree.pieces.clone();
        let identities = pieces.iter().filter(|(_, piece, _)| *piece == Piece::Identity);
        let traces: BTreeMap<_, _> = identities
            .map(|(id, ..)| (*id, trace(&home.sessions(), *id).map_err(|error| error.to_string())))
            .collect();
        let shims = Shims::of(home, tree);
        let is_kept = |id: &SessionId| {
            let lives = !known.is_complete || known.get(*id).is_some_and(|session| session.is_live);
            let may_run = matches!(traces.get(id), Some(Ok(Trace::Runs { .. }) | Err(_)));
            lives || may_run || shims.may_live(*id)
        };
        let kept = pieces.iter().map(|(id, ..)| *id).filter(is_kept).collect();
        Self { pieces, traces, shims, kept }
    }

    /// Says whether something is to be left as it is: what is part of a session that may live.
    pub(super) fn keeps(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(Home::SESSIONS) else { return false };
        let name = below.components().next().and_then(|name| name.as_os_str().to_str());
        name.and_then(Piece::of).is_some_and(|(id, _piece)| self.kept.contains(&id))
    }

    /// Checks all of it.
    pub(super) fn checks(&self, home: &Home, known: &Known) -> Vec<Check> {
        let mut checks = vec![self.identities(home, known), self.processes(known)];
        checks.extend(self.shims.checks(home, known, self));
        if !known.is_complete {
            // Without knowing all sessions, nothing can be said of what belongs to whom.
            return checks;
        }
        checks.extend([
            self.folders(home, known),
            Self::outputs(home, known),
            self.recordings(home, known),
            self.unfinished(),
        ]);
        checks
    }

    /// Returns the pieces of one kind.
    fn of_kind(&self, kind: Piece) -> impl Iterator<Item = (SessionId, &PathBuf)> {
        let is_wanted = move |piece: &&(SessionId, Piece, PathBuf)| piece.1 == kind;
        self.pieces.iter().filter(is_wanted).map(|(id, _, path)| (*id, path))
    }

    /// Returns those of one kind whose session has no row. One that a daemon has removed since the
    /// names were read is none.
    fn orphans(&self, home: &Home, known: &Known, kind: Piece) -> Findings {
        let mut findings = Findings::default();
        for (id, path) in self.of_kind(kind) {
            let is_orphan = known.is_complete && known.get(id).is_none();
            if is_orphan && home.folder().join(path).symlink_metadata().is_ok() {
                self.set_aside(&mut findings, id, path, "");
            }
        }
        findings
    }

    /// Says whether there is a record of the session's process without a shim.
    pub(super) fn has_identity(&self, id: SessionId) -> bool {
        self.traces.contains_key(&id)
    }

    /// Notes that something is wrong, to be set aside unless its session may live.
    pub(super) fn set_aside(&self, findings: &mut Findings, id: SessionId, path: &Path, why: &str) {
        findings.items.push(format!("{}{why}", path.display()));
        if !self.kept.contains(&id) {
            findings.remedies.push(Remedy::SetAside { path: path.to_owned() });
        }
    }

    fn identities(&self, home: &Home, known: &Known) -> Check {
        let mut findings = self.orphans(home, known, Piece::Identity);
        for (id, path) in self.of_kind(Piece::Identity) {
            let why = match self.traces.get(&id) {
                Some(Ok(Trace::Damaged)) => " (it cannot be read)".to_owned(),
                Some(Err(reason)) => format!(" ({reason})"),
                Some(Ok(Trace::None | Trace::Over | Trace::Runs { .. })) | None => continue,
            };
            if !known.is_complete || known.get(id).is_some() {
                self.set_aside(&mut findings, id, path, &why);
            }
        }
        findings.check(
            "identities",
            "every record of a process can be read and belongs to a session",
            (
                "record of a process is damaged or of no session",
                "records of processes are damaged or of no session",
            ),
            MOVES,
        )
    }

    /// Looks for processes that should be over.
    fn processes(&self, known: &Known) -> Check {
        const ID: &str = "processes";
        let mut left_over = Vec::new();
        let direct = self.traces.iter().filter_map(|(id, trace)| match trace {
            Ok(Trace::Runs { pid }) => Some((*id, *pid)),
            Ok(Trace::None | Trace::Damaged | Trace::Over) | Err(_) => None,
        });
        for (id, pid) in direct.chain(self.shims.running()) {
            match known.get(id) {
                Some(session) if session.is_live => {}
                None if !known.is_complete => {}
                Some(_) => left_over.push(format!("{pid} of session {id}, which has ended")),
                None => left_over.push(format!("{pid} of session {id}, which there is not")),
            }
        }
        if left_over.is_empty() {
            return Check::ok(ID, "no process has outlived its session");
        }
        let found = counted(left_over.len(), "process has", "processes have");
        Check::warning(
            ID,
            format!("{found} outlived the session"),
            "nothing: doctor ends no process; look at it with `ps -fp PID` and end it yourself",
        )
        .about(left_over)
    }

    fn folders(&self, home: &Home, known: &Known) -> Check {
        self.orphans(home, known, Piece::Folder).check(
            "folders",
            "every session's folder belongs to a session",
            ("folder belongs to no session", "folders belong to no session"),
            MOVES,
        )
    }

    fn outputs(home: &Home, known: &Known) -> Check {
        const ID: &str = "outputs";
        let has_lost = |id: &SessionId| !has_outputs(&home.sessions(), *id);
        let ran = known.iter().filter(|session| session.has_run).map(|session| session.id);
        let lost: Vec<_> = ran.filter(has_lost).map(|id| id.to_string()).collect();
        if lost.is_empty() {
            return Check::ok(ID, "every session that ran has its output");
        }
        let found = counted(lost.len(), "session has", "sessions have");
        Check::warning(
            ID,
            format!("{found} lost the output, or a part of it"),
            "nothing: it cannot be had again; `candor show ID` still tells how it ended",
        )
        .about(lost)
    }

    fn recordings(&self, home: &Home, known: &Known) -> Check {
        const ID: &str = "recordings";
        let orphans = self.orphans(home, known, Piece::Recording);
        let recorder = FileRecorder::new(home.sessions());
        let is_damaged = |id: &SessionId| !recorder.is_whole(*id).is_ok_and(|is_whole| is_whole);
        let damaged: Vec<_> = self
            .of_kind(Piece::Recording)
            .filter(|(id, _path)| known.get(*id).is_some() && is_damaged(id))
            .map(|(_id, path)| format!("{} (damaged)", path.display()))
            .collect();
        if damaged.is_empty() {
            let wrong = ("recording belongs to no session", "recordings belong to no session");
            let well = "every recording is whole and belongs to a session";
            return orphans.check(ID, well, wrong, MOVES);
        }
        let items = [orphans.items, damaged].concat();
        let wrong =
            ("recording is damaged or of no session", "recordings are damaged or of no session");
        let would = match orphans.remedies.is_empty() {
            true => "nothing: a session is as it was without it, only its replay is not to be had",
            false => "moves those of no session to set-aside/ in the home, and leaves the damaged",
        };
        Check::warning(ID, counted(items.len(), wrong.0, wrong.1), would)
            .about(items)
            .mended_by(orphans.remedies)
    }

    fn unfinished(&self) -> Check {
        let mut findings = Findings::default();
        for (id, path) in self.of_kind(Piece::Unfinished) {
            // Of a session that lives it may be finished yet.
            if !self.kept.contains(&id) {
                self.set_aside(&mut findings, id, path, "");
            }
        }
        findings.check(
            "unfinished",
            "nothing was left half written",
            ("file was left half written", "files were left half written"),
            MOVES,
        )
    }
}
