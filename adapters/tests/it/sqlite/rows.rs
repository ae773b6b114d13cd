//! Whatever the machine can produce comes back as it was written.

use std::cell::Cell;
use std::num::{NonZeroU32, NonZeroU64};

use candor_core::agent::{AgentSpec, Permissions};
use candor_core::bytes::ByteString;
use candor_core::event::{Seq, StoredEvent};
use candor_core::input::{Deadline, Input};
use candor_core::machine::Policy;
use candor_core::ports::Repository as _;
use candor_core::session::{Spec, StandardInput};
use candor_core::stop::{Graces, Rung, StopKind};
use candor_core::verdict::{End, Exit, LostReason, SpawnStage, SuccessCodes};
use candor_harness::contract::repository::chain::{Chain, session_id, spec};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, proptest};
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::test_runner::Config;
use tokio::runtime::Builder;

use super::{Home, assert_sound, store};

fn bytes() -> impl Strategy<Value = ByteString> {
    vec(1..=u8::MAX, 0..20).prop_map(|bytes| ByteString::new(bytes).unwrap())
}

fn policy() -> impl Strategy<Value = Policy> {
    let rungs = any::<(Option<NonZeroU32>, u32, Option<NonZeroU32>, u32, u32)>();
    let graces = rungs.prop_map(|rungs| {
        let (ask_ms, interrupt_ms, interrupt_again_ms, terminate_ms, linger_ms) = rungs;
        Graces { ask_ms, interrupt_ms, interrupt_again_ms, terminate_ms, linger_ms }
    });
    let codes = vec(any::<u8>(), 0..5)
        .prop_map(|codes| codes.into_iter().fold(SuccessCodes::none(), SuccessCodes::with));
    let limits = any::<(Option<NonZeroU64>, Option<NonZeroU32>, bool)>();
    (graces, limits, codes).prop_map(|(graces, limits, success_codes)| {
        let (timeout_ms, idle_ms, always_reports) = limits;
        Policy { graces, timeout_ms, idle_ms, always_reports, success_codes }
    })
}

fn any_agent() -> impl Strategy<Value = AgentSpec> {
    let texts = vec(any::<Option<String>>(), 4);
    let permissions = (vec(any::<String>(), 0..3), vec(any::<String>(), 0..3), any::<bool>());
    let flags = any::<(bool, bool, Option<u32>)>();
    (any::<String>(), texts, permissions, flags, vec(bytes(), 0..3)).prop_map(
        |(prompt, texts, (deny, allow, edits_in_folder), flags, arguments)| {
            let [resumes, agent_session, model, permission_mode] =
                <[_; 4]>::try_from(texts).unwrap();
            let (is_interactive, forks, max_turns) = flags;
            AgentSpec {
                kind: "claude".to_owned(),
                prompt,
                is_interactive,
                resumes,
                forks,
                agent_session,
                model,
                permission_mode,
                max_turns,
                arguments,
                permissions: Permissions { deny, allow, edits_in_folder },
            }
        },
    )
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let title = option::of(any::<String>());
    let agent = option::of(any_agent());
    let rest = (any::<u32>(), policy(), agent);
    (title, vec(bytes(), 1..5), bytes(), vec(bytes(), 0..5), rest).prop_map(
        |(title, command, cwd, environment_names, (umask, policy, agent))| Spec {
            title,
            command,
            cwd,
            environment_names,
            umask,
            input: if umask % 2 == 0 { StandardInput::None } else { StandardInput::Held },
            agent,
            request: None,
            policy,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    let stage =
        select(vec![SpawnStage::Prepare, SpawnStage::Folder, SpawnStage::Fork, SpawnStage::Exec]);
    let exit = prop_oneof![
        any::<u8>().prop_map(Exit::Code),
        any::<(u8, bool)>().prop_map(|(number, core_dumped)| Exit::Signal { number, core_dumped }),
    ];
    prop_oneof![
        (stage, any::<i32>()).prop_map(|(stage, errno)| End::Refused { stage, errno }),
        select(vec![End::NeverRan]),
        (exit, any::<bool>()).prop_map(|(exit, oom_killed)| End::Exited { exit, oom_killed }),
        select(LostReason::ALL.to_vec()).prop_map(End::Unknown),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let kind = select(vec![
        StopKind::Interrupt,
        StopKind::Kill,
        StopKind::Timeout,
        StopKind::Shutdown,
        StopKind::Superseded,
        StopKind::Finish,
    ]);
    let rung =
        select(vec![Rung::Ask, Rung::Interrupt, Rung::InterruptAgain, Rung::Terminate, Rung::Kill]);
    prop_oneof![
        4 => select(vec![Input::Spawned, Input::RequestOpened, Input::RequestClosed]),
        3 => select(vec![Input::TurnEnded, Input::TurnBegan, Input::SettingsChanged]),
        1 => any::<bool>().prop_map(|success| Input::FinalReport { success }),
        1 => kind.prop_map(Input::Stop),
        1 => rung.prop_map(|rung| Input::Due(Deadline::RungOver(rung))),
        1 => select(vec![Input::Adopted, Input::Due(Deadline::Linger), Input::Due(Deadline::Idle)]),
        1 => end().prop_map(Input::Gone),
    ]
}

#[test]
fn every_row_comes_back_as_it_was_written() {
    let home = Home::in_memory();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(async { home.open() });
    let numbers = Cell::new(0);
    let cases = Config::default();
    proptest!(cases, |(spec in any_spec(), inputs in vec(input(), 0..20))| {
        let mut chain = Chain::launched_with(session_id(numbers.replace(numbers.get() + 1)), spec);
        for input in inputs {
            chain.try_step(input);
        }
        let id = chain.session().id;
        runtime.block_on(async {
            let last = store(&database, &chain).await;
            let row = database.load(id).await.unwrap().unwrap();
            assert!(chain.is(&row), "{row:#?}\n{chain:#?}");
            let first = last.number() + 1 - chain.life().len() as u64;
            let expected: Vec<_> = chain
                .life()
                .iter()
                .zip(first..)
                .map(|(change, seq)| StoredEvent { seq: Seq::from_number(seq), event: change.event })
                .collect();
            let page = database.session_events(id, Seq::START, 100).await.unwrap();
            assert_eq!((page.events, page.damaged), (expected, Vec::new()));
        });
    });
    runtime.block_on(assert_sound(&home));
}

/// The arguments and the environment of a process may have some megabytes.
#[tokio::test]
async fn large_rows_are_kept() {
    let home = Home::in_memory();
    let database = home.open();
    let argument = ByteString::new(vec![0xfe; 4 << 20]).unwrap();
    let spec = Spec { command: vec![argument], ..spec(Policy::default()) };
    let chain = Chain::launched_with(session_id(1), spec);
    store(&database, &chain).await;
    assert!(chain.is(&database.load(session_id(1)).await.unwrap().unwrap()));
    assert_sound(&home).await;
}
