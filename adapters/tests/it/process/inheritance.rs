//! What a session gets from its launch, and that it gets nothing else.

use std::fs::{self, File, Permissions};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use candor_adapters::process::Stream;
use candor_core::bytes::ByteString;
use candor_core::verdict::Exit;
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::Value;

use super::{Stage, ending, environment, exit};

/// Launches the agent so that it dumps how it was started.
async fn dump(
    stage: &Stage,
    program: impl FnOnce(&mut candor_harness::contract::spawner::Program),
) -> Value {
    let file = stage.work().join("dump.json");
    let mut dumps = stage.programs.agent(["--dump", file.to_str().unwrap()]);
    program(&mut dumps);
    let (_, process) = stage.up(&dumps).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[tokio::test]
async fn exactly_three_descriptors_however_many_leak() {
    let stage = Stage::new();
    let leaked: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
    for file in &leaked {
        fcntl_setfd(file.as_fd(), FdFlags::empty()).unwrap();
    }
    let dump = dump(&stage, |_| {}).await;
    let descriptors = dump["descriptors"].as_object().unwrap();
    let names: Vec<_> = descriptors.keys().collect();
    assert_eq!(names, ["0", "1", "2"], "{descriptors:?}");
    #[cfg(target_os = "linux")]
    {
        assert_eq!(descriptors["0"], "/dev/null");
        assert!(descriptors["1"].as_str().unwrap().ends_with("/stdout"));
        assert!(descriptors["2"].as_str().unwrap().ends_with("/stderr"));
    }
}

#[tokio::test]
async fn session_and_group_of_its_own_with_the_callers_mask() {
    let stage = Stage::new();
    let dump = dump(&stage, |program| program.spec.umask = 0o137).await;
    assert_eq!(dump["leads_session"], true);
    assert_eq!(dump["leads_group"], true);
    assert_eq!(dump["umask"], 0o137);
}

#[tokio::test]
async fn environment_is_the_callers_and_nothing_else() {
    let stage = Stage::new();
    let variables: &[(&[u8], &[u8])] = &[(b"B", b"1"), (b"A", b"x=y"), (b"N\xff", b"\xfe")];
    let dump = dump(&stage, |program| program.environment = environment(variables)).await;
    let names: Vec<ByteString> = serde_json::from_value(dump["environment"].clone()).unwrap();
    let names: Vec<_> = names.iter().map(ByteString::as_bytes).collect();
    assert_eq!(names, [&b"B"[..], b"A", b"N\xff"]);
}

#[tokio::test]
async fn values_arrive_byte_for_byte() {
    let stage = Stage::new();
    let mut program = stage.programs.command("/usr/bin/env", [""; 0]);
    program.environment = environment(&[(b"A", b"\xff\n=\x01"), (b"PATH", b"")]);
    let (session, process) = stage.up(&program).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert_eq!(stage.printed(session, Stream::Stdout), b"A=\xff\n=\x01\nPATH=\n");
}

// macOS has no such folders.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn arguments_and_folder_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let stage = Stage::new();
    let folder = stage.work().join(OsStr::from_bytes(b"f\xff\xfe\n"));
    fs::create_dir(&folder).unwrap();
    let odd = [&b"\xff\xfe"[..], b"", b"--", b"-n", b"\xf0\x9f\x98\x80", b"a\nb\tc\x1b[0m"];
    let odd: Vec<_> = odd.iter().map(|bytes| ByteString::new(bytes.to_vec()).unwrap()).collect();
    let dump = dump(&stage, |program| {
        program.spec.cwd = ByteString::new(folder.as_os_str().as_bytes().to_vec()).unwrap();
        for argument in odd.clone() {
            program.spec.command.push(ByteString::try_from("--print").unwrap());
            program.spec.command.push(argument);
        }
    })
    .await;
    let argv: Vec<ByteString> = serde_json::from_value(dump["argv"].clone()).unwrap();
    assert_eq!(argv.iter().skip(4).step_by(2).cloned().collect::<Vec<_>>(), odd);
    let cwd: ByteString = serde_json::from_value(dump["cwd"].clone()).unwrap();
    assert_eq!(cwd.as_bytes(), fs::canonicalize(&folder).unwrap().as_os_str().as_bytes());
}

#[tokio::test]
async fn program_is_looked_for_in_the_sessions_own_path() {
    let stage = Stage::new();
    for (folder, mode) in [("first", 0o644), ("second", 0o755), ("third", 0o755)] {
        let folder = stage.work().join(folder);
        fs::create_dir(&folder).unwrap();
        let text = format!("#!/bin/sh\necho {}\n", folder.display());
        fs::write(folder.join("prog"), text).unwrap();
        fs::set_permissions(folder.join("prog"), Permissions::from_mode(mode)).unwrap();
    }
    // One that is missing, one that is no folder, one whose file may not be executed; then relative
    // to the session's folder.
    let search = "/no/such:/dev/null:first:second:third";
    let mut program = stage.programs.command("prog", [""; 0]);
    program.environment = environment(&[(b"PATH", search.as_bytes())]);
    let (session, process) = stage.up(&program).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    let expected = format!("{}\n", stage.work().join("second").display());
    assert_eq!(stage.printed(session, Stream::Stdout), expected.as_bytes());

    program.environment = environment(&[(b"PATH", b"/no/such:first:/dev/null")]);
    let errno = rustix::io::Errno::ACCESS.raw_os_error();
    let expected = (candor_core::verdict::SpawnStage::Exec, errno);
    assert_eq!(stage.refusal(&program).await, expected, "what may not be executed is remembered");

    fs::copy(stage.work().join("third/prog"), stage.work().join("prog")).unwrap();
    program.environment = environment(&[(b"PATH", b":/no/such")]);
    let (_, process) = stage.up(&program).await;
    assert_eq!(exit(&*process).await, Exit::Code(0), "an empty element is the session's folder");
}

#[tokio::test]
async fn standard_input_is_at_its_end() {
    let stage = Stage::new();
    let (session, process) = stage.up(&stage.programs.command("/bin/cat", ["-"])).await;
    assert_eq!(exit(&*process).await, Exit::Code(0));
    assert_eq!(stage.printed(session, Stream::Stdout), b"");
}

#[tokio::test]
async fn files_are_private_whatever_the_mask() {
    let stage = Stage::new();
    let mut program = stage.programs.agent(["--print", "x"]);
    program.spec.umask = 0;
    let (session, process) = stage.up(&program).await;
    ending(&*process).await;
    let folder = stage.sessions().join(session.to_string());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&stage.sessions()), 0o700);
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("stdout")), 0o600);
    assert_eq!(mode(&folder.join("stderr")), 0o600);
    assert_eq!(mode(&stage.record(session)), 0o600);
}
