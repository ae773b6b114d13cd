//! Agents as the daemon drives them, shown by one that speaks as Claude Code does. What real agents do
//! is shown by `daemon/tests/agents`.

mod continued;
mod decided;
mod ordered;
mod private;
mod turns;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use candor_harness::programs::fake_agent;
use serde_json::Value;

use crate::support::{Place, Said};

/// A place where `candor claude` runs the replayed agent.
pub(crate) struct Stage {
    place: Place,
}

impl std::ops::Deref for Stage {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        let programs = place.path("programs");
        fs::create_dir(&programs).unwrap();
        symlink(fake_agent(), programs.join("claude")).unwrap();
        let claude = programs.join("claude");
        place.configure(&format!("[agents]\nclaude = {claude:?}\n"));
        Self { place }
    }

    /// Returns `candor claude` on these steps, with these options.
    fn claude(&self, options: &[&str], steps: &[String]) -> Command {
        let prompt = format!("steps:\n{}", steps.join("\n"));
        let words = ["claude"].iter().chain(options).map(OsString::from);
        self.place.candor(words.chain([OsString::from("--"), prompt.into()]))
    }

    /// Launches the agent on these steps, and returns the id of its session.
    fn begin(&self, options: &[&str], steps: &[String]) -> String {
        let options: Vec<&str> = ["-d"].iter().chain(options).copied().collect();
        let said = Said::by(self.claude(&options, steps)).expect(0);
        said.stdout().trim().to_owned()
    }

    /// Waits until a request is open, and returns it.
    fn asked(&self, id: &str) -> Value {
        let mut events = self.follow_events();
        events.value(|event| event["session"] == id && event["cause"] == "request_opened");
        let session = self.session(id);
        let requests = session["requests"].as_array().unwrap();
        requests.iter().find(|request| request["state"] == "open").unwrap().clone()
    }

    /// Waits until a session says so for the `count`th time.
    fn await_cause(&self, id: &str, cause: &str, count: usize) {
        let mut events = self.follow_events();
        for _ in 0..count {
            events.value(|event| event["session"] == id && event["cause"] == cause);
        }
    }

    fn causes(&self, id: &str) -> Vec<String> {
        let story = self.story(id);
        story.iter().map(|event| event["cause"].as_str().unwrap().to_owned()).collect()
    }
}

/// Returns the step that runs a command which needs no permission.
fn tool(command: &str) -> String {
    format!("tool {command}")
}

/// Returns the step that asks for a command and runs it when it may.
fn ask(command: &str) -> String {
    format!("ask {command}")
}

fn touch(path: &Path) -> String {
    format!("touch {}", path.display())
}
