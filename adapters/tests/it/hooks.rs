//! Hooks and their deliveries in their database.

use candor_adapters::sqlite::hooks::{
    Advance, Attempt, DELIVERIES_KEPT, HOOKS_MAX, Hook, HookId, Hooks, HooksError, NewDelivery,
    Secret, Then, inspect,
};
use candor_core::event::Seq;
use candor_core::session::SessionId;
use candor_core::time::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn session(number: u128) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(number))
}

fn hook(cursor: u64) -> Hook {
    Hook {
        id: HookId::new(),
        url: "https://example.com/hook".to_owned(),
        words: vec!["completed".to_owned(), "failed".to_owned()],
        session: None,
        secret: Secret::new(vec![7; 32]),
        allow_local: false,
        created_at: at(1),
        cursor: Seq::from_number(cursor),
    }
}

fn delivery(seq: u64, session: SessionId) -> NewDelivery {
    NewDelivery {
        seq: Seq::from_number(seq),
        session,
        kind: "session.completed".to_owned(),
        payload: format!("{{\"seq\":{seq}}}"),
    }
}

fn advance(hook: &Hook, from: u64, to: u64, deliveries: Vec<NewDelivery>) -> Vec<Advance> {
    let (from, to) = (Seq::from_number(from), Seq::from_number(to));
    vec![Advance { hook: hook.id, from, to, deliveries }]
}

fn attempt(second: i64, then: Then) -> Attempt {
    let failed = then != Then::Delivered;
    Attempt {
        at: at(second),
        status: Some(if failed { 500 } else { 204 }),
        error: failed.then(|| "it says 500".to_owned()),
        then,
    }
}

struct Stage {
    hooks: Hooks,
    hook: Hook,
    folder: TempDir,
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let hooks = Hooks::new(&folder.path().join("hooks.db"));
    let hook = hook(5);
    hooks.add(hook.clone()).await.unwrap();
    Stage { hooks, hook, folder }
}

impl Stage {
    async fn due(&self, second: i64) -> Vec<String> {
        let due = self.hooks.due(self.hook.id, at(second)..at(1_000), 10).await.unwrap();
        due.into_iter().map(|due| due.payload).collect()
    }

    /// Makes the attempt that is due first.
    async fn attempt(&self, second: i64, then: Then) {
        let due = self.hooks.due(self.hook.id, at(second)..at(1_000), 1).await.unwrap();
        self.hooks.attempted(due[0].id, attempt(second, then)).await.unwrap();
    }
}

#[tokio::test]
async fn no_file_is_made_where_nobody_has_a_hook() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hooks.db");
    assert_eq!(Hooks::new(&path).list().await, Ok(Vec::new()));
    assert!(!path.exists());
    assert_eq!(inspect(&path).unwrap(), None);
}

#[tokio::test]
async fn a_hook_is_kept_as_it_was_given() {
    let Stage { hooks, mut hook, folder } = stage().await;
    hooks.close().await.unwrap();
    let hooks = Hooks::new(&folder.path().join("hooks.db"));
    let stored = hooks.list().await.unwrap();
    assert_eq!(stored[0].hook, hook);
    hook = Hook { session: Some(session(3)), allow_local: true, id: HookId::new(), ..hook };
    hooks.add(hook.clone()).await.unwrap();
    assert_eq!(hooks.list().await.unwrap()[1].hook, hook);
    hooks.close().await.unwrap();
    assert_eq!(inspect(&folder.path().join("hooks.db")).unwrap(), Some(2));
}

