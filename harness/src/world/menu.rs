//! The choices that are enabled now: one of each kind, with representative values.

use candor_core::stop::Rung;
use candor_core::verdict::{Exit, LostReason, SpawnStage};

use super::World;
use crate::fakes::{Call, State};
use crate::timeline::Choice;
use crate::timeline::choice::{
    Ask, AttachAnswer, Boot, DueKind, InFlight, LaunchOptions, SignalEffect, SpawnOutcome, Word,
    WriteOutcome,
};
use crate::timeline::names::{CallName, ProcessName, SessionName};

/// How long a bypass lasts.
const BYPASS_MS: u64 = 5_000;

/// The error number for "no such file or directory".
const ENOENT: i32 = 2;

const DUE_KINDS: [DueKind; 5] =
    [DueKind::Timeout, DueKind::Linger, DueKind::Idle, DueKind::Rung, DueKind::Retry];

/// A choice that can be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enabled {
    /// How long it takes until it can, in milliseconds.
    pub after_ms: u64,
    /// The choice.
    pub choice: Choice,
}

impl Enabled {
    const fn now(choice: Choice) -> Self {
        Self { after_ms: 0, choice }
    }
}

impl World {
    /// Returns what can be chosen now, in a fixed order.
    ///
    /// Where a choice has a value, such as an exit code, a few stand for all.
    #[must_use]
    pub fn enabled(&self) -> Vec<Enabled> {
        let mut menu = Vec::new();
        {
            let state = self.stage.lock();
            for call in &state.calls {
                state.offer_answers(call, &mut menu);
            }
            for process in state.processes.keys() {
                state.offer_process(*process, self.is_up(), &mut menu);
            }
        }
        self.offer_deadlines(&mut menu);
        self.offer_daemon(&mut menu);
        self.offer_users(&mut menu);
        let latest_ms = self.latest_ms();
        menu.retain(|enabled| self.now_ms().saturating_add(enabled.after_ms) <= latest_ms);
        menu
    }

    fn offer_deadlines(&self, menu: &mut Vec<Enabled>) {
        let now = self.stage.lock().now().monotonic;
        let tasks = self.daemon.iter().flat_map(|daemon| &daemon.tasks);
        for (id, task) in tasks {
            let session = SessionName::of(*id);
            for kind in DUE_KINDS {
                if let Some(at) = task.due_at(kind) {
                    let choice = Choice::Due { session, kind };
                    menu.push(Enabled { after_ms: at.ms_since(now), choice });
                }
            }
        }
    }

    fn offer_daemon(&self, menu: &mut Vec<Enabled>) {
        let Some(daemon) = &self.daemon else {
            for boot in [Boot::Same, Boot::Other] {
                menu.push(Enabled::now(Choice::Boot { boot }));
            }
            return;
        };
        if self.stage.lock().commits().is_empty() {
            menu.push(Enabled::now(Choice::Crash { in_flight: None }));
        } else {
            for in_flight in [InFlight::Lose, InFlight::Keep] {
                menu.push(Enabled::now(Choice::Crash { in_flight: Some(in_flight) }));
            }
        }
        if !daemon.is_leaving {
            menu.push(Enabled::now(Choice::Shutdown));
        }
    }

    fn offer_users(&self, menu: &mut Vec<Enabled>) {
        self.offer_clients(menu);
        if !self.is_up() {
            return;
        }
        self.offer_drafts(menu);
        menu.push(Enabled::now(Choice::SecondDaemon));
        let session = self.next_session();
        menu.push(Enabled::now(Choice::Launch { session, options: LaunchOptions::default() }));
        let state = self.stage.lock();
        for number in 1..session.number() {
            let known = SessionName::new(number);
            if state.is_live(known.id()) {
                menu.push(Enabled::now(Choice::Queue { session, parent: known }));
            }
            if state.status(known.id()).is_some() {
                menu.push(Enabled::now(Choice::Continue { session, parent: known }));
                let bypass = Choice::Bypass { session: known, ms: BYPASS_MS };
                menu.push(Enabled::now(bypass));
                for ask in [Ask::Interrupt, Ask::Kill, Ask::Finish] {
                    menu.push(Enabled::now(Choice::Stop { session: known, ask }));
                }
            }
        }
    }
}

impl World {
    fn offer_clients(&self, menu: &mut Vec<Enabled>) {
        for client in self.clients.names() {
            if self.clients.is_connected(client) {
                menu.push(Enabled::now(Choice::Drop { client }));
                let stops = !self.clients.is_stalled(client);
                menu.push(Enabled::now(Choice::Stall { client, stops }));
            }
            if self.clients.awaits_list(client) {
                menu.push(Enabled::now(Choice::Show { client }));
            }
        }
        if !self.is_up() {
            return;
        }
        let next = self.clients.next_name();
        for client in self.clients.names().chain([next]) {
            if !self.clients.is_connected(client) {
                menu.push(Enabled::now(Choice::Connect { client }));
            }
            if !self.clients.awaits_list(client) {
                menu.push(Enabled::now(Choice::Fetch { client }));
            }
        }
    }

    fn offer_drafts(&self, menu: &mut Vec<Enabled>) {
        menu.push(Enabled::now(Choice::Draft { session: self.next_session() }));
        for id in &self.drafts {
            menu.push(Enabled::now(Choice::Start { session: SessionName::of(*id) }));
        }
        let approvals = self.stage.lock().approvals_asked();
        menu.extend(
            approvals.into_iter().map(|approval| Enabled::now(Choice::Approve { approval })),
        );
    }
}

