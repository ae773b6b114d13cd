//! Texts that are more than they seem: paths, options, commands, control characters.

use std::fs;
use std::os::unix::fs::symlink;

use crate::shown::Attack;
use crate::site::Site;
use crate::support::wire;
use crate::support::{Place, Said};

/// Ways to say another folder.
const TRAVERSALS: [&str; 12] = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2flogins.json",
    "..%00",
    "..%5c..%5cetc",
    "....//....//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "/proc/self/environ",
    "logins.json",
    "%252e%252e%252flogins.json",
];

#[test]
fn t15_no_address_leads_to_a_file() {
    let _attack = Attack::named("t15_no_address_leads_to_a_file");
    let site = Site::new();
    let lines = site.log_in().lines();
    let id = site.place.launch(["true"]);
    site.place.end_of(&id);
    for text in TRAVERSALS {
        for path in [
            format!("/{text}"),
            format!("/assets/{text}"),
            format!("/v1/sessions/{text}"),
            format!("/v1/sessions/{text}/output/stdout"),
            format!("/v1/sessions/{id}/output/{text}"),
            format!("/v1/sessions/{id}/timeline/{text}"),
        ] {
            for reply in [
                site.ask("GET", &path, &lines, b""),
                wire::ask(&site.place.home(), "GET", &path, b""),
            ] {
                assert!([400, 404, 405].contains(&reply.status), "{path}: {reply:?}");
                let body = String::from_utf8_lossy(&reply.body);
                assert!(!body.contains("root:") && !body.contains("\"logins\""), "{path}: {body}");
            }
        }
    }
}

#[test]
fn t18_no_text_reaches_a_shell() {
    let _attack = Attack::named("t18_no_text_reaches_a_shell");
    let place = Place::new();
    let canary = place.path("canary");
    let touch = format!("touch {}", canary.display());
    for text in [
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch};"),
        format!("\n{touch}\n"),
        format!("| {touch}"),
        format!("&& {touch} #"),
        format!("\"; {touch}; \""),
        format!("'; {touch}; '"),
        format!("<({touch})"),
        format!("${{IFS}}{touch}"),
    ] {
        let said = place.run(["run", "--title", &text, "--", "printf", "%s", &text]).expect(0);
        assert_eq!(said.stdout(), text);
        // A name of a program, a folder and a variable are none of a shell's either.
        assert!(!place.run(["run", "--", &text]).status.success());
        assert!(!place.run(["run", "--cwd", &text, "--", "true"]).status.success());
        let variable = format!("A={text}");
        place.run(["run", "--env", &variable, "--", "true"]).expect(0);
        assert!(!place.run(["run", "--agent", "claude", "--model", &text, "x"]).status.success());
        place.run(["show", &text]).expect(125);
        assert!(!canary.exists(), "{text}");
    }
}

#[test]
fn t25_a_folder_changes_nothing_of_what_candor_does() {
    let _attack = Attack::named("t25_a_folder_changes_nothing_of_what_candor_does");
    let place = Place::new();
    let hostile = place.path("hostile");
    fs::create_dir_all(hostile.join(".claude")).unwrap();
    fs::create_dir_all(hostile.join("candor")).unwrap();
    fs::create_dir_all(hostile.join(".config/candor")).unwrap();
    let canary = place.path("canary");
    let hook = format!(
        "{{\"hooks\":{{\"SessionStart\":[{{\"command\":\"touch {}\"}}]}}}}",
        canary.display()
    );
    for file in [".claude/settings.json", ".mcp.json"] {
        fs::write(hostile.join(file), &hook).unwrap();
    }
    for file in ["config.toml", "candor/config.toml", ".config/candor/config.toml", "candor.toml"] {
        fs::write(hostile.join(file), "this is = not a setting\n[web]\nlisten = \"0.0.0.0:1\"\n")
            .unwrap();
    }
    // A daemon that starts there, and a session that runs there.
    let mut candor = place.candor(["run", "--", "sh", "-c", "echo $#"]);
    candor.current_dir(&hostile);
    assert_eq!(Said::by(candor).expect(0).stdout(), "0\n");
    let shown = place.sessions()[0].clone();
    assert_eq!(shown["command"], serde_json::json!(["sh", "-c", "echo $#"]));
    assert!(!canary.exists());
}

#[test]
fn t29_no_name_breaks_a_line_of_the_log_or_of_a_list() {
    let _attack = Attack::named("t29_no_name_breaks_a_line_of_the_log_or_of_a_list");
    let site = Site::new();
    let lines = format!("{}Content-Type: application/json\r\n", site.log_in().lines());
    let canary = "FORGED session=00000000 completed";
    for text in [
        format!("a\n{canary}"),
        format!("a\r{canary}"),
        format!("\u{1b}[2K\u{1b}[1G{canary}"),
        format!("\u{9b}2K{canary}"),
        format!("\u{2028}{canary}"),
        format!("\u{85}{canary}"),
    ] {
        site.place.run(["run", "--title", &text, "--", "true"]).expect(0);
        let mut body: serde_json::Value = serde_json::from_str(&crate::site::launch()).unwrap();
        body["title"] = text.clone().into();
        assert_eq!(
            site.ask("POST", "/v1/sessions", &lines, body.to_string().as_bytes()).status,
            201
        );
        // One that is wrong is told of with what was wrong about it.
        body["command"] = serde_json::json!([]);
        site.ask("POST", "/v1/sessions", &lines, body.to_string().as_bytes());
        site.place.run(["show", &text]).expect(125);
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        site.ask("GET", &format!("/v1/sessions/{encoded}"), &lines, b"");
    }
    let log = fs::read_to_string(site.place.home().join("daemon.log")).unwrap();
    for line in log.lines().filter(|line| !line.is_empty()) {
        assert!(line.starts_with("20"), "each line begins with its time: {line:?}");
        assert!(!line.contains(|character: char| character.is_control()), "{line:?}");
    }
    for words in [["ls", "--json"], ["events", "--json"]] {
        for line in site.place.run(words).expect(0).stdout().lines() {
            assert!(!line.starts_with("FORGED"), "{line:?}");
        }
    }
}

#[test]
fn t32_a_session_in_the_home_opens_no_way_to_the_logins() {
    let _attack = Attack::named("t32_a_session_in_the_home_opens_no_way_to_the_logins");
    let site = Site::new();
    let lines = site.log_in().lines();
    let home = site.place.home();
    let id = site.place.launch_with(["--cwd", home.to_str().unwrap()], ["true"]);
    site.place.end_of(&id);
    // Not even by a link in the place of an output.
    let output = home.join("sessions").join(&id).join("stdout");
    fs::remove_file(&output).unwrap();
    symlink(home.join("logins.json"), &output).unwrap();
    for path in [
        format!("/v1/sessions/{id}/output/stdout"),
        format!("/v1/sessions/{id}/output/logins.json"),
        format!("/v1/sessions/{id}/timeline"),
        format!("/v1/sessions/{id}/messages"),
        format!("/v1/sessions/{id}"),
    ] {
        let reply = site.ask("GET", &path, &lines, b"");
        let body = String::from_utf8_lossy(&reply.body);
        assert!(!body.contains("\"logins\"") && !body.contains("\"pages\""), "{path}: {body}");
    }
}
