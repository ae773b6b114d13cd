//! Section 3: interrupts.

use std::fs;
use std::path::Path;
use std::thread;

use serde_json::json;

use crate::suite::{Need, Tier, fault};
use crate::support::{agent, wire};

/// Clients that ask at the same time.
const LANES: usize = 20;

#[test]
fn i4_an_exit_code_of_130_that_nobody_asked_for_is_a_failure() {
    fault(&[], |place| {
        place.run(["run", "--", "sh", "-c", "exit 130"]).expect(130);
        place.run(["run", "--", "sh", "-c", "kill -INT $$"]).expect(130);
        let [by_signal, by_code] = &place.sessions()[..] else { panic!("two sessions") };
        assert_eq!(
            (&by_code["status"], &by_code["outcome"]),
            (&json!("failed"), &json!("exit_code"))
        );
        assert_eq!(
            (&by_signal["status"], &by_signal["outcome"]),
            (&json!("failed"), &json!("signal"))
        );
    });
}

#[test]
fn i6_a_storm_of_interrupts_is_one_stop() {
    fault(&[], |place| {
        let each = Tier::of_this_run().of(10, 50);
        let ready = place.fifo("ready");
        let mut script = agent(["--on", "INT=delay:200:7", "--hang", "--ready"]);
        script.push(ready.clone().into());
        let id = place.launch_with(["--grace", "1h,1h"], script);
        fs::read(ready).unwrap();
        place.await_running(&id);
        let (home, path) = (place.home(), format!("/v1/sessions/{id}/interrupt"));
        thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    for _ in 0..each {
                        let reply = wire::ask(&home, "POST", &path, b"");
                        assert_eq!(reply.status, 200, "{reply:?}");
                    }
                });
            }
        });
        place.run(["wait", &id]).expect(130);
        let causes: Vec<_> =
            place.story(&id).into_iter().map(|event| event["cause"].clone()).collect();
        assert_eq!(causes, ["launched", "spawned", "interrupt", "exited"], "one rung, and no more");
        assert_eq!(place.session(&id)["exit"], json!({"code": 7}));
        place.tell(format!("{} interrupts", LANES * each));
    });
}

/// Adds to a repository for ever, one command of git after the other.
const COMMITS: &str =
    "git init -q . && git config user.email a@b && git config user.name a || exit 9
    echo > ready
    while :; do echo x >> file; git add file; git commit -qm x; done";

/// Of how many stops git itself leaves its lock: it makes the file, and notes only then that it is to
/// be removed. Without Candor it is one of 30 on the machine on which this was written.
const LOCKS_EACH: usize = 8;

#[test]
fn i11_git_has_the_time_to_remove_its_lock_when_it_is_interrupted() {
    fault(&[Need::Git], |place| {
        let stops = Tier::of_this_run().of(10, 200);
        let ready = place.fifo("ready");
        let mut left = Vec::new();
        for stop in 0..stops {
            let folder = place.path(&format!("repository-{stop}"));
            fs::create_dir(&folder).unwrap();
            let script = COMMITS.replace("ready", ready.to_str().unwrap());
            let options = ["--cwd", folder.to_str().unwrap()];
            let id = place.launch_with(options, ["sh", "-c", &script]);
            fs::read(&ready).unwrap();
            // Not always at the same place of the loop.
            for _ in 0..stop % 7 {
                place.session(&id);
            }
            place.run(["interrupt", &id]).expect(0);
            place.run(["wait", &id]).expect(130);
            assert_eq!(place.session(&id)["exit"]["signal"], "SIGINT");
            left.extend(locks(&folder.join(".git")));
        }
        // A few tell nothing of a rate.
        let most = Tier::of_this_run().of(stops / 2, 1 + stops / LOCKS_EACH);
        assert!(left.len() <= most, "{left:?}");
        place.tell(format!("{stops} stops, {} locks left", left.len()));
    });
}

/// Returns the locks that git has left.
fn locks(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names = entries.filter(|path| path.extension().is_some_and(|end| end == "lock"));
    names.map(|path| path.display().to_string()).collect()
}
