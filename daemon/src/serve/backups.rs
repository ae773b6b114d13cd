//! Copies of the database: one a day, made beside everything else.
//!
//! A copy that cannot be made is a warning and no more: the database itself is what counts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candor_adapters::sqlite::{SqliteStore, backups};
use candor_core::event::Seq;
use candor_core::time::Timestamp;

use super::App;

/// From one copy to the next, in seconds.
const EVERY_S: u64 = 24 * 3_600;

/// How often it is looked whether one is due, at least, in seconds. The machine may have slept: the
/// clock of the calendar has gone on then, and the one that timers go by has not.
const LOOK_S: u64 = 3_600;

/// Begins to make copies, and goes on until the daemon leaves. Call it before anybody is served:
/// whether there is something to copy at the start must not hang on who is quicker.
pub(super) async fn start(app: &Arc<App>) {
    let is_empty = is_empty(&app.store).await;
    tokio::spawn(keep(Arc::clone(app), is_empty));
}

async fn keep(app: Arc<App>, is_empty: bool) {
    let mut pause = Duration::from_secs(if is_empty { LOOK_S } else { 0 });
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.shutdown.asked() => return,
        }
        let watched = Arc::clone(&app);
        let is_wanted = move || !watched.shutdown.is_asked();
        let now = app.clock.now().wall;
        pause = turn(&app.store, &app.backups, now, is_wanted).await;
    }
}

/// Says whether nothing was ever stored, which is worth no copy.
async fn is_empty(store: &SqliteStore) -> bool {
    store.last_seq().await.is_ok_and(|last| last == Seq::START)
}

/// Makes a copy if one is due, and returns after what time to look again.
async fn turn(
    store: &SqliteStore,
    folder: &Path,
    now: Timestamp,
    is_wanted: impl Fn() -> bool + Send + 'static,
) -> Duration {
    let look_again = Duration::from_secs(LOOK_S);
    let place = folder.to_owned();
    let found = tokio::task::spawn_blocking(move || backups(&place, now)).await;
    let newest = match found.map_err(std::io::Error::other).flatten() {
        Ok(found) => found.first().map(|backup| backup.at),
        Err(error) => {
            tracing::warn!(%error, "cannot look for copies of the database");
            return look_again;
        }
    };
    let wait = due_in(newest, now);
    if !wait.is_zero() {
        return wait.min(look_again);
    }
    if is_empty(store).await {
        return look_again;
    }
    match store.back_up(folder, now, is_wanted).await {
        Ok(made) => {
            tracing::info!(path = %made.path.display(), bytes = made.bytes, "a copy of the database was made");
        }
        Err(error) => tracing::warn!("{error}; the database itself is not touched by that"),
    }
    look_again
}

/// Returns how long it is until a copy is due. One that seems to be from the future, since the clock
/// was wrong, says nothing.
fn due_in(newest: Option<Timestamp>, now: Timestamp) -> Duration {
    let every = Duration::from_secs(EVERY_S);
    let Some(newest) = newest.filter(|newest| *newest <= now) else {
        return Duration::ZERO;
    };
    every.saturating_sub(now.duration_since(newest).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use candor_adapters::sqlite::SqliteStore;
    use candor_core::ports::Repository as _;
    use candor_core::time::Timestamp;
    use candor_harness::contract::repository::chain::{Chain, session_id};
    use tempfile::TempDir;

    use super::turn;

    const HOUR: i64 = 3_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    struct Kept {
        _folder: TempDir,
        store: SqliteStore,
        backups: PathBuf,
    }

    impl Kept {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(&folder.path().join("db")).unwrap();
            store.commit(Chain::launched(session_id(1)).change()).await.unwrap();
            let backups = folder.path().join("backups");
            fs::create_dir(&backups).unwrap();
            Self { _folder: folder, store, backups }
        }

        async fn turn(&self, second: i64) -> Duration {
            turn(&self.store, &self.backups, at(second), || true).await
        }

        fn count(&self) -> usize {
            count(&self.backups)
        }
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn one_is_made_a_day_and_three_are_kept() {
        let kept = Kept::new().await;
        kept.turn(0).await;
        assert_eq!(kept.count(), 1, "there was none, so one is due at the start");
        for hour in 1..24 {
            let pause = kept.turn(hour * HOUR).await;
            assert_eq!(kept.count(), 1, "after {hour} h");
            assert!(pause <= Duration::from_secs(3_600), "{pause:?}");
        }
        assert_eq!(kept.turn(24 * HOUR - 60).await, Duration::from_secs(60));
        for (day, count) in [(1, 2), (2, 3), (3, 3), (9, 3)] {
            kept.turn(day * 24 * HOUR).await;
            assert_eq!(kept.count(), count, "after {day} days");
        }
    }

    #[tokio::test]
    async fn an_empty_database_is_worth_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("db")).unwrap();
        let backups = folder.path().join("backups");
        fs::create_dir(&backups).unwrap();
        turn(&store, &backups, at(0), || true).await;
        assert_eq!(count(&backups), 0);
    }

    #[tokio::test]
    async fn what_fails_is_tried_again_and_stops_nothing() {
        let kept = Kept::new().await;
        fs::remove_dir(&kept.backups).unwrap();
        let pause = kept.turn(0).await;
        assert_eq!(pause, Duration::from_secs(3_600));
        fs::create_dir(&kept.backups).unwrap();
        kept.turn(HOUR).await;
        assert_eq!(kept.count(), 1);
    }

    #[tokio::test]
    async fn a_copy_from_the_future_keeps_none_from_being_made() {
        let kept = Kept::new().await;
        kept.turn(1_000 * HOUR).await;
        kept.turn(0).await;
        assert_eq!(kept.count(), 2);
        kept.turn(HOUR).await;
        assert_eq!(kept.count(), 2, "the clock is right again, and one a day is enough");
    }
}
