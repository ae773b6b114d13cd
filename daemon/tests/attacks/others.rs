//! Other users of the machine, and what they could put in our way.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::shown::Attack;
use crate::site::Site;
use crate::support::kernel::shim_of;
use crate::support::{Place, Running, agent};

/// A user that is not this one, where this one may become it.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

fn has(program: &str) -> bool {
    Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root() && has("setpriv")
}

/// Runs a script as another user, and says whether it went well.
fn as_nobody(script: &str) -> bool {
    let mut command = Command::new(NOBODY[0]);
    command.args(&NOBODY[1..]).args(["sh", "-c", script]).current_dir("/");
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn t11_another_user_reads_no_credential_and_has_none() {
    let attack = Attack::named("t11_another_user_reads_no_credential_and_has_none");
    let site = Site::new();
    let login = site.log_in();
    let file = site.place.home().join("logins.json");
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&file), mode(&site.place.home())), (0o600, 0o700));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&login.page) && !text.contains(login.cookie.split_once('=').unwrap().1));
    if !is_root() {
        return attack.skip("only root can be another user");
    }
    // Even where the folders above let him through.
    fs::set_permissions(site.place.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(as_nobody(&format!("test -d {}", site.place.folder().display())));
    for path in [&file, &site.place.home().join("candor.db"), &site.place.home()] {
        assert!(!as_nobody(&format!("cat {0} || ls {0}", path.display())), "{}", path.display());
    }
}

#[test]
fn t11_another_user_is_not_even_read_with_a_credential_that_was_got_at() {
    let attack =
        Attack::named("t11_another_user_is_not_even_read_with_a_credential_that_was_got_at");
    if !is_root() {
        return attack.skip("only root can be another user");
    }
    let site = Site::new();
    let (login, code) = (site.log_in(), site.code());
    let token = site.place.run(["token", "add", "script"]).expect(0).stdout().trim().to_owned();
    let body = format!("{{\"code\":\"{code}\"}}");
    let lines = |lines: &str| format!("Host: {}\r\nConnection: close\r\n{lines}", site.host());
    let json = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let requests = [
        format!("GET / HTTP/1.1\r\n{}\r\n", lines("")),
        format!("GET /v1/sessions HTTP/1.1\r\n{}\r\n", lines(&login.lines())),
        format!(
            "GET /v1/sessions HTTP/1.1\r\n{}\r\n",
            lines(&format!("Authorization: Bearer {token}\r\n"))
        ),
        // What the list of processes shows of a browser.
        format!("POST /v1/web/login HTTP/1.1\r\n{}\r\n{body}", lines(&json)),
    ];
    for request in &requests {
        let (ip, port) = (site.at.ip(), site.at.port());
        let script = format!(
            "trap '' PIPE; exec 3<>/dev/tcp/{ip}/{port} || exit 0; printf %s \"$1\" >&3; cat <&3; true"
        );
        let mut command = Command::new(NOBODY[0]);
        command.args(&NOBODY[1..]).args(["bash", "-c", &script, "a", request]).current_dir("/");
        let said = command.stderr(Stdio::null()).output().unwrap();
        assert!(said.status.success() && said.stdout.is_empty(), "{request}: {said:?}");
        // Its own user is answered, by the very same bytes.
        assert_eq!(site.raw(request.as_bytes()).status, 200, "{request}");
    }
    let log = fs::read_to_string(site.place.home().join("daemon.log")).unwrap();
    assert!(log.contains("another user's connection over TCP was refused"), "{log}");
}

