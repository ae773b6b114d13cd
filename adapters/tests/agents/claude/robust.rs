//! Whatever is printed: nothing panics, nothing grows without bound, and what is read twice is
//! understood alike.

use std::fs;
use std::path::Path;

use candor_adapters::agents::{Claude, ITEM_BYTES_MAX, Item, LINE_BYTES_MAX, Listener};
use candor_core::agent::{REQUESTS_OPEN_MAX, SAID_BYTES_MAX, SUMMARY_BYTES_MAX};
use proptest::prelude::*;

use crate::facts;

fn listener() -> Listener {
    facts::listener(&Claude, &facts::spec("claude"))
}

/// Hands it in in pieces that end at `cuts`.
fn read(bytes: &[u8], cuts: &[usize]) -> (Listener, Vec<Item>) {
    let mut listener = listener();
    let mut items = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        listener.take(&bytes[pair[0]..pair[1]], &mut items);
    }
    (listener, items)
}

fn assert_bounded(listener: &Listener, items: &[Item]) {
    let view = listener.view();
    assert!(view.asks.len() <= REQUESTS_OPEN_MAX);
    for asked in &view.asks {
        assert!(asked.summary.len() <= SUMMARY_BYTES_MAX);
        assert!(asked.agent_id.len() + asked.tool.len() <= 512);
        assert!(asked.command.as_ref().is_none_or(|command| command.len() <= 16 * 1024));
        assert!(asked.paths.len() <= 1 && asked.paths.iter().all(|path| path.len() <= 4096));
    }
    assert!(view.learned.last_said.as_ref().is_none_or(|said| said.len() <= SAID_BYTES_MAX));
    let names = [&view.learned.agent_session, &view.learned.model, &view.learned.version];
    assert!(names.into_iter().flatten().all(|name| name.len() <= 256));
    let trouble = view.learned.trouble.as_ref();
    assert!(trouble.is_none_or(|trouble| trouble.message.len() <= 1_024));
    if let Some(report) = &view.report {
        assert!(report.kind.as_ref().is_none_or(|kind| kind.len() <= 64));
        assert!(report.message.as_ref().is_none_or(|message| message.len() <= 2_048));
    }
    assert!(listener.owed().len() <= 32);
    assert!(items.iter().all(|item| item.text.len() <= ITEM_BYTES_MAX));
    let names = items.iter().flat_map(|item| [&item.tool, &item.call, &item.within, &item.model]);
    assert!(names.flatten().all(|name| name.len() <= 256));
}

/// Every line of the captured streams, as something to be broken.
fn captured() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fixtures/claude");
    let mut lines: Vec<Vec<u8>> =
        ["api-429ra", "long-cantool-interrupt", "x-subagent", "x-bgtool-short", "partial"]
            .iter()
            .flat_map(|name| {
                let bytes = fs::read(folder.join(format!("{name}.jsonl"))).unwrap();
                bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .collect();
    lines.push(b"{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\",\"resetsAt\":1e300}}\n".to_vec());
    lines
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let (mut listener, mut items) = read(&bytes, &[]);
        listener.end(&String::from_utf8_lossy(&bytes), &mut items);
        assert_bounded(&listener, &items);
    }

    #[test]
    fn lines_in_any_order_broken_anywhere_are_read_alike_however_they_are_split(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u16..5_000), 1..40),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
        stderr in "(Error: )?[a-z\n]{0,30}",
    ) {
        let captured = captured();
        let mut bytes = Vec::new();
        for (index, byte, place) in picks {
            let start = bytes.len();
            bytes.extend_from_slice(&captured[index.index(captured.len())]);
            // Most lines stay whole.
            let place = start + usize::from(place);
            if place < bytes.len() {
                bytes[place] = byte;
            }
        }
        let (mut once, mut items) = read(&bytes, &[]);
        let (mut again, mut items_again) = read(&bytes, &cuts);
        prop_assert_eq!(once.view(), again.view());
        prop_assert_eq!(once.owed(), again.owed());
        once.end(&stderr, &mut items);
        again.end(&stderr, &mut items_again);
        prop_assert_eq!(once.view(), again.view());
        prop_assert_eq!(&items, &items_again);
        prop_assert!(once.owed().is_empty());
        assert_bounded(&once, &items);
    }

    #[test]
    fn what_was_final_stays_final(
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        let captured = captured();
        let mut listener = listener();
        let mut was_final = false;
        for pick in picks {
            listener.take(&captured[pick.index(captured.len())], &mut Vec::new());
            let is_final = listener.view().report_is_final;
            prop_assert!(is_final || !was_final);
            prop_assert!(!is_final || listener.view().report.is_some());
            was_final = is_final;
        }
    }
}

#[test]
fn a_line_of_100_mb_is_counted_and_what_follows_is_understood() {
    let mut listener = listener();
    let mut items = Vec::new();
    listener.take(b"{\"type\":\"assistant\",\"message\":{\"content\":\"", &mut items);
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        listener.take(&piece, &mut items);
    }
    listener.take(b"\"}}\n", &mut items);
    listener
        .take(b"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}\n", &mut items);
    assert_eq!(listener.view().learned.lines_unknown, 1);
    assert!(listener.view().report.as_ref().unwrap().success);
    assert_bounded(&listener, &items);
}

#[test]
fn the_longest_line_that_is_read_leaves_little_behind() {
    let mut listener = listener();
    let mut items = Vec::new();
    let frame =
        "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"\"}]}}";
    let text = "x".repeat(LINE_BYTES_MAX - frame.len());
    let line = frame.replace("\"text\":\"\"", &format!("\"text\":\"{text}\""));
    assert_eq!(line.len(), LINE_BYTES_MAX);
    listener.take(line.as_bytes(), &mut items);
    listener.take(b"\n", &mut items);
    assert_eq!(listener.view().learned.lines_unknown, 0);
    assert_eq!((items.len(), items[0].is_cut), (1, true));
    assert_bounded(&listener, &items);
}

#[test]
fn deep_and_wide_lines_are_read() {
    let mut listener = listener();
    let mut items = Vec::new();
    // What is skipped may nest as it likes; what is looked at goes as deep as the parser.
    let nested = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        format!("{{\"type\":\"user\",\"message\":{open}{close}}}\n")
    };
    listener.take(nested("[", "]").as_bytes(), &mut items);
    assert_eq!(listener.view().learned.lines_unknown, 0);
    listener.take(nested("{\"content\":[", "]}").as_bytes(), &mut items);
    assert_eq!(listener.view().learned.lines_unknown, 1);

    let block = "{\"type\":\"text\",\"text\":\"x\"},".repeat(100_000);
    let wide = format!(
        "{{\"type\":\"assistant\",\"message\":{{\"content\":[{}]}}}}\n",
        block.trim_end_matches(',')
    );
    listener.take(wide.as_bytes(), &mut items);
    assert_eq!(items.len(), 1_024);
    assert_bounded(&listener, &items);
}
