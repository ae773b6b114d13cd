//! From the event log into the outbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use candor_adapters::sqlite::EventPage;
use candor_adapters::sqlite::hooks::{Advance, HookId, NewDelivery, PENDING_MAX, StoredHook};
use candor_core::event::Seq;
use candor_core::ports::{ReadError, Repository as _};
use candor_core::session::SessionId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Words, deliver, payload};
use crate::api::{EventView, SessionView};
use crate::serve::App;

/// Events that are read from the store at one time.
const PAGE_EVENTS: u32 = 256;

/// Events that a hook does not want and that are not written down as looked at, at most: to look at
/// them again after a restart is cheaper than to write after each.
const UNWRITTEN_EVENTS_MAX: u64 = 1_000;

/// How long is waited when the log cannot be read or the outbox not be written, in milliseconds: the
/// first time, and at most. Nothing is lost meanwhile, since the log keeps it.
const PAUSE_MS: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 60_000;

/// Where removals need not wait: all of what happens has been looked at as far as anybody wants it.
const NOBODY_WAITS: Seq = Seq::from_number(u64::MAX);

/// A task that delivers, and how to reach it.
struct Courier {
    wake: Arc<Notify>,
    stop: CancellationToken,
}

/// Reads after the hooks' cursors.
struct Collector {
    app: Arc<App>,
    /// Where those stand that are not written down.
    cursors: HashMap<HookId, Seq>,
    couriers: HashMap<HookId, Courier>,
}

/// Stores what hooks want, and has it delivered, until the daemon leaves.
pub(in crate::serve) async fn run(app: Arc<App>) {
    let mut wakeups = app.bus.subscribe();
    let quiet = app.shutdown.quiet().clone();
    let (cursors, couriers) = (HashMap::new(), HashMap::new());
    let mut collector = Collector { app: Arc::clone(&app), cursors, couriers };
    let mut pause_ms = PAUSE_MS;
    let mut is_idle = false;
    loop {
        let failed = match collector.look().await {
            Ok(seen) => {
                is_idle = !seen.has_hooks;
                pause_ms = PAUSE_MS;
                if seen.may_have_more {
                    continue;
                }
                false
            }
            Err(reason) => {
                tracing::warn!(reason, "hooks wait");
                app.webhooks.looked_to.send_replace(NOBODY_WAITS);
                true
            }
        };
        let again = tokio::time::sleep(Duration::from_millis(pause_ms));
        tokio::select! {
            // Without hooks nothing that happens is of interest.
            woken = wakeups.woken(), if !is_idle && !failed => {
                if woken.is_none() {
                    break;
                }
            }
            () = app.webhooks.changed.notified() => {}
            () = again, if failed => pause_ms = (pause_ms * 2).min(PAUSE_MS_MAX),
            () = quiet.cancelled() => break,
        }
    }
    for courier in collector.couriers.values() {
        courier.stop.cancel();
    }
}

/// What a look came to.
struct Seen {
    has_hooks: bool,
    may_have_more: bool,
}

impl Collector {
    /// Stores what is wanted of the next page of the log.
    async fn look(&mut self) -> Result<Seen, String> {
        let webhooks = &self.app.webhooks;
        let stored = webhooks.store.list().await.map_err(|error| error.to_string())?;
        let enabled: Vec<StoredHook> =
            stored.into_iter().filter(|hook| hook.disabled.is_none()).collect();
        self.keep_couriers(&enabled);
        let is_full = |stored: &&StoredHook| stored.pending >= PENDING_MAX;
        self.app
            .webhooks
            .is_full
            .store(enabled.iter().any(|hook| is_full(&hook)), Ordering::Relaxed);
        let open: Vec<&StoredHook> = enabled.iter().filter(|hook| !is_full(hook)).collect();
        let Some(from) = open.iter().map(|stored| self.cursor(stored)).min() else {
            self.app.webhooks.looked_to.send_replace(NOBODY_WAITS);
            return Ok(Seen { has_hooks: !enabled.is_empty(), may_have_more: false });
        };
        let page = self.app.store.events_page(from, PAGE_EVENTS).await;
        let page = page.map_err(|error| error.to_string())?;
        self.collect(&open, &page).await?;
        self.app.webhooks.looked_to.send_replace(page.next.min(page.last));
        Ok(Seen { has_hooks: true, may_have_more: page.may_have_more })
    }

