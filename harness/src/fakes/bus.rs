//! The bus, in memory: it counts wake-ups and carries no state but the highest `seq`.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use candor_core::event::Seq;
use candor_core::ports::{EventBus, Subscription};

use super::stage::Stage;
use crate::ghost::Record;

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
        self.wake();
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

impl EventBus for FakeBus {
    fn publish(&self, seq: Seq) {
        let mut state = self.stage.lock();
        state.log.push(Record::Published { seq });
        let bus = &mut state.bus;
        bus.highest = bus.highest.max(seq);
        bus.wakes += 1;
        bus.wake();
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
