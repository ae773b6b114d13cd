//! A failure becomes short, stays the same failure, and is told with the order that matters.

use std::fs;
use std::path::Path;

use candor_harness::check::check;
use candor_harness::failure::Story;
use candor_harness::mutant::{Mutant, Mutants};
use candor_harness::order::order_of;
use candor_harness::replay::Mode;
use candor_harness::shrink::Failing;
use candor_harness::timeline::{Timeline, load};
use candor_harness::trial::entry;
use expect_test::expect;

const ORIGINAL_BUG: Mutants = Mutants::only(Mutant::M01);

fn timeline(name: &str) -> Timeline {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    fs::read_to_string(folder.join(name)).unwrap().parse().unwrap()
}

fn failing(mutants: Mutants) -> Failing {
    Failing::of_timeline(&timeline("exit_meets_unstored_interrupt.timeline"), mutants).unwrap()
}

#[test]
fn a_failure_is_told_on_one_screen_with_the_order_that_matters() {
    let story = Story::of_shrunk("A01", &failing(ORIGINAL_BUG)).to_string();
    let lines: Vec<_> = story.lines().collect();
    assert!(lines.len() <= 40 && lines.iter().all(|line| line.chars().count() <= 120), "{story}");
    expect![[r#"
        INV-05: what somebody asked to end is shown as interrupted, never as failed
        A01 under M01, 6 of 10 choices kept; a dot marks what the fair end chose

                    world                      clients            core          store                   process         bus
         1   @0     user launch s1                                write s1#1 ->
         2   @0     write ok s1#1                                               s1.1 starting                           pub 1
                                               replied 1 accepted spawn s1 ->
         3   @0     spawn ok s1 -> p1                                                                   forked p1 of s1
                                                                  write s1#2 ->
         4   @0     user interrupt s1
         5   @0     exit p1 code 1                                                                      died p1 code 1
         6   @0     reap p1
         7.  @0     write ok s1#2                                               s1.2 running                            pub 2
                                                                  INT p1 ->                             seen p1
                                                                  write s1#3 ->
        !8.  @0     write ok s1#3                                               s1.3 failed(exit_code)                  pub 3
        !     ^ INV-05: s1.3 is failed exit_code, and we had signalled it
        also broken: INV-17, INV-34
        the order that matters: [3 spawn ok s1 -> p1] before [4 user interrupt s1]; swap them and it passes
    "#]].assert_eq(&story);
}

/// The shortest one joins the corpus: it passes on what ships, and its mutant breaks what it says.
#[test]
fn what_is_left_is_a_witness_that_the_corpus_takes() {
    let original = failing(ORIGINAL_BUG);
    let short = original.shrunk();
    assert!(short.schedule.len() < original.schedule.len());
    assert!(short.is_faithful_to(&original));
    let witness = short.to_timeline(vec![entry("id", "short")], Some(Mutant::M01));
    expect![[r#"
        timeline 1
        id      short
        world   sessions=1 subs=0 crash=0 dbfault=0
        expect  pass
        mutant  M01 violates INV-05

        @+0     user launch s1
        @+0     write ok s1#1
        @+0     spawn ok s1 -> p1
        @+0     user interrupt s1
        @+0     exit p1 code 1
        @+0     reap p1
        ----
        s1   starting
        bus  s1.1 none>starting
        fx   write:s1#1  pub:1  spawn:s1  write:s1#2
        said launch s1: accepted;
        end  waiting  hash 8739121bd44f82b6
    "#]]
    .assert_eq(&witness.to_string());
    check(&witness, Mode::Strict).unwrap();
    let again: Timeline = witness.to_string().parse().unwrap();
    assert_eq!(again.to_string(), witness.to_string());
}

/// M37 takes any breach for the one that it was given, and what it leaves is noticed as another.
#[test]
fn a_shrinker_that_takes_another_breach_is_noticed() {
    let original = failing(ORIGINAL_BUG.and(Mutant::M37));
    let short = original.shrunk();
    assert!(
        !short.is_faithful_to(&original),
        "{:?} and {:?}",
        original.key,
        short.trial.violations
    );
    assert!(failing(ORIGINAL_BUG).shrunk().is_faithful_to(&original));
}

/// Shrinking what is short already changes nothing more.
#[test]
fn shrinking_twice_is_shrinking_once() {
    let once = failing(ORIGINAL_BUG).shrunk();
    assert_eq!(once.shrunk().schedule, once.schedule);
}

/// Every mutant of the corpus that this level makes: short, still the same failure, and a witness
/// that the corpus would take.
#[test]
fn every_witness_of_the_corpus_is_one_when_it_is_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("timelines");
    for (path, timeline) in load(&[folder]).unwrap() {
        for victim in timeline.victims() {
            let mutant: Mutant = victim.mutant.parse().unwrap();
            let original = Failing::of_timeline(&timeline, Mutants::only(mutant)).unwrap();
            let short = original.shrunk();
            let name = format!("{} on {mutant}", path.display());
            assert!(short.is_faithful_to(&original), "{name}");
            let head = vec![entry("id", "short")];
            let witness = short.to_timeline(head, Some(mutant));
            if let Err(failure) = check(&witness, Mode::Strict) {
                panic!("{name}: {failure}\n{witness}");
            }
        }
    }
}

fn order(name: &str, mutant: Mutant) -> String {
    let failing = Failing::of_timeline(&timeline(name), Mutants::only(mutant)).unwrap();
    order_of(&failing).to_string()
}

/// A nearer pair is told, even where it takes another choice with it; and where no pair helps, that.
#[test]
fn the_order_that_matters_is_named_or_said_not_to_matter() {
    expect!["the order that matters: [5 user interrupt s1] before [8 crash]; swap them and it passes (without 2 others, which cannot be made then)"]
        .assert_eq(&order("crash_meets_interrupted_session.timeline", Mutant::M10));
    expect!["no order helps against INV-11: each swap of two near choices (15 tried) breaks something, or cannot be made"].assert_eq(&order("interrupt_meets_full_disk.timeline", Mutant::M17));
}
