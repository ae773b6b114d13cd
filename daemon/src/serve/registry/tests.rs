//! The registry alone, on fakes.

use std::sync::Arc;

use candor_core::bytes::ByteString;
use candor_core::machine::Policy;
use candor_core::ports::{Environment, IdSource as _, NoRecorder};
use candor_core::session::{Spec, StandardInput};
use candor_core::stop::{Actor, StopKind};
use candor_core::supervisor::{Birth, Ports, Start};
use candor_harness::fakes::Stage;

use super::{Refusal, Registry};

fn birth(stage: &Stage) -> Birth {
    let spec = Spec {
        title: None,
        command: vec![ByteString::try_from("agent").unwrap()],
        cwd: ByteString::try_from("/").unwrap(),
        environment_names: Vec::new(),
        umask: 0o022,
        input: StandardInput::None,
        agent: None,
        request: None,
        policy: Policy::default(),
    };
    let (id, by) = (stage.ids().session_id(), Actor::User(1_000));
    Birth { id, parent: None, spec: Arc::new(spec), by, start: Start::AtOnce }
}

#[tokio::test]
async fn a_crowd_of_launches_does_not_pass_the_limit() {
    let stage = Stage::at_once();
    let ports = Ports {
        repository: Arc::new(stage.repository()),
        bus: Arc::new(stage.bus()),
        clock: Arc::new(stage.clock()),
        ids: Arc::new(stage.ids()),
        recorder: Arc::new(NoRecorder),
    };
    let registry = Registry::new(ports, Arc::new(stage.spawner()), None, 3);
    let launches = (0..10).map(|_| {
        let registry = Arc::clone(&registry);
        tokio::spawn(registry.launch(birth(&stage), Environment::default()))
    });
    let (mut live, mut refused) = (Vec::new(), 0);
    for launch in launches.collect::<Vec<_>>() {
        match launch.await.unwrap() {
            Ok(snapshot) => live.push(snapshot),
            Err(Refusal::TooMany) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((live.len(), refused), (3, 7));

    // The end of one makes a place for another.
    let id = live[0].borrow().session.id;
    registry.stop(id, StopKind::Kill, Actor::User(1_000)).await.unwrap();
    while live[0].changed().await.is_ok() {}
    let next = Arc::clone(&registry).launch(birth(&stage), Environment::default()).await;
    assert!(next.is_ok());
}
