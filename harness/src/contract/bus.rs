//! What every [`EventBus`] must do.
//!
//! Each function is one promise. [`bus_promises!`](crate::bus_promises) names them all, so that no
//! implementation leaves one out. They may share a bus if they are called in the order in which they
//! stand here, since each publishes higher numbers than the one before.

use candor_core::event::Seq;
use candor_core::ports::EventBus;
use futures_util::FutureExt as _;

/// Calls `callback!` with the names of all promises, separated by blanks.
///
/// ```text
/// macro_rules! kept {
///     ($($promise:ident)*) => {$(
///         #[tokio::test]
///         async fn $promise() {
///             candor_harness::contract::bus::$promise(&bus()).await;
///         }
///     )*};
/// }
/// candor_harness::bus_promises!(kept);
/// ```
#[macro_export]
macro_rules! bus_promises {
    ($callback:ident) => {
        $callback! {
            publishing_wakes_who_listens
            publishing_wakes_who_waits
            publishing_needs_no_listener
            every_listener_is_woken
            slow_listener_is_woken_once_with_the_highest
            lower_seq_wakes_and_hides_nothing
            nothing_is_missed_between_calls
            dropped_call_misses_nothing
        }
    };
}

/// More than any queue that an implementation might be tempted to have.
const MANY: u64 = 10_000;

const fn seq(number: u64) -> Seq {
    Seq::from_number(number)
}

/// What is published after the subscription began wakes it, even if nobody waited at that moment.
pub async fn publishing_wakes_who_listens(bus: &dyn EventBus) {
    let mut subscription = bus.subscribe();
    bus.publish(seq(100_001));
    assert_eq!(subscription.woken().await, Some(seq(100_001)));
}

/// What is published wakes a task that waits.
pub async fn publishing_wakes_who_waits(bus: &dyn EventBus) {
    let mut subscription = bus.subscribe();
    let waits = subscription.woken();
    let publishes = async { bus.publish(seq(200_001)) };
    let (woken, ()) = futures_util::future::join(waits, publishes).await;
    assert_eq!(woken, Some(seq(200_001)));
}

/// Publishing does not fail when nobody listens, or nobody listens any more.
pub async fn publishing_needs_no_listener(bus: &dyn EventBus) {
    bus.publish(seq(300_001));
    drop(bus.subscribe());
    bus.publish(seq(300_002));
    let mut subscription = bus.subscribe();
    bus.publish(seq(300_003));
    assert_eq!(subscription.woken().await, Some(seq(300_003)));
}

/// One publication wakes all, and one listener's call takes nothing from another.
pub async fn every_listener_is_woken(bus: &dyn EventBus) {
    let mut subscriptions: Vec<_> = (0..10).map(|_| bus.subscribe()).collect();
    bus.publish(seq(400_001));
    for subscription in &mut subscriptions {
        assert_eq!(subscription.woken().await, Some(seq(400_001)));
    }
}

/// A listener that was away learns of the highest in one call, and then waits.
pub async fn slow_listener_is_woken_once_with_the_highest(bus: &dyn EventBus) {
    let mut subscription = bus.subscribe();
    for number in 1..=MANY {
        bus.publish(seq(500_000 + number));
    }
    assert_eq!(subscription.woken().await, Some(seq(500_000 + MANY)));
    assert_eq!(subscription.woken().now_or_never(), None, "woken once for all");
}

/// Two sessions may publish in the other order than they committed.
pub async fn lower_seq_wakes_and_hides_nothing(bus: &dyn EventBus) {
    let mut subscription = bus.subscribe();
    bus.publish(seq(600_002));
    assert_eq!(subscription.woken().await, Some(seq(600_002)));
    bus.publish(seq(600_001));
    assert_eq!(subscription.woken().await, Some(seq(600_002)), "the highest that is known");
}

/// What is published while a listener is busy with the last wake-up wakes it again.
pub async fn nothing_is_missed_between_calls(bus: &dyn EventBus) {
    let mut subscription = bus.subscribe();
    for number in 700_001..700_100 {
        bus.publish(seq(number));
        assert_eq!(subscription.woken().await, Some(seq(number)));
    }
}

/// A call that was dropped before it returned took nothing away.
pub async fn dropped_call_misses_nothing(bus: &dyn EventBus) {
    let mut subscription = bus.subscribe();
    assert_eq!(subscription.woken().now_or_never(), None);
    bus.publish(seq(800_001));
    assert_eq!(subscription.woken().await, Some(seq(800_001)));
}
