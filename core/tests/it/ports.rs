//! The small types of the ports, and the shape of the ports themselves.

use candor_core::bytes::ByteString;
use candor_core::ports::{
    Clock, Environment, EventBus, IdSource, Process, ProcessSpawner, Repository, Subscription,
};

fn text(text: &str) -> ByteString {
    ByteString::try_from(text).unwrap()
}

#[test]
fn an_environment_gives_its_names_to_all_and_its_values_to_the_process_alone() {
    let variables = vec![(text("TOKEN"), text("hunter2")), (text("HOME"), text("/root"))];
    let environment = Environment::new(variables.clone());
    assert_eq!(environment.variables(), variables);
    assert_eq!(environment.names(), [text("TOKEN"), text("HOME")]);

    let shown = [format!("{environment:?}"), format!("{environment:#?}")];
    assert_eq!(shown, ["Environment(2 variables, values hidden)"; 2]);
}

#[test]
fn every_port_is_object_safe_and_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Repository>();
    shared::<dyn ProcessSpawner>();
    shared::<dyn Process>();
    shared::<dyn EventBus>();
    shared::<dyn Clock>();
    shared::<dyn IdSource>();
    fn sent<T: Send + ?Sized>() {}
    sent::<dyn Subscription>();
}
