//! What every [`Repository`] must do.
//!
//! Each function is one promise, and uses sessions that no other one uses: they may share a
//! repository, each called once. [`repository_promises!`](crate::repository_promises) names them
//! all, so that no implementation leaves one out.

use candor_core::event::{Event, Seq, StoredEvent};
use candor_core::input::Input;
use candor_core::machine::Policy;
use candor_core::ports::{Change, CommitError, Repository, StoredSession};
use candor_core::session::{Revision, SessionId};
use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::verdict::Exit;
use futures_util::future::{join, join_all};

use self::chain::{Chain, every_end, exited, session_id};

pub mod chain;

/// Events that one read asks for, where the number does not matter.
const PAGE: u32 = 7;

/// Calls `callback!` with the names of all promises, separated by blanks.
///
/// ```text
/// macro_rules! kept {
///     ($($promise:ident)*) => {$(
///         #[tokio::test]
///         async fn $promise() {
///             candor_harness::contract::repository::$promise(&repository().await).await;
///         }
///     )*};
/// }
/// candor_harness::repository_promises!(kept);
/// ```
#[macro_export]
macro_rules! repository_promises {
    ($callback:ident) => {
        $callback! {
            first_commit_needs_that_there_is_no_row
            later_commit_needs_its_row
            only_the_expected_revision_is_replaced
            second_writer_conflicts_and_changes_nothing
            of_many_writers_one_wins
            same_change_again_conflicts_and_is_there
            row_and_event_come_together
            acknowledged_commit_is_seen
            seq_rises_and_is_not_used_again
            sessions_do_not_hinder_each_other
            live_lists_who_has_not_ended_oldest_first
            events_come_in_pages_without_a_hole
            events_of_a_session_have_no_gap
            unknown_id_is_none
            every_end_is_kept
        }
    };
}

/// The first commit makes the row. Another first one conflicts.
pub async fn first_commit_needs_that_there_is_no_row(repository: &dyn Repository) {
    let chain = Chain::launched(session_id(100));
    let seq = store(repository, &chain).await;
    assert_row(repository, &chain, seq).await;

    let other = chain.by_another_writer();
    assert_eq!(repository.commit(other.change()).await, Err(CommitError::Conflict));
    assert_row(repository, &chain, seq).await;
}

/// A commit that expects a row where there is none conflicts, and makes none.
pub async fn later_commit_needs_its_row(repository: &dyn Repository) {
    let mut chain = Chain::launched(session_id(200));
    let before = last_seq(repository).await;
    chain.step(Input::Spawned);
    assert_eq!(repository.commit(chain.change()).await, Err(CommitError::Conflict));
    assert_eq!(repository.load(chain.session().id).await, Ok(None));
    assert_eq!(repository.events_after(before, PAGE).await, Ok(Vec::new()));
}

/// A commit that expects an earlier or a later revision than the row has conflicts.
pub async fn only_the_expected_revision_is_replaced(repository: &dyn Repository) {
    let first = Chain::launched(session_id(300));
    store(repository, &first).await;
    let mut second = first.clone();
    second.step(Input::Spawned);
    let seq = store(repository, &second).await;

    let mut late = first.by_another_writer();
    late.step(Input::Stop(StopKind::Kill));
    assert_eq!(late.change().expected, Revision::from_number(1));
    let mut early = second.by_another_writer();
    early.step(Input::RequestOpened);
    early.step(Input::RequestClosed);
    assert_eq!(early.change().expected, Revision::from_number(3));
    for chain in [first, late, early] {
        assert_eq!(repository.commit(chain.change()).await, Err(CommitError::Conflict));
        assert_row(repository, &second, seq).await;
    }
}

