//! Many agents at the same time, each interrupted at a random moment.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::kind::Kind;
use crate::mock::Mock;
use crate::stage::{MARK, assert_nothing_has, time, told};
use crate::suite::{of_this_run, tell};
use crate::support::{Place, Said, assert_chain, wire};

/// How many to interrupt, if somebody says so.
const COUNT: &str = "CANDOR_AGENTS_INTERRUPTS";

/// The seed of an earlier run, if its moments are wanted again.
const SEED: &str = "CANDOR_AGENTS_SEED";

/// Agents that run at the same time.
const LANES: usize = 8;

/// Of so many, the kinds of each. A real one costs seconds of a processor, a replayed one nothing.
const KINDS: [(Kind, usize); 5] = [
    (Kind::Replayed, 12),
    (Kind::Claude, 4),
    (Kind::Codex, 2),
    (Kind::Gemini, 1),
    (Kind::Opencode, 1),
];

/// What each is doing meanwhile.
const SCENARIOS: [&str; 4] = ["ok", "hang", "hangmid", "shell sleep 300"];

/// What a replayed one is doing meanwhile: also what loses an interrupt during its start.
const STEPS: [&str; 7] = [
    "say done",
    "hang",
    "say I was about to\nhang",
    "tool sleep 300",
    "ask true\nsay done",
    "swallow\ntool sleep 0.05\ninit\nhang",
    "background sleep 300\nsay left",
];

/// Numbers after a seed: `SplitMix64`.
struct Random(u64);

impl Random {
    /// Returns a number below `end`, which is not 0.
    const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// What came of those of one kind.
#[derive(Default)]
struct Sum {
    interrupted: usize,
    succeeded: usize,
    slowest_ms: i64,
}

#[test]
fn interrupts_at_random_moments() {
    let count = env::var(COUNT).ok().map(|count| count.parse().unwrap());
    let count = count.unwrap_or_else(|| of_this_run(20, 100));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or(since.as_secs());
    // Where nobody reads, nobody needs to know.
    let _unread = writeln!(io::stderr(), "the seed is {seed}: {SEED}={seed} repeats it");
    let name = "interrupts_at_random_moments";
    tell(name, "begun");
    let (place, mock) = (Place::new(), Mock::start());
    // The daemon must not have the mark, by which only sessions are found.
    place.run(["daemon", "start"]).expect(0);
    let (next, sums) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, Sum>::new()));
    let url = mock.url("ok");
    let kinds = kinds();
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let kind = kinds[number % kinds.len()];
                    let mut random = Random(seed.wrapping_mul(1_000_003) + number as u64);
                    let (is_interrupted, took_ms) =
                        interrupt(&place, &url, kind, number, &mut random);
                    let mut sums = sums.lock().unwrap();
                    let sum = sums.entry(format!("{kind:?}").to_lowercase()).or_default();
                    sum.interrupted += usize::from(is_interrupted);
                    sum.succeeded += usize::from(!is_interrupted);
                    sum.slowest_ms = sum.slowest_ms.max(took_ms);
                }
            });
        }
    });
    assert_nothing_has(&mark(&place));
    let failed = place.events([""; 0]).iter().filter(|event| event["to"] == "failed").count();
    assert_eq!(failed, 0, "somebody was told of a failure");
    let sums = sums.into_inner().unwrap();
    let lines = sums.iter().map(|(kind, sum)| {
        let Sum { interrupted, succeeded, slowest_ms } = sum;
        format!("{kind}: {interrupted} interrupted, {succeeded} succeeded, slowest {slowest_ms} ms")
    });
    let lines: Vec<_> = lines.collect();
    tell(name, &format!("passed: {count} interrupts, seed {seed}, 0 failed; {}", lines.join("; ")));
}

/// Returns the kinds that can be had, each as often as it is to come.
fn kinds() -> Vec<Kind> {
    let there = KINDS.into_iter().filter(|(kind, _)| kind.needs().is_none());
    there.flat_map(|(kind, times)| std::iter::repeat_n(kind, times)).collect()
}

fn mark(place: &Place) -> String {
    format!("{MARK}={}", place.folder().display())
}

/// Launches one, interrupts it after a while, and judges what came of it. Returns whether it was
/// interrupted, and how long it took from that to its end, in milliseconds.
fn interrupt(
    place: &Place,
    url: &str,
    kind: Kind,
    number: usize,
    random: &mut Random,
) -> (bool, i64) {
    let user = place.path(&format!("user-{number}"));
    let config = user.join("config");
    fs::create_dir_all(&config).unwrap();
    let environment = kind.settle(&user, &config, url);
    let prompt = match kind {
        Kind::Replayed => format!("steps:\n{}", random.one_of(&STEPS)),
        Kind::Claude | Kind::Codex | Kind::Gemini | Kind::Opencode => {
            format!("do it @@{}", random.one_of(&SCENARIOS))
        }
    };
    // From before its start to after its end, if nobody interrupts it.
    let span_ms = match kind {
        Kind::Replayed => 150,
        Kind::Codex => 1_500,
        Kind::Claude => 5_000,
        Kind::Gemini => 8_000,
        Kind::Opencode => 15_000,
    };
    let id = launch(place, &user, &environment, kind, &prompt);
    // It is the moment that is tested, and no event.
    thread::sleep(Duration::from_millis(random.below(span_ms)));
    let reply = wire::ask(&place.home(), "POST", &format!("/v1/sessions/{id}/interrupt"), b"");
    assert!([200, 409].contains(&reply.status), "{reply:?}");
    let session = place.end_of(&id);
    let events = place.story(&id);
    let judged = judge(&session, &events);
    // The next thousand need the room.
    fs::remove_dir_all(&user).unwrap();
    judged.unwrap_or_else(|why| {
        panic!("{kind:?} number {number} on {prompt:?}: {why}\n{session:#}\n{}", told(&events))
    })
}

fn launch(
    place: &Place,
    user: &Path,
    environment: &[(String, OsString)],
    kind: Kind,
    prompt: &str,
) -> String {
    let words = [&[kind.name(), "--detach"], kind.trusted(), &[prompt]].concat();
    let mut command = place.candor(words);
    command.env_clear();
    place.settle(&mut command);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.env("XDG_CONFIG_HOME", user.join("config")).env(MARK, place.folder());
    Said::by(command).expect(0).stdout().trim().to_owned()
}

/// Holds the promise against one session: it was interrupted unless a report of success came first.
fn judge(session: &Value, events: &[Value]) -> Result<(bool, i64), String> {
    assert_chain(events);
    if events.iter().any(|event| event["to"] == "failed") {
        return Err("somebody was told that it has failed".to_owned());
    }
    let at = |cause: &str| events.iter().position(|event| event["cause"] == cause);
    let asked = at("interrupt");
    let is_reported = match (at("reported"), asked) {
        (Some(reported), Some(asked)) => reported < asked,
        (None, Some(_)) => false,
        // It ended before anybody asked.
        (Some(_) | None, None) => true,
    };
    let expected = if is_reported { "succeeded" } else { "interrupted" };
    if session["status"] != "completed" || session["outcome"] != expected {
        return Err(format!("it has not {expected}"));
    }
    let took = asked.map_or(0, |asked| time(&events[events.len() - 1]) - time(&events[asked]));
    Ok((!is_reported, took))
}