#[test]
fn t12_there_is_no_moment_when_others_could_connect() {
    let attack = Attack::named("t12_there_is_no_moment_when_others_could_connect");
    if !has("strace") {
        return attack.skip("there is no strace");
    }
    let place = Place::new();
    let trace = place.path("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-e", "trace=umask,bind,listen,chmod,fchmod,fchmodat,mkdir,mkdirat", "-o"])
        .arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_candor")).args(["daemon", "run"]);
    place.settle(&mut command);
    let mut daemon = Running::start(command);
    while !daemon.error_line().contains("serves") {}
    place.run(["daemon", "stop"]).expect(0);
    daemon.finish();
    let text = fs::read_to_string(&trace).unwrap();
    let at = |wanted: &str| text.find(wanted).unwrap_or_else(|| panic!("no {wanted} in {text}"));
    let (umask, bind) = (at("umask(0177"), at("candor.sock"));
    let home = at(&format!("mkdir(\"{}\", 0700)", place.home().display()));
    assert!(home < umask && umask < bind, "{text}");
    // Between the two nothing gives the old mask back, and afterwards nothing changes its mode.
    assert_eq!(text[umask + 5..bind].matches("umask(").count(), 0, "{text}");
    assert!(!text.contains("chmod(\"") || !text.contains("candor.sock\", 0"), "{text}");
}

#[test]
fn t12_another_user_never_gets_in_while_daemons_come_and_go() {
    let attack = Attack::named("t12_another_user_never_gets_in_while_daemons_come_and_go");
    if !is_root() || !as_nobody("/usr/bin/python3 -V") {
        return attack.skip("only root can be another user, and /usr/bin/python3 is needed");
    }
    let place = Place::new();
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    let (socket, done) = (place.home().join("candor.sock"), place.path("done"));
    let script = format!(
        "import os, socket\nn = 0\nwhile n < 10000 or not os.path.exists({done:?}):\n    n += 1\n    s = socket.socket(socket.AF_UNIX)\n    \
         try: s.connect({socket:?})\n    except OSError: pass\n    else: raise SystemExit(1)\n    s.close()\n"
    );
    let mut race = Command::new(NOBODY[0]);
    race.args(&NOBODY[1..]).args(["/usr/bin/python3", "-c", &script]).current_dir("/");
    let mut race = race.spawn().unwrap();
    for _ in 0..8 {
        place.run(["daemon", "start"]).expect(0);
        place.run(["daemon", "stop"]).expect(0);
    }
    fs::write(&done, "").unwrap();
    assert!(race.wait().unwrap().success(), "somebody else has connected");
}

#[test]
fn t13_no_socket_is_abstract() {
    let attack = Attack::named("t13_no_socket_is_abstract");
    if !rustix::process::geteuid().is_root() {
        return attack.skip("only root sees what the daemon has open");
    }
    let place = Place::new();
    let id = place.launch(agent(["--hang"]));
    let of_ours: Vec<i32> =
        [place.daemon(), shim_of(&id)].map(|pid| pid.as_raw_nonzero().get()).into();
    let mut inodes = Vec::new();
    for pid in of_ours {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let link = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            let inode = link
                .to_string_lossy()
                .strip_prefix("socket:[")
                .map(|rest| rest.trim_end_matches(']').to_owned());
            inodes.extend(inode);
        }
    }
    assert!(inodes.len() > 2, "{inodes:?}");
    // Source: `unix(7)`, `/proc/net/unix`: an abstract name is shown with an `@` before it.
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let mut named = 0;
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if inodes.iter().any(|inode| inode == words[6]) {
            let name = words.get(7).copied().unwrap_or("");
            assert!(!name.starts_with('@'), "{line}");
            named += usize::from(name.starts_with('/') || name == "control");
        }
    }
    assert!(named > 0, "{table}");
}

#[test]
fn t14_what_is_planted_in_our_places_is_neither_followed_nor_changed() {
    let _attack =
        Attack::named("t14_what_is_planted_in_our_places_is_neither_followed_nor_changed");
    for name in [
        "logins.json",
        "daemon.log",
        "daemon.lock",
        "candor.sock",
        "candor.db",
        "sessions",
        "backups",
    ] {
        for is_dangling in [false, true] {
            let place = Place::new();
            fs::create_dir(place.home()).unwrap();
            fs::set_permissions(place.home(), fs::Permissions::from_mode(0o700)).unwrap();
            let target = place.path("target");
            if !is_dangling {
                fs::write(&target, "theirs").unwrap();
            }
            symlink(&target, place.home().join(name)).unwrap();
            // Some it can do without, some it refuses to start with; it follows none.
            let started = place.run(["open", "--print"]);
            let code = started.status.code();
            assert!([Some(0), Some(125)].contains(&code), "{name}: {}", started.stderr());
            match is_dangling {
                true => assert!(fs::symlink_metadata(&target).is_err(), "{name}: it was made"),
                false => assert_eq!(fs::read_to_string(&target).unwrap(), "theirs", "{name}"),
            }
        }
    }
}