/// Two writers read the same revision. The second to commit loses, and neither its row nor its
/// event is there.
pub async fn second_writer_conflicts_and_changes_nothing(repository: &dyn Repository) {
    let mut exit = Chain::launched(session_id(400));
    store(repository, &exit).await;
    let mut stop = exit.by_another_writer();
    exit.step(exited(Exit::Code(3), false));
    stop.step(Input::Stop(StopKind::Interrupt));

    let seq = store(repository, &exit).await;
    assert_eq!(repository.commit(stop.change()).await, Err(CommitError::Conflict));
    assert_row(repository, &exit, seq).await;
    let ids: Vec<_> = story(repository, exit.session().id).await;
    assert!(ids.iter().all(|event| event.id != stop.change().event.id), "{ids:?}");
}

/// Of many who write the same revision at once exactly one wins; the others conflict.
pub async fn of_many_writers_one_wins(repository: &dyn Repository) {
    const WRITERS: usize = 20;

    let first = Chain::launched(session_id(500));
    store(repository, &first).await;
    let mut writer = first;
    let chains: Vec<_> = (0..WRITERS)
        .map(|_| {
            writer = writer.by_another_writer();
            let mut chain = writer.clone();
            chain.step(Input::Spawned);
            chain
        })
        .collect();
    let results = join_all(chains.iter().map(|chain| repository.commit(chain.change()))).await;
    let winners: Vec<_> = (0..WRITERS).filter(|&index| results[index].is_ok()).collect();
    let conflicts = results.iter().filter(|result| **result == Err(CommitError::Conflict)).count();
    assert_eq!((winners.len(), conflicts), (1, WRITERS - 1), "{results:?}");
    let seq = results[winners[0]].clone().expect("it has won");
    assert_row(repository, &chains[winners[0]], seq).await;
}

/// A change that is stored already conflicts, and the row tells its writer that it is there: this
/// is how somebody finds out what became of an answer that did not come.
pub async fn same_change_again_conflicts_and_is_there(repository: &dyn Repository) {
    let mut chain = Chain::launched(session_id(600));
    for input in [Input::Spawned, Input::Stop(StopKind::Interrupt)] {
        let seq = store(repository, &chain).await;
        assert_eq!(repository.commit(chain.change()).await, Err(CommitError::Conflict));
        assert_row(repository, &chain, seq).await;
        chain.step(input);
    }
}

/// Whoever reads a row finds the event that led to it, even while changes are being stored.
pub async fn row_and_event_come_together(repository: &dyn Repository) {
    let mut chain = Chain::launched(session_id(700));
    let id = chain.session().id;
    store(repository, &chain).await;
    chain.step(Input::Spawned);
    for round in 0..20 {
        let (stored, seen) = join(repository.commit(chain.change()), repository.load(id)).await;
        stored.unwrap_or_else(|error| panic!("change {round}: {error}"));
        let seen = seen.expect("it can be read").expect("it is there");
        let event = event_at(repository, seen.last_seq).await;
        assert_eq!(event.id, seen.last_event);
        assert_eq!((event.session, event.revision), (id, seen.session.revision()));
        assert_eq!(event.to, seen.session.status());
        chain.step(if round % 2 == 0 { Input::RequestOpened } else { Input::RequestClosed });
    }
}

/// Every commit that was acknowledged is seen by the reads that begin afterwards, whole.
pub async fn acknowledged_commit_is_seen(repository: &dyn Repository) {
    let mut chain = Chain::queued(session_id(801), session_id(800));
    let id = chain.session().id;
    let inputs = [
        Input::ParentEnded,
        Input::Spawned,
        Input::RequestOpened,
        Input::Stop(StopKind::Interrupt),
        Input::Stop(StopKind::Kill),
        exited(Exit::Signal { number: 9, core_dumped: false }, false),
    ];
    for input in inputs {
        let seq = store(repository, &chain).await;
        assert_row(repository, &chain, seq).await;
        assert_eq!(event_at(repository, seq).await, chain.change().event);
        assert!(repository.live().await.expect("it can be read").contains(&id));
        chain.step(input);
    }
    let seq = store(repository, &chain).await;
    assert_row(repository, &chain, seq).await;
    assert!(!repository.live().await.expect("it can be read").contains(&id));
}

