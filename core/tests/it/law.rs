//! The law of section 3: the same facts give the same verdict in whatever order they arrive; only
//! what came first of intents, and whether the report preceded it, may make a difference.
//!
//! Every order is driven through the machine, and the verdict compared with what the rules say of
//! the facts alone.

use candor_core::input::{Deadline, Input};
use candor_core::machine::{Machine, Policy};
use candor_core::step::Answer;
use candor_core::stop::{Rung, StopKind};
use candor_core::verdict::{
    End, Evidence, LostReason, ReportMark, SpawnStage, SuccessCodes, Verdict,
};

use crate::rules::first_that_fits;
use crate::support::{at, code, core_dump, policy, signal, with_oom};

/// What an order has told so far, as the plan counts it and not as the machine does.
#[derive(Clone, Copy, Default)]
struct Told {
    is_up: bool,
    intent: Option<StopKind>,
    report: Option<ReportMark>,
}

impl Told {
    /// Says whether the world can tell this now.
    fn allows(self, input: Input) -> bool {
        match input {
            // Whoever reports was up, whoever has seen it.
            Input::FinalReport { .. } => true,
            Input::Spawned | Input::Gone(End::Refused { .. }) => !self.is_up,
            Input::Gone(End::NeverRan | End::Exited { .. } | End::Unknown(_))
            | Input::Stop(_)
            | Input::Due(_)
            | Input::Adopted
            | Input::Unreachable
            | Input::RequestOpened
            | Input::RequestClosed
            | Input::TurnEnded
            | Input::TurnBegan
            | Input::SettingsChanged
            | Input::ParentEnded => true,
        }
    }

    /// The intent that decides.
    fn decided(self) -> Option<StopKind> {
        self.intent.filter(|kind| *kind != StopKind::Finish)
    }

    fn after(self, input: Input) -> Self {
        let is_decided = self.intent.is_some() || self.report.is_some();
        match input {
            Input::Spawned | Input::Adopted => Self { is_up: true, ..self },
            Input::Stop(kind) => Self { intent: self.decided().or(Some(kind)), ..self },
            // The limit counts from when it came up, and means nothing once the end is decided.
            Input::Due(Deadline::Timeout) if self.is_up && !is_decided => {
                Self { intent: Some(StopKind::Timeout), ..self }
            }
            Input::FinalReport { success } => {
                let before_intent = self.decided().is_none();
                let mark = Some(ReportMark { success, before_intent });
                // The last one before somebody wanted another end, or else the first after that.
                let report = if before_intent { mark } else { self.report.or(mark) };
                Self { report, is_up: true, ..self }
            }
            Input::Due(_)
            | Input::Gone(_)
            | Input::Unreachable
            | Input::RequestOpened
            | Input::RequestClosed
            | Input::TurnEnded
            | Input::TurnBegan
            | Input::SettingsChanged
            | Input::ParentEnded => self,
        }
    }

    fn verdict(self, end: End, rung: Option<Rung>, policy: Policy) -> Verdict {
        let end = match end {
            End::NeverRan if self.is_up => End::Unknown(LostReason::BadRecord),
            End::NeverRan | End::Refused { .. } | End::Exited { .. } | End::Unknown(_) => end,
        };
        let Self { intent, report, .. } = self;
        let Policy { always_reports, success_codes, .. } = policy;
        first_that_fits(&Evidence { intent, report, rung, end, always_reports, success_codes }).1
    }
}

/// Counts the orders that could happen, so that a law about none of them does not pass.
#[derive(Default)]
struct Orders {
    possible: u32,
    impossible: u32,
}

impl Orders {
    /// Drives `machine` through every order of `facts` and checks the verdict of each.
    fn drive(&mut self, machine: &Machine, told: Told, facts: &mut Vec<Input>, done: usize) {
        if done == facts.len() {
            return;
        }
        for chosen in done..facts.len() {
            facts.swap(done, chosen);
            let input = facts[done];
            let result = machine.step(input, at(5_000 + done as u64));
            assert_eq!(result.is_ok(), told.allows(input), "{result:?} after {facts:?}");
            if let Ok(transition) = result {
                if let Input::Gone(end) = input {
                    self.possible += 1;
                    let expected = told.verdict(end, machine.rung(), *machine.policy());
                    assert_eq!(transition.next.verdict(), Some(expected), "{done}: {facts:?}");
                    absorbs(&transition.next, expected, &facts[done + 1..]);
                } else {
                    self.drive(&transition.next, told.after(input), facts, done + 1);
                }
            } else {
                self.impossible += 1;
            }
            facts.swap(done, chosen);
        }
    }
}

/// What comes after the end changes nothing, and is told how it ended.
fn absorbs(ended: &Machine, verdict: Verdict, late: &[Input]) {
    for &input in late {
        let Ok(transition) = ended.step(input, at(9_000)) else {
            panic!("{input:?} is illegal after the end");
        };
        assert_eq!((transition.next, transition.cause), (*ended, None), "{input:?}");
        assert_eq!(transition.answer, Answer::AlreadyEnded(verdict), "{input:?}");
    }
}

