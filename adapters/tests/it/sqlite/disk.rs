//! A disk that is full, and one that fails to write.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use candor_adapters::sqlite::OpenError;
use candor_core::input::Input;
use candor_core::ports::{CommitError, Repository as _};
use candor_harness::contract::repository::chain::{Chain, session_id};
use tempfile::TempDir;

use super::kill::{Child, strace};
use super::{Home, assert_sound, skip, store};

/// A disk of our own, in memory.
pub(super) struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Returns none, and says so, where the tests may not mount.
    pub(super) fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "candor-test"]).arg(folder.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        skip("no file system may be mounted here");
        None
    }

    pub(super) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.folder.path()).status();
        assert!(status.unwrap().success(), "{options}");
    }

    /// Returns a home in a folder of this name.
    pub(super) fn home(&self, name: &str) -> Home {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        Home::of(tempfile::tempdir_in(folder).unwrap())
    }

    /// Fills what is left, and returns the file that does.
    fn fill(&self) -> PathBuf {
        let path = self.folder.path().join("filling");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 16, 1 << 8, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{:?}", self.folder);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = Disk::mount("2m") else { return };
    let home = disk.home("home");
    let store = home.open();
    let mut chain = Chain::launched(session_id(1));
    store.commit(chain.change()).await.unwrap();
    let filling = disk.fill();

    let before = chain.clone();
    let last = store.last_seq().await.unwrap();
    chain.step(Input::Spawned);
    for _ in 0..3 {
        // What fits into the room that the log has already is stored, and what does not is not.
        let mut refused = store.commit(chain.change()).await;
        for number in 2..50 {
            if refused.is_err() {
                break;
            }
            refused = store.commit(Chain::launched(session_id(number)).change()).await;
        }
        assert!(matches!(refused, Err(CommitError::NotStored { .. })), "{refused:?}");
    }
    let row = store.load(session_id(1)).await.unwrap().unwrap();
    assert!(before.is(&row) || chain.is(&row), "{row:?}");
    store.events_after(last.min(row.last_seq), 10).await.unwrap();
    assert_sound(&home).await;

    fs::remove_file(filling).unwrap();
    for number in 50..60 {
        store.commit(Chain::launched(session_id(number)).change()).await.unwrap();
    }
    assert_sound(&home).await;
    store.close().await.unwrap();
    assert_sound(&home).await;
}

