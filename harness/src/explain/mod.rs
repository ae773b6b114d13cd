//! Explains a log that somebody else wrote, or that has holes: it looks for choices of our world
//! under which everything happens that was seen, in that order.
//!
//! ```text
//! # a comment
//! ask s1 launch
//! see s1 running                 a row has this status, with whatever reason
//! see s1 completing(interrupt)   or with this one
//! see p1 up | see p1 INT | see p1 exit code 130 | see p1 gone
//! see reply accepted             what somebody was told
//! see daemon crash|boot|leave
//! exit p1 code 1                 a choice of the world, as a timeline has it
//! ask p1 a1                      the same: what can be read as a choice is one
//! {"see": "s1 running"}          the same as JSON: with `see`, `ask` or `choice`
//! ```
//!
//! Whatever was not seen is free, and cheap where it is likely. A world cannot be copied, so each
//! is made anew from its choices, and worlds that look the same are looked at once. What is found
//! was run, and so is true; that nothing is found proves nothing.

mod observation;
mod vocabulary;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::mutant::Mutants;
use crate::page::state_of;
use crate::replay::{Mode, Run, replay};
use crate::timeline::{BodyLine, Choice, Timeline};
use crate::trial::{Timed, entry, timeline_of};
use crate::world::Enabled;

pub use observation::{BadLog, Observation, What, read_log};

use observation::fact_of;

/// Worlds that one search looks at, unless it is told otherwise: about ten seconds. The clock bounds
/// nothing here, so that every machine finds the same.
pub const WORLDS: usize = 100_000;

/// Worlds that one search may look at, at most.
pub const WORLDS_MAX: usize = 1_000_000;

/// Choices that one search thinks of, at most: about 200 bytes each.
const NODES_MAX: usize = 2_000_000;

/// Choices of one schedule, at most.
const CHOICES_MAX: usize = 120;

/// What an observation that is not met yet is worth, in the price of choices.
const WORTH: usize = 6;

/// What a choice costs that no rule below names.
const PRICE: usize = 5;

/// What choices cost, by the beginning of their words; the first that fits counts. What goes well is
/// cheap, so that it is tried before what fails.
const PRICES: [(&str, usize); 19] = [
    ("write ok", 1),
    ("read ok", 1),
    ("spawn ok", 1),
    ("attach", 2),
    ("fork", 3),
    ("boot same", 1),
    ("boot other", 8),
    ("reap", 1),
    ("signal", 1),
    ("exit", 3),
    ("due", 2),
    ("user launch", 2),
    ("user queue", 3),
    ("user", 4),
    ("report", 3),
    ("request", 4),
    ("write conflict", 9),
    ("crash", 8),
    ("shutdown", 8),
];

/// Choices that no fact of a log can tell, by the beginning of their words. They are made only where
/// the log has them as choices.
const UNTOLD: [&str; 16] = [
    "turn ",
    "user finish",
    "connect ",
    "drop ",
    "stall ",
    "go ",
    "fetch ",
    "show ",
    "say ",
    "ask ",
    "second ",
    "user continue ",
    "user draft ",
    "user start ",
    "user approve ",
    "user bypass ",
];

/// What came of a search.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The choices that go furthest, each with what it explains.
    pub timeline: Timeline,
    /// How many observations they explain, from the first on.
    pub explained: usize,
    /// The first that they do not explain, or `None`: then the log is explained.
    pub stuck_at: Option<Observation>,
    /// How many worlds were looked at.
    pub worlds: usize,
    /// What kept the search from looking at more; `None` where there was no more.
    pub bound: Option<Bound>,
}

/// What ends a search that has not looked at everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bound {
    /// It has looked at as many worlds as it was allowed.
    Worlds,
    /// It has thought of as many choices as there is room for.
    Choices,
    /// Schedules became as long as they may.
    Length,
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worlds => formatter.write_str("as many as --worlds allows"),
            Self::Choices => write!(formatter, "there is room for {NODES_MAX} choices"),
            Self::Length => write!(formatter, "none with more than {CHOICES_MAX} choices"),
        }
    }
}

/// One choice, in the tree of all schedules that were thought of.
struct Node {
    /// The place of the node before it; its own where there is none.
    parent: usize,
    /// The choice; none at the root.
    step: Option<Timed>,
    /// How many observations are explained, this choice included once it was run.
    met: usize,
    price: usize,
    /// The choices since the daemon was last at rest, sorted: what they brought may still wait in a
    /// mailbox, where nobody sees it.
    held: Vec<String>,
}

