//! The bus against its contract.

use candor_adapters::bus::BroadcastBus;
use candor_core::event::Seq;
use candor_core::ports::EventBus as _;

macro_rules! kept {
    ($($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            candor_harness::contract::bus::$promise(&BroadcastBus::new()).await;
        }
    )*};
}
candor_harness::bus_promises!(kept);

#[tokio::test]
async fn promises_hold_on_a_shared_bus() {
    let bus = BroadcastBus::new();
    macro_rules! each {
        ($($promise:ident)*) => {$(
            candor_harness::contract::bus::$promise(&bus).await;
        )*};
    }
    candor_harness::bus_promises!(each);
}

#[tokio::test]
async fn listener_learns_that_the_bus_is_gone_after_what_it_missed() {
    let bus = BroadcastBus::new();
    let mut subscription = bus.subscribe();
    bus.publish(Seq::from_number(7));
    drop(bus);
    assert_eq!(subscription.woken().await, Some(Seq::from_number(7)));
    assert_eq!(subscription.woken().await, None);
    assert_eq!(subscription.woken().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn listeners_on_other_threads_reach_the_last_seq() {
    const LAST: u64 = 20_000;

    let bus = BroadcastBus::new();
    let listeners = [(); 8].map(|()| {
        let mut subscription = bus.subscribe();
        tokio::spawn(async move {
            let mut before = Seq::START;
            while before < Seq::from_number(LAST) {
                let seq = subscription.woken().await.expect("the bus is there");
                assert!(seq > before, "{seq} after {before}");
                before = seq;
            }
        })
    });
    for number in 1..=LAST {
        bus.publish(Seq::from_number(number));
    }
    for listener in listeners {
        listener.await.unwrap();
    }
}
