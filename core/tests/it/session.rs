//! The row: it is read as it was written, and its small parts keep their promises.

use core::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use candor_core::agent::{
    AgentSpec, Learned, Permissions, Request, RequestState, Trouble, TroubleKind, Usage,
};
use candor_core::bytes::ByteString;
use candor_core::event::{Cause, Event, Seq};
use candor_core::machine::{Machine, Policy};
use candor_core::session::{
    EventId, NOTES_MAX, Note, OutputSizes, Report, RequestKey, Revision, Session, SessionId,
    Sighting, Spec, StandardInput, UnknownActor,
};
use candor_core::status::Status;
use candor_core::stop::{Actor, Graces, Intent, StopKind};
use candor_core::time::Timestamp;
use candor_core::verdict::{Exit, SuccessCodes, Witness};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::support::{STOPS, at, session_id};
use crate::table::inputs;

/// Reads back what was written, as a text and as a value.
fn both_ways<T: Serialize + DeserializeOwned>(value: &T) -> [T; 2] {
    let text = serde_json::to_string(value).unwrap();
    let json = serde_json::to_value(value).unwrap();
    [serde_json::from_str(&text).unwrap(), serde_json::from_value(json).unwrap()]
}

fn actors() -> impl Strategy<Value = Actor> {
    prop_oneof![
        any::<u32>().prop_map(Actor::User),
        any::<()>().prop_map(|()| Actor::Daemon),
        any::<u128>().prop_map(|number| Actor::Session(session_id(number))),
    ]
}