/// Looks for choices that explain a log, in a world with these mistakes, among so many worlds.
#[must_use]
pub fn explain(log: &[Observation], mutants: Mutants, worlds_max: usize) -> Explanation {
    let root = Node { parent: 0, step: None, met: 0, price: 0, held: Vec::new() };
    let mut search = Search {
        log,
        mutants,
        queue: BinaryHeap::from([(Reverse(0), Reverse(0))]),
        nodes: vec![root],
        known: BTreeSet::new(),
        sessions: sessions_of(log),
        bound: None,
    };
    let (mut best, mut worlds) = (0, 0);
    while let Some((_, Reverse(place))) = search.queue.pop() {
        if worlds >= worlds_max {
            search.bound = Some(Bound::Worlds);
            break;
        }
        worlds += 1;
        if search.visit(place) && search.nodes[place].met > search.nodes[best].met {
            best = place;
        }
        if search.nodes[best].met == log.len() {
            break;
        }
    }
    let explained = search.nodes[best].met;
    Explanation {
        timeline: search.told(best),
        explained,
        stuck_at: log.get(explained).cloned(),
        worlds,
        bound: search.bound,
    }
}

/// A search on its way.
struct Search<'a> {
    log: &'a [Observation],
    mutants: Mutants,
    /// The cheapest first; of those, the one that came first.
    queue: BinaryHeap<(Reverse<usize>, Reverse<usize>)>,
    nodes: Vec<Node>,
    known: BTreeSet<u64>,
    /// How many sessions the log speaks of.
    sessions: u16,
    /// What made it leave something out, if anything did.
    bound: Option<Bound>,
}

impl Search<'_> {
    /// Returns the places of a node and of all before it, from the first choice on.
    fn path(&self, place: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = place;
        while self.nodes[at].step.is_some() {
            path.push(at);
            at = self.nodes[at].parent;
        }
        path.reverse();
        path
    }

    /// Runs a schedule and puts everything that may follow into the queue. Says whether its last
    /// choice can be made, and leads to a world that was not known.
    fn visit(&mut self, place: usize) -> bool {
        let mut run = Run::of(self.mutants);
        let path = self.path(place);
        for at in &path {
            let made = self.nodes[*at].step.as_ref();
            let made = made.map(|(at_ms, choice)| run.choose(*at_ms, choice).is_ok());
            if made == Some(false) {
                return false;
            }
        }
        let menu = run.world().enabled();
        let met = self.met_after(&run, place, path.len());
        let held = self.held_after(&menu, place);
        self.nodes[place].met = met;
        self.nodes[place].held = held;
        if !self.known.insert(likeness(&run, &menu, &self.nodes[place])) {
            return false;
        }
        if met < self.log.len() {
            if path.len() < CHOICES_MAX {
                self.follow(&run, &menu, place);
            } else {
                self.bound = Some(Bound::Length);
            }
        }
        true
    }

    /// Returns how many observations are explained after the last choice.
    fn met_after(&self, run: &Run, place: usize, step: usize) -> usize {
        let Node { met, step: made, .. } = &self.nodes[place];
        let mut met = *met;
        let next = |met: usize| self.log.get(met).map(|seen| &seen.what);
        if let (Some((_, choice)), Some(What::Chosen(wanted))) = (made, next(met))
            && choice == wanted
        {
            met += 1;
        }
        run.world().read_log(0, |entry| {
            let fact = (entry.step == step).then(|| fact_of(&entry.record)).flatten();
            if let Some(fact) = fact
                && next(met).is_some_and(|what| what.is_met_by(&fact))
            {
                met += 1;
            }
        });
        met
    }

    /// Returns the choices of which something may wait after the last.
    fn held_after(&self, menu: &[Enabled], place: usize) -> Vec<String> {
        let Node { parent, step, .. } = &self.nodes[place];
        if !menu.iter().any(|enabled| is_answer(&enabled.choice)) {
            return Vec::new();
        }
        let mut held = self.nodes[*parent].held.clone();
        let own = step.as_ref().filter(|(_, choice)| !is_answer(choice));
        held.extend(own.map(|(_, choice)| choice.to_string()));
        held.sort();
        held
    }

    /// Puts every choice that may follow into the queue.
    fn follow(&mut self, run: &Run, menu: &[Enabled], place: usize) {
        let now_ms = run.world().now_ms();
        let Node { met, price, .. } = self.nodes[place];
        let wanted = self.wanted(met, menu).into_iter().map(|choice| {
            let known = menu.iter().find(|enabled| enabled.choice == choice);
            (known.map_or(0, |enabled| enabled.after_ms), choice, WORTH)
        });
        let free = menu.iter().filter(|enabled| self.is_about_the_log(&enabled.choice));
        let free = free.map(|enabled| (enabled.after_ms, enabled.choice.clone(), 0));
        let follows: Vec<_> = wanted.chain(free).collect();
        for (after_ms, choice, bonus) in follows {
            if self.nodes.len() >= NODES_MAX {
                self.bound = Some(Bound::Choices);
                return;
            }
            let price = price + price_of(&choice);
            let estimate = price + (self.log.len() - met) * WORTH;
            self.queue.push((Reverse(estimate - bonus), Reverse(self.nodes.len())));
            let step = Some((now_ms.saturating_add(after_ms), choice));
            self.nodes.push(Node { parent: place, step, met, price, held: Vec::new() });
        }
    }

    /// Returns the timeline of a schedule, each choice with what it explains.
    fn told(&self, place: usize) -> Timeline {
        let head = vec![
            entry("id", "explained"),
            entry("from", format!("a log of {} observations", self.log.len())),
        ];
        let path = self.path(place);
        let schedule: Vec<_> = path.iter().filter_map(|at| self.nodes[*at].step.clone()).collect();
        let mut timeline = timeline_of(head, &schedule, false);
        if self.mutants == Mutants::NONE {
            timeline.golden = replay(&timeline, Mode::Strict).map(|outcome| outcome.golden).ok();
        }
        let mut before = 0;
        let steps = timeline.body.iter_mut().filter_map(|line| match line {
            BodyLine::Step(step) => Some(step),
            BodyLine::Blank | BodyLine::Comment(_) | BodyLine::Fair => None,
        });
        for (step, at) in steps.zip(path) {
            let met = self.nodes[at].met;
            let seen = self.log[before..met].iter().map(|seen| seen.what.to_string());
            let seen: Vec<_> = seen.collect();
            step.comment = (!seen.is_empty()).then(|| format!(" {}", seen.join("; ")));
            before = met;
        }
        timeline
    }

    /// Returns the choices by which the next observation would come true at once.
    fn wanted(&self, met: usize, menu: &[Enabled]) -> Vec<Choice> {
        let Some(Observation { what, .. }) = self.log.get(met) else {
            return Vec::new();
        };
        let told = match what {
            What::Chosen(choice) => return vec![choice.clone()],
            What::Fact(told) => told.as_str(),
        };
        let words: Vec<&str> = told.split(' ').collect();
        let texts = match words.as_slice() {
            ["ask", session, request] => vec![format!("user {request} {session}")],
            ["see", process, "exit", "code", code] => {
                // By itself, or by the hand of a signal that is on its way.
                let on_its_way = menu.iter().map(|enabled| enabled.choice.to_string());
                let by_signal = on_its_way.filter_map(|text| {
                    let start = text.strip_suffix(" exits 0")?;
                    let is_its = start.starts_with(&format!("signal {process} "));
                    (is_its && !start.contains("reports")).then(|| format!("{start} exits {code}"))
                });
                [format!("exit {process} code {code}")].into_iter().chain(by_signal).collect()
            }
            ["see", process, "exit", how @ ..] => vec![format!("exit {process} {}", how.join(" "))],
            _ => Vec::new(),
        };
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// Whether a choice can have to do with the log: it begins no session that the log does not
    /// speak of, and changes what a log can tell.
    fn is_about_the_log(&self, choice: &Choice) -> bool {
        let text = choice.to_string();
        let is_told = |start: &&str| text.starts_with(start);
        sessions_in(&text).all(|number| number <= self.sessions) && !UNTOLD.iter().any(is_told)
    }
}