fn ends() -> [End; 9] {
    [
        code(0),
        code(1),
        code(130),
        signal(2),
        with_oom(signal(9)),
        core_dump(11),
        End::Unknown(LostReason::DaemonKilled),
        End::NeverRan,
        End::Refused { stage: SpawnStage::Exec, errno: 2 },
    ]
}

fn policies() -> [Policy; 2] {
    let picky = SuccessCodes::none().with(130);
    [policy(), Policy { always_reports: true, success_codes: picky, ..policy() }]
}

/// Every order of `facts` with each end and each policy.
fn every_order(facts: &[Input]) -> Orders {
    let mut orders = Orders::default();
    for policy in policies() {
        for end in ends() {
            let mut facts = [facts, &[Input::Gone(end)]].concat();
            orders.drive(&Machine::launch(policy).next, Told::default(), &mut facts, 0);
        }
    }
    orders
}

const INTERRUPT_OVER: Input = Input::Due(Deadline::RungOver(Rung::Interrupt));
const TERMINATE_OVER: Input = Input::Due(Deadline::RungOver(Rung::Terminate));

#[test]
fn no_order_of_two_stops_a_report_a_time_limit_and_the_end_changes_the_verdict() {
    let kinds = [
        StopKind::Interrupt,
        StopKind::Kill,
        StopKind::Shutdown,
        StopKind::Superseded,
        StopKind::Finish,
    ];
    let pairs = kinds
        .iter()
        .enumerate()
        .flat_map(|(at, one)| kinds[at..].iter().map(|other| (*one, *other)));
    let mut possible = 0;
    for (one, other) in pairs {
        for success in [true, false] {
            let orders = every_order(&[
                Input::Spawned,
                Input::Stop(one),
                Input::Stop(other),
                Input::FinalReport { success },
                Input::Due(Deadline::Timeout),
            ]);
            assert!(orders.possible > orders.impossible, "most orders can happen");
            possible += orders.possible;
        }
    }
    assert!(possible > 50_000, "only {possible} orders were driven");
}

#[test]
fn no_deadline_changes_the_verdict_wherever_it_falls() {
    for success in [true, false] {
        let orders = every_order(&[
            Input::Spawned,
            Input::Stop(StopKind::Interrupt),
            Input::FinalReport { success },
            Input::Due(Deadline::Linger),
            INTERRUPT_OVER,
            TERMINATE_OVER,
        ]);
        assert!(orders.possible > 10_000, "only {} orders were driven", orders.possible);
    }
}

#[test]
fn a_process_that_is_adopted_late_gets_the_same_verdict_as_one_that_was_launched() {
    for up in [Input::Spawned, Input::Adopted] {
        let orders = every_order(&[
            up,
            Input::Stop(StopKind::Superseded),
            Input::Due(Deadline::Timeout),
            Input::Unreachable,
            INTERRUPT_OVER,
        ]);
        assert!(orders.possible > 1_000, "only {} orders were driven", orders.possible);
    }
}

#[test]
fn requests_and_reports_without_an_intent_change_no_verdict() {
    // Requests need a process, so this one is up before the orders begin.
    for policy in policies() {
        for end in ends() {
            let launched = Machine::launch(policy).next;
            let Ok(up) = launched.step(Input::Spawned, at(1)) else { panic!("it can come up") };
            let mut facts = vec![
                Input::RequestOpened,
                Input::RequestClosed,
                Input::FinalReport { success: false },
                Input::FinalReport { success: true },
                Input::Due(Deadline::Linger),
                Input::Gone(end),
            ];
            let told = Told { is_up: true, ..Told::default() };
            let mut orders = Orders::default();
            orders.drive(&up.next, told, &mut facts, 0);
            let refused = matches!(end, End::Refused { .. });
            assert_eq!(orders.possible > 100, !refused, "{end:?}: {}", orders.possible);
        }
    }
}

#[test]
fn only_the_place_of_the_report_before_or_after_the_intent_makes_a_difference() {
    let ends_as = |first: Input, second: Input| {
        let machine = crate::support::running();
        let inputs = [(5_000, first), (6_000, second), (7_000, Input::Gone(code(1)))];
        let last = inputs.into_iter().fold(machine, |machine, (ms, input)| {
            machine.step(input, at(ms)).unwrap_or_else(|error| panic!("{error}")).next
        });
        last.verdict().map(|verdict| verdict.to_string())
    };
    let success = Input::FinalReport { success: true };
    let interrupt = Input::Stop(StopKind::Interrupt);
    assert_eq!(ends_as(success, interrupt).as_deref(), Some("completed succeeded"));
    assert_eq!(ends_as(interrupt, success).as_deref(), Some("completed interrupted"));
}
