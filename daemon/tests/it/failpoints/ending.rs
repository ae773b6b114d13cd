//! The end of a play: what the real daemon tells of every session, against the golden block.

use serde_json::Value;

use super::cast::process_of;
use super::golden;
use super::play::Play;
use super::stage::Daemon;
use crate::support::assert_chain;

impl Play<'_> {
    /// Lets everything end, and compares it with the golden block.
    pub(super) fn check_end(mut self) {
        self.daemon_mut().stands_at.clear();
        for (name, part) in &self.parts {
            // A creation that was lost has no id.
            let Some(id) = &part.id else { continue };
            let asked = format!("wait {name}");
            let mut wait = self.place.candor(["wait", id]);
            self.asking.push(asked.clone());
            self.daemon().listener.ask(asked, move || wait.output().map(|_| Value::Null).ok());
        }
        while !self.asking.is_empty() {
            drop(self.next("the end of all sessions"));
        }
        let Daemon { process, listener, .. } = self.daemon.take().unwrap();
        listener.let_go();
        self.follower.check();
        self.check_stories();
        self.check_what_was_said();
        drop(process);
    }

    fn check_stories(&self) {
        let mut known = 0;
        for (name, part) in &self.parts {
            let golden = golden::line(self.timeline, &name.to_string());
            if golden.is_empty() {
                // It was never stored, and nobody was told that it was.
                continue;
            }
            known += 1;
            let id = part.id.as_ref().unwrap();
            let (session, story) = (self.place.session(id), self.place.story(id));
            assert_chain(&story);
            assert_eq!(golden::words(&story), golden, "{}", self.timeline.title());
            let last = story.last().unwrap()["cause"].as_str().unwrap();
            assert_eq!((last, &session["exit"]), (part.end.0, &part.end.1), "{session}");
            let processes = usize::from(process_of(self.timeline, *name).is_some());
            let starts = part.role.starts();
            assert!(starts <= processes, "{starts} processes where the timeline has {processes}");
            assert!(starts == processes || !self.is_left_alone, "its process never started");
        }
        assert_eq!(self.place.sessions().len(), known, "sessions that nobody has launched");
    }

    /// Nobody was told what is not so; and where the daemon was killed where the timeline leaves it,
    /// everybody was told what the block says.
    fn check_what_was_said(&mut self) {
        let mut promised = golden::line(self.timeline, "said");
        promised.retain(|said| !said.starts_with("launch") && !said.starts_with("shutdown"));
        if self.is_left_alone {
            promised.sort();
            self.said.sort();
            assert_eq!(self.said, promised, "{}", self.timeline.title());
        } else {
            assert!(self.said.iter().all(|said| promised.contains(said)), "{:?}", self.said);
        }
    }
}