#[tokio::test]
async fn its_file_is_its_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = stage().await;
    for entry in std::fs::read_dir(stage.folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn there_is_a_limit_of_hooks() {
    let stage = stage().await;
    for _ in 1..HOOKS_MAX {
        stage.hooks.add(hook(0)).await.unwrap();
    }
    assert_eq!(stage.hooks.add(hook(0)).await, Err(HooksError::TooMany));
    assert!(stage.hooks.remove(stage.hook.id).await.unwrap());
    assert!(!stage.hooks.remove(stage.hook.id).await.unwrap());
    stage.hooks.add(hook(0)).await.unwrap();
}

#[tokio::test]
async fn deliveries_and_cursor_are_stored_together_and_once() {
    let stage = stage().await;
    let advances = advance(&stage.hook, 5, 9, vec![delivery(7, session(1))]);
    stage.hooks.collect(advances.clone(), at(10)).await.unwrap();
    stage.hooks.collect(advances, at(10)).await.unwrap();
    let stored = stage.hooks.list().await.unwrap();
    assert_eq!((stored[0].hook.cursor, stored[0].pending), (Seq::from_number(9), 1));
    assert_eq!(stage.due(10).await, ["{\"seq\":7}"]);
}

#[tokio::test]
async fn of_each_session_the_first_that_waits_has_its_turn() {
    let stage = stage().await;
    let all = vec![
        delivery(6, session(1)),
        delivery(7, session(1)),
        delivery(8, session(2)),
        delivery(9, session(1)),
    ];
    stage.hooks.collect(advance(&stage.hook, 5, 9, all), at(10)).await.unwrap();
    assert_eq!(stage.due(10).await, ["{\"seq\":6}", "{\"seq\":8}"]);
    stage.attempt(10, Then::Again(at(60))).await;
    // Nothing of that session until it is through; all of the others.
    assert_eq!(stage.due(10).await, ["{\"seq\":8}"]);
    stage.attempt(10, Then::Delivered).await;
    assert_eq!(stage.due(59).await, [""; 0]);
    assert_eq!(stage.hooks.next_at(stage.hook.id, at(10)).await, Ok(Some(at(60))));
    stage.attempt(60, Then::GivenUp).await;
    assert_eq!(stage.due(60).await, ["{\"seq\":7}"]);
    stage.attempt(60, Then::Delivered).await;
    stage.attempt(60, Then::Delivered).await;
    let stored = stage.hooks.list().await.unwrap();
    assert_eq!((stored[0].pending, stored[0].delivered, stored[0].given_up), (0, 3, 1));
    let kept = stage.hooks.deliveries(stage.hook.id, 10).await.unwrap();
    let states: Vec<_> = kept.iter().map(|it| (it.seq.number(), &*it.state, it.attempts)).collect();
    let expected =
        [(9, "delivered", 1), (8, "delivered", 1), (7, "delivered", 1), (6, "given_up", 2)];
    assert_eq!(states, expected);
    assert_eq!(kept[3].last_error.as_deref(), Some("it says 500"));
    assert_eq!((kept[3].last_status, kept[3].done_at), (Some(500), Some(at(60))));
}

#[tokio::test]
async fn a_clock_that_was_set_back_holds_nothing_up() {
    let stage = stage().await;
    let one = advance(&stage.hook, 5, 6, vec![delivery(6, session(1))]);
    stage.hooks.collect(one, at(2_000)).await.unwrap();
    assert_eq!(stage.due(10).await, ["{\"seq\":6}"]);
}

#[tokio::test]
async fn a_disabled_hook_gives_up_what_waits_and_takes_nothing_more() {
    let stage = stage().await;
    let first = advance(&stage.hook, 5, 7, vec![delivery(6, session(1)), delivery(7, session(2))]);
    stage.hooks.collect(first, at(10)).await.unwrap();
    stage.hooks.disable(stage.hook.id, at(11), "it is gone".to_owned()).await.unwrap();
    let more = advance(&stage.hook, 7, 8, vec![delivery(8, session(1))]);
    stage.hooks.collect(more, at(12)).await.unwrap();
    let stored = stage.hooks.list().await.unwrap();
    assert_eq!((stored[0].pending, stored[0].given_up), (0, 2));
    assert_eq!(stored[0].disabled, Some((at(11), "it is gone".to_owned())));
}

#[tokio::test]
async fn what_is_done_is_remembered_up_to_a_limit() {
    let stage = stage().await;
    let count = u64::from(DELIVERIES_KEPT) + 3;
    let all = (1..=count).map(|number| delivery(5 + number, session(u128::from(number)))).collect();
    stage.hooks.collect(advance(&stage.hook, 5, 5 + count, all), at(10)).await.unwrap();
    for number in 0..3 {
        stage.attempt(10 + number, Then::Delivered).await;
    }
    stage.hooks.disable(stage.hook.id, at(20), "enough".to_owned()).await.unwrap();
    let kept = stage.hooks.deliveries(stage.hook.id, usize::MAX).await.unwrap();
    assert_eq!(kept.len(), DELIVERIES_KEPT as usize);
    assert!(kept.iter().all(|it| it.state == "given_up"), "the oldest go first");
    assert_eq!(stage.hooks.list().await.unwrap()[0].delivered, 3);
}

#[tokio::test]
async fn what_is_done_holds_no_payload_any_more() {
    let stage = stage().await;
    let one = advance(
        &stage.hook,
        5,
        6,
        vec![NewDelivery { payload: "CANARY".repeat(10), ..delivery(6, session(1)) }],
    );
    stage.hooks.collect(one, at(10)).await.unwrap();
    let due = stage.hooks.due(stage.hook.id, at(10)..at(20), 1).await.unwrap();
    assert_eq!(due[0].payload, "CANARY".repeat(10));
    stage.attempt(10, Then::Delivered).await;
    stage.hooks.close().await.unwrap();
    let path = stage.folder.path().join("hooks.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let payload: Option<String> =
        connection.query_row("SELECT payload FROM deliveries", [], |row| row.get(0)).unwrap();
    assert_eq!(payload, None);
}

#[tokio::test]
async fn a_file_that_is_of_no_use_is_left_as_it_is() {
    let stage = stage().await;
    stage.hooks.close().await.unwrap();
    let path = stage.folder.path().join("hooks.db");
    std::fs::write(&path, b"something else, and long enough to be a header of some kind").unwrap();
    let before = std::fs::read(&path).unwrap();
    let hooks = Hooks::new(&path);
    let error = hooks.list().await.unwrap_err().to_string();
    assert!(error.contains("move it away"), "{error}");
    assert!(inspect(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // Somebody has done so.
    std::fs::remove_file(&path).unwrap();
    hooks.add(hook(0)).await.unwrap();
    assert_eq!(hooks.list().await.unwrap().len(), 1);
}
