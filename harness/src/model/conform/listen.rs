//! A timeline, made by the model.
//!
//! A line of a timeline is several choices of the model, and some of them come later: what is posted
//! to a session's mailbox waits there as it does in the world's task.

use std::collections::VecDeque;

use candor_core::machine::Policy;
use candor_core::stop::Graces;
use candor_core::verdict::{Exit, LostReason, SpawnStage, SuccessCodes};

use super::deaf::Deaf;
use super::follow::Follower;
use super::trace::{Difference, Trace};
use crate::model::atlas::{EXITS, NO_RUNG_BITS};
use crate::model::choice::{Choice, Verb};
use crate::model::world::{Call, Daemon, Process, Said};
use crate::model::{Config, SESSIONS_MAX};
use crate::mutant::Mutant;
use crate::replay::Run;
use crate::timeline::Timeline;
use crate::timeline::choice as line;
use crate::timeline::choice::{
    Ask, AttachAnswer, Boot, DueKind, InFlight, LaunchOptions, SignalEffect, SpawnOutcome, Word,
    WriteOutcome,
};
use crate::timeline::names::{CallName, ProcessName, SessionName};

/// A budget that no timeline uses up.
const MANY: u8 = 200;

/// The error number for "no such file or directory".
const ENOENT: i32 = 2;

/// Makes the choices of a timeline in the model, and compares what follows with what follows in the
/// world. With a mutant, the model alone makes its mistake.
///
/// # Errors
///
/// [`Deaf`] where the model cannot make them. [`DEAF_TO`](super::DEAF_TO) lists those.
pub fn listen(timeline: &Timeline, mutant: Mutant) -> Result<Option<Difference>, Deaf> {
    let (choices, world) = made_by(timeline)?;
    let mut listener = Listener::new(&choices, mutant)?;
    for (at, choice) in choices.iter().enumerate() {
        listener.hear(choice, &choices[at + 1..])?;
        listener.settle()?;
    }
    Ok(listener.follower.trace.difference(&world))
}

/// Returns all choices of a timeline, those of its fair end too, and what they come to in the world.
fn made_by(timeline: &Timeline) -> Result<(Vec<line::Choice>, Trace), Deaf> {
    let mut run = Run::default();
    let mut choices = Vec::new();
    let mut at_ms = 0;
    for step in timeline.steps() {
        at_ms = step.moment.after(at_ms);
        run.choose(at_ms, &step.choice).map_err(|refusal| Deaf::Refused(refusal.to_string()))?;
        choices.push(step.choice.clone());
    }
    if timeline.ends_fair() {
        run.finish_fair_watched(|_, _, choice| choices.push(choice.clone()));
    }
    let trace = Trace::of_world(run.world().log().entries());
    Ok((choices, trace))
}

/// What waits to be taken by the task of one session.
#[derive(Default)]
struct Post {
    mail: VecDeque<Choice>,
    /// The answer of a launch or an attach.
    beside: Option<Choice>,
    /// The end of the process.
    fact: Option<Choice>,
}

struct Listener {
    follower: Follower,
    posts: [Post; SESSIONS_MAX],
    launched: usize,
    queued: usize,
}

impl Listener {
    fn new(choices: &[line::Choice], mutant: Mutant) -> Result<Self, Deaf> {
        let count = |is_wanted: fn(&line::Choice) -> bool| {
            choices.iter().filter(|choice| is_wanted(choice)).count()
        };
        let launches = count(|choice| matches!(choice, line::Choice::Launch { .. }));
        let queues = count(|choice| matches!(choice, line::Choice::Queue { .. }));
        if launches + queues > SESSIONS_MAX {
            return Err(Deaf::Sessions);
        }
        let policy = policy_of(choices)?;
        let config = Config {
            name: "timeline",
            sessions: launches as u8,
            continues: queues as u8,
            crashes: MANY,
            store_faults: MANY,
            interrupts: MANY,
            requests: MANY,
            turns: MANY,
            settings: 3,
            has_finish: true,
            silences: MANY,
            misfires: MANY,
            shutdowns: MANY,
            connects: MANY,
            is_stepwise: false,
            ..Config::PLAIN
        };
        let follower = Follower::new(config, policy, mutant);
        Ok(Self { follower, posts: Default::default(), launched: 0, queued: 0 })
    }

