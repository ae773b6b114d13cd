//! The page of a timeline: complete, closed in itself, and deaf to whatever stands in a title.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use candor_harness::mutant::{Mutant, Mutants};
use candor_harness::page::page;
use candor_harness::random::{Budget, run};
use candor_harness::timeline::Timeline;
use proptest::prelude::{ProptestConfig, proptest};

/// Bytes of a page of 60 steps, at most.
const BYTES_MAX: usize = 200_000;

const ATTACK: &str = "</script><img src=x onerror=alert(1)>";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('>', "&gt;")
}

fn corpus(name: &str) -> Timeline {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    fs::read_to_string(folder.join(name)).unwrap().parse().unwrap()
}

/// Says that nothing leads out of a page, and that what it executes is what we wrote.
fn is_closed(page: &str) {
    for reference in ["http:", "https:", "src=", "href", "@import", "url(h", "javascript:"] {
        assert!(!page.contains(reference), "the page has `{reference}`");
    }
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert_eq!(page.matches("<img").count(), 0);
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_step_stands_in_the_lanes_and_in_the_table() {
    let timeline = corpus("exit_meets_unstored_interrupt.timeline");
    let page = page(&timeline, Mutants::NONE);
    is_closed(&page);
    for (at, step) in timeline.steps().enumerate() {
        let choice = escaped(&step.choice.to_string());
        // Once drawn, once in the table, and once in the timeline that can be copied.
        assert!(page.matches(&choice).count() >= 3, "{choice}");
        assert!(page.contains(&format!("data-step=\"{}\"", at + 1)));
    }
    assert!(page.contains("role=\"img\"") && page.contains("<caption>"));
    let last = timeline.steps().count();
    assert!(page.contains(&format!("data-start=\"{last}\"")), "what passes opens at its end");
    assert!(!page.contains("Another outcome"), "the golden block is the outcome");
}

#[test]
fn a_breach_is_red_and_told_and_the_outcomes_stand_side_by_side() {
    let timeline = corpus("exit_meets_unstored_interrupt.timeline");
    let page = page(&timeline, Mutants::only(Mutant::M01));
    is_closed(&page);
    for part in ["INV-05", "the order that matters", "class=\"bad\"", "(here it breaks)"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("<del>s1   starting") && page.contains("<ins>s1   starting"));
    assert!(page.contains("what the mutant does") && page.contains("completed(interrupted)"));
}

#[test]
fn sixty_steps_are_a_small_page() {
    let long = (0..).map(|seed| run(seed, Budget::DEFAULT)).find(|drawn| drawn.steps.len() >= 60);
    let page = page(&long.unwrap().to_timeline(), Mutants::NONE);
    is_closed(&page);
    assert!(page.len() < BYTES_MAX, "{} bytes", page.len());
}

#[test]
fn a_title_and_a_comment_cannot_become_markup() {
    let text = format!(
        "timeline 1\nid      {ATTACK}\ntitle   {ATTACK}\n# {ATTACK}\n\n@0      user launch s1 #{ATTACK}\n----\n{ATTACK}\n"
    );
    let page = page(&text.parse().unwrap(), Mutants::NONE);
    assert_eq!(page.matches("<img").count(), 0);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"));
}

/// What does not fit into its lane can be read where a reader points, and behind no arrow.
#[test]
fn a_long_choice_is_cut_in_the_drawing_alone() {
    let long =
        "user launch s1 timeout=1000 grace=1000,2000 linger=3000 codes=0,1,2,3 always_reports";
    let page = page(&format!("timeline 1\n@0 {long}\n").parse().unwrap(), Mutants::NONE);
    let drawn = &page[page.find("<svg").unwrap()..page.find("</svg>").unwrap()];
    assert!(
        drawn.contains(&format!("<title>{long}")) && drawn.contains("grace=1000,20…</text>"),
        "{drawn}"
    );
    let last_arrow = drawn.rfind("class=\"answer\"").unwrap_or_default();
    assert!(last_arrow < drawn.find("class=\"words\"").unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The tags of a page are those of a page without a title, whatever the title is.
    #[test]
    fn no_title_adds_a_tag(title in "[<>\"'&/a-z= !-]{0,40}") {
        let tags = |title: &str| {
            let text = format!("timeline 1\ntitle x{title}\n@0 user launch s1\n");
            let page = page(&text.parse().unwrap(), Mutants::NONE);
            let starts = page.split('<').skip(1);
            starts.map(|tag| tag.split('>').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let (with, without) = (tags(&title), tags(""));
        assert_eq!(with.len(), without.len());
        let known: BTreeSet<_> = without.iter().collect();
        assert!(with.iter().all(|tag| known.contains(tag)));
    }
}
