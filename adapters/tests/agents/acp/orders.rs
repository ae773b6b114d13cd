//! What becomes of an order.

use std::path::Path;

use candor_adapters::agents::{Acp, Agent as _, Order, PlanError, Resume};
use candor_core::bytes::ByteString;
use candor_core::session::SessionId;

use super::facts;

fn order(arguments: &[&str]) -> Order {
    Order {
        session: SessionId::from_uuid("01a20211-a25b-7983-940a-15b8b5ed09c6".parse().unwrap()),
        prompt: "do the thing".to_owned(),
        cwd: facts::folder(),
        model: None,
        permission_mode: None,
        max_turns: None,
        is_interactive: false,
        resume: None,
        arguments: arguments.iter().map(|text| ByteString::try_from(*text).unwrap()).collect(),
    }
}

#[test]
fn the_order_names_the_program_and_how_it_speaks() {
    let order = order(&["gemini", "--acp"]);
    assert_eq!(Acp.program_of(&order).unwrap().to_text(), "gemini");
    let plan = Acp.plan(&order, Path::new("/opt/gemini")).unwrap();
    let command: Vec<_> = plan.command.iter().map(|argument| argument.to_text()).collect();
    assert_eq!(command, ["/opt/gemini", "--acp"]);
    assert!(plan.always_reports && plan.graces.ask_ms.is_some());
}

#[test]
fn an_order_that_cannot_be_carried_out_gets_a_sentence() {
    let good = order(&["gemini", "--acp"]);
    let resume = |id: &str| Some(Resume { agent_session: id.to_owned(), forks: false });
    let cwd = ByteString::new(b"/srv/\xff".to_vec()).unwrap();
    let orders = [
        (order(&[]), "behind `--`"),
        (order(&["--acp"]), "behind `--`"),
        (order(&[""]), "behind `--`"),
        (Order { max_turns: Some(1), ..good.clone() }, "leave out --max-turns"),
        (Order { prompt: String::new(), ..good.clone() }, "empty"),
        (Order { model: Some("a b".to_owned()), ..good.clone() }, "the model"),
        (Order { permission_mode: Some("-y".to_owned()), ..good.clone() }, "the permission mode"),
        (Order { resume: resume("a b"), ..good.clone() }, "the agent's session"),
        (Order { cwd, ..good }, "UTF-8"),
    ];
    for (order, part) in orders {
        let PlanError(sentence) = Acp.plan(&order, Path::new("/opt/gemini")).unwrap_err();
        assert!(sentence.contains(part), "{sentence}");
    }
}