/// Returns how many sessions a log speaks of: one at least.
fn sessions_of(log: &[Observation]) -> u16 {
    let told = log.iter().map(|seen| seen.what.to_string());
    let most = told.filter_map(|told| sessions_in(&told).max()).max();
    most.unwrap_or(1).max(1)
}

/// Returns the numbers of the sessions that a text names.
fn sessions_in(text: &str) -> impl Iterator<Item = u16> {
    text.split([' ', '#']).filter_map(|word| word.strip_prefix('s')?.parse().ok())
}

fn price_of(choice: &Choice) -> usize {
    let text = choice.to_string();
    let known = PRICES.iter().find(|(start, _)| text.starts_with(start));
    known.map_or(PRICE, |(_, price)| *price)
}

/// Whether a choice answers a call for which a task waits, so that the task is at work.
fn is_answer(choice: &Choice) -> bool {
    matches!(choice, Choice::Write { .. } | Choice::Read { .. } | Choice::Signal { .. })
}

/// Returns a number that two worlds share where nothing tells them apart: what can be seen, what
/// can be chosen, what decides in each session, and what may wait for it.
fn likeness(run: &Run, menu: &[Enabled], node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    (node.met, &node.held).hash(&mut hasher);
    state_of(run).hash(&mut hasher);
    let recording = run.world().recording();
    let latest: BTreeMap<_, _> =
        recording.iter().map(|(session, entry)| (session, entry.fingerprint)).collect();
    latest.hash(&mut hasher);
    for enabled in menu {
        enabled.after_ms.hash(&mut hasher);
        enabled.choice.hash(&mut hasher);
    }
    hasher.finish()
}