/// Places rise with each commit, whoever commits; a commit that conflicts takes none back.
pub async fn seq_rises_and_is_not_used_again(repository: &dyn Repository) {
    let mut chains: Vec<_> = (900..905).map(|number| Chain::launched(session_id(number))).collect();
    let mut highest = last_seq(repository).await;
    let inputs = [Input::Spawned, Input::RequestOpened, Input::RequestClosed];
    for input in inputs {
        for chain in &mut chains {
            let seq = store(repository, chain).await;
            assert!(seq > highest, "{seq} came after {highest}");
            highest = seq;
            assert_eq!(repository.commit(chain.change()).await, Err(CommitError::Conflict));
            chain.step(input);
        }
    }
}

/// Many sessions that change at once are all stored, each at a place of its own.
pub async fn sessions_do_not_hinder_each_other(repository: &dyn Repository) {
    let mut chains: Vec<_> =
        (1_000..1_050).map(|number| Chain::launched(session_id(number))).collect();
    for input in [Input::Spawned, Input::Stop(StopKind::Kill)] {
        let commits = chains.iter().map(|chain| repository.commit(chain.change()));
        let results = join_all(commits).await;
        let mut places = Vec::new();
        for (chain, result) in chains.iter().zip(results) {
            let seq = result.unwrap_or_else(|error| panic!("{error}"));
            assert_row(repository, chain, seq).await;
            places.push(seq);
        }
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), chains.len(), "each has a place of its own");
        for chain in &mut chains {
            chain.step(input);
        }
    }
}

/// `live` names all that have not ended, and nobody else, oldest first.
pub async fn live_lists_who_has_not_ended_oldest_first(repository: &dyn Repository) {
    let queued = Chain::queued(session_id(1_104), session_id(1_102));
    let life = |number, inputs: &[Input]| Chain::of(session_id(number), Policy::default(), inputs);
    let waiting = life(1_102, &[Input::Spawned, Input::RequestOpened]);
    let completing = life(1_101, &[Input::Spawned, Input::Stop(StopKind::Interrupt)]);
    let ended = life(1_103, &[Input::Spawned, exited(Exit::Code(0), false)]);
    let starting = life(1_105, &[]);
    let running = life(1_100, &[Input::Spawned]);
    for chain in [&queued, &waiting, &completing, &ended, &starting, &running] {
        store_life(repository, chain).await;
    }
    let live = repository.live().await.expect("it can be read");
    let (first, last) = (session_id(1_100), session_id(1_105));
    let ours: Vec<_> = live.iter().copied().filter(|id| (first..=last).contains(id)).collect();
    assert_eq!(ours, [1_100, 1_101, 1_102, 1_104, 1_105].map(session_id));
    assert!(live.is_sorted(), "oldest first: {live:?}");
}

/// Pages of any size, put together, are all events in order, and the last one is empty.
pub async fn events_come_in_pages_without_a_hole(repository: &dyn Repository) {
    let before = last_seq(repository).await;
    let mut stored = Vec::new();
    let mut chain = Chain::launched(session_id(1_200));
    for input in [Input::Spawned, Input::RequestOpened, Input::RequestClosed, Input::RequestOpened]
    {
        let seq = store(repository, &chain).await;
        stored.push(StoredEvent { seq, event: chain.change().event });
        chain.step(input);
    }
    for limit in 1..=5 {
        let mut cursor = before;
        let mut read = Vec::new();
        loop {
            let page = repository.events_after(cursor, limit).await.expect("it can be read");
            assert!(page.len() <= limit as usize, "{} for a limit of {limit}", page.len());
            let Some(last) = page.last() else { break };
            cursor = last.seq;
            read.extend(page);
        }
        assert_eq!(read, stored, "in pages of {limit}");
    }
    assert_eq!(repository.events_after(before, 0).await, Ok(Vec::new()));
    for beyond in [chain_end(&stored), Seq::from_number(u64::MAX)] {
        assert_eq!(repository.events_after(beyond, PAGE).await, Ok(Vec::new()));
    }
}