    fn choose(&mut self, verb: Verb, at: usize, value: u8) -> Result<(), Deaf> {
        let choice = choice(verb, at, value);
        if !self.follower.offers(choice) {
            return Err(Deaf::NotOffered(choice.to_string()));
        }
        self.follower.choose(choice);
        Ok(())
    }

    fn slot(&self, session: SessionName) -> Result<usize, Deaf> {
        self.follower.slot_of(session).ok_or_else(|| Deaf::NotOffered(session.to_string()))
    }

    fn slot_of(&self, process: ProcessName) -> Result<usize, Deaf> {
        self.follower.slot_of_process(process).ok_or_else(|| Deaf::NotOffered(process.to_string()))
    }

    fn post(&mut self, verb: Verb, at: usize, value: u8) {
        if self.follower.session(at).memory != 0 {
            self.posts[at].mail.push_back(choice(verb, at, value));
        }
    }

    /// Makes what the world makes at once, and posts the rest.
    fn hear(&mut self, line: &line::Choice, rest: &[line::Choice]) -> Result<(), Deaf> {
        match line {
            line::Choice::Launch { .. } => {
                self.launched += 1;
                self.birth(Verb::Launch, self.launched - 1, 0);
                Ok(())
            }
            line::Choice::Queue { parent, .. } => {
                let value = self.slot(*parent)? as u8 + 1;
                self.queued += 1;
                let roots = self.follower.model.config.roots();
                self.birth(Verb::Queue, roots + self.queued - 1, value);
                Ok(())
            }
            line::Choice::Stop { session, ask } => {
                let at = self.slot(*session)?;
                let verb = match ask {
                    Ask::Interrupt => Verb::Interrupt,
                    Ask::Kill => Verb::Kill,
                    Ask::Finish => Verb::Finish,
                };
                self.post(verb, at, 0);
                Ok(())
            }
            line::Choice::Shutdown => {
                self.choose(Verb::Shutdown, 0, 0)?;
                (0..SESSIONS_MAX).for_each(|at| self.post(Verb::StopForShutdown, at, 0));
                Ok(())
            }
            line::Choice::Fork { session, .. } => self.choose(Verb::Fork, self.slot(*session)?, 0),
            line::Choice::Spawn { session, outcome } => self.spawn(self.slot(*session)?, *outcome),
            line::Choice::Write { call, outcome } => self.write(*call, *outcome),
            line::Choice::Read { call, ok } => {
                let verb = if *ok { Verb::Read } else { Verb::ReadNoAnswer };
                self.choose(verb, self.slot(call.session)?, 0)
            }
            line::Choice::Signal { process, effect, .. } => {
                self.signal(self.slot_of(*process)?, *process, *effect, rest)
            }
            line::Choice::Exit { process, exit, oom_killed } => {
                let at = self.slot_of(*process)?;
                let place = exit_place(*exit, *oom_killed)?;
                self.speak_last(at, *process, rest)?;
                self.choose(Verb::Exit, at, place)
            }
            line::Choice::Reap { process, lost } => self.reap(self.slot_of(*process)?, *lost),
            line::Choice::Report { process, success } => {
                self.report(self.slot_of(*process)?, *success)
            }
            line::Choice::Request { process, opened } => {
                let verb = if *opened { Verb::OpenRequest } else { Verb::CloseRequest };
                self.post(verb, self.slot_of(*process)?, 0);
                Ok(())
            }
            line::Choice::Turn { process, began } => {
                let verb = if *began { Verb::BeginTurn } else { Verb::EndTurn };
                self.post(verb, self.slot_of(*process)?, 0);
                Ok(())
            }
            line::Choice::Bypass { session, .. } => {
                self.post(Verb::Settings, self.slot(*session)?, 0);
                Ok(())
            }
            line::Choice::Due { session, kind } => self.due(self.slot(*session)?, *kind),
            line::Choice::Attach { session, answer } => self.attach(self.slot(*session)?, *answer),
            other => self.hear_daemon(other),
        }
    }

