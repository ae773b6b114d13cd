//! Clients that launch one session after the other, and note what they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::disk::Workplace;
use crate::support::{agent, wire};
use crate::tools::launch_request;

/// How long some ends may take. It is only meant to tell a hang from a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients at the same time.
const LANES: u64 = 3;

/// What was told to anybody.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) launched: BTreeSet<String>,
    /// Those that were told to run.
    pub(super) running: BTreeSet<String>,
    /// Those that were told to have ended, and how.
    pub(super) ends: BTreeMap<String, Value>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<(Told, bool)>,
    changed: Condvar,
}

/// Work that goes on until it is ended.
pub(super) struct Work {
    shared: Arc<Shared>,
    lanes: Vec<JoinHandle<()>>,
}

impl Work {
    pub(super) fn begin(place: &Workplace) -> Self {
        let shared = Arc::new(Shared::default());
        let lanes = (0..LANES).map(|lane| {
            let (home, shared) = (place.home.clone(), Arc::clone(&shared));
            thread::spawn(move || work(&home, lane, &shared))
        });
        let lanes = lanes.collect();
        Self { shared, lanes }
    }

    /// Returns what was told until now.
    pub(super) fn told(&self) -> Told {
        self.shared.told.lock().unwrap().0.clone()
    }

    /// Waits until so many more ends were told.
    pub(super) fn await_ends(&self, more: usize) {
        let told = self.shared.told.lock().unwrap();
        let wanted = told.0.ends.len() + more;
        let is_less = |told: &mut (Told, bool)| told.0.ends.len() < wanted;
        let waited = self.shared.changed.wait_timeout_while(told, PATIENCE, is_less).unwrap();
        assert!(!waited.1.timed_out(), "nothing is told any more");
    }

    /// Waits until everybody has come to an end.
    pub(super) fn end(self) {
        self.shared.told.lock().unwrap().1 = true;
        for lane in self.lanes {
            lane.join().expect("a client was told what it should");
        }
    }
}

fn work(home: &Path, lane: u64, shared: &Shared) {
    for number in 0.. {
        let code = ((number * LANES + lane) % 256).to_string();
        let program = agent([""; 0]).remove(0);
        let words = [program.to_str().unwrap(), "--lines", "20", "--exit", &code];
        let mut request = launch_request(&words);
        request["title"] = json!(code);
        let body = request.to_string();
        let reply = wire::ask(home, "POST", "/v1/sessions", body.as_bytes());
        if reply.status >= 500 {
            // Frozen for longer than the store is waited for: it may be stored or not, and nobody
            // was told that it is.
            continue;
        }
        let launched = reply.json();
        let id = launched["id"].as_str().unwrap().to_owned();
        {
            let mut shared = shared.told.lock().unwrap();
            shared.0.launched.insert(id.clone());
            if launched["status"] == "running" {
                shared.0.running.insert(id.clone());
            }
        }
        let end = wire::ask(home, "GET", &format!("/v1/sessions/{id}/wait"), b"").json();
        assert!(end["outcome"].is_string(), "{end}");
        let mut told = shared.told.lock().unwrap();
        told.0.ends.insert(id, end);
        shared.changed.notify_all();
        if told.1 {
            return;
        }
    }
}
