//! The log, folded into what the invariants ask for: per session, process, request and client.

use std::collections::{BTreeMap, BTreeSet};

use candor_core::event::Seq;
use candor_core::ports::{Change, Delivery};
use candor_core::session::{Revision, Session, SessionId};
use candor_core::status::Status;
use candor_core::stop::{Rung, Signal, StopKind};
use candor_core::verdict::{Evidence, Exit, LostReason, Verdict};

use crate::ghost::{Entry, Record, Reply, Request, Standing, Ticket, Told, Writer};
use crate::timeline::choice::Word;
use crate::timeline::names::{ApprovalName, ClientName, ProcessName};

/// Everything that happened before the entry that is judged.
#[derive(Default)]
pub struct History {
    pub(super) sessions: BTreeMap<SessionId, SessionHistory>,
    pub(super) processes: BTreeMap<ProcessName, ProcessHistory>,
    pub(super) tickets: BTreeMap<Ticket, TicketHistory>,
    /// The last event that each client has read.
    pub(super) cursors: BTreeMap<ClientName, Seq>,
    /// Places in the order of the store, and who wrote there.
    pub(super) durable: Vec<(Seq, Writer)>,
    /// The highest place that the present daemon has published.
    pub(super) published: Seq,
    /// The daemon's life, counted from 0.
    pub(super) life: u32,
    pub(super) verdicts: Vec<(Evidence, Verdict)>,
    pub(super) approvals: BTreeMap<ApprovalName, (SessionId, Standing)>,
    pub(super) bypasses: BTreeMap<SessionId, BypassHistory>,
    /// What agents have been told the answer to.
    pub(super) answers_given: BTreeSet<ApprovalName>,
    /// The revision of each session that each client shows.
    pub(super) shown: BTreeMap<(ClientName, SessionId), Revision>,
    moment: (usize, u64),
}

#[derive(Default)]
pub(super) struct SessionHistory {
    pub(super) versions: Vec<Version>,
    pub(super) told: Vec<Told>,
    pub(super) launches: u32,
    pub(super) processes: Vec<ProcessName>,
    /// What the agent reported, in order.
    pub(super) reports: Vec<bool>,
    /// Whether it wrote one that was not read since.
    pub(super) has_unread: bool,
    /// Signals that the present daemon has sent since it got hold of the process.
    pub(super) signals: Vec<Sent>,
}

/// What was set for a session, and what everybody was told of it.
#[derive(Clone, Copy, Default)]
pub(super) struct BypassHistory {
    pub(super) revision: u32,
    pub(super) told: u32,
}

/// One durable version of a row.
pub(super) struct Version {
    pub(super) change: Box<Change>,
    pub(super) writer: Writer,
    /// In which life of the daemon, counted from 0.
    pub(super) life: u32,
}

/// A signal that was sent for a rung, when, and with which intent: its grace runs from there, and is that
/// of this intent.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) rung: Rung,
    pub(super) at_ms: u64,
    pub(super) intent: Option<StopKind>,
}

pub(super) struct ProcessHistory {
    pub(super) session: SessionId,
    pub(super) died: Option<(Exit, bool)>,
    /// Whether it was dead already when the last signal to it was sent.
    pub(super) was_dead_at_signal: bool,
    /// What the daemon of a life was told of the end.
    pub(super) seen: Option<(u32, Option<LostReason>)>,
    /// Whether a signal reached it that is not followed by `SIGCONT` yet.
    pub(super) owes_continue: bool,
    /// Whether not even `KILL` reached it, when it was last sent.
    pub(super) resists: bool,
    /// The life whose daemon holds it.
    pub(super) held_in: Option<u32>,
}

pub(super) struct TicketHistory {
    pub(super) session: SessionId,
    pub(super) request: Request,
    pub(super) reply: Option<Reply>,
    /// How many versions the row had when it was asked.
    pub(super) versions_before: usize,
    pub(super) life: u32,
}

impl SessionHistory {
    pub(super) fn row(&self) -> Option<&Session> {
        self.versions.last().map(|version| &version.change.session)
    }
}

impl ProcessHistory {
    const fn of(session: SessionId) -> Self {
        Self {
            session,
            died: None,
            was_dead_at_signal: false,
            seen: None,
            owes_continue: false,
            resists: false,
            held_in: None,
        }
    }
}

impl History {
    pub(super) const fn moment(&self) -> (usize, u64) {
        self.moment
    }