impl State {
    fn offer_answers(&self, call: &Call, menu: &mut Vec<Enabled>) {
        match call {
            Call::Commit { name, change, .. } => {
                let fits = self.fits(change);
                self.offer_commit(*name, fits, menu);
            }
            Call::Load { name, .. } => {
                for ok in [true, false] {
                    menu.push(Enabled::now(Choice::Read { call: *name, ok }));
                }
            }
            Call::Launch { session, made, .. } => {
                self.offer_launch(SessionName::of(*session), *made, menu);
            }
            Call::Attach { session, .. } => self.offer_attach(SessionName::of(*session), menu),
            Call::Signal { process, signal, .. } => {
                let rungs = [Rung::Interrupt, Rung::Terminate, Rung::Kill];
                if let Some(rung) = rungs.into_iter().find(|rung| rung.signal() == Some(*signal)) {
                    self.offer_signal(*process, rung, menu);
                }
            }
        }
    }

    fn offer_commit(&self, call: CallName, fits: bool, menu: &mut Vec<Enabled>) {
        let mut outcomes = Vec::new();
        if fits {
            outcomes.extend([WriteOutcome::Ok, WriteOutcome::UnknownKept]);
        }
        outcomes.extend([WriteOutcome::Err, WriteOutcome::UnknownLost]);
        if !fits || self.intrusion(call.session.id()).is_some() {
            outcomes.push(WriteOutcome::Conflict);
        }
        menu.extend(
            outcomes.into_iter().map(|outcome| Enabled::now(Choice::Write { call, outcome })),
        );
    }

    fn offer_launch(
        &self,
        session: SessionName,
        made: Option<ProcessName>,
        menu: &mut Vec<Enabled>,
    ) {
        let process = made.unwrap_or_else(|| self.next_process());
        let mut outcomes = vec![SpawnOutcome::Up(process), SpawnOutcome::Unknown(Some(process))];
        if made.is_none() {
            menu.push(Enabled::now(Choice::Fork { session, process }));
            outcomes.push(SpawnOutcome::Unknown(None));
            outcomes.push(SpawnOutcome::Refused { stage: SpawnStage::Exec, errno: ENOENT });
        }
        menu.extend(
            outcomes.into_iter().map(|outcome| Enabled::now(Choice::Spawn { session, outcome })),
        );
    }

    fn offer_attach(&self, session: SessionName, menu: &mut Vec<Enabled>) {
        let made = self.process_of(session.id());
        let mut answers = vec![AttachAnswer::Unreachable];
        match made {
            None => {
                answers.push(AttachAnswer::NeverRan);
                answers.push(AttachAnswer::Lost(LostReason::LaunchUnknown));
            }
            Some(process) => {
                if self.is_alive(process) {
                    answers.push(AttachAnswer::Up);
                } else if self.was_seen_to_end(process) {
                    answers.push(AttachAnswer::Ended);
                }
                let is_of_this_boot = self.is_of_this_boot(process);
                let reason =
                    if is_of_this_boot { LostReason::DaemonKilled } else { LostReason::Reboot };
                answers.push(AttachAnswer::Lost(reason));
            }
        }
        menu.extend(
            answers.into_iter().map(|answer| Enabled::now(Choice::Attach { session, answer })),
        );
    }

    fn offer_signal(&self, process: ProcessName, signal: Rung, menu: &mut Vec<Enabled>) {
        let mut effects = Vec::new();
        if !self.is_alive(process) {
            effects.push(SignalEffect::Gone);
        } else {
            effects.extend([SignalEffect::Kills, SignalEffect::Denied, SignalEffect::Unknown]);
            if signal != Rung::Kill {
                effects.push(SignalEffect::Ignored);
                effects.extend([0, 1, 130].map(|code| SignalEffect::Exits { report: None, code }));
                effects.extend(
                    [(true, 0), (false, 1)]
                        .map(|(success, code)| SignalEffect::Exits { report: Some(success), code }),
                );
            }
        }
        menu.extend(
            effects
                .into_iter()
                .map(|effect| Enabled::now(Choice::Signal { process, signal, effect })),
        );
    }

    fn offer_process(&self, process: ProcessName, is_up: bool, menu: &mut Vec<Enabled>) {
        let is_alive = self.is_alive(process);
        if is_alive {
            for code in [0, 1, 3] {
                let exit = Exit::Code(code);
                menu.push(Enabled::now(Choice::Exit { process, exit, oom_killed: false }));
            }
            for (number, core_dumped, oom_killed) in [(9, false, true), (11, true, false)] {
                let exit = Exit::Signal { number, core_dumped };
                menu.push(Enabled::now(Choice::Exit { process, exit, oom_killed }));
            }
        }
        if !is_up || !self.is_heard(process) {
            return;
        }
        if !is_alive {
            for lost in [None, Some(LostReason::ShimKilled)] {
                menu.push(Enabled::now(Choice::Reap { process, lost }));
            }
        }
        for began in [true, false] {
            menu.push(Enabled::now(Choice::Turn { process, began }));
        }
        for success in [true, false] {
            menu.push(Enabled::now(Choice::Report { process, success }));
        }
        if self.names_requests(process) != Some(true) {
            for opened in [true, false] {
                menu.push(Enabled::now(Choice::Request { process, opened }));
            }
        }
        if self.names_requests(process) != Some(false) {
            let approval = self.next_approval();
            menu.push(Enabled::now(Choice::AskApproval { process, approval }));
        }
        if is_alive {
            self.offer_words(process, menu);
        }
    }

    fn offer_words(&self, process: ProcessName, menu: &mut Vec<Enabled>) {
        let mut words = vec![Word::Usage, Word::Stderr, Word::Oversized, Word::Unstored];
        if self.may_report(process) {
            words.extend([true, false].map(|success| Word::Unread { success }));
        }
        menu.extend(words.into_iter().map(|word| Enabled::now(Choice::Say { process, word })));
    }
}