    fn cursor(&self, stored: &StoredHook) -> Seq {
        let unwritten = self.cursors.get(&stored.hook.id).copied().unwrap_or(Seq::START);
        unwritten.max(stored.hook.cursor)
    }

    async fn collect(&mut self, open: &[&StoredHook], page: &EventPage) -> Result<(), String> {
        for damaged in &page.damaged {
            tracing::error!(error = %damaged, "no hook is told of it");
        }
        let events = views(page);
        let mut sessions = HashMap::new();
        let mut advances = Vec::new();
        let mut unwritten = Vec::new();
        for stored in open {
            let (hook, cursor) = (&stored.hook, self.cursor(stored));
            // Beyond the end, as after an older copy of the store was restored: it goes on from there.
            let to = if cursor > page.last { page.last } else { cursor.max(page.next) };
            let words = Words::new(hook.words.clone(), hook.session);
            let wanted = events.iter().filter(|(session, event)| {
                event.seq > cursor.number() && words.match_event(event, *session)
            });
            let mut deliveries = Vec::new();
            for (session, event) in wanted {
                deliveries.push(self.delivery(*session, event, &mut sessions).await?);
            }
            let passed = to.number().abs_diff(hook.cursor.number());
            if deliveries.is_empty() && cursor <= page.last && passed < UNWRITTEN_EVENTS_MAX {
                unwritten.push((hook.id, to));
                continue;
            }
            advances.push(Advance { hook: hook.id, from: hook.cursor, to, deliveries });
        }
        let told: Vec<HookId> = advances.iter().map(|advance| advance.hook).collect();
        if !advances.is_empty() {
            let now = self.app.clock.now().wall;
            let stored = self.app.webhooks.store.collect(advances, now).await;
            stored.map_err(|error| error.to_string())?;
        }
        self.cursors.extend(unwritten);
        for hook in told {
            self.cursors.remove(&hook);
            if let Some(courier) = self.couriers.get(&hook) {
                courier.wake.notify_one();
            }
        }
        Ok(())
    }

    async fn delivery(
        &self,
        session: SessionId,
        event: &EventView,
        sessions: &mut HashMap<SessionId, Option<SessionView>>,
    ) -> Result<NewDelivery, String> {
        let view = match sessions.get(&session) {
            Some(view) => view,
            None => {
                let view = self.session(session).await.map_err(|error| error.to_string())?;
                sessions.entry(session).or_insert(view)
            }
        };
        let kind = payload::kind_of(event);
        let payload = payload::of_event(&kind, event, view.as_ref());
        Ok(NewDelivery { seq: Seq::from_number(event.seq), session, kind, payload })
    }

    /// Returns a session as it is stored, which is not before any event that was read.
    async fn session(&self, id: SessionId) -> Result<Option<SessionView>, ReadError> {
        match self.app.store.load(id).await {
            Ok(stored) => Ok(stored.map(|stored| SessionView::new(&stored.session, None))),
            Err(ReadError::Damaged { .. }) => Ok(None),
            Err(error @ ReadError::Unavailable { .. }) => Err(error),
        }
    }

    /// Sees to it that each hook has a task that delivers, and nobody else.
    fn keep_couriers(&mut self, enabled: &[StoredHook]) {
        let is_enabled = |id: &HookId| enabled.iter().any(|stored| stored.hook.id == *id);
        self.cursors.retain(|id, _| is_enabled(id));
        self.couriers.retain(|id, courier| {
            let stays = is_enabled(id);
            if !stays {
                courier.stop.cancel();
            }
            stays
        });
        for stored in enabled {
            self.couriers.entry(stored.hook.id).or_insert_with(|| {
                let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
                let (app, hook) = (Arc::clone(&self.app), stored.hook.clone());
                tokio::spawn(deliver::run(app, hook, Arc::clone(&wake), stop.clone()));
                Courier { wake, stop }
            });
        }
    }
}

/// Returns the events and removals of a page in one order.
fn views(page: &EventPage) -> Vec<(SessionId, EventView)> {
    let events = page.events.iter().map(|it| (it.event.session, EventView::new(it)));
    let removals = page.removals.iter().map(|it| (it.session, EventView::removed(it)));
    let mut views: Vec<(SessionId, EventView)> = events.chain(removals).collect();
    views.sort_unstable_by_key(|(_, view)| view.seq);
    views
}
