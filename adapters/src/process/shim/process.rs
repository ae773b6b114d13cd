//! A process that is watched by its shim.

use std::collections::VecDeque;
use std::io;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use candor_core::ports::{
    Delivery, Fact, MESSAGE_BYTES_MAX, Message, Process, Sent, Supervision, Target,
};
use candor_core::session::SessionId;
use candor_core::stop::Signal;
use candor_core::verdict::LostReason;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::find::{Beside, Finding, find, handle};
use super::frame::{FromShim, ToShim};
use super::heir::Ward;
use super::link::{Connection, Link, Orphan};
use super::place::Place;
use crate::process::registry::Registry;

/// How long a shim may take to answer for a signal, or for a message.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Signals that wait to be sent, and signals that wait for their answer. One asks after the other,
/// so there is hardly ever more than one.
const SIGNALS_MAX: usize = 16;

/// Messages that wait to be sent. Beyond that a sender waits: they may be large.
const POSTS_MAX: usize = 2;

/// How long a shim that cannot be reached is left alone, at first and at most.
const SEARCH_MIN: Duration = Duration::from_millis(20);
const SEARCH_MAX: Duration = Duration::from_secs(2);

/// One process.
pub(super) struct ShimProcess {
    session: SessionId,
    signals: mpsc::Sender<Order>,
    messages: mpsc::Sender<Post>,
    end: watch::Receiver<Option<Fact>>,
    is_told: AtomicBool,
    supervision: watch::Receiver<Supervision>,
}

/// A signal to send.
struct Order {
    target: Target,
    signal: Signal,
    answer: oneshot::Sender<Delivery>,
}

/// A message to send.
struct Post {
    message: Message,
    answer: oneshot::Sender<Sent>,
}

impl ShimProcess {
    /// Makes the process, and what speaks for it with its shim over `link`. Nothing happens before
    /// [`Driver::run`] is polled, with this link. Once the process is dropped, the driver leaves.
    pub(super) fn new(
        place: Place,
        registry: Weak<Registry>,
        ward: Ward,
        link: &Link,
    ) -> (Self, Driver) {
        let (signals, orders) = mpsc::channel(SIGNALS_MAX);
        let (messages, posts) = mpsc::channel(POSTS_MAX);
        let (tell, end) = watch::channel(None);
        let is_told = AtomicBool::new(false);
        let (shows, supervision) = watch::channel(supervision_by(link));
        let session = place.session();
        let process = Self { session, signals, messages, end, is_told, supervision };
        let beside = Beside { handle: None, reason: LostReason::ShimKilled };
        (process, Driver { place, registry, ward, beside, orders, posts, tell, shows })
    }

    fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    async fn ask(&self, target: Target, signal: Signal) -> Delivery {
        if self.has_ended() {
            return Delivery::AlreadyEnded;
        }
        let (answer, answered) = oneshot::channel();
        let order = Order { target, signal, answer };
        let delivery = timeout(ANSWER_PATIENCE, async {
            self.signals.send(order).await.ok()?;
            answered.await.ok()
        });
        match delivery.await {
            Ok(Some(delivery)) => delivery,
            // The driver has left without an answer, since there is nobody to signal any more.
            Ok(None) if self.has_ended() => Delivery::AlreadyEnded,
            Ok(None) | Err(_) => {
                let session = self.session;
                tracing::warn!(%session, ?signal, "nothing is known of a signal");
                Delivery::Unknown
            }
        }
    }
}

#[async_trait]
impl Process for ShimProcess {
    async fn next_fact(&self) -> Fact {
        let mut end = self.end.clone();
        let fact = match end.wait_for(Option::is_some).await {
            Ok(fact) => *fact,
            // Only when the runtime shuts down.
            Err(_) => None,
        };
        match fact {
            Some(fact) if !self.is_told.swap(true, Ordering::Relaxed) => {
                crate::failpoint!(ExitSeen, self.session);
                fact
            }
            Some(_) | None => std::future::pending().await,
        }
    }

    async fn signal(&self, target: Target, signal: Signal) -> Delivery {
        crate::failpoint!(SignalBegun, self.session, signal);
        let delivery = self.ask(target, signal).await;
        crate::failpoint!(SignalSent, self.session, signal);
        delivery
    }

