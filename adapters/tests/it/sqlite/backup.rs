//! Copies of the database: each is whole, and none stands in the way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use candor_adapters::sqlite::{BACKUPS_KEPT, SqliteStore, backups};
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::Repository as _;
use candor_core::stop::Actor;
use candor_core::time::Timestamp;
use candor_core::verdict::Exit;
use candor_harness::contract::repository::chain::{Chain, exited, session_id};

use super::disk::Disk;
use super::{Home, assert_sound, store};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn ended(number: u64) -> Chain {
    let inputs = [Input::Spawned, exited(Exit::Code(0), false)];
    Chain::of(session_id(number), Policy::default(), &inputs)
}

fn folder_in(home: &Home) -> PathBuf {
    let folder = home.beside("-backups");
    fs::create_dir(&folder).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Puts a copy into the place of a database, as a user would.
fn restored(copy: &Path) -> (Home, SqliteStore) {
    let home = Home::new();
    fs::copy(copy, &home.database).unwrap();
    let database = home.open();
    (home, database)
}

#[tokio::test]
async fn a_copy_opens_and_is_sound_and_holds_all_that_was_acknowledged() {
    let home = Home::new();
    let folder = folder_in(&home);
    let database = home.open();
    let chains: Vec<Chain> = (1..=50).map(ended).collect();
    for chain in &chains {
        store(&database, chain).await;
    }
    database.remove(session_id(1), Actor::Daemon, at(0)).await.unwrap();
    let made = database.back_up(&folder, at(0), || true).await.unwrap();
    assert_eq!(made.path, folder.join("candor-20231114-221320.db"));
    assert_eq!(fs::metadata(&made.path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!((made.at, made.bytes), (at(0), fs::metadata(&made.path).unwrap().len()));
    assert_eq!(names(&folder), ["candor-20231114-221320.db"]);
    assert_eq!(backups(&folder, at(0)).unwrap(), std::slice::from_ref(&made));

    let (restored_home, copy) = restored(&made.path);
    assert_sound(&restored_home).await;
    for chain in &chains[1..] {
        assert!(chain.is(&copy.load(chain.session().id).await.unwrap().unwrap()));
    }
    assert_eq!(copy.last_seq().await, database.last_seq().await);
    assert_eq!(copy.removed().await.unwrap(), [session_id(1)]);
    // It is a database like any other.
    store(&copy, &ended(99)).await;
    copy.close().await.unwrap();
}

/// Commits go on while a copy is made, and each copy is one state between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_made_while_changes_are_stored() {
    let home = Home::in_memory();
    let folder = folder_in(&home);
    let database = home.open();
    let is_over = AtomicBool::new(false);
    let writing = async {
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            store(&database, &ended(number)).await;
        }
        number
    };
    let copying = async {
        let mut copies = Vec::new();
        for second in 0..3 {
            let before = database.last_seq().await.unwrap();
            let made = database.back_up(&folder, at(second), || true).await.unwrap();
            copies.push((before, made));
        }
        is_over.store(true, Ordering::Relaxed);
        copies
    };
    let (written, copies) = tokio::join!(writing, copying);
    assert!(written > 0);
    for (before, made) in copies {
        let (restored_home, copy) = restored(&made.path);
        assert_sound(&restored_home).await;
        assert!(copy.last_seq().await.unwrap() >= before);
    }
}

#[tokio::test]
async fn three_are_kept_and_nothing_else_is_touched() {
    let home = Home::in_memory();
    let folder = folder_in(&home);
    let database = home.open();
    store(&database, &ended(1)).await;
    for name in ["candor-20200101-000000.db.mine", "candor-x.db", "notes"] {
        fs::write(folder.join(name), "mine").unwrap();
    }
    // What a daemon has left that was killed in the middle of one.
    let unfinished = "candor-20200101-000000.db.unfinished";
    for name in [unfinished, "candor-20200101-000000.db.unfinished-journal"] {
        fs::write(folder.join(name), "half").unwrap();
    }
    for second in 0..5 {
        database.back_up(&folder, at(second), || true).await.unwrap();
    }
    let kept = [
        "candor-20200101-000000.db.mine",
        "candor-20231114-221322.db",
        "candor-20231114-221323.db",
        "candor-20231114-221324.db",
        "candor-x.db",
        "notes",
    ];
    assert_eq!(names(&folder), kept);
    assert_eq!(backups(&folder, at(9)).unwrap().len(), BACKUPS_KEPT);
}

/// The clock was years ahead once. What was made then must not push out what is made now.
#[tokio::test]
async fn copies_from_the_future_count_as_the_oldest() {
    let home = Home::in_memory();
    let folder = folder_in(&home);
    let database = home.open();
    for second in [1_000_000, 1_000_001, 1_000_002, 0] {
        database.back_up(&folder, at(second), || true).await.unwrap();
    }
    let now: Vec<_> = backups(&folder, at(1)).unwrap().iter().map(|it| it.at).collect();
    assert_eq!(now, [at(0), at(1_000_002), at(1_000_001)]);
}

#[tokio::test]
async fn a_copy_that_nobody_wants_any_more_is_given_up_and_leaves_nothing() {
    let home = Home::in_memory();
    let folder = folder_in(&home);
    let database = home.open();
    for number in 0..200 {
        store(&database, &ended(number)).await;
    }
    let error = database.back_up(&folder, at(0), || false).await.unwrap_err();
    assert!(error.to_string().contains("interrupted"), "{error}");
    assert!(names(&folder).is_empty());
}

#[tokio::test]
async fn a_full_disk_costs_the_copy_and_nothing_else() {
    let Some(disk) = Disk::mount("1m") else { return };
    let home = Home::in_memory();
    let folder = disk.home("backups").database.parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let database = home.open();
    store(&database, &ended(1)).await;
    let good = database.back_up(&folder, at(0), || true).await.unwrap();
    let mut number = 1;
    while fs::metadata(&home.database).unwrap().len() < 1 << 20 {
        number += 1;
        store(&database, &ended(number)).await;
    }
    let error = database.back_up(&folder, at(1), || true).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(names(&folder), ["candor-20231114-221320.db"], "no part of it is left");
    assert_sound(&restored(&good.path).0).await;
    store(&database, &ended(number + 1)).await;
    assert_sound(&home).await;
}
