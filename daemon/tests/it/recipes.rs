//! The recipes of `docs/recipes`, run as they stand there.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Signal, kill_process_group};

use crate::support::{Place, Running};

const NOTIFY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes/notify.sh");

/// A desktop whose notifications are lines.
struct Desktop<'place> {
    place: &'place Place,
    notifications: BufReader<File>,
    last: String,
}

impl<'place> Desktop<'place> {
    fn new(place: &'place Place) -> Self {
        let (fifo, programs) = (place.fifo("notifications"), place.path("programs"));
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_candor"), programs.join("candor")).unwrap();
        let notify_send = programs.join("notify-send");
        let script =
            "#!/bin/sh\nprintf '%s|%s|%s\\n' \"$1 $2\" \"$3\" \"$4\" >\"$NOTIFICATIONS\"\n";
        fs::write(&notify_send, script).unwrap();
        fs::set_permissions(&notify_send, fs::Permissions::from_mode(0o755)).unwrap();
        // Open for writing as well, so that it never ends.
        let notifications = File::options().read(true).write(true).open(fifo).unwrap();
        Self { place, notifications: BufReader::new(notifications), last: String::new() }
    }

    /// Starts the recipe, and returns when it follows.
    fn start(&self, words: &[&str]) -> Running {
        let mut recipe = Command::new(NOTIFY);
        self.place.settle(&mut recipe);
        let path = format!("{}:{}", self.place.path("programs").display(), env!("PATH"));
        recipe.args(words).env("PATH", path);
        recipe.env("NOTIFICATIONS", self.place.path("notifications"));
        recipe.process_group(0);
        let mut recipe = Running::start(recipe);
        let said = recipe.error_line();
        assert!(said.contains("after event"), "{said}");
        recipe
    }

    /// Checks what comes next. The last one before may come again, if the recipe was killed before it
    /// had kept its place.
    #[track_caller]
    fn assert_next(&mut self, title: &str, body: &str) {
        let mut line = self.line();
        if line == self.last {
            line = self.line();
        }
        assert_eq!(line, format!("--app-name=candor --|{title}|{body}\n"));
        self.last = line;
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.notifications.read_line(&mut line).unwrap();
        line
    }
}

/// Ends it with all that it has started.
fn end(recipe: Running) {
    kill_process_group(recipe.pid(), Signal::TERM).unwrap();
    recipe.dies_of(Signal::TERM);
}

#[test]
fn no_notification_is_missed_across_restarts_of_both() {
    let place = Place::new();
    let mut desktop = Desktop::new(&place);
    place.run(["run", "--", "true"]).expect(0);
    let recipe = desktop.start(&[]);
    // What happened before it was there is not told.
    place.run(["run", "--", "sh", "-c", "exit 3"]).expect(3);
    desktop.assert_next("candor: failed (exit_code)", "sh -c 'exit 3'");
    place.run(["run", "--title", "<b>a & b</b>", "--", "true"]).expect(0);
    desktop.assert_next("candor: completed (succeeded)", "&lt;b&gt;a &amp; b&lt;/b&gt;");
    place.kill_daemon();
    place.run(["run", "--title", "later", "--", "true"]).expect(0);
    desktop.assert_next("candor: completed (succeeded)", "later");
    end(recipe);
    place.run(["run", "--title", "meanwhile", "--", "true"]).expect(0);
    let recipe = desktop.start(&["completed"]);
    desktop.assert_next("candor: completed (succeeded)", "meanwhile");
    place.run(["run", "--", "false"]).expect(1);
    place.run(["run", "--title", "last", "--", "true"]).expect(0);
    desktop.assert_next("candor: completed (succeeded)", "last");
    end(recipe);
}

#[test]
fn every_recipe_is_listed() {
    let folder = Path::new(NOTIFY).parent().unwrap();
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || list.contains(&format!("]({name})")), "{name}");
    }
}
