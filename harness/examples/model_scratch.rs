//! Scratch.
#![allow(clippy::print_stdout, reason = "scratch")]
use candor_harness::model::*;
fn show(c: &Config) {
    let r = explore(c);
    println!("{:<14} states {:>9} trans {:>10} depth {:>3} values {:?} {:?} {:.2} Mt/s xor {:016x}", c.name, r.states, r.transitions, r.depth, r.values, r.elapsed, r.transitions_per_second()/1e6, r.fingerprint_xor);
    for v in r.violations.iter() {
        println!("  {} depth {} ", v.id(), v.depth);
        for c in &v.trace { println!("      {c}"); }
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    match a[1].as_str() {
        "push" => for c in Config::PUSH { show(&c) },
        "night" => for c in Config::NIGHTLY { show(&c) },
        "m" => { let m = mutants(); println!("{m}"); println!("idle {:?}", m.idle_invariants()); println!("survivors {:?}", m.survivors()); }
        "d" => for f in doctor() { println!("{f}") },
        n => for c in Config::PUSH.iter().chain(&Config::NIGHTLY).filter(|c| c.name == n) { show(c) },
    }
}