/// Event k of a session is the change from revision k-1 to k, whatever conflicted in between.
pub async fn events_of_a_session_have_no_gap(repository: &dyn Repository) {
    let inputs = [Input::Spawned, Input::RequestOpened, Input::Stop(StopKind::Interrupt)];
    let mut chain = Chain::launched(session_id(1_300));
    let id = chain.session().id;
    for input in inputs {
        store(repository, &chain).await;
        let other = chain.by_another_writer();
        assert_eq!(repository.commit(other.change()).await, Err(CommitError::Conflict));
        chain.step(input);
    }
    store(repository, &chain).await;
    let story = story(repository, id).await;
    let mut from = None;
    for (event, revision) in story.iter().zip(1..) {
        assert_eq!((event.revision.number(), event.from), (revision, from));
        from = Some(event.to);
    }
    assert_eq!((story.len(), from), (4, Some(Status::Completing)));
}

/// Nobody's id has no row, and that is no error.
pub async fn unknown_id_is_none(repository: &dyn Repository) {
    store(repository, &Chain::launched(session_id(1_400))).await;
    assert_eq!(repository.load(session_id(1_401)).await, Ok(None));
}

/// Rows and events of every way to end come back as they were written.
pub async fn every_end_is_kept(repository: &dyn Repository) {
    for (number, (policy, inputs, verdict)) in (1_500..).zip(every_end()) {
        let chain = Chain::of(session_id(number), policy, &inputs);
        assert_eq!(chain.session().verdict(), Some(verdict), "what the test means by {inputs:?}");
        let seq = store_life(repository, &chain).await;
        assert_row(repository, &chain, seq).await;
        assert_eq!(event_at(repository, seq).await.verdict, Some(verdict));
    }
}

/// Stores a change that nothing stands in the way of.
async fn store(repository: &dyn Repository, chain: &Chain) -> Seq {
    let Change { session, .. } = chain.change();
    match repository.commit(chain.change()).await {
        Ok(seq) => seq,
        Err(error) => panic!("session {} at {}: {error}", session.id, session.revision()),
    }
}

/// Stores all changes of a life, from the first.
async fn store_life(repository: &dyn Repository, chain: &Chain) -> Seq {
    let mut seq = Seq::START;
    for change in chain.life() {
        seq = repository.commit(change).await.unwrap_or_else(|error| panic!("{error}"));
    }
    seq
}

/// Asserts that the row is the one after the chain's last change, and that its event is there.
async fn assert_row(repository: &dyn Repository, chain: &Chain, seq: Seq) {
    let Change { session, event, .. } = chain.change();
    let expected = StoredSession { session: session.clone(), last_event: event.id, last_seq: seq };
    let read = repository.load(session.id).await.expect("it can be read");
    assert_eq!(read, Some(expected));
    assert_eq!(event_at(repository, seq).await, *event);
}

async fn event_at(repository: &dyn Repository, seq: Seq) -> Event {
    let before = Seq::from_number(seq.number() - 1);
    let page = repository.events_after(before, 1).await.expect("it can be read");
    match page[..] {
        [stored] if stored.seq == seq => stored.event,
        _ => panic!("at {seq} there is {page:?}"),
    }
}

/// Returns the events of one session, in order.
async fn story(repository: &dyn Repository, id: SessionId) -> Vec<Event> {
    let all = all_events(repository).await;
    all.into_iter().map(|stored| stored.event).filter(|event| event.session == id).collect()
}

async fn last_seq(repository: &dyn Repository) -> Seq {
    chain_end(&all_events(repository).await)
}

async fn all_events(repository: &dyn Repository) -> Vec<StoredEvent> {
    let mut all = Vec::new();
    loop {
        let page = repository.events_after(chain_end(&all), PAGE).await.expect("it can be read");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn chain_end(events: &[StoredEvent]) -> Seq {
    events.last().map_or(Seq::START, |stored| stored.seq)
}
