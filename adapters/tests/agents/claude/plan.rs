//! How Claude Code is started: what is checked, and what becomes of it.

use std::path::Path;

use candor_adapters::agents::{Agent as _, Claude, Order, Plan, PlanError, Resume};
use candor_core::bytes::ByteString;
use candor_core::session::{SessionId, StandardInput};
use uuid::Uuid;

const SESSION: &str = "01940000-0000-7000-8000-000000000001";
const OTHER: &str = "01940000-0000-7000-8000-000000000002";

fn order() -> Order {
    Order {
        session: SessionId::from_uuid(Uuid::parse_str(SESSION).unwrap()),
        prompt: "--dangerously-skip-permissions".to_owned(),
        cwd: ByteString::try_from("/srv/demo").unwrap(),
        model: None,
        permission_mode: None,
        max_turns: None,
        is_interactive: false,
        resume: None,
        arguments: Vec::new(),
    }
}

fn plan(order: &Order) -> Result<Plan, PlanError> {
    Claude.plan(order, Path::new("/opt/bin/claude"))
}

fn arguments(order: &Order) -> Vec<String> {
    let plan = plan(order).unwrap();
    plan.command.iter().map(|argument| argument.to_text().into_owned()).collect()
}

const ALWAYS: [&str; 5] = [
    "/opt/bin/claude",
    "-p",
    "--output-format=stream-json",
    "--verbose",
    "--input-format=stream-json",
];

#[test]
fn the_prompt_is_no_argument_and_the_session_is_chosen() {
    let plan = plan(&order()).unwrap();
    let mut expected: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    expected.push("--permission-prompt-tool=stdio".to_owned());
    expected.push(format!("--session-id={SESSION}"));
    assert_eq!(arguments(&order()), expected);
    assert_eq!(plan.agent_session.as_deref(), Some(SESSION));
    assert_eq!(plan.input, StandardInput::Held);
    assert!(plan.always_reports);
    let names: Vec<_> = plan.without.iter().map(ByteString::to_text).collect();
    assert!(names.contains(&"CLAUDECODE".into()), "{names:?}");
    assert!(names.contains(&"CLAUDE_CODE_ENTRYPOINT".into()), "{names:?}");
}

#[test]
fn values_stand_behind_an_equals_sign_and_further_arguments_at_the_end() {
    let order = Order {
        model: Some("claude-opus-4-8[1m]".to_owned()),
        permission_mode: Some("acceptEdits".to_owned()),
        max_turns: Some(7),
        arguments: ["--dangerously-skip-permissions", "a b"]
            .map(|text| ByteString::try_from(text).unwrap())
            .to_vec(),
        ..order()
    };
    let arguments = arguments(&order);
    assert_eq!(
        arguments[7..],
        [
            "--model=claude-opus-4-8[1m]",
            "--permission-mode=acceptEdits",
            "--max-turns=7",
            "--dangerously-skip-permissions",
            "a b",
        ]
    );
}

#[test]
fn it_goes_on_with_a_session_or_with_a_copy_of_it() {
    let resume = |forks| Some(Resume { agent_session: OTHER.to_owned(), forks });

    let same = Order { resume: resume(false), ..order() };
    assert_eq!(arguments(&same)[6..], [format!("--resume={OTHER}")]);
    assert_eq!(plan(&same).unwrap().agent_session.as_deref(), Some(OTHER));

    let copy = Order { resume: resume(true), ..order() };
    assert_eq!(
        arguments(&copy)[6..],
        [
            format!("--resume={OTHER}"),
            "--fork-session".to_owned(),
            format!("--session-id={SESSION}"),
        ]
    );
    assert_eq!(plan(&copy).unwrap().agent_session.as_deref(), Some(SESSION));
}

#[test]
fn what_no_value_can_be_gets_a_sentence() {
    let resume = |text: &str| Some(Resume { agent_session: text.to_owned(), forks: false });
    let model = |text: &str| Order { model: Some(text.to_owned()), ..order() };
    let mode = |text: &str| Order { permission_mode: Some(text.to_owned()), ..order() };
    let long = "m".repeat(10_000);
    let wrong = [
        ("model", model("")),
        ("model", model("-p")),
        ("model", model("opus --resume")),
        ("model", model("opus\n")),
        ("model", model("opus;ls")),
        ("model", model("mod\u{e8}le")),
        ("model", model(&long)),
        ("permission mode", mode("bogus")),
        ("permission mode", mode("")),
        ("permission mode", mode("default\0")),
        ("--dangerously-skip-permissions", mode("bypassPermissions")),
        ("turns", Order { max_turns: Some(0), ..order() }),
        ("session", Order { resume: resume("--continue"), ..order() }),
        ("session", Order { resume: resume("latest"), ..order() }),
    ];
    for (word, order) in wrong {
        let PlanError(sentence) = plan(&order).expect_err(word);
        assert!(sentence.contains(word), "{sentence}");
        assert!(!sentence.contains(['\n', '\0', '\u{1b}']), "{sentence:?}");
    }
}