    async fn send(&self, message: &Message) -> Sent {
        if self.has_ended() {
            return Sent::AlreadyEnded;
        }
        if message.bytes.len() > MESSAGE_BYTES_MAX {
            return Sent::Full;
        }
        let (answer, answered) = oneshot::channel();
        let post = Post { message: message.clone(), answer };
        let sent = timeout(ANSWER_PATIENCE, async {
            self.messages.send(post).await.ok()?;
            answered.await.ok()
        });
        match sent.await {
            Ok(Some(sent)) => sent,
            // The driver has left without an answer, since there is nobody to write to any more.
            Ok(None) if self.has_ended() => Sent::AlreadyEnded,
            Ok(None) | Err(_) => Sent::Unknown,
        }
    }

    fn supervision(&self) -> Supervision {
        *self.supervision.borrow()
    }
}

/// Speaks for one process with its shim, and finds it again when the connection breaks.
pub(super) struct Driver {
    place: Place,
    registry: Weak<Registry>,
    /// Kept until the end is told.
    ward: Ward,
    beside: Beside,
    orders: mpsc::Receiver<Order>,
    posts: mpsc::Receiver<Post>,
    tell: watch::Sender<Option<Fact>>,
    shows: watch::Sender<Supervision>,
}

/// How a connection came to its end.
enum Parting {
    /// With the last fact.
    Over(Fact),
    /// Without it: find out.
    Broken,
    /// Nobody wants to know any more.
    Unwanted,
}

impl Driver {
    /// Goes on until the process has ended, or nobody wants to know.
    pub(super) async fn run(mut self, mut link: Link) {
        self.hold_process(&link).await;
        loop {
            self.shows.send_replace(supervision_by(&link));
            let parting = match link {
                Link::Shim(connection) => self.listen(connection).await,
                Link::Orphan(orphan) => self.stand_by(orphan).await,
            };
            let found = match parting {
                Parting::Over(fact) => return self.end(fact),
                Parting::Broken => self.search().await,
                Parting::Unwanted => return,
            };
            link = match found {
                Some(Ok(link)) => link,
                Some(Err(fact)) => return self.end(fact),
                None => return,
            };
        }
    }

    /// Gets a handle on the process, which the kernel tells of its end by even when nobody else is
    /// left who could. Without one everything else goes on.
    async fn hold_process(&mut self, link: &Link) {
        let place = self.place.clone();
        let held = tokio::task::spawn_blocking(move || handle(&place)).await;
        if let Ok(Some((pid, handle))) = held {
            self.ward.is(pid);
            self.beside.handle = Some(handle);
        } else if let Link::Orphan(orphan) = link {
            self.beside.handle = Some(orphan.handle());
        }
    }

    fn end(&mut self, fact: Fact) {
        if let Some(registry) = self.registry.upgrade() {
            registry.ended(self.place.session(), fact);
        }
        self.tell.send_replace(Some(fact));
    }

    async fn listen(&mut self, mut connection: Connection) -> Parting {
        let mut pending = Pending::default();
        loop {
            tokio::select! {
                // What was said comes before what is asked: a process whose end is known gets no
                // signal.
                biased;
                heard = connection.next() => match heard {
                    Ok(FromShim::Delivered { id, delivery }) => {
                        self.shows.send_replace(Supervision::Ok);
                        pending.delivered(id, delivery);
                    }
                    Ok(FromShim::Taken { id, sent }) => {
                        self.shows.send_replace(Supervision::Ok);
                        pending.taken(id, sent);
                    }
                    Ok(FromShim::Ended(ending)) => {
                        // The shim has left without looking at them.
                        pending.answer_all(Delivery::AlreadyEnded, Sent::AlreadyEnded);
                        return Parting::Over(Fact::Ended(ending));
                    }
                    Ok(FromShim::Up) => {
                        self.shows.send_replace(Supervision::Ok);
                    }
                    Ok(FromShim::Refused(_)) | Err(_) => {
                        pending.answer_all(Delivery::Unknown, Sent::Unknown);
                        return Parting::Broken;
                    }
                },
                // A frame in the midst of a message would be taken for a part of it. Its answer comes
                // after its last byte, and wakes this.
                order = self.orders.recv(), if !connection.is_sending() => match order {
                    Some(order) => pending.ask(&connection, order),
                    None => return Parting::Unwanted,
                },
                post = self.posts.recv(), if pending.message.is_none() => match post {
                    Some(post) => pending.send(&mut connection, post),
                    None => return Parting::Unwanted,
                },
                // Until the shim says anything again, nobody knows whether it still can.
                () = pending.first_signal_is_given_up() => {
                    pending.signals.pop_front();
                    self.shows.send_replace(Supervision::Unreachable);
                }
            }
        }
    }

