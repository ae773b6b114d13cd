//! Whatever is printed: nothing panics, nothing is lost for it, and reading again is reading the same.

use std::fs;
use std::path::Path;

use candor_adapters::agents::{
    Agent, Codex, Gemini, ITEM_BYTES_MAX, Item, LINE_BYTES_MAX, Listener, OpenCode, Owed,
};
use candor_core::agent::View;
use proptest::prelude::*;

use super::facts;

const ALL: [&dyn Agent; 3] = [&Codex, &Gemini, &OpenCode];

/// Everything that a reader says of a stream.
type Read = (View, Vec<Item>, Vec<Owed>);

fn hear(agent: &dyn Agent, pieces: &[&[u8]]) -> Read {
    let mut listener: Listener = facts::listener(agent, &facts::spec(agent.name()));
    let mut items = Vec::new();
    for piece in pieces {
        listener.take(piece, &mut items);
    }
    let owed = listener.owed();
    listener.end("error: anything", &mut items);
    (listener.view().clone(), items, owed)
}

/// Returns a stream of an agent in which every kind of its lines stands.
fn stream(agent: &dyn Agent) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures");
    let names = match agent.name() {
        "codex" => ["api-529", "two"],
        "gemini" => ["api-empty", "two"],
        _ => ["api-401", "two"],
    };
    let read =
        |name| fs::read(folder.join(agent.name()).join(name).with_extension("jsonl")).unwrap();
    names.map(read).concat()
}

/// Something like a line: JSON of any form with the words that mean something, or anything at all.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "type",
        "item",
        "part",
        "error",
        "message",
        "usage",
        "stats",
        "id",
        "text",
        "state",
        "reason",
        "thread.started",
        "turn.completed",
        "turn.failed",
        "item.completed",
        "command_execution",
        "init",
        "result",
        "tool_use",
        "tool_result",
        "delta",
        "status",
        "step_finish",
        "step_start",
        "stop",
        "tool-calls",
        "agent_message",
        "content",
        "role",
        "assistant",
        "timestamp",
        "done",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        word.clone().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(word.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    prop_oneof![
        4 => value.prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn nothing_that_is_printed_matters_to_anybody_but_its_reader(
        lines in prop::collection::vec(line(), 0..12),
    ) {
        let stream = lines.join(&b'\n');
        for agent in ALL {
            let read = hear(agent, &[&stream]);
            prop_assert_eq!(&hear(agent, &[&stream]), &read);
            prop_assert!(read.1.iter().all(|item| item.text.len() <= ITEM_BYTES_MAX));
        }
    }

    #[test]
    fn a_stream_that_is_torn_anywhere_is_read_up_to_there(
        cut in 0_usize..12_000, agent in 0_usize..3,
    ) {
        let agent = ALL[agent];
        let stream = stream(agent);
        let cut = cut.min(stream.len());
        let lines_to = stream[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (mut torn, torn_items, _) = hear(agent, &[&stream[..cut]]);
        let (whole, items, _) = hear(agent, &[&stream[..lines_to]]);
        // A line that lacks nothing but its end is whole.
        if torn.learned.lines_unknown > 0 {
            torn.learned.lines_unknown -= 1;
            prop_assert_eq!(torn, whole);
            prop_assert_eq!(torn_items, items);
        }
    }

    #[test]
    fn a_broken_byte_costs_no_more_than_its_line(at in 0_usize..12_000, byte: u8, agent in 0_usize..3) {
        let agent = ALL[agent];
        let mut stream = stream(agent);
        let at = at % stream.len();
        prop_assume!(stream[at] != b'\n' && byte != b'\n');
        let (whole, _, _) = hear(agent, &[&stream]);
        stream[at] = byte;
        let (broken, _, _) = hear(agent, &[&stream]);
        prop_assert!(broken.learned.lines_unknown <= whole.learned.lines_unknown + 1);
    }
}

/// The bytes of a text may be anything that a tool has printed.
#[test]
fn bad_utf_8_within_a_text_is_replaced_and_the_line_is_read() {
    let codex = b"{\"type\":\"item.completed\",\"item\":{\"id\":\"i\",\"type\":\"agent_message\",\
                  \"text\":\"a\xff\xfeb\"}}\n";
    let gemini = b"{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"a\xff\xfeb\"}\n";
    let opencode = b"{\"type\":\"text\",\"part\":{\"text\":\"a\xff\xfeb\"}}\n";
    for (agent, line) in ALL.into_iter().zip([&codex[..], gemini, opencode]) {
        let (view, items, _) = hear(agent, &[line]);
        assert_eq!(items.len(), 1, "{}", agent.name());
        assert_eq!(items[0].text, "a\u{fffd}\u{fffd}b");
        assert_eq!(view.learned.last_said.as_deref(), Some("a\u{fffd}\u{fffd}b"));
        assert_eq!(view.learned.lines_unknown, 0);
    }
}

#[test]
fn lines_that_are_too_long_or_say_nothing_known_are_counted_and_the_rest_is_read() {
    let long = vec![b'x'; LINE_BYTES_MAX + 1];
    for agent in ALL {
        let stream = stream(agent);
        let (whole, items, _) = hear(agent, &[&stream]);
        let noise = b"\n \n(node:1) Warning: deprecated\n{\"type\":\"of.tomorrow\"}\n{}\n[]\n";
        let (view, more, _) = hear(agent, &[&long, noise, &stream]);
        assert_eq!(view.learned.lines_unknown, whole.learned.lines_unknown + 5);
        assert_eq!(view.report, whole.report);
        assert_eq!(more.len(), items.len());
    }
}

#[test]
fn a_long_answer_is_cut_and_the_end_of_what_was_said_is_kept() {
    let text = format!("{}é{}", "a".repeat(ITEM_BYTES_MAX - 1), "b".repeat(3_000));
    let line = serde_json::json!({
        "type": "item.completed", "item": {"type": "agent_message", "text": text},
    });
    let (view, items, _) = hear(&Codex, &[line.to_string().as_bytes()]);
    assert!(items[0].is_cut);
    assert_eq!(items[0].text.len(), ITEM_BYTES_MAX - 1);
    assert_eq!(view.learned.last_said, Some("b".repeat(2_048)));
}

/// The prompt is the whole of the input, and is owed until the program has said anything.
#[test]
fn the_prompt_is_owed_until_the_program_is_heard() {
    for agent in ALL {
        for noise in ["", "Warning: of the runtime\n"] {
            let (_, _, owed) = hear(agent, &[noise.as_bytes()]);
            let expected = Owed { key: 0, bytes: b"do the thing".to_vec(), is_last: true };
            assert_eq!(owed, [expected], "{}", agent.name());
        }
        let (_, _, owed) = hear(agent, &[&stream(agent)]);
        assert_eq!(owed, []);
    }
}
