//! The format of timelines: what is printed is read the same, whatever it is.

use candor_harness::random::{Budget, run};
use candor_harness::timeline::{BodyLine, HeadLine, Timeline};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

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
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(read.identity(), timeline.identity());
        let printed: Vec<_> = timeline.steps().map(|step| step.choice.clone()).collect();
        let known: Vec<_> = read.steps().map(|step| step.choice.clone()).collect();
        prop_assert_eq!(known, printed);
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