    fn hear_daemon(&mut self, line: &line::Choice) -> Result<(), Deaf> {
        match line {
            line::Choice::Crash { in_flight } => self.crash(in_flight.as_ref()),
            line::Choice::Boot { boot } => {
                // One that has left is one that is killed with nothing left to do.
                if self.follower.world.shared.daemon != Daemon::Down {
                    self.choose(Verb::Crash, 0, 0)?;
                }
                let is_same = *boot == Boot::Same;
                self.choose(if is_same { Verb::BootSame } else { Verb::BootOther }, 0, 0)
            }
            // The model has one client, and no trace of it.
            line::Choice::Connect { client } if client.number() == 1 => {
                self.choose(Verb::Connect, 0, 0)
            }
            line::Choice::Drop { client } if client.number() == 1 => self.choose(Verb::Drop, 0, 0),
            line::Choice::Connect { .. } | line::Choice::Drop { .. } => Ok(()),
            // How fast a client is, and what a list shows, changes no session; nor does a line that
            // is no report, nor a second daemon that is refused.
            line::Choice::Stall { .. }
            | line::Choice::Fetch { .. }
            | line::Choice::Show { .. }
            | line::Choice::SecondDaemon
            | line::Choice::Say {
                word: Word::Usage | Word::Stderr | Word::Oversized | Word::Unstored,
                ..
            } => Ok(()),
            line::Choice::Say { process, word: Word::Unread { success } } => {
                self.choose(Verb::Say, self.slot_of(*process)?, u8::from(*success))
            }
            _ => Err(Deaf::Feature),
        }
    }

    /// A daemon that leaves takes no new sessions.
    fn birth(&mut self, verb: Verb, at: usize, value: u8) {
        if self.choose(verb, at, value).is_err() {
            self.follower.skip_name();
        }
    }

    fn spawn(&mut self, at: usize, outcome: SpawnOutcome) -> Result<(), Deaf> {
        let verb = match outcome {
            SpawnOutcome::Up(_) => Verb::SpawnUp,
            SpawnOutcome::Unknown(_) => Verb::SpawnUnknown,
            SpawnOutcome::Refused { stage: SpawnStage::Exec, errno: ENOENT } => Verb::SpawnRefused,
            SpawnOutcome::Refused { .. } => return Err(Deaf::Reason),
        };
        let makes = matches!(outcome, SpawnOutcome::Up(_) | SpawnOutcome::Unknown(Some(_)));
        if makes && self.follower.session(at).process == Process::None {
            self.choose(Verb::Fork, at, 0)?;
        }
        self.posts[at].beside = Some(choice(verb, at, 0));
        Ok(())
    }

    fn write(&mut self, call: CallName, outcome: WriteOutcome) -> Result<(), Deaf> {
        let at = self.slot(call.session)?;
        let known = self.follower.call(at);
        if known != call {
            return Err(Deaf::NotOffered(format!("{call}, which is {known}")));
        }
        let is_met = self.follower.offers(choice(Verb::Conflict, at, 0));
        let verbs: &[Verb] = match outcome {
            WriteOutcome::Ok => &[Verb::Effect, Verb::Acknowledge],
            WriteOutcome::Err => &[Verb::NotStored],
            WriteOutcome::UnknownKept => &[Verb::Effect, Verb::KeptUnknown],
            WriteOutcome::UnknownLost => &[Verb::LostUnknown],
            WriteOutcome::Conflict if is_met => &[Verb::Conflict],
            WriteOutcome::Conflict => &[Verb::Intrude, Verb::Conflict],
        };
        verbs.iter().try_for_each(|verb| self.choose(*verb, at, 0))
    }