    pub(super) fn row(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)?.row()
    }

    pub(super) fn last_seq(&self) -> Seq {
        self.durable.last().map_or(Seq::START, |(seq, _)| *seq)
    }

    /// Returns the session that a process belongs to, with its history.
    pub(super) fn owner(&self, process: ProcessName) -> Option<(SessionId, &SessionHistory)> {
        let id = self.processes.get(&process)?.session;
        Some((id, self.sessions.get(&id)?))
    }

    pub(super) fn standing(&self, approval: ApprovalName) -> Option<Standing> {
        self.approvals.get(&approval).map(|(_, standing)| *standing)
    }

    /// Returns something that a session's user has not answered.
    pub(super) fn open_approval(&self, session: SessionId) -> Option<ApprovalName> {
        let mut approvals = self.approvals.iter();
        let open = approvals.find(|(_, known)| **known == (session, Standing::Open));
        open.map(|(name, _)| *name)
    }

    /// Says whether somebody has asked before to start a draft, and was not refused.
    pub(super) fn is_started(&self, ticket: Ticket, session: SessionId) -> bool {
        let mut others = self.tickets.iter().filter(|(other, _)| **other != ticket);
        others.any(|(_, asked)| {
            let is_refused = matches!(asked.reply, Some(Reply::Unavailable | Reply::Leaving));
            asked.session == session && asked.request == Request::Start && !is_refused
        })
    }

    /// Returns a session that goes on although another one that continues it was accepted.
    pub(super) fn forgotten_parent(&self) -> Option<SessionId> {
        self.tickets.values().find_map(|asked| {
            let Request::Continue { parent } = asked.request else { return None };
            let is_queued = self.row(asked.session)?.status() == Status::Queued;
            let row = self.row(parent)?;
            let goes_on = row.intent.is_none() && !row.status().is_terminal();
            (asked.reply == Some(Reply::Accepted) && is_queued && goes_on).then_some(parent)
        })
    }

    /// Says whether somebody else has asked to continue the same session, and was not refused.
    pub(super) fn is_continued(&self, ticket: Ticket, asked: &TicketHistory) -> bool {
        let parent = parent_of(asked.request);
        let mut others = self.tickets.iter().filter(|(other, _)| **other != ticket);
        others.any(|(_, other)| {
            let is_taken = matches!(other.reply, None | Some(Reply::Accepted | Reply::Unclear));
            parent.is_some() && parent_of(other.request) == parent && is_taken
        })
    }

    /// Says whether a process of this session lives.
    pub(super) fn has_live_process(&self, id: SessionId) -> bool {
        self.processes.values().any(|process| process.session == id && process.died.is_none())
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        self.moment = (entry.step, entry.at_ms);
        match &entry.record {
            Record::Asked { ticket, session, request } => {
                let versions_before = self.session(*session).versions.len();
                let asked = TicketHistory {
                    session: *session,
                    request: *request,
                    reply: None,
                    versions_before,
                    life: self.life,
                };
                self.tickets.insert(*ticket, asked);
            }
            Record::Replied { ticket, reply } => {
                if let Some(ticket) = self.tickets.get_mut(ticket) {
                    ticket.reply = Some(*reply);
                }
            }
            Record::Durable { seq, change, writer } => {
                self.durable.push((*seq, *writer));
                let session = &change.session;
                self.verdicts.extend(session.evidence().zip(session.verdict()));
                let life = self.life;
                let version = Version { change: change.clone(), writer: *writer, life };
                self.session(change.session.id).versions.push(version);
            }
            Record::Published { seq } => self.published = self.published.max(*seq),
            Record::Delivered { client, seq } => {
                self.cursors.insert(*client, *seq);
            }
            Record::Listed { client, seq } => {
                self.cursors.insert(*client, *seq);
            }
            Record::Shown { client, session, revision, .. } => {
                self.shown.insert((*client, *session), *revision);
            }
            Record::Approval { approval, session, standing } => {
                self.approvals.insert(*approval, (*session, *standing));
            }
            Record::Bypass { session, revision, .. } => {
                self.bypasses.entry(*session).or_default().revision = *revision;
            }
            Record::BypassTold { session, revision } => {
                self.bypasses.entry(*session).or_default().told = *revision;
            }
            Record::Booted { .. } => {
                self.life += 1;
                self.published = Seq::START;
                self.sessions.values_mut().for_each(|session| session.signals.clear());
                self.processes.values_mut().for_each(|process| process.owes_continue = false);
            }
            Record::LaunchCalled { session } => self.session(*session).launches += 1,
            Record::Told { session, told } => self.told(*session, *told),
            record => self.add_process_record(entry.at_ms, record),
        }
    }

    fn session(&mut self, id: SessionId) -> &mut SessionHistory {
        self.sessions.entry(id).or_default()
    }

    fn told(&mut self, id: SessionId, told: Told) {
        let life = self.life;
        let session = self.session(id);
        session.told.push(told);
        if let Told::LaunchedUp(process) | Told::AttachedUp(process) = told {
            // Whoever takes over sends the stored rung once more.
            session.signals.clear();
            if let Some(process) = self.processes.get_mut(&process) {
                process.held_in = Some(life);
            }
        }
    }

    fn add_process_record(&mut self, at_ms: u64, record: &Record) {
        match record {
            Record::Forked { process, session } => {
                self.processes.insert(*process, ProcessHistory::of(*session));
                self.session(*session).processes.push(*process);
            }
            Record::Died { process, exit, oom_killed } => {
                if let Some(process) = self.processes.get_mut(process) {
                    process.died = Some((*exit, *oom_killed));
                }
            }
            Record::Seen { process, lost } => {
                let life = self.life;
                if let Some(process) = self.processes.get_mut(process) {
                    process.seen = Some((life, *lost));
                }
            }
            Record::AskCalled { process } => {
                if let Some(id) = self.processes.get(process).map(|process| process.session) {
                    let intent = self.row(id).and_then(|row| row.machine.intent());
                    self.session(id).signals.push(Sent { rung: Rung::Ask, at_ms, intent });
                }
            }
            Record::AnswerGiven { approval, .. } => {
                self.answers_given.insert(*approval);
            }
            Record::SignalCalled { process, signal } => {
                self.signal_called(at_ms, *process, *signal);
            }
            Record::SignalTaken { process, signal, delivery } => {
                self.signal_taken(*process, *signal, *delivery);
            }
            Record::Reported { process, success } => {
                if let Some(id) = self.processes.get(process).map(|process| process.session) {
                    let session = self.session(id);
                    session.reports.push(*success);
                    session.has_unread = false;
                }
            }
            Record::Said { process, word: Word::Unread { .. } } => {
                if let Some(id) = self.processes.get(process).map(|process| process.session) {
                    self.session(id).has_unread = true;
                }
            }
            Record::Asked { .. }
            | Record::Said { .. }
            | Record::Stalled { .. }
            | Record::Listed { .. }
            | Record::Shown { .. }
            | Record::SecondDaemon { .. }
            | Record::Approval { .. }
            | Record::Bypass { .. }
            | Record::BypassTold { .. }
            | Record::Replied { .. }
            | Record::StoreCalled { .. }
            | Record::Durable { .. }
            | Record::Published { .. }
            | Record::Connected { .. }
            | Record::Delivered { .. }
            | Record::LaunchCalled { .. }
            | Record::Told { .. }
            | Record::AttachCalled { .. }
            | Record::Crashed
            | Record::Left { .. }
            | Record::Booted { .. }
            | Record::Bug { .. } => {}
        }
    }

    fn signal_taken(&mut self, process: ProcessName, signal: Signal, delivery: Delivery) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.owes_continue = signal != Signal::Continue && delivery == Delivery::Delivered;
            process.resists = signal == Signal::Kill
                && matches!(delivery, Delivery::NotPermitted | Delivery::Unknown);
        }
    }

    fn signal_called(&mut self, at_ms: u64, process: ProcessName, signal: Signal) {
        let Some(state) = self.processes.get_mut(&process) else { return };
        state.was_dead_at_signal = state.died.is_some();
        let id = state.session;
        let row = self.row(id);
        let stored = row.and_then(|row| row.machine.rung());
        let intent = row.and_then(|row| row.machine.intent());
        if let Some(rung) = rung_of(signal, stored) {
            self.session(id).signals.push(Sent { rung, at_ms, intent });
        }
    }
}

/// Returns the session that a request is to continue.
const fn parent_of(request: Request) -> Option<SessionId> {
    match request {
        Request::Queue { parent } | Request::Continue { parent } => Some(parent),
        Request::Launch
        | Request::Stop(_)
        | Request::Start
        | Request::Approve(_)
        | Request::Bypass => None,
    }
}

/// Returns the rung that a signal belongs to, or `None` for the one that only wakes. Two send `INT`:
/// it is the second where that is what is stored.
pub(super) const fn rung_of(signal: Signal, stored: Option<Rung>) -> Option<Rung> {
    match signal {
        Signal::Interrupt => match stored {
            Some(Rung::InterruptAgain) => stored,
            _ => Some(Rung::Interrupt),
        },
        Signal::Terminate => Some(Rung::Terminate),
        Signal::Kill => Some(Rung::Kill),
        Signal::Continue => None,
    }
}
