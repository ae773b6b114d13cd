//! The scribe: puts down what agents and their users say, beside everything that decides.
//!
//! Whoever drives a session hands over what was read and never waits. What finds no room, and what a
//! file that had to be begun anew has lost, the scribe reads again from the output by itself.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candor_adapters::agents::{self, Item, ItemKind, Listener, Place, Role};
use candor_adapters::process::{Chunk, OutputReader, Stream};
use candor_adapters::sqlite::ListQuery;
use candor_adapters::sqlite::conversations::{AppendError, Batch, Conversations};
use candor_core::ports::Repository as _;
use candor_core::session::{Session, SessionId};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::App;

/// Batches that may wait, at most. Each is what was understood of 256 KiB of output.
const QUEUE_BATCHES_MAX: usize = 64;

/// Bytes of text that may wait, at most: one line can have as many as a thousand others.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What is read of an output at one time, in bytes.
const READ_BYTES_MAX: u64 = 256 * 1024;

/// How long it is waited after something could not be put down, in milliseconds.
const RETRY_MS: u64 = 5_000;

/// The part of the first line that the prompt is given: no line has so many.
const PROMPT_PART: u32 = u32::MAX;

/// Sessions that are looked at together, whether something of them is missing.
const LOOK_SESSIONS: u32 = 100;

/// The callers' end. Its clones share it.
#[derive(Clone)]
pub(crate) struct Scribe(Arc<Shared>);

struct Shared {
    conversations: Conversations,
    batches: mpsc::Sender<Batch>,
    waiting_bytes: AtomicUsize,
    /// Sessions of which something is to be read again.
    missed: Mutex<BTreeSet<SessionId>>,
    stirred: Notify,
}

/// What the scribe's task takes along.
pub(super) struct Inbox(mpsc::Receiver<Batch>);

impl Scribe {
    pub(super) fn new(conversations: Conversations) -> (Self, Inbox) {
        let (batches, inbox) = mpsc::channel(QUEUE_BATCHES_MAX);
        let (waiting_bytes, missed) = (AtomicUsize::new(0), Mutex::default());
        let stirred = Notify::new();
        let shared = Shared { conversations, batches, waiting_bytes, missed, stirred };
        (Self(Arc::new(shared)), Inbox(inbox))
    }

    /// Hands over what was read. It does not wait: what finds no room is read again later.
    pub(super) fn put_down(&self, batch: Batch) {
        let (session, bytes) = (batch.session, text_bytes(&batch));
        let waiting = self.0.waiting_bytes.load(Ordering::Relaxed);
        if waiting.saturating_add(bytes) > QUEUE_BYTES_MAX {
            return self.miss(session);
        }
        // Before it can be taken out again.
        self.0.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.0.batches.try_send(batch).is_err() {
            self.0.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.miss(session);
        }
    }

    /// Takes a batch that was handed over, and adds it: see [`add`](Self::add).
    async fn add_next(&self, batch: Batch) -> bool {
        self.0.waiting_bytes.fetch_sub(text_bytes(&batch), Ordering::Relaxed);
        self.add(batch).await
    }