    fn signal(
        &mut self,
        at: usize,
        process: ProcessName,
        effect: SignalEffect,
        rest: &[line::Choice],
    ) -> Result<(), Deaf> {
        match effect {
            SignalEffect::Kills => {
                self.speak_last(at, process, rest)?;
                self.choose(Verb::SignalKills, at, 0)
            }
            SignalEffect::Exits { report: Some(success), code } => {
                self.choose(Verb::Say, at, u8::from(success))?;
                self.choose(Verb::SignalExits, at, exit_place(Exit::Code(code), false)?)?;
                self.post(Verb::ReadReport, at, 0);
                Ok(())
            }
            SignalEffect::Exits { report: None, code } => {
                self.speak_last(at, process, rest)?;
                self.choose(Verb::SignalExits, at, exit_place(Exit::Code(code), false)?)
            }
            SignalEffect::Ignored => self.choose(Verb::SignalIgnored, at, 0),
            SignalEffect::Gone => self.choose(Verb::SignalGone, at, 0),
            SignalEffect::Denied => self.choose(Verb::SignalDenied, at, 0),
            SignalEffect::Unknown => self.choose(Verb::SignalUnknown, at, 0),
        }
    }

    /// What is read of an agent after its end, it has said before.
    fn speak_last(
        &mut self,
        at: usize,
        process: ProcessName,
        rest: &[line::Choice],
    ) -> Result<(), Deaf> {
        let later = rest.iter().find_map(|choice| match choice {
            line::Choice::Report { process: other, success } if *other == process => Some(*success),
            _ => None,
        });
        match (later, self.follower.session(at).said) {
            (Some(success), Said::Nothing) => self.choose(Verb::Say, at, u8::from(success)),
            _ => Ok(()),
        }
    }

    /// What was written before is read before.
    fn reap(&mut self, at: usize, lost: Option<LostReason>) -> Result<(), Deaf> {
        let verb = match lost {
            None => Verb::Ended,
            Some(LostReason::ShimKilled) => Verb::EndedUnseen,
            Some(_) => return Err(Deaf::Reason),
        };
        let waits = |mail: &Choice| mail.verb == Verb::ReadReport;
        let is_known = self.posts[at].mail.iter().any(waits);
        if self.follower.session(at).is_unread() && !is_known {
            self.post(Verb::ReadReport, at, 0);
        }
        self.posts[at].fact = Some(choice(verb, at, 0));
        Ok(())
    }

    fn report(&mut self, at: usize, success: bool) -> Result<(), Deaf> {
        match self.follower.session(at).said {
            Said::Read => return Err(Deaf::SecondReport),
            Said::Nothing => self.choose(Verb::Say, at, u8::from(success))?,
            Said::Success | Said::Error => {}
        }
        self.post(Verb::ReadReport, at, 0);
        Ok(())
    }

    fn due(&mut self, at: usize, kind: DueKind) -> Result<(), Deaf> {
        let armed = self.follower.session(at).deadlines;
        let place = match kind {
            DueKind::Timeout => 0,
            DueKind::Linger => 1,
            DueKind::Idle => 2,
            DueKind::Rung => (armed & !NO_RUNG_BITS).trailing_zeros() as u8,
            DueKind::Retry if self.follower.view(at).is_blocked => {
                return self.choose(Verb::Retry, at, 0);
            }
            DueKind::Retry => {
                self.post(Verb::StopForShutdown, at, 0);
                return Ok(());
            }
        };
        self.post(Verb::Due, at, place);
        Ok(())
    }

    fn attach(&mut self, at: usize, answer: AttachAnswer) -> Result<(), Deaf> {
        let process = self.follower.session(at).process;
        let verb = match (answer, process) {
            (AttachAnswer::Up, _) => Verb::AttachUp,
            (AttachAnswer::Ended, _) => Verb::AttachEnded,
            (AttachAnswer::NeverRan, _) => Verb::AttachNeverRan,
            (AttachAnswer::Unreachable, _) => Verb::AttachUnreachable,
            (AttachAnswer::Lost(LostReason::LaunchUnknown), Process::None)
            | (AttachAnswer::Lost(LostReason::Reboot), Process::Vanished | Process::Buried)
            | (
                AttachAnswer::Lost(LostReason::DaemonKilled),
                Process::Alive | Process::Dead | Process::Reaped | Process::Unseen,
            ) => Verb::AttachLost,
            (AttachAnswer::Lost(_), _) => return Err(Deaf::Reason),
        };
        self.posts[at].beside = Some(choice(verb, at, 0));
        Ok(())
    }