/// The store itself fills the disk, in the middle of whatever it does; each answer is true.
#[tokio::test]
async fn a_disk_that_fills_up_tells_the_truth() {
    let Some(disk) = Disk::mount("1m") else { return };
    let home = disk.home("home");
    let store = home.open();
    let mut stored = Vec::new();
    let mut refused = Vec::new();
    for number in 0..400 {
        let chain = Chain::launched(session_id(number));
        match store.commit(chain.change()).await {
            Ok(_) => stored.push(chain),
            Err(CommitError::NotStored { .. }) => refused.push(chain),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(!stored.is_empty() && !refused.is_empty());
    for chain in &stored {
        assert!(chain.is(&store.load(chain.session().id).await.unwrap().unwrap()));
    }
    for chain in &refused {
        assert_eq!(store.load(chain.session().id).await, Ok(None));
    }
    disk.remount("size=16m");
    for chain in &refused {
        store.commit(chain.change()).await.unwrap();
    }
    assert_sound(&home).await;
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_named() {
    let Some(disk) = Disk::mount("1m") else { return };
    let (new, used) = (disk.home("new"), disk.home("used"));
    let first = used.open();
    let chain = Chain::launched(session_id(1));
    store(&first, &chain).await;
    first.close().await.unwrap();
    let bytes = fs::read(&used.database).unwrap();
    let filling = disk.fill();
    for home in [&new, &used] {
        let error = candor_adapters::sqlite::SqliteStore::open(&home.database).unwrap_err();
        assert!(matches!(error, OpenError::Full { .. }), "{error:?}");
    }
    assert!(new.files().is_empty(), "{:?}", new.files());
    assert!(bytes == fs::read(&used.database).unwrap());
    fs::remove_file(filling).unwrap();
    new.open();
    assert!(chain.is(&used.open().load(session_id(1)).await.unwrap().unwrap()));
}

/// Runs the child that doubts under `command`, on a store that was made before, and returns what it
/// said.
async fn doubt(command: Command) -> (Home, Vec<String>) {
    let home = Home::new();
    home.open().close().await.unwrap();
    let mut child = Child::start(command, &home, "doubt", 0);
    let lines = child.lines().collect();
    child.wait();
    (home, lines)
}

/// The disk fails to make a change durable: the answer is that nobody knows; the row then says
/// what is true, and goes on saying so.
#[tokio::test]
async fn a_failed_sync_is_unknown_and_the_row_tells() {
    let mut doubts = 0;
    // Each thread counts its own calls: the first ones of the opening fail, then those of the writer.
    for count in 1..=12 {
        let Some(command) = strace(&format!("fsync,fdatasync:error=EIO:when={count}")) else {
            return;
        };
        let (home, lines) = doubt(command).await;
        let last = lines.last().map_or("", String::as_str);
        assert!(last == "done" || last.starts_with("cannot open"), "{lines:?}");
        let new = lines.iter().filter(|line| line.starts_with("doubt ")).count();
        assert!(new <= 1, "{lines:?}");
        doubts += new;
        let acks: Vec<_> = lines.iter().filter_map(|line| line.parse().ok()).collect();
        assert!(last != "done" || acks.len() == 18, "{lines:?}");
        super::kill::verify(&home, &acks).await;
    }
    assert!(doubts > 2, "{doubts}: the faults did not come where they should");
}

/// The disk never makes anything durable again: nothing is acknowledged any more, however often it
/// is tried, and what was acknowledged before is there.
#[tokio::test]
async fn a_disk_that_goes_on_failing_is_not_believed() {
    let mut given_up = 0;
    for count in 1..=8 {
        let Some(command) = strace(&format!("fsync,fdatasync:error=EIO:when={count}+")) else {
            return;
        };
        let (home, lines) = doubt(command).await;
        let last = lines.last().map_or("", String::as_str);
        assert!(last == "gives up" || last.starts_with("cannot open"), "{lines:?}");
        given_up += u32::from(last == "gives up");
        let refused = lines.iter().position(|line| line.starts_with("refused"));
        let late = lines.iter().skip(refused.unwrap_or(lines.len()));
        assert_eq!(late.filter(|line| line.starts_with("ack")).count(), 0, "{lines:?}");
        let acks: Vec<_> = lines.iter().filter_map(|line| line.parse().ok()).collect();
        super::kill::verify(&home, &acks).await;
    }
    assert!(given_up > 2, "{given_up}: the faults did not come where they should");
}

/// The disk takes longer than the caller may wait: the answer is that nobody knows, and whoever
/// then reads the row waits for what becomes of the change.
#[tokio::test]
async fn a_slow_disk_is_unknown_and_the_row_waits_for_it() {
    let mut doubts = 0;
    for count in [4, 5] {
        let fault = format!("fsync,fdatasync:delay_enter=2500000:when={count}");
        let Some(command) = strace(&fault) else { return };
        let home = Home::new();
        home.open().close().await.unwrap();
        let mut child = Child::start(command, &home, "doubt", 0);
        let lines: Vec<_> = child.lines().collect();
        child.wait();
        assert_eq!(lines.last().map(String::as_str), Some("done"), "{lines:?}");
        assert!(!lines.iter().any(|line| line == "doubt false"), "{lines:?}");
        doubts += lines.iter().filter(|line| *line == "doubt true").count();
        let acks: Vec<_> = lines.iter().filter_map(|line| line.parse().ok()).collect();
        super::kill::verify(&home, &acks).await;
    }
    assert!(doubts > 0, "{doubts}: the faults did not come where they should");
}

/// The disk takes long over one change. Another that waits behind it is given up in time, and is
/// never stored: its caller was told so.
#[tokio::test]
async fn what_is_given_up_behind_a_slow_disk_never_comes() {
    // The opening makes fewer calls, and the writer one for each change.
    let Some(command) = strace("fsync,fdatasync:delay_enter=2500000:when=4") else { return };
    let home = Home::new();
    home.open().close().await.unwrap();
    let mut child = Child::start(command, &home, "queue", 0);
    let lines: Vec<_> = child.lines().collect();
    child.wait();
    let expected = [
        "opens",
        "refused may or may not be stored: the disk does not answer",
        "refused not stored: the disk does not keep up",
        "doubt true",
        "doubt false",
        "done",
    ];
    assert_eq!(lines, expected);
    super::kill::verify(&home, &[]).await;
}
