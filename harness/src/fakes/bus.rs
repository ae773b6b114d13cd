//! The bus, in memory: it counts wake-ups and carries no state but the highest `seq`.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use candor_core::event::{Cause, Seq};
use candor_core::ports::{Change, EventBus, Subscription};
use candor_core::status::Status;

use super::stage::{Stage, State};
use crate::ghost::Record;
use crate::mutant::Mutant;

/// The bus of a stage.
#[derive(Clone)]
pub struct FakeBus {
    stage: Stage,
}

/// What the bus knows.
#[derive(Default)]
pub(crate) struct Bus {
    highest: Seq,
    wakes: u64,
    /// Counts the daemons whose bus is gone; a subscription of an earlier one ends.
    closed: u32,
    wakers: Vec<Waker>,
    /// For a mutant whose bus carries the events themselves: each, in the order of publishing.
    pub(crate) carried: Vec<Seq>,
    /// M03: what somebody has not come to publish.
    held: Option<Seq>,
}

impl FakeBus {
    pub(crate) const fn new(stage: Stage) -> Self {
        Self { stage }
    }
}

impl Bus {
    /// Ends every subscription, as the end of the daemon does.
    pub(crate) fn close(&mut self) {
        self.closed += 1;
        self.held = None;
        self.wake();
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

impl State {
    fn publish(&mut self, seq: Seq) {
        self.log.push(Record::Published { seq });
        let bus = &mut self.bus;
        bus.highest = bus.highest.max(seq);
        bus.wakes += 1;
        bus.carried.push(seq);
        bus.wake();
    }

    /// M04: tells of a change that is not stored yet. M61: of a request alone.
    pub(crate) fn announce_early(&mut self, change: &Change) {
        let is_request = change.event.cause == Cause::RequestOpened;
        if self.mutants.has(Mutant::M04) || self.mutants.has(Mutant::M61) && is_request {
            let next = Seq::from_number(self.store.last_seq().number() + 1);
            self.publish(next);
        }
    }

    /// M05, M56: some changes have no event.
    fn keeps_silent(&self, seq: Seq) -> bool {
        let status = self.store.event(seq).map(|event| event.event.to);
        match status {
            Some(Status::Failed) => self.mutants.has(Mutant::M05),
            Some(Status::WaitingInput) => self.mutants.has(Mutant::M56),
            Some(_) | None => false,
        }
    }

    /// M03: whoever stops a session publishes that when it comes back to it, which may be late.
    fn publish_and_held(&mut self, seq: Seq) {
        let cause = self.store.event(seq).map(|event| event.event.cause);
        let is_stop = matches!(cause, Some(Cause::Stop(_)));
        if self.mutants.has(Mutant::M03) && is_stop && self.bus.held.is_none() {
            self.bus.held = Some(seq);
            return;
        }
        self.publish(seq);
        if let Some(held) = self.bus.held.take() {
            self.publish(held);
        }
    }
}

impl EventBus for FakeBus {
    fn publish(&self, seq: Seq) {
        let mut state = self.stage.lock();
        if !state.keeps_silent(seq) {
            state.publish_and_held(seq);
        }
    }

    fn subscribe(&self) -> Box<dyn Subscription> {
        let (heard, closed) = {
            let state = self.stage.lock();
            (state.bus.wakes, state.bus.closed)
        };
        Box::new(FakeSubscription { stage: self.stage.clone(), heard, closed })
    }
}

struct FakeSubscription {
    stage: Stage,
    /// How many wake-ups it has heard of.
    heard: u64,
    closed: u32,
}

#[async_trait]
impl Subscription for FakeSubscription {
    async fn woken(&mut self) -> Option<Seq> {
        poll_fn(|context| {
            let mut state = self.stage.lock();
            let bus = &mut state.bus;
            if bus.wakes > self.heard {
                self.heard = bus.wakes;
                return Poll::Ready(Some(bus.highest));
            }
            if bus.closed > self.closed {
                return Poll::Ready(None);
            }
            if !bus.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                bus.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
