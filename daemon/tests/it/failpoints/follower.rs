//! A client of a timeline, which follows the events.

use std::collections::VecDeque;

use candor_harness::timeline::Timeline;
use serde_json::Value;

use super::golden;
use crate::support::{Place, Running};

/// The only client that any timeline here has.
const NAME: &str = "c1";

/// A client, connected or not.
pub(crate) struct Follower {
    process: Option<Running>,
    /// The places of the events that it gets, from one connection to the next.
    expected: VecDeque<Vec<u64>>,
    cursor: u64,
}

impl Follower {
    pub(crate) fn new(timeline: &Timeline) -> Self {
        let mut expected = VecDeque::new();
        for word in golden::line(timeline, NAME) {
            if word.starts_with("after") {
                expected.push_back(Vec::new());
            } else {
                expected.back_mut().unwrap().push(word.parse().unwrap());
            }
        }
        Self { process: None, expected, cursor: 0 }
    }

    /// Connects, and reads on after the last event that it has.
    pub(crate) fn connect(&mut self, place: &Place) {
        let after = self.cursor.to_string();
        let words = ["events", "--json", "--follow", "--after", &after];
        self.process = Some(place.start(words));
    }

    /// Checks that it gets what it is to get on this connection, and nothing in between.
    pub(crate) fn check(&mut self) {
        if let Some(mut process) = self.process.take() {
            for seq in self.expected.pop_front().unwrap() {
                let event: Value = serde_json::from_str(&process.line()).unwrap();
                assert_eq!(event["seq"], seq, "{event}");
                self.cursor = seq;
            }
        }
    }
}