    fn crash(&mut self, in_flight: Option<&InFlight>) -> Result<(), Deaf> {
        for at in 0..SESSIONS_MAX {
            let is_kept = match in_flight {
                None | Some(InFlight::Lose) => false,
                Some(InFlight::Keep) => true,
                Some(InFlight::KeepOnly(calls)) => calls.contains(&self.follower.call(at)),
            };
            if is_kept && self.follower.session(at).call == Call::Issued {
                self.choose(Verb::Effect, at, 0)?;
            }
        }
        self.posts = Default::default();
        self.choose(Verb::Crash, 0, 0)
    }

    /// Lets every task take what it can, as the world does between two lines.
    fn settle(&mut self) -> Result<(), Deaf> {
        while (0..SESSIONS_MAX).try_fold(false, |is_busy, at| Ok(is_busy | self.turn(at)?))? {}
        Ok(())
    }

    /// Lets a task do one thing, and says whether there was one.
    fn turn(&mut self, at: usize) -> Result<bool, Deaf> {
        let session = *self.follower.session(at);
        if session.memory == 0 {
            self.posts[at] = Post::default();
            return Ok(false);
        }
        if session.call != Call::Nothing {
            return Ok(false);
        }
        let is_blocked = self.follower.view(at).is_blocked;
        let post = &mut self.posts[at];
        let next = post.mail.iter().position(|mail| {
            let is_command = mail.verb.is_command();
            if is_blocked { is_command } else { session.is_settled_in || !is_command }
        });
        if let Some(mail) = next.and_then(|next| post.mail.remove(next)) {
            // One change waits already: it is refused.
            if !is_blocked {
                self.choose(mail.verb, at, mail.value)?;
            }
            return Ok(true);
        }
        let is_heard = session.is_held;
        let arrived = post.beside.take().or_else(|| post.fact.take_if(|_| is_heard));
        if let Some(arrived) = arrived {
            post.mail.push_back(arrived);
            return Ok(true);
        }
        let parent_ended = choice(Verb::ParentEnded, at, 0);
        if !is_blocked && post.mail.is_empty() && self.follower.offers(parent_ended) {
            self.follower.choose(parent_ended);
            return Ok(true);
        }
        Ok(false)
    }
}

/// Returns what all sessions have in common. How long a deadline is makes no difference to the model,
/// and whether there is a time limit none to a session that never comes to it.
fn policy_of(choices: &[line::Choice]) -> Result<Policy, Deaf> {
    let default = LaunchOptions::default();
    let all = choices.iter().filter_map(|choice| match choice {
        line::Choice::Launch { options, .. } => Some(options),
        line::Choice::Queue { .. } => Some(&default),
        _ => None,
    });
    let policies = all.map(|options| {
        let codes = options
            .codes
            .as_ref()
            .map(|codes| codes.iter().fold(SuccessCodes::none(), |set, code| set.with(*code)));
        Policy {
            graces: Graces {
                ask_ms: options.ask_ms,
                interrupt_again_ms: options.again_ms,
                ..Graces::DEFAULT
            },
            idle_ms: options.idle_ms,
            always_reports: options.always_reports,
            success_codes: codes.unwrap_or(SuccessCodes::ZERO),
            ..Policy::default()
        }
    });
    let policies: Vec<_> = policies.collect();
    let first = policies.first().copied().unwrap_or_default();
    if policies.iter().any(|policy| *policy != first) {
        return Err(Deaf::Options);
    }
    let mut timeouts = choices.iter().filter_map(|choice| match choice {
        line::Choice::Launch { options, .. } => options.timeout_ms,
        _ => None,
    });
    Ok(Policy { timeout_ms: timeouts.next(), ..first })
}

const fn choice(verb: Verb, at: usize, value: u8) -> Choice {
    Choice { verb, session: at as u8, value }
}

fn exit_place(exit: Exit, oom_killed: bool) -> Result<u8, Deaf> {
    let place = EXITS.iter().position(|known| *known == (exit, oom_killed));
    place.map(|place| place as u8).ok_or(Deaf::Exit)
}
