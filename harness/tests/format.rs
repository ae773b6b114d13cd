//! The format of timelines: what is printed is read the same, whatever it is.

use std::path::Path;

use candor_harness::random::{Budget, run};
use candor_harness::timeline::{BodyLine, HeadLine, Timeline, jsonl, load};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::{Index, select};

/// Lines of a twin, right and wrong ones, to be put together in any order.
const LINES: [&str; 9] = [
    r#"{"v":1,"k":"timeline","head":[{"key":"id","value":"one"},{}]}"#,
    r#"{"v":1,"k":"timeline","head":[{"comment":"\n"}]}"#,
    r#"{"k":"choice","t":0,"do":["crash"]}"#,
    r#"{"k":"choice","t":3,"after":3,"do":["boot","same"],"comment":"!"}"#,
    r#"{"k":"comment","text":" x"}"#,
    r#"{"k":"blank"}"#,
    r#"{"k":"fair"}"#,
    r#"{"k":"golden","text":"s1\n"}"#,
    r#"{"k":"golden","text":""}"#,
];

#[test]
fn every_timeline_of_the_corpus_comes_back_from_its_twin_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    let corpus = load(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    for (path, timeline) in corpus {
        let text = std::fs::read_to_string(&path).unwrap();
        let twin = jsonl::print(&timeline);
        let read = jsonl::read(twin.as_bytes()).and_then(jsonl::Twin::whole);
        let read = read.unwrap_or_else(|error| panic!("{}: {error}\n{twin}", path.display()));
        assert!(read.to_string() == text, "{}", path.display());
        assert!(jsonl::print(&read) == twin, "{}", path.display());
    }
}

proptest! {
    // A seed rots when the generator changes.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_timeline_is_read_as_it_was_printed(
        seed in any::<u64>(),
        comment in "[ -~]{0,20}",
        key in "[a-z]{1,12}",
        value in "[a-z][a-z#=,0-9]{0,20}",
        golden in "([ -~]{0,30}\\n){0,3}",
    ) {
        let comment = comment.trim_end().to_owned();
        let mut timeline = run(seed, Budget::DEFAULT).to_timeline();
        timeline.head.push(HeadLine::Entry { key, value, comment: Some(comment.clone()) });
        timeline.body.insert(1, BodyLine::Comment(comment.clone()));
        timeline.body.insert(1, BodyLine::Blank);
        if let Some(BodyLine::Step(step)) = timeline.body.first_mut() {
            step.comment = Some(comment);
        }
        timeline.golden = Some(golden);
        let text = timeline.to_string();
        let read: Timeline = text.parse()?;
        prop_assert_eq!(read.to_string(), &*text);
        prop_assert_eq!(read.identity(), timeline.identity());
        let printed: Vec<_> = timeline.steps().map(|step| step.choice.clone()).collect();
        let known: Vec<_> = read.steps().map(|step| step.choice.clone()).collect();
        prop_assert_eq!(known, printed);
        let twin = jsonl::print(&timeline);
        let of_twin = jsonl::read(twin.as_bytes())?;
        prop_assert_eq!(of_twin.torn, None);
        prop_assert_eq!(of_twin.timeline.to_string(), text);
        prop_assert_eq!(jsonl::print(&of_twin.timeline), twin);
    }

    #[test]
    fn a_torn_twin_is_told_or_has_lost_its_last_line_end_alone(
        seed in any::<u64>(), cut in any::<Index>(),
    ) {
        let timeline = run(seed, Budget::DEFAULT).to_timeline();
        let twin = jsonl::print(&timeline);
        let cut = cut.index(twin.len());
        let whole_lines = twin[..cut].lines().count();
        match jsonl::read(&twin.as_bytes()[..cut]) {
            Ok(read) => {
                prop_assert!(twin.starts_with(&jsonl::print(&read.timeline)));
                let is_cut_inside = !(twin[..cut].ends_with('\n') || twin[cut..].starts_with('\n'));
                prop_assert_eq!(read.torn, is_cut_inside.then_some(whole_lines));
            }
            Err(error) => prop_assert_eq!((error.line, whole_lines <= 1), (1, true)),
        }
    }

    #[test]
    fn no_lines_make_the_twins_reader_stumble(
        lines in vec(select(&LINES[..]), 0..8), junk in "[ -~]{0,12}", at in any::<Index>(),
    ) {
        let mut text = lines.join("\n");
        text.insert_str(at.index(text.len() + 1), &junk);
        if let Ok(read) = jsonl::read(text.as_bytes()) {
            let printed = read.timeline.to_string();
            let again: Timeline = printed.parse()?;
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn no_text_makes_the_reader_stumble(
        text in "(timeline 1\\n)?([a-z@+#.0-9> -]{0,40}\\n){0,6}",
    ) {
        if let Ok(timeline) = text.parse::<Timeline>() {
            let printed = timeline.to_string();
            let again: Timeline = printed.parse()?;
            prop_assert_eq!(again.to_string(), printed);
        }
    }
}
