//! What is found of a session whose shim is gone, from its records alone.

use std::fs;

use candor_adapters::process::boot_id;
use candor_core::ports::{Attach, Delivery, Fact, Target};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, LostReason};
use candor_harness::contract::repository::chain::session_id;

use super::{Stage, attach, attached, exit, found_ended, kill, told};

const NONCE: &str = "018bcfe5-6800-7000-9e37-79b97f4a7c15";
const OTHER_BOOT: &str = "00000000-0000-4000-8000-000000000000";

/// Writes a record as a shim or a daemon would have.
fn write(stage: &Stage, session: SessionId, name: &str, json: &str) {
    let crc32 = crc32fast::hash(json.as_bytes());
    let path = stage.file(session, name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("v1 {} {json} {crc32:08x}\n", json.len())).unwrap();
}

fn write_intent(stage: &Stage, session: SessionId) {
    let json = format!(r#"{{"session":"{session}","nonce":"{NONCE}"}}"#);
    write(stage, session, "intent", &json);
}

fn write_started(stage: &Stage, session: SessionId, nonce: &str, pid: u32, boot_id: &str) {
    let identity =
        format!(r#"{{"session":"{session}","pid":{pid},"start_mark":1,"boot_id":"{boot_id}"}}"#);
    write(stage, session, "started", &format!(r#"{{"nonce":"{nonce}","identity":{identity}}}"#));
}

fn write_exit(stage: &Stage, session: SessionId, name: &str) {
    let output = r#"{"stdout_bytes":5,"stderr_bytes":6}"#;
    let json = format!(
        r#"{{"session":"{session}","nonce":"{NONCE}","exit":{{"code":7}},"output":{output},"boot_id":"x"}}"#
    );
    write(stage, session, name, &json);
}

fn damage(stage: &Stage, session: SessionId, name: &str) {
    let path = stage.file(session, name);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

async fn assert_told(stage: &Stage, session: SessionId, expected: &str) {
    for _ in 0..2 {
        assert_eq!(told(&attach(&*stage.later(), session).await), expected);
    }
    for _ in 0..2 {
        assert_eq!(told(&attach(&*stage.spawner, session).await), expected);
    }
}

#[tokio::test]
async fn intent_alone_never_ran_and_never_will() {
    let stage = Stage::new();
    for (number, is_damaged) in [(1, false), (2, true)] {
        let session = session_id(number);
        write_intent(&stage, session);
        if is_damaged {
            // As a power cut may leave it: it is not synced.
            fs::write(stage.file(session, "intent"), "").unwrap();
        }
        assert_told(&stage, session, "never ran").await;
        assert!(!stage.file(session, "intent").exists(), "a late shim would go on");
    }
    let boot_id = boot_id().unwrap();
    // Half of a record was never seen by a process: it is stored before the gate is opened.
    let session = session_id(3);
    write_intent(&stage, session);
    write_started(&stage, session, NONCE, 4711, &boot_id);
    fs::rename(stage.file(session, "started"), stage.file(session, "started.unfinished")).unwrap();
    assert_told(&stage, session, "never ran").await;
}

#[tokio::test]
async fn another_boot_is_no_reason_to_look_for_a_process() {
    let stage = Stage::new();
    let session = session_id(1);
    write_intent(&stage, session);
    // The number is this test's own.
    write_started(&stage, session, NONCE, std::process::id(), OTHER_BOOT);
    assert_told(&stage, session, "lost: Reboot").await;
}

#[tokio::test]
async fn number_of_somebody_else_is_nobody() {
    let stage = Stage::new();
    let session = session_id(1);
    let boot_id = boot_id().unwrap();
    write_intent(&stage, session);
    write_started(&stage, session, NONCE, std::process::id(), &boot_id);
    assert_told(&stage, session, "lost: ShimKilled").await;
}

#[tokio::test]
async fn exit_is_true_whatever_else_there_is() {
    let stage = Stage::new();
    let session = session_id(1);
    write_exit(&stage, session, "exit");
    let ending = found_ended(&stage, session).await;
    assert_eq!((ending.exit, ending.output.stdout_bytes), (Exit::Code(7), 5));
    write_intent(&stage, session);
    write_started(&stage, session, NONCE, std::process::id(), OTHER_BOOT);
    assert_eq!(found_ended(&stage, session).await, ending);
}

#[tokio::test]
async fn exit_that_only_lacks_its_name_gets_it() {
    let stage = Stage::new();
    let session = session_id(1);
    write_intent(&stage, session);
    write_started(&stage, session, NONCE, 4711, OTHER_BOOT);
    write_exit(&stage, session, "exit.unfinished");
    assert_eq!(found_ended(&stage, session).await.exit, Exit::Code(7));
    assert!(stage.file(session, "exit").exists());
    assert!(!stage.file(session, "exit.unfinished").exists());

    let session = session_id(2);
    write_intent(&stage, session);
    write_started(&stage, session, NONCE, 4711, OTHER_BOOT);
    write_exit(&stage, session, "exit.unfinished");
    damage(&stage, session, "exit.unfinished");
    assert_told(&stage, session, "lost: Reboot").await;
}

#[tokio::test]
async fn damaged_records_are_left_as_they_are_and_tell_nothing() {
    let stage = Stage::new();
    let boot_id = boot_id().unwrap();
    let prepare = |session: SessionId, has_started: bool| {
        write_intent(&stage, session);
        if has_started {
            write_started(&stage, session, NONCE, std::process::id(), &boot_id);
        }
    };
    for (number, (name, has_started)) in
        (1..).zip([("started", true), ("exit", true), ("exit", false)])
    {
        let session = session_id(number);
        prepare(session, has_started);
        if name == "exit" {
            write_exit(&stage, session, "exit");
        }
        damage(&stage, session, name);
        let damaged = fs::read(stage.file(session, name)).unwrap();
        assert_told(&stage, session, "lost: BadRecord").await;
        assert_eq!(fs::read(stage.file(session, name)).unwrap(), damaged);
    }
    // Of another launch, and of another session.
    let session = session_id(10);
    write_intent(&stage, session);
    write_started(&stage, session, "018bcfe5-6800-7000-9e37-000000000000", 4711, &boot_id);
    assert_told(&stage, session, "lost: BadRecord").await;
    let other = session_id(11);
    write_intent(&stage, other);
    fs::copy(stage.file(session, "started"), stage.file(other, "started")).unwrap();
    assert_told(&stage, other, "lost: BadRecord").await;
}

/// As long as somebody lives who knows, records do not matter.
#[tokio::test]
async fn damage_does_not_hide_a_process_that_runs() {
    let stage = Stage::new();
    let (session, process) = stage.agent_up(&["--hang"]).await;
    damage(&stage, session, "intent");
    attached(&*stage.later(), session).await;
    let shim = stage.shim(session);
    kill(shim).await;
    fs::remove_file(stage.file(session, "intent")).unwrap();
    write_exit(&stage, session, "exit");
    damage(&stage, session, "exit");
    let orphan = attached(&*stage.later(), session).await;
    assert_eq!(orphan.signal(Target::Process, Signal::Kill).await, Delivery::Delivered);
    match process.next_fact().await {
        Fact::Ended(ending) => {
            assert_eq!(ending.exit, Exit::Signal { number: 9, core_dumped: false });
        }
        Fact::Lost(reason) => assert_eq!(reason, LostReason::BadRecord),
    }
}

/// What an earlier daemon launched without a shim is treated as it would have.
#[tokio::test]
async fn session_without_a_shim_is_found_as_before() {
    let stage = Stage::new();
    let direct = crate::process::Stage::new();
    let (session, process) = direct.agent_up(&["--hang"]).await;
    fs::create_dir_all(stage.sessions()).unwrap();
    let identity = direct.record(session);
    fs::copy(&identity, stage.sessions().join(identity.file_name().unwrap())).unwrap();
    assert!(matches!(
        attach(&*stage.later(), session).await,
        Attach::Lost(LostReason::DaemonKilled)
    ));
    assert_eq!(exit(&*process).await, Exit::Signal { number: 9, core_dumped: false });
}
