//! Measures how long it takes until a session with many processes is gone after `SIGKILL`, and how
//! long the kernel takes for the same tree by `cgroup.kill` alone.
//!
//! `end_of_tree [PROCESSES [ROUNDS]]`, 1,000 and 10 where nothing is said. It prints a line for each
//! way, times in milliseconds: `WAY p50 P50 max MAX`.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("there are no shims here");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    // The spawner starts this very program as its shim.
    if std::env::args().nth(1).as_deref() == Some("shim") {
        return candor_adapters::process::shim::main();
    }
    measure::main()
}

#[cfg(target_os = "linux")]
mod measure {
    use std::fs::{self, File};
    use std::io::{self, BufRead as _, BufReader, Read as _};
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};
    use std::time::{Duration, Instant};

    use candor_adapters::ids::UuidV7Source;
    use candor_adapters::process::shim::{ShimProgram, ShimSpawner};
    use candor_core::ports::{Fact, IdSource as _, Launch, ProcessSpawner as _, Target};
    use candor_core::stop::Signal;
    use candor_harness::programs::RealPrograms;
    use rustix::event::{PollFd, PollFlags, poll};

    /// Each has a session of its own, and of every second one the parent is dead.
    const TREE: &str = "i=0; while [ $i -lt $0 ]; do setsid sleep 1000 & i=$((i+1))
        (setsid sleep 1000 &); i=$((i+1)); done; echo ready > ready; wait";

    pub(super) fn main() -> ExitCode {
        let numbers: Vec<u32> =
            std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
        let processes = numbers.first().copied().unwrap_or(1000);
        let rounds = numbers.get(1).copied().unwrap_or(10);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let mut ways: [(&str, Vec<Duration>); 3] = [
            ("cgroup.kill", Vec::new()),
            ("session in a cgroup", Vec::new()),
            ("session without", Vec::new()),
        ];
        // One after the other in each round, so that a busy moment meets all ways alike.
        for _ in 0..rounds {
            ways[0].1.extend(by_kernel(processes).ok());
            ways[1].1.push(runtime.block_on(by_session(processes, true)));
            ways[2].1.push(runtime.block_on(by_session(processes, false)));
        }
        for (way, mut times) in ways {
            times.sort_unstable();
            let ms =
                |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
            let (middle, most) = (ms(times.get(times.len() / 2)), ms(times.last()));
            println!("{way:20} p50 {middle:8.1} max {most:8.1}");
        }
        ExitCode::SUCCESS
    }

    /// Makes the fifo by which the tree says that it is there.
    fn fifo(folder: &Path) -> PathBuf {
        let path = folder.join("ready");
        let made = Command::new("mkfifo").arg(&path).status().expect("there is mkfifo");
        assert!(made.success());
        path
    }

    fn await_ready(fifo: &Path) {
        let mut line = String::new();
        BufReader::new(File::open(fifo).expect("it is there"))
            .read_line(&mut line)
            .expect("a line");
        assert_eq!(line, "ready\n");
    }

    /// Returns how long the kernel takes by itself, from the order until the cgroup is empty.
    fn by_kernel(processes: u32) -> io::Result<Duration> {
        let work = tempfile::tempdir()?;
        let ready = fifo(work.path());
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].into_iter().map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists());
        let mount = mount.ok_or(io::ErrorKind::NotFound)?;
        let cgroup = mount.join(format!("candor-measured-{}", std::process::id()));
        fs::create_dir(&cgroup)?;
        let enter = format!("echo 0 > {}/cgroup.procs; {TREE}", cgroup.display());
        let mut shell = Command::new("/bin/sh")
            .args(["-c", &enter, &processes.to_string()])
            .current_dir(work.path())
            .spawn()?;
        await_ready(&ready);
        let mut events = File::open(cgroup.join("cgroup.events"))?;
        let begun = Instant::now();
        fs::write(cgroup.join("cgroup.kill"), "1")?;
        loop {
            let mut text = [0; 256];
            let bytes = rustix::io::pread(&events, &mut text, 0)?;
            if text[..bytes].starts_with(b"populated 0") {
                break;
            }
            poll(&mut [PollFd::new(&events, PollFlags::PRI)], None)?;
        }
        let time = begun.elapsed();
        drop(events.read(&mut [0; 1]));
        shell.wait()?;
        fs::remove_dir(cgroup)?;
        Ok(time)
    }

    /// Returns how long it takes from the order until the end is told, and nothing is left.
    async fn by_session(processes: u32, in_a_cgroup: bool) -> Duration {
        let home = tempfile::tempdir().expect("a folder");
        let work = home.path().join("work");
        fs::create_dir(&work).expect("a folder");
        let ready = fifo(&work);
        let program = ShimProgram { path: "/proc/self/exe".into(), arguments: vec!["shim".into()] };
        let spawner = ShimSpawner::new(home.path().join("sessions"), program);
        let spawner = if in_a_cgroup { spawner } else { spawner.without_cgroups() };
        let programs = RealPrograms::new(work);
        let program = programs.command("/bin/sh", ["-c", TREE, &processes.to_string()]);
        let session = UuidV7Source.session_id();
        let launch = spawner.launch(session, &program.spec, &program.environment).await;
        let Launch::Up(process) = launch else { panic!("it is not up") };
        tokio::task::spawn_blocking(move || await_ready(&ready)).await.expect("it is ready");
        let begun = Instant::now();
        process.signal(Target::Group, Signal::Kill).await;
        let Fact::Ended(ending) = process.next_fact().await else { panic!("it is lost") };
        let time = begun.elapsed();
        assert_eq!(ending.left_behind, Some(0));
        time
    }
}