fn times() -> impl Strategy<Value = Timestamp> {
    // To the nanosecond, and before 1970 too.
    (-10_000_000_000_i64..10_000_000_000, 0..1_000_000_000)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

fn byte_strings() -> impl Strategy<Value = ByteString> {
    vec(1..=u8::MAX, 0..20).prop_map(|bytes| ByteString::new(bytes).unwrap())
}

fn policies() -> impl Strategy<Value = Policy> {
    let graces =
        any::<[u32; 5]>().prop_map(|[ask_ms, interrupt_ms, again_ms, terminate_ms, linger_ms]| {
            Graces {
                ask_ms: NonZeroU32::new(ask_ms),
                interrupt_again_ms: NonZeroU32::new(again_ms),
                interrupt_ms,
                terminate_ms,
                linger_ms,
            }
        });
    let codes = vec(any::<u8>(), 0..300)
        .prop_map(|codes| codes.into_iter().fold(SuccessCodes::none(), SuccessCodes::with));
    (graces, any::<u64>(), any::<u32>(), any::<bool>(), codes).prop_map(
        |(graces, timeout_ms, idle_ms, always_reports, success_codes)| Policy {
            graces,
            timeout_ms: NonZeroU64::new(timeout_ms),
            idle_ms: NonZeroU32::new(idle_ms),
            always_reports,
            success_codes,
        },
    )
}

fn specs() -> impl Strategy<Value = Spec> {
    let texts = || vec(byte_strings(), 0..4);
    let agents = option::of(agents());
    (option::of(".{0,20}"), texts(), byte_strings(), texts(), any::<u32>(), policies(), agents)
        .prop_map(|(title, command, cwd, environment_names, umask, policy, agent)| Spec {
            agent,
            request: (umask % 3 == 0)
                .then(|| RequestKey { key: "key".to_owned(), digest: "digest".to_owned() }),
            title,
            command,
            cwd,
            environment_names,
            umask,
            input: if umask % 2 == 0 { StandardInput::None } else { StandardInput::Held },
            policy,
        })
}

/// A machine after a walk of legal inputs.
fn machines() -> impl Strategy<Value = Machine> {
    (policies(), any::<bool>(), vec((any::<usize>(), 0_u64..1_000_000), 0..12)).prop_map(
        |(policy, at_once, choices)| {
            let first = if at_once { Machine::launch(policy) } else { Machine::queue(policy) };
            let all = inputs();
            choices.into_iter().fold(first.next, |machine, (choice, ms)| {
                let (_, input) = all[choice % all.len()];
                machine.step(input, at(ms)).map_or(machine, |transition| transition.next)
            })
        },
    )
}

fn sightings() -> impl Strategy<Value = Sighting> {
    let sizes = any::<[u64; 2]>()
        .prop_map(|[stdout_bytes, stderr_bytes]| OutputSizes { stdout_bytes, stderr_bytes });
    (any::<bool>(), option::of(sizes), option::of(any::<u32>())).prop_map(
        |(seen, output, left_behind)| {
            let witness = seen.then_some(Witness::Parent);
            Sighting { witness, output, left_behind }
        },
    )
}

fn intents() -> impl Strategy<Value = Intent> {
    (0..STOPS.len(), actors(), times()).prop_map(|(kind, by, at)| Intent {
        kind: STOPS[kind],
        by,
        at,
    })
}

fn reports() -> impl Strategy<Value = Report> {
    (any::<bool>(), option::of(".{0,20}"), option::of(".{0,20}")).prop_map(
        |(success, kind, message)| Report {
            success,
            kind,
            message,
            turns: Some(3),
            cost_microusd: None,
            usage: Some(USAGE),
        },
    )
}

const USAGE: Usage = Usage { input_tokens: 1, cached_tokens: 2, output_tokens: 3 };

fn learned() -> Learned {
    let trouble = Trouble { kind: TroubleKind::RateLimit, message: "wait".to_owned(), until: None };
    Learned {
        agent_session: Some("its own".to_owned()),
        model: Some("large".to_owned()),
        version: None,
        turns: 3,
        usage: USAGE,
        cost_microusd: Some(5),
        lines_unknown: 1,
        trouble: Some(trouble),
        last_said: Some("done".to_owned()),
        in_background: 1,
        printed_at: None,
    }
}

fn requests() -> impl Strategy<Value = Request> {
    let states =
        [RequestState::Open, RequestState::Approved, RequestState::Denied, RequestState::Withdrawn];
    (any::<u32>(), ".{0,20}", 0..states.len(), times(), option::of(times()), option::of(actors()))
        .prop_map(move |(number, summary, state, opened_at, closed_at, by)| Request {
            number,
            asked: crate::agent::asked(u64::from(number), &summary),
            state: states[state],
            opened_at,
            closed_at,
            by,
            message: by.map(|by| by.to_string()),
        })
}

fn agents() -> impl Strategy<Value = AgentSpec> {
    (".{0,20}", any::<[bool; 3]>(), option::of(".{1,9}")).prop_map(
        |(prompt, [is_interactive, forks, edits_in_folder], resumes)| AgentSpec {
            kind: "claude".to_owned(),
            prompt,
            is_interactive,
            agent_session: resumes.clone(),
            model: resumes.clone(),
            permission_mode: None,
            max_turns: Some(5),
            arguments: vec![ByteString::try_from("--debug").unwrap()],
            resumes,
            forks,
            permissions: Permissions {
                deny: vec!["Bash(rm*)".to_owned()],
                allow: Vec::new(),
                edits_in_folder,
            },
        },
    )
}

fn sessions() -> impl Strategy<Value = Session> {
    let ids = (any::<u128>(), option::of(any::<u128>()));
    let moments = (times(), option::of(times()), option::of(times()));
    let notes = vec((times(), ".{0,20}").prop_map(|(at, text)| Note { at, text }), 0..4);
    let said =
        (option::of(intents()), option::of(reports()), sightings(), notes, vec(requests(), 0..3));
    (ids, specs(), machines(), moments, said).prop_map(
        |((id, parent), spec, machine, (created_at, started_at, ended_at), said)| {
            let (intent, report, sighting, notes, requests) = said;
            Session {
                id: session_id(id),
                parent: parent.map(session_id),
                spec: Arc::new(spec),
                machine,
                created_at,
                started_at,
                ended_at,
                intent,
                report: report.map(Box::new),
                sighting,
                notes,
                learned: learned(),
                requests_count: requests.len().try_into().unwrap(),
                requests_read_to: 77,
                requests,
                turns_ended: 2,
                bypass_until: ended_at,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_session_is_read_as_it_was_written(session in sessions()) {
        for back in both_ways(&session) {
            prop_assert_eq!(&back, &session);
        }
    }

    #[test]
    fn a_machine_is_read_as_it_was_written_and_is_coherent(machine in machines()) {
        for back in both_ways(&machine) {
            prop_assert_eq!(back, machine);
            prop_assert!(back.is_coherent());
        }
    }

    #[test]
    fn an_actor_is_read_as_it_was_written(actor in actors()) {
        prop_assert_eq!(actor.to_string().parse(), Ok(actor));
        for back in both_ways(&actor) {
            prop_assert_eq!(back, actor);
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written(
        machine in machines(), by in actors(), at in times(), id in any::<u128>()
    ) {
        for cause in Cause::ALL {
            let event = Event {
                id: EventId::from_uuid(Uuid::from_u128(id)),
                session: session_id(id.rotate_left(7)),
                revision: machine.revision(),
                at,
                from: Some(Status::Running),
                to: machine.status(),
                cause,
                by,
                verdict: machine.verdict(),
            };
            for back in both_ways(&event) {
                prop_assert_eq!(back, event);
            }
        }
    }

    #[test]
    fn the_short_form_of_an_id_is_its_last_8_hex_digits(number in any::<u128>()) {
        let id = session_id(number);
        prop_assert_eq!(id.short(), format!("{:08x}", number & 0xffff_ffff));
        prop_assert!(id.to_string().ends_with(&id.short()));
        prop_assert_eq!(id.as_uuid(), &Uuid::from_u128(number));
    }
}

#[test]
fn actors_are_written_as_the_plan_says() {
    assert_eq!(Actor::User(1000).to_string(), "user:1000");
    assert_eq!(Actor::Daemon.to_string(), "daemon");
    let session = "session:00000000-0000-0000-0000-00000000002a";
    assert_eq!(Actor::Session(session_id(42)).to_string(), session);
    assert_eq!(serde_json::to_value(Actor::Daemon).unwrap(), "daemon");
}

#[test]
fn a_text_that_names_no_actor_is_refused() {
    let cases =
        ["", "user", "user:", "user:-1", "user:4294967296", "Daemon", "session:", "session:x"];
    for text in cases {
        assert_eq!(text.parse::<Actor>(), Err(UnknownActor), "{text:?}");
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<Actor>(&json).is_err(), "{text:?}");
    }
}

#[test]
fn ids_sort_as_their_uuids_do_and_are_shown_with_hyphens() {
    assert!(session_id(1) < session_id(2));
    assert_eq!(session_id(0xab).to_string(), "00000000-0000-0000-0000-0000000000ab");
    assert_eq!(SessionId::from_uuid(*session_id(7).as_uuid()), session_id(7));
    let event = EventId::from_uuid(Uuid::from_u128(7));
    assert_eq!(event.as_uuid(), &Uuid::from_u128(7));
}

#[test]
fn revisions_count_from_1_without_a_gap() {
    assert_eq!(Revision::NONE.number(), 0);
    assert_eq!(Revision::NONE.next(), Revision::from_number(1));
    assert_eq!(Revision::from_number(41).next().to_string(), "42");
    assert_eq!(Machine::launch(Policy::default()).next.revision().number(), 1);
    assert_eq!(Machine::queue(Policy::default()).next.revision().number(), 1);
}

#[test]
fn the_first_notes_are_kept_and_later_ones_dropped() {
    let (mut session, now) = (plain_session(), at(0).wall);
    for number in 0..NOTES_MAX + 5 {
        session.note(now, format!("note {number}"));
    }
    assert_eq!(session.notes.len(), NOTES_MAX);
    assert_eq!(session.notes[0], Note { at: now, text: "note 0".to_owned() });
    assert_eq!(session.notes[NOTES_MAX - 1].text, format!("note {}", NOTES_MAX - 1));
}

/// Rows of before a standard input could be held.
#[test]
fn a_row_without_a_standard_input_loads() {
    let mut session = plain_session();
    let mut spec = Spec::clone(&session.spec);
    spec.input = StandardInput::Held;
    session.spec = Arc::new(spec);
    let mut row = serde_json::to_value(&session).unwrap();
    let removed = row["spec"].as_object_mut().unwrap().remove("input");
    assert_eq!(removed, Some("held".into()));
    let old: Session = serde_json::from_value(row).unwrap();
    assert_eq!(old.spec.input, StandardInput::None);
}

/// Rows of before anybody counted what a session leaves behind.
#[test]
fn a_row_without_a_count_of_what_was_left_behind_loads() {
    let mut session = plain_session();
    let (witness, output) = (Some(Witness::Parent), Some(OutputSizes::default()));
    session.sighting = Sighting { witness, output, left_behind: Some(3) };
    let mut row = serde_json::to_value(&session).unwrap();
    let counted: Session = serde_json::from_value(row.clone()).unwrap();
    assert_eq!(counted.sighting.left_behind, Some(3));
    let removed = row["sighting"].as_object_mut().unwrap().remove("left_behind");
    assert_eq!(removed, Some(3.into()));
    let old: Session = serde_json::from_value(row).unwrap();
    assert_eq!(old.sighting, Sighting { witness, output, left_behind: None });
}

/// Rows of before there were agents.
#[test]
fn a_row_without_anything_of_an_agent_loads() {
    let session = plain_session();
    let mut row = serde_json::to_value(&session).unwrap();
    for name in
        ["learned", "requests", "requests_count", "requests_read_to", "turns_ended", "bypass_until"]
    {
        assert!(row.as_object_mut().unwrap().remove(name).is_some(), "{name} is written");
    }
    assert!(row["machine"].as_object_mut().unwrap().remove("awaits_message").is_some());
    assert!(row["spec"].get("agent").is_none(), "what there is none of takes no room");
    assert!(row["spec"]["policy"].get("idle_ms").is_none());
    assert!(row["spec"]["policy"]["graces"].get("ask_ms").is_none());
    let old: Session = serde_json::from_value(row).unwrap();
    assert_eq!(old, session);
}

pub(crate) fn plain_session() -> Session {
    let spec = Spec {
        title: None,
        command: vec![ByteString::try_from("true").unwrap()],
        cwd: ByteString::try_from("/").unwrap(),
        environment_names: Vec::new(),
        umask: 0o22,
        input: StandardInput::None,
        agent: None,
        request: None,
        policy: Policy::default(),
    };
    Session {
        id: session_id(1),
        parent: None,
        machine: Machine::launch(spec.policy).next,
        spec: Arc::new(spec),
        created_at: at(0).wall,
        started_at: None,
        ended_at: None,
        intent: None,
        report: None,
        sighting: Sighting::default(),
        notes: Vec::new(),
        learned: Learned::default(),
        requests: Vec::new(),
        requests_count: 0,
        requests_read_to: 0,
        turns_ended: 0,
        bypass_until: None,
    }
}

#[test]
fn a_session_answers_for_its_machine() {
    use candor_core::input::Input;

    let mut session = plain_session();
    assert_eq!((session.status(), session.verdict()), (Status::Starting, None));
    assert_eq!((session.evidence(), session.exit()), (None, None));

    let ended = crate::support::follow(
        Machine::launch(Policy::default()),
        &[
            (1, Input::Spawned),
            (2, Input::FinalReport { success: false }),
            (3, Input::Stop(StopKind::Interrupt)),
            (4, Input::Gone(crate::support::code(3))),
        ],
    );
    session.machine = ended.next;
    assert_eq!(session.revision().number(), 5);
    assert_eq!(session.exit(), Some(Exit::Code(3)));
    let evidence = session.evidence().unwrap();
    assert_eq!(evidence.intent, Some(StopKind::Interrupt));
    assert!(evidence.report.is_some_and(|report| report.before_intent && !report.success));
    assert_eq!(session.verdict(), Some(candor_core::verdict::judge(&evidence)));
    assert_eq!(session.machine.end(), Some(evidence.end));
    assert_eq!(session.machine.policy(), &Policy::default());
}

#[test]
fn a_seq_is_no_session_and_keeps_its_number() {
    for back in both_ways(&Seq::from_number(u64::MAX)) {
        assert_eq!(back, Seq::from_number(u64::MAX));
    }
}
