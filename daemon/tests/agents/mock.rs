//! The stand-in for the APIs of models.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;

/// Whose program it is.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../harness/agents/mock_api.py");

/// Says why there can be none, if so.
pub(crate) fn want() -> Option<&'static str> {
    let mut python = Command::new("python3");
    python.args(["-B", "-c", ""]).stdout(Stdio::null()).stderr(Stdio::null());
    let is_there = python.status().is_ok_and(|status| status.success());
    (!is_there).then_some("there is no python3")
}

/// A running one. It leaves when it is dropped.
pub(crate) struct Mock {
    child: Child,
    input: Option<ChildStdin>,
    events: Receiver<Value>,
    /// What was read while something else was awaited.
    earlier: RefCell<Vec<Value>>,
    port: u16,
}

impl Mock {
    /// Starts one that answers.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one whose port nobody listens on.
    pub(crate) fn refusing() -> Self {
        Self::start_with(&["--refuse"])
    }

    fn start_with(options: &[&str]) -> Self {
        let mut python = Command::new("python3");
        python.arg("-B").arg(Path::new(SCRIPT)).args(options);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("its port").unwrap().parse().unwrap();
        let (sender, events) = mpsc::channel();
        // Read all the time, so that it never stands in the way.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Whoever does not listen any more does not need it.
                let _unheard = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, input, events, earlier: RefCell::default(), port }
    }

    /// Returns the URL whose requests are answered as this scenario, unless a prompt says otherwise.
    pub(crate) fn url(&self, scenario: &str) -> String {
        format!("http://127.0.0.1:{}/x/{scenario}", self.port)
    }

    /// Waits for what has happened, such as a request for an answer, that is as wanted.
    pub(crate) fn await_event(&self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let fits = |event: &Value| event["event"] == kind && wanted(event);
        let mut earlier = self.earlier.borrow_mut();
        if let Some(at) = earlier.iter().position(fits) {
            return earlier.remove(at);
        }
        loop {
            let event = self.events.recv().expect("the mock has ended before it");
            if fits(&event) {
                return event;
            }
            earlier.push(event);
        }
    }

    /// Waits for the next request of a scenario.
    pub(crate) fn await_request(&self, scenario: &str) -> Value {
        self.await_event("request", |event| event["scenario"] == scenario)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        drop(self.input.take());
        // It leaves as its input has ended.
        let _ended = self.child.wait();
    }
}