    /// The shim is gone, and its process is not. Its end is looked for where its parent would have
    /// left it.
    async fn stand_by(&mut self, mut orphan: Orphan) -> Parting {
        loop {
            tokio::select! {
                biased;
                () = orphan.ended() => return Parting::Broken,
                order = self.orders.recv() => match order {
                    Some(Order { target, signal, answer }) if !answer.is_closed() => {
                        let _ = answer.send(orphan.send(target, signal));
                    }
                    Some(_) => {}
                    None => return Parting::Unwanted,
                },
                post = self.posts.recv() => match post {
                    Some(Post { answer, .. }) => {
                        // The shim held the input, and took it along.
                        let _ = answer.send(Sent::AlreadyEnded);
                    }
                    None => return Parting::Unwanted,
                },
            }
        }
    }

    /// Finds out what became of the shim. `None` when nobody wants to know any more.
    async fn search(&mut self) -> Option<Result<Link, Fact>> {
        let mut pause = SEARCH_MIN;
        loop {
            let fact = match find(&self.place, &self.beside).await {
                Finding::Up(link) => return Some(Ok(link)),
                Finding::Ended(ending) => Fact::Ended(ending),
                Finding::Lost(reason) => Fact::Lost(reason),
                // It was up: so its records were removed under it.
                Finding::NeverRan => Fact::Lost(LostReason::DirRemoved),
                // A shim that hangs tells nobody when it goes on.
                Finding::Unreachable => {
                    self.shows.send_replace(Supervision::Unreachable);
                    sleep(pause).await;
                    pause = SEARCH_MAX.min(pause * 2);
                    if self.orders.is_closed() {
                        return None;
                    }
                    continue;
                }
            };
            return Some(Err(fact));
        }
    }
}

/// Returns how well a process is watched that is reached in this way.
const fn supervision_by(link: &Link) -> Supervision {
    match link {
        Link::Shim(_) => Supervision::Ok,
        Link::Orphan(_) => Supervision::Unsupervised,
    }
}

/// What one shim was asked for and has not answered yet.
#[derive(Default)]
struct Pending {
    /// Names each question on this connection.
    last_id: u64,
    signals: VecDeque<(u64, oneshot::Sender<Delivery>)>,
    /// One at a time, until its answer: by then its last byte was sent as well.
    message: Option<(u64, oneshot::Sender<Sent>)>,
}

impl Pending {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Asks for a signal.
    fn ask(&mut self, connection: &Connection, order: Order) {
        let Order { target, signal, answer } = order;
        if answer.is_closed() {
            // Nobody waits any more: it was said that nothing is known of it, and it is not sent late.
            return;
        }
        let id = self.next_id();
        match connection.send(ToShim::Signal { id, target, signal }) {
            // Nothing was sent.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = answer.send(Delivery::Unknown);
            }
            // A connection that is over says so when it is read.
            Ok(()) | Err(_) => self.signals.push_back((id, answer)),
        }
    }

    /// Begins to send a message.
    fn send(&mut self, connection: &mut Connection, post: Post) {
        let Post { message, answer } = post;
        if answer.is_closed() {
            // It was said that nothing is known of it, and it may have been sent again since.
            return;
        }
        let id = self.next_id();
        connection.begin(id, &message);
        self.message = Some((id, answer));
    }

    /// They are answered in their order, so those before it got no answer. One that was given up is
    /// not among them any more.
    fn delivered(&mut self, id: u64, delivery: Delivery) {
        while let Some((asked, answer)) = self.signals.pop_front_if(|(asked, _)| *asked <= id) {
            if asked == id {
                let _ = answer.send(delivery);
            }
        }
    }

    /// Waits until nobody waits any more for the answer to the first signal. Cancel safe.
    async fn first_signal_is_given_up(&mut self) {
        match self.signals.front_mut() {
            Some((_, answer)) => answer.closed().await,
            None => std::future::pending().await,
        }
    }

    fn taken(&mut self, id: u64, sent: Sent) {
        if let Some((_, answer)) = self.message.take_if(|(asked, _)| *asked == id) {
            let _ = answer.send(sent);
        }
    }

    fn answer_all(self, delivery: Delivery, sent: Sent) {
        for (_, answer) in self.signals {
            let _ = answer.send(delivery);
        }
        if let Some((_, answer)) = self.message {
            let _ = answer.send(sent);
        }
    }
}