    fn missed(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        self.0.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn miss(&self, session: SessionId) {
        self.missed().insert(session);
        self.0.stirred.notify_one();
    }

    /// Adds a batch. Says whether the next may follow: if not, the disk is to be left alone.
    async fn add(&self, batch: Batch) -> bool {
        let session = batch.session;
        match self.0.conversations.append(batch).await {
            Ok(()) | Err(AppendError::Removed) => true,
            Err(AppendError::Behind { .. }) => {
                self.miss(session);
                true
            }
            Err(AppendError::Unavailable { reason }) => {
                tracing::debug!(%session, reason, "its conversation is put down later");
                self.miss(session);
                false
            }
        }
    }
}

/// Returns what was said in a stretch of output, with the prompt as the beginning of it all. Not every
/// agent repeats its prompt, and what does repeat it must not say it twice. `is_repeated` keeps whether
/// it was repeated before.
pub(super) fn with_prompt(
    prompt: &str,
    from: u64,
    is_repeated: &mut bool,
    mut items: Vec<Item>,
) -> Vec<Item> {
    let is_prompt =
        |item: &Item| item.role == Role::User && item.kind == ItemKind::Text && item.text == prompt;
    let repeated = items.iter().position(is_prompt).filter(|_| !*is_repeated);
    if let Some(repeated) = repeated {
        *is_repeated = true;
        items.remove(repeated);
    }
    if from == 0 {
        let said = Item::new(Place::default(), Role::User, ItemKind::Text, prompt);
        let beginning = Item { part: PROMPT_PART, ..said };
        items.insert(0, beginning);
    }
    items
}

/// Puts down what is handed over, until the daemon leaves; then what still waits.
pub(super) async fn run(app: Arc<App>, Inbox(mut inbox): Inbox) {
    let scribe = &app.scribe;
    let mut files = scribe.0.conversations.files();
    let quiet = app.shutdown.quiet();
    let mut rests_until = Instant::now();
    loop {
        let has_missed = !scribe.missed().is_empty();
        tokio::select! {
            biased;
            () = quiet.cancelled() => break,
            Some(batch) = inbox.recv() => {
                if !scribe.add_next(batch).await {
                    rests_until = Instant::now() + Duration::from_millis(RETRY_MS);
                }
            }
            Ok(()) = files.changed() => {
                // The first file was there before this daemon, or all that lives is read anyway.
                let is_another = *files.borrow_and_update() > 1;
                look_for_missing(&app, is_another).await;
            }
            () = tokio::time::sleep_until(rests_until), if has_missed => {
                let next = scribe.missed().pop_first();
                if let Some(session) = next && !read_again(&app, session).await {
                    rests_until = Instant::now() + Duration::from_millis(RETRY_MS);
                }
            }
            () = scribe.0.stirred.notified(), if !has_missed => {}
        }
    }
    while let Ok(batch) = inbox.try_recv() {
        if !scribe.add_next(batch).await {
            return;
        }
    }
}

/// Returns how many bytes of text wait with a batch.
fn text_bytes(batch: &Batch) -> usize {
    batch.items.iter().map(|item| item.text.len()).sum()
}

/// Looks at all agents' sessions that have ended, whether something of their conversations is
/// missing. Those that live are read from the beginning by whoever drives them, and have to be looked
/// at only where the file has become another one since.
async fn look_for_missing(app: &Arc<App>, live_ones_too: bool) {
    let mut before = None;
    loop {
        let query = ListQuery { before, ..ListQuery::newest(LOOK_SESSIONS) };
        let listing = match app.store.list(&query).await {
            Ok(listing) => listing,
            Err(error) => {
                tracing::warn!(%error, "it is not known which conversations are missing");
                return;
            }
        };
        let Some(last) = listing.sessions.last() else { return };
        before = Some(last.session.id);
        let sessions = listing.sessions.into_iter().map(|stored| stored.session);
        for session in sessions.filter(|session| session.spec.agent.is_some()) {
            let is_live = !session.status().is_terminal();
            let known = app.conversations.read_to(session.id).await;
            let printed = printed_bytes(app, &session).await;
            let is_missing =
                if is_live { live_ones_too } else { known.is_ok_and(|known| known < printed) };
            if is_missing {
                app.scribe.miss(session.id);
            }
        }
    }
}

/// Returns how much a session that has ended has printed on standard output.
pub(crate) async fn printed_bytes(app: &Arc<App>, session: &Session) -> u64 {
    if let Some(output) = session.sighting.output {
        return output.stdout_bytes;
    }
    // Nobody looked at its end. What left no file has printed nothing.
    let (outputs, id) = (app.outputs.clone(), session.id);
    let looking =
        tokio::task::spawn_blocking(move || outputs.open(id, Stream::Stdout)?.size_bytes());
    looking.await.map_err(io::Error::other).flatten().unwrap_or(0)
}

/// Reads a session's output from the beginning, and puts down what is missing. Says whether the next
/// may follow.
async fn read_again(app: &Arc<App>, id: SessionId) -> bool {
    let session = match app.store.load(id).await {
        Ok(Some(stored)) => stored.session,
        // It was removed meanwhile, or nothing is known of it.
        Ok(None) | Err(_) => return true,
    };
    // Without a file there is nothing to read.
    let Ok(reader) = app.outputs.open(id, Stream::Stdout) else { return true };
    match copy(app, &session, reader).await {
        Ok(may_follow) => may_follow,
        Err(error) => {
            tracing::warn!(session = %id, %error, "its conversation cannot be read again");
            true
        }
    }
}

async fn copy(app: &Arc<App>, session: &Session, reader: OutputReader) -> io::Result<bool> {
    let Some(spec) = &session.spec.agent else { return Ok(true) };
    let Some(agent) = agents::by_name(&spec.kind) else { return Ok(true) };
    let mut listener = Listener::new(agent.reader(spec, &session.spec.cwd));
    let (mut from, mut is_repeated) = (0, false);
    let is_over = session.status().is_terminal();
    loop {
        let (offset, source) = (listener.offset(), reader.clone());
        let reading = tokio::task::spawn_blocking(move || source.read_at(offset, READ_BYTES_MAX));
        let mut items = Vec::new();
        let is_end = match reading.await.map_err(io::Error::other)?? {
            Chunk::Bytes(bytes) if bytes.is_empty() => true,
            Chunk::CutOff { .. } => true,
            Chunk::Bytes(bytes) => {
                listener.take(&bytes, &mut items);
                false
            }
            Chunk::Dropped(gap) => {
                listener.skip_to(gap.to);
                false
            }
        };
        if is_end && is_over {
            listener.end("", &mut items);
        }
        let read_to = listener.lines_to();
        if !items.is_empty() || is_end {
            let items = with_prompt(&spec.prompt, from, &mut is_repeated, items);
            let batch = Batch { session: session.id, from, items, read_to };
            if !app.scribe.add(batch).await {
                return Ok(false);
            }
            from = read_to;
        }
        if is_end {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_adapters::agents::{Item, ItemKind, Place, Role};
    use candor_adapters::ids::UuidV7Source;
    use candor_adapters::sqlite::conversations::{Batch, Conversations};
    use candor_core::ports::IdSource as _;

    use super::{Inbox, QUEUE_BATCHES_MAX, QUEUE_BYTES_MAX, Scribe, with_prompt};

    fn scribe(folder: &tempfile::TempDir) -> (Scribe, Inbox) {
        let path = folder.path().join("conversations.db");
        Scribe::new(Conversations::open(&path, &folder.path().join("aside")).unwrap())
    }

    #[test]
    fn what_finds_no_room_is_missed_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let (scribe, _inbox) = scribe(&folder);
        let batch = |session| Batch { session, from: 0, items: Vec::new(), read_to: 0 };
        for _ in 0..QUEUE_BATCHES_MAX {
            scribe.put_down(batch(UuidV7Source.session_id()));
        }
        assert!(scribe.missed().is_empty());
        let late = UuidV7Source.session_id();
        scribe.put_down(batch(late));
        assert_eq!(scribe.missed().iter().collect::<Vec<_>>(), [&late]);
    }

    #[test]
    fn long_texts_take_the_room_of_many() {
        let folder = tempfile::tempdir().unwrap();
        let (scribe, _inbox) = scribe(&folder);
        let long = "x".repeat(QUEUE_BYTES_MAX / 2 + 1);
        let sessions = [UuidV7Source.session_id(), UuidV7Source.session_id()];
        for session in sessions {
            let item = Item::new(Place::default(), Role::User, ItemKind::Text, "");
            let items = vec![Item { text: long.clone(), ..item }];
            scribe.put_down(Batch { session, from: 0, items, read_to: 0 });
        }
        assert_eq!(scribe.missed().iter().collect::<Vec<_>>(), [&sessions[1]]);
    }

    #[test]
    fn a_prompt_is_said_once_at_the_beginning() {
        let first = with_prompt("do it", 0, &mut false, Vec::new());
        assert_eq!(first.len(), 1);
        // As of an agent that repeats it, and whose user says the same once more.
        let mut is_repeated = false;
        assert_eq!(with_prompt("do it", 0, &mut is_repeated, first.clone()), first);
        assert_eq!(with_prompt("do it", 100, &mut is_repeated, first.clone()), first);
    }
}
