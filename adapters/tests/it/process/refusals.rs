//! Launches that come to nothing: the right stage and error number, and nothing left behind.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use candor_core::bytes::ByteString;
use candor_core::ports::Attach;
use candor_core::verdict::{Exit, SpawnStage};
use candor_harness::contract::spawner::Program;
use candor_harness::programs::fake_agent;
use rustix::io::Errno;

use super::helper::{PLAYED, Role};
use super::{Stage, environment, exit};

const NO_ARGUMENTS: [&str; 0] = [];

/// Writes a file with these permissions into the work folder.
fn file(stage: &Stage, name: &str, content: &[u8], mode: u32) -> String {
    let path = stage.work().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn assert_exec_errno(stage: &Stage, program: &Program, errno: Errno) {
    let expected = (SpawnStage::Exec, errno.raw_os_error());
    assert_eq!(stage.refusal(program).await, expected, "{:?}", program.spec.command);
    assert_nothing_left(&stage.sessions());
}

fn assert_nothing_left(sessions: &Path) {
    let left: Vec<_> = fs::read_dir(sessions).into_iter().flatten().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn program_that_is_missing() {
    let stage = Stage::new();
    for path in ["/no/such/program", "no-such-program", "./no-such-program", ""] {
        let program = stage.programs.command(path, NO_ARGUMENTS);
        assert_exec_errno(&stage, &program, Errno::NOENT).await;
    }
}

#[tokio::test]
async fn program_that_cannot_be_executed() {
    let stage = Stage::new();
    let text = file(&stage, "text", b"#!/bin/sh\n", 0o644);
    let data = file(&stage, "data", b"\x7fno program at all\n", 0o755);
    let script = file(&stage, "script", b"#!/no/such/interpreter\n", 0o755);
    let folder = stage.work().join("folder");
    fs::create_dir(&folder).unwrap();
    for (path, errno) in [
        (text.as_str(), Errno::ACCESS),
        (data.as_str(), Errno::NOEXEC),
        (script.as_str(), Errno::NOENT),
        (folder.to_str().unwrap(), Errno::ACCESS),
        (&format!("{text}/below"), Errno::NOTDIR),
    ] {
        let program = stage.programs.command(path, NO_ARGUMENTS);
        assert_exec_errno(&stage, &program, errno).await;
    }
}

#[tokio::test]
async fn folder_that_cannot_be_entered() {
    let stage = Stage::new();
    let text = file(&stage, "text", b"", 0o644);
    for (folder, errno) in [
        ("/no/such/folder", Errno::NOENT),
        (text.as_str(), Errno::NOTDIR),
        ("not/absolute", Errno::INVAL),
        ("", Errno::INVAL),
    ] {
        let mut program = stage.programs.agent(["--exit", "0"]);
        program.spec.cwd = ByteString::try_from(folder).unwrap();
        let expected = (SpawnStage::Folder, errno.raw_os_error());
        assert_eq!(stage.refusal(&program).await, expected, "{folder}");
        assert_nothing_left(&stage.sessions());
    }
}

#[tokio::test]
async fn folder_without_search_permission() {
    if rustix::process::geteuid().is_root() {
        // Root may enter everything.
        return;
    }
    let stage = Stage::new();
    let folder = stage.work().join("locked");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o600)).unwrap();
    let mut program = stage.programs.agent(["--exit", "0"]);
    program.spec.cwd = ByteString::try_from(folder.to_str().unwrap()).unwrap();
    let expected = (SpawnStage::Folder, Errno::ACCESS.raw_os_error());
    assert_eq!(stage.refusal(&program).await, expected);
}

#[tokio::test]
async fn too_much_environment_or_arguments() {
    let stage = Stage::new();
    // More than the kernel takes of one string, and more than it takes at all.
    let long = vec![b'x'; 3 * 1024 * 1024];
    let mut program = stage.programs.agent(["--exit", "0"]);
    program.environment = environment(&[(b"LONG", &long)]);
    assert_exec_errno(&stage, &program, Errno::TOOBIG).await;

    let names: Vec<_> = (0..1000).map(|number| format!("NAME{number}").into_bytes()).collect();
    let many: Vec<_> = names.iter().map(|name| (&name[..], &long[..30_000])).collect();
    program.environment = environment(&many);
    assert_exec_errno(&stage, &program, Errno::TOOBIG).await;

    let program = stage.programs.agent([&long[..131_072]]);
    assert_exec_errno(&stage, &program, Errno::TOOBIG).await;
}

#[tokio::test]
async fn longest_argument_that_the_kernel_takes_arrives() {
    let stage = Stage::new();
    let long = vec![b'x'; 131_071 - 1];
    let (_, process) = stage.up(&stage.programs.command("/bin/echo", [&long])).await;
    assert_eq!(super::ending(&*process).await.output.stdout_bytes, long.len() as u64 + 1);
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused() {
    let stage = Stage::new();
    let mut program = stage.programs.agent(["--exit", "0"]);
    for name in [&b"A=B"[..], b""] {
        program.environment = environment(&[(name, b"value")]);
        assert_exec_errno(&stage, &program, Errno::INVAL).await;
    }
    program.environment = environment(&[]);
    program.spec.command.clear();
    assert_exec_errno(&stage, &program, Errno::INVAL).await;
}

#[tokio::test]
async fn executable_that_is_being_written_is_tried_again_for_a_while() {
    let stage = Stage::new();
    let path = stage.work().join("busy");
    fs::copy(fake_agent(), &path).unwrap();
    let mut writer = File::options().append(true).open(&path).unwrap();
    writer.write_all(b"").unwrap();
    let program = stage.programs.command(path.to_str().unwrap(), ["--exit", "3"]);
    let start = Instant::now();
    assert_exec_errno(&stage, &program, Errno::TXTBSY).await;
    assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());

    drop(writer);
    let (_, process) = stage.up(&program).await;
    assert_eq!(exit(&*process).await, Exit::Code(3));
}

#[test]
fn want_of_descriptors_is_told_at_every_step() {
    let stage = Stage::new();
    let mut command = stage.helper(Role::RunOutOfDescriptors, &[], "-");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(PLAYED), "{told}");
}

#[tokio::test]
async fn sessions_folder_that_cannot_be_made() {
    let stage = Stage::new();
    fs::write(stage.sessions(), "in the way").unwrap();
    let expected = (SpawnStage::Prepare, Errno::NOTDIR.raw_os_error());
    assert_eq!(stage.refusal(&stage.programs.agent(["--exit", "0"])).await, expected);
}

#[tokio::test]
async fn refused_session_may_be_launched_again_as_long_as_nobody_asked() {
    let stage = Stage::new();
    let session = candor_core::ports::IdSource::session_id(&candor_adapters::ids::UuidV7Source);
    let late = stage.work().join("late");
    let program = stage.programs.command(late.to_str().unwrap(), ["--exit", "3"]);
    let refused = stage.launch_as(session, &program).await;
    assert!(matches!(refused, candor_core::ports::Launch::Refused { .. }));
    assert!(matches!(stage.attach_afresh(session).await, Attach::NeverRan));
    fs::copy(fake_agent(), &late).unwrap();
    match stage.launch_as(session, &program).await {
        candor_core::ports::Launch::Up(process) => {
            assert_eq!(exit(&*process).await, Exit::Code(3));
        }
        _ => panic!("nothing came up"),
    }
}