/// A daemon of a user who is not root, with a folder of his own. It is stopped when it is dropped.
struct Theirs(tempfile::TempDir);

impl Theirs {
    fn run(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(NOBODY[0]);
        command.args(&NOBODY[1..]).arg(env!("CARGO_BIN_EXE_candor")).args(words);
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.0.path());
        command.env("CANDOR_HOME", self.0.path().join("home"));
        command.env("XDG_CONFIG_HOME", self.0.path().join("config"));
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).trim().to_owned())
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.run(&["daemon", "stop", "--sessions"]);
    }
}

#[test]
fn t16_nobody_looks_into_the_daemon_or_a_shim_and_sessions_are_as_they_were() {
    let attack =
        Attack::named("t16_nobody_looks_into_the_daemon_or_a_shim_and_sessions_are_as_they_were");
    let candor = env!("CARGO_BIN_EXE_candor");
    if !is_root() || !as_nobody(&format!("{candor} --version")) {
        return attack.skip("only root can be another user, and he must reach the program");
    }
    let folder = tempfile::Builder::new().prefix("candor-").tempdir_in("/tmp").unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534)).unwrap();
    let theirs = Theirs(folder);
    let (code, id) = theirs.run(&["run", "-d", "--", "sleep", "1000"]);
    assert_eq!(code, 0, "{id}");
    let (_, text) = theirs.run(&["daemon", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (daemon, shim) = (status["pid"].as_i64().unwrap(), shim_of(&id).as_raw_nonzero());
    for pid in [daemon, i64::from(shim.get())] {
        for file in ["environ", "maps", "mem", "auxv"] {
            assert!(
                !as_nobody(&format!("head -c 1 /proc/{pid}/{file} > /dev/null")),
                "{pid}: {file}"
            );
        }
        assert!(!as_nobody(&format!("ls /proc/{pid}/fd")), "{pid}");
    }
    // What it runs can be looked at, traced and dumped as ever, and is the first to go where there is
    // not enough memory.
    let children = crate::support::kernel::children(shim_of(&id));
    let child = children.trim();
    assert!(as_nobody(&format!("head -c 1 /proc/{child}/environ > /dev/null")), "{children}");
    let score = |pid: &str| -> i32 {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse().unwrap()
    };
    assert!(score(child) > score(&shim.to_string()));
    let (code, text) = theirs.run(&["kill", &id]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn t33_a_session_reaches_no_shim() {
    let _attack = Attack::named("t33_a_session_reaches_no_shim");
    if !has("python3") {
        return _attack.skip("there is no python3");
    }
    let place = Place::new();
    let sibling = place.launch(agent(["--hang"]));
    // It says whether the other end has closed without a word, to each of the sockets.
    let script = "import glob, os, socket, sys\n\
        for path in sorted(glob.glob(os.environ['CANDOR_HOME'] + '/sessions/*.shim')):\n    \
        os.chdir(path)\n    s = socket.socket(socket.AF_UNIX)\n    s.connect('control')\n    \
        try: got = s.recv(1)\n    except ConnectionResetError: got = b''\n    \
        print('closed' if got == b'' else 'answered', flush=True)\n";
    let said = place.run(["run", "--", "python3", "-c", script]).expect(0);
    assert_eq!(said.stdout(), "closed\nclosed\n");
    // The daemon itself does.
    place.run(["kill", &sibling]).expect(0);
    place.run(["wait", &sibling]).expect(130);
    assert!(UnixStream::connect(place.home().join("candor.sock")).is_ok());
}
