//! What becomes of an order: arguments, none of which was anybody's to choose but where it is meant.

use std::fs;
use std::path::Path;

use candor_adapters::agents::{Agent, Codex, Gemini, OpenCode, Order, Plan, PlanError, Resume};
use candor_core::bytes::ByteString;
use candor_core::session::{SessionId, StandardInput};
use proptest::prelude::*;

const SESSION: &str = "01a20211-a25b-7983-940a-15b8b5ed09c6";

/// Gemini's session for that one.
const GEMINI: &str = "243177e9-146e-85c5-95e8-66b4fefc0ae1";

const ALL: [&dyn Agent; 3] = [&Codex, &Gemini, &OpenCode];

fn order() -> Order {
    Order {
        session: SessionId::from_uuid(SESSION.parse().unwrap()),
        prompt: "do the thing".to_owned(),
        cwd: super::facts::folder(),
        model: None,
        permission_mode: None,
        max_turns: None,
        is_interactive: false,
        resume: None,
        arguments: Vec::new(),
    }
}

fn plan(agent: &dyn Agent, order: &Order) -> Result<Plan, PlanError> {
    agent.plan(order, Path::new("/opt/program"))
}

fn arguments(agent: &dyn Agent, order: &Order) -> String {
    let plan = plan(agent, order).unwrap();
    let texts: Vec<_> =
        plan.command.iter().map(|argument| argument.to_text().into_owned()).collect();
    texts.join(" ")
}

fn refused(agent: &dyn Agent, order: &Order) -> String {
    plan(agent, order).unwrap_err().to_string()
}

fn resume(agent_session: &str, forks: bool) -> Option<Resume> {
    Some(Resume { agent_session: agent_session.to_owned(), forks })
}

#[test]
fn a_plain_order_needs_no_value_of_the_users() {
    assert_eq!(arguments(&Codex, &order()), "/opt/program exec --json --skip-git-repo-check -");
    assert_eq!(
        arguments(&Gemini, &order()),
        format!("/opt/program --output-format=stream-json --skip-trust --session-id={GEMINI}")
    );
    assert_eq!(arguments(&OpenCode, &order()), "/opt/program run --format=json");
    for agent in ALL {
        let plan = plan(agent, &order()).unwrap();
        assert!(plan.always_reports);
        assert_eq!(plan.input, StandardInput::Held);
        assert_eq!(plan.graces.total_ms(), 8_000, "{}", agent.name());
    }
}

#[test]
fn what_is_ordered_stands_behind_an_equals_sign() {
    let with = |mode: &str| Order {
        model: Some("some/model-1.5".to_owned()),
        permission_mode: Some(mode.to_owned()),
        arguments: vec![
            ByteString::try_from("--image").unwrap(),
            ByteString::try_from("a").unwrap(),
        ],
        ..order()
    };
    assert_eq!(
        arguments(&Codex, &with("workspace-write")),
        "/opt/program exec --image a --json --skip-git-repo-check --model=some/model-1.5 \
         --sandbox=workspace-write -"
    );
    assert_eq!(
        arguments(&Gemini, &with("auto_edit")),
        format!(
            "/opt/program --image a --output-format=stream-json --skip-trust \
             --model=some/model-1.5 --approval-mode=auto_edit --session-id={GEMINI}"
        )
    );
    assert_eq!(
        arguments(&OpenCode, &with("auto")),
        "/opt/program run --image a --format=json --model=some/model-1.5 --auto"
    );
}

#[test]
fn a_session_is_continued_and_copied_by_its_name() {
    const ID: &str = "11111111-2222-4333-8444-555555555555";
    let continued = |id: &str, forks| Order { resume: resume(id, forks), ..order() };
    let own = |agent: &dyn Agent, order: &Order| plan(agent, order).unwrap().agent_session;

    let codex = arguments(&Codex, &continued(ID, false));
    assert!(codex.ends_with(&format!(" resume {ID} -")), "{codex}");
    assert_eq!(own(&Codex, &continued(ID, false)).as_deref(), Some(ID));
    let codex = arguments(&Codex, &continued(ID, true));
    assert!(codex.ends_with(&format!(" fork {ID} -")), "{codex}");
    assert_eq!(own(&Codex, &continued(ID, true)), None);

    let gemini = arguments(&Gemini, &continued(ID, false));
    assert!(gemini.ends_with(&format!(" --resume={ID}")), "{gemini}");
    assert_eq!(own(&Gemini, &continued(ID, false)).as_deref(), Some(ID));
    assert_eq!(own(&Gemini, &order()).as_deref(), Some(GEMINI));
    assert!(refused(&Gemini, &continued(ID, true)).contains("leave out --fork"));

    let opencode = arguments(&OpenCode, &continued("ses_dfdd5", false));
    assert!(opencode.ends_with(" --session=ses_dfdd5"), "{opencode}");
    let opencode = arguments(&OpenCode, &continued("ses_dfdd5", true));
    assert!(opencode.ends_with(" --session=ses_dfdd5 --fork"), "{opencode}");
    assert_eq!(own(&OpenCode, &continued("ses_dfdd5", true)), None);
}

