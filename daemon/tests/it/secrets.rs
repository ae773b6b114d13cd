//! The values of a session's environment are the session's, and are found nowhere else.

use std::fs;
use std::path::Path;

use crate::support::{Place, Said, agent, words};

const CANARY: &str = "c4n4ry-7f3a91";
const OTHER_CANARY: &str = "k4n4ri-22e0b8";

/// Checks that no file below `folder` has a canary in it, and says how many were looked at.
#[track_caller]
fn search(folder: &Path) -> usize {
    let mut searched = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            searched += search(&path);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            for canary in [CANARY, OTHER_CANARY] {
                let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
                assert!(!found, "{canary} is in {}", path.display());
            }
            searched += 1;
        }
    }
    searched
}

#[test]
fn the_values_of_variables_are_in_no_file_and_not_with_the_daemon() {
    let place = Place::new();
    place.configure("log = \"trace\"");
    let value = format!("API_TOKEN={CANARY}");
    let options = ["--env", &value];
    // The first starts the daemon, and its own environment has a secret, too.
    let run = |command: &[std::ffi::OsString], code| {
        let words = words!["run"].into_iter().chain(options.map(Into::into));
        let mut candor = place.candor(words.chain(words!["--"]).chain(command.to_vec()));
        candor.env("KEY", OTHER_CANARY);
        Said::by(candor).expect(code)
    };
    // The session itself has them: it looks without naming them.
    let knows = "test -n \"$API_TOKEN\" && test -n \"$KEY\"";
    run(&words!["sh", "-c", knows], 0);
    run(&words!["false"], 1);
    run(&words!["no-such-program"], 127);
    let mut live = place
        .candor(words!["run", "-d", "--env", &value, "--"].into_iter().chain(agent(["--hang"])));
    live.env("KEY", OTHER_CANARY);
    let id = Said::by(live).expect(0).stdout().trim().to_owned();
    assert!(search(&place.home()) > 10);
    #[cfg(target_os = "linux")]
    for file in ["environ", "cmdline"] {
        let path = format!("/proc/{}/{file}", place.daemon().as_raw_nonzero());
        // Nobody but root may look.
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => continue,
            read => read.unwrap(),
        };
        for canary in [CANARY, OTHER_CANARY] {
            assert!(
                !crate::support::kernel::contains(&bytes, canary.as_bytes()),
                "{canary}: {file}"
            );
        }
    }
    place.run(["interrupt", &id]).expect(0);
    place.run(["wait", &id]).expect(130);
    for words in
        [&["show", "--json", &id][..], &["events", "--json"], &["ls", "--json"], &["timeline", &id]]
    {
        let said = place.run(words).expect(0);
        assert!(!said.stdout().contains(CANARY) && !said.stdout().contains(OTHER_CANARY));
    }
    place.run(["daemon", "stop"]).expect(0);
    assert!(search(&place.home()) > 10);
}
