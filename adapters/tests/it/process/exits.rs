//! Every way to end, seen as the kernel said it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

use candor_core::ports::{Delivery, Target};
use candor_core::stop::Signal;
use candor_core::verdict::{Exit, Witness};
use candor_harness::programs::fake_agent;

use super::{Stage, ending, exit};

/// Signals whose default is not to end the process: they stop it, or let it go on, or do nothing.
#[cfg(target_os = "linux")]
const HARMLESS: [u8; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
#[cfg(not(target_os = "linux"))]
const HARMLESS: [u8; 9] = [16, 17, 18, 19, 20, 21, 22, 23, 28];

/// Real-time signals, of which the first two are the C library's own.
#[cfg(target_os = "linux")]
const REAL_TIME: std::ops::RangeInclusive<u8> = 34..=64;
#[cfg(not(target_os = "linux"))]
const REAL_TIME: std::ops::Range<u8> = 0..0;

fn deadly_signals() -> impl Iterator<Item = u8> {
    (1..=31).filter(|number| !HARMLESS.contains(number)).chain(REAL_TIME)
}

#[tokio::test]
async fn all_exit_codes() {
    let stage = Stage::new();
    for code in 0..=u8::MAX {
        let (_, process) = stage.agent_up(&["--exit", &code.to_string()]).await;
        assert_eq!(exit(&*process).await, Exit::Code(code));
    }
}

#[tokio::test]
async fn all_signals() {
    let stage = Stage::new();
    for number in deadly_signals() {
        compare_with_std(&stage, &["--die", &number.to_string()], number).await;
    }
}

#[tokio::test]
async fn all_signals_with_a_core_dump_where_the_system_writes_one() {
    let stage = Stage::new();
    for number in deadly_signals() {
        compare_with_std(&stage, &["--core", "--die", &number.to_string()], number).await;
    }
}

/// What std sees of the same program is the measure: whether a core dump is written, the machine
/// decides.
async fn compare_with_std(stage: &Stage, arguments: &[&str], number: u8) {
    let mut command = Command::new(fake_agent());
    command.args(arguments).current_dir(stage.work()).stdin(Stdio::null()).stderr(Stdio::null());
    let status: ExitStatus = command.status().unwrap();
    assert_eq!(status.signal(), Some(i32::from(number)), "the agent dies of it");
    let (_, process) = stage.agent_up(arguments).await;
    let expected = Exit::Signal { number, core_dumped: status.core_dumped() };
    assert_eq!(exit(&*process).await, expected, "{arguments:?}");
}

#[tokio::test]
async fn exit_code_137_is_not_signal_9() {
    let stage = Stage::new();
    let (_, leaves) = stage.agent_up(&["--exit", "137"]).await;
    let (_, dies) = stage.agent_up(&["--die", "KILL"]).await;
    assert_eq!(exit(&*leaves).await, Exit::Code(137));
    assert_eq!(exit(&*dies).await, Exit::Signal { number: 9, core_dumped: false });
}

#[tokio::test]
async fn ending_says_who_saw_it_and_how_much_there_was() {
    let stage = Stage::new();
    let (_, process) =
        stage.agent_up(&["--lines", "3", "--print-error", "oh", "--exit", "4"]).await;
    let ending = ending(&*process).await;
    assert_eq!(ending.witness, Witness::Parent);
    assert!(!ending.oom_killed);
    assert_eq!(ending.output.stdout_bytes, "line 1\nline 2\nline 3\n".len() as u64);
    assert_eq!(ending.output.stderr_bytes, "oh\n".len() as u64);
}

#[tokio::test]
async fn stopped_process_ends_when_it_goes_on() {
    let stage = Stage::new();
    let (_, process) = stage.agent_up(&["--die", "STOP"]).await;
    // It is stopped now, or will be in a moment: SIGKILL reaches it either way.
    assert_eq!(process.signal(Target::Group, Signal::Kill).await, Delivery::Delivered);
    assert_eq!(exit(&*process).await, Exit::Signal { number: 9, core_dumped: false });
}

#[tokio::test]
async fn handled_signal_is_the_exit_that_the_agent_chose() {
    let stage = Stage::new();
    for (action, expected) in [
        ("exit:0", Exit::Code(0)),
        ("exit:130", Exit::Code(130)),
        ("error:1", Exit::Code(1)),
        ("success:0", Exit::Code(0)),
        ("delay:1:5", Exit::Code(5)),
        ("die", Exit::Signal { number: 2, core_dumped: false }),
    ] {
        let ready = stage.fifo(&format!("ready-{}", action.replace(':', "-")));
        let reaction = format!("INT={action}");
        let arguments = ["--on", &reaction, "--ready", ready.to_str().unwrap(), "--hang"];
        let (_, process) = stage.agent_up(&arguments).await;
        assert_eq!(super::line_from(&ready).await, "ready\n");
        assert_eq!(process.signal(Target::Group, Signal::Interrupt).await, Delivery::Delivered);
        assert_eq!(exit(&*process).await, expected, "{action}");
    }
}

#[tokio::test]
async fn ignored_signals_leave_it_running_until_kill() {
    let stage = Stage::new();
    let ready = stage.fifo("ready");
    let arguments =
        ["--ignore", "INT", "--ignore", "TERM", "--ready", ready.to_str().unwrap(), "--hang"];
    let (_, process) = stage.agent_up(&arguments).await;
    assert_eq!(super::line_from(&ready).await, "ready\n");
    for signal in [Signal::Interrupt, Signal::Terminate, Signal::Continue, Signal::Kill] {
        assert_eq!(process.signal(Target::Group, signal).await, Delivery::Delivered);
    }
    assert_eq!(exit(&*process).await, Exit::Signal { number: 9, core_dumped: false });
}