/// It tells files of the same minute apart by the first eight digits alone.
#[test]
fn geminis_sessions_of_one_minute_begin_differently() {
    let begins = |session: &str| {
        let order = Order { session: SessionId::from_uuid(session.parse().unwrap()), ..order() };
        plan(&Gemini, &order).unwrap().agent_session.unwrap()[..8].to_owned()
    };
    let next = "01a20211-a25b-7983-940a-15b8b5ed09c7";
    assert_ne!(begins(SESSION), begins(next));
    assert_eq!(begins(SESSION), begins(SESSION));
}

/// `latest` and numbers are places in a list to Gemini, and what is no UUID makes Codex begin anew.
#[test]
fn what_is_no_name_of_a_session_is_refused() {
    for agent in ALL {
        for id in ["", "latest", "5", "--last", "-", "name", "ses_", "ses_a b", "ses_../x"] {
            let order = Order { resume: resume(id, false), ..order() };
            let sentence = refused(agent, &order);
            assert!(sentence.contains("no such session"), "{} {id}: {sentence}", agent.name());
        }
    }
}

#[test]
fn what_a_program_cannot_do_is_refused_with_what_to_leave_out() {
    for agent in ALL {
        let turns = Order { max_turns: Some(3), ..order() };
        assert!(refused(agent, &turns).contains("leave out --max-turns"));
        let talk = Order { is_interactive: true, ..order() };
        assert!(refused(agent, &talk).contains("leave out --interactive"));
        let mode = Order { permission_mode: Some("bypass\u{1b}".to_owned()), ..order() };
        let sentence = refused(agent, &mode);
        assert!(sentence.contains("the modes are") && !sentence.contains('\u{1b}'), "{sentence}");
        let empty = Order { prompt: " ".to_owned(), ..order() };
        assert!(refused(agent, &empty).contains("empty"));
    }
}

proptest! {
    /// A prompt is never an argument, and a value of the user's is the end of one or is refused.
    #[test]
    fn nothing_can_be_slipped_in(prompt in "[-a-z \n@/]{1,20}x", model in ".{0,12}") {
        for agent in ALL {
            let plain = arguments(agent, &order());
            let prompted = Order { prompt: prompt.clone(), ..order() };
            prop_assert_eq!(&arguments(agent, &prompted), &plain);
            let ordered = Order { model: Some(model.clone()), ..order() };
            if let Ok(plan) = plan(agent, &ordered) {
                let wanted = format!("--model={model}");
                let others = plan.command.iter().filter(|argument| argument.to_text() != wanted);
                let others: Vec<_> = others.map(|argument| argument.to_text()).collect();
                prop_assert_eq!(others.join(" "), plain);
                prop_assert!(!model.starts_with('-') && !model.contains(char::is_whitespace));
            }
        }
    }
}

#[test]
fn the_program_that_the_launcher_of_codex_would_start_is_started_instead() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let scope = root.join("lib/node_modules/@openai");
    let (platform, target) = match std::env::consts::ARCH {
        "x86_64" => ("codex-linux-x64", "x86_64-unknown-linux-musl"),
        _ => ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
    };
    let write = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    };
    write(&scope.join("codex/bin/codex.js"));
    fs::create_dir(root.join("bin")).unwrap();
    let found = root.join("bin/codex");
    std::os::unix::fs::symlink("../lib/node_modules/@openai/codex/bin/codex.js", &found).unwrap();
    assert_eq!(
        Codex.instead_of(&found),
        found,
        "nothing to launch: the launcher says what is missing"
    );

    for vendor in ["codex", "codex/node_modules/@openai/PLATFORM", "PLATFORM"] {
        let vendor = scope.join(vendor.replace("PLATFORM", platform)).join("vendor");
        let program = vendor.join(target).join("bin/codex");
        write(&program);
        assert_eq!(Codex.instead_of(&found), program);
    }
    let native = root.join("native/codex");
    write(&native);
    assert_eq!(Codex.instead_of(&native), native);
    assert_eq!(Gemini.instead_of(&found), found);
}
