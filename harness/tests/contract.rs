//! The fakes keep every promise of the ports: the same suites that the real adapters run.

use candor_harness::contract;
use candor_harness::executor::run_at_once;
use candor_harness::fakes::Stage;

mod repository {
    use super::{Stage, contract, run_at_once};

    macro_rules! kept {
        ($($promise:ident)*) => {$(
            #[test]
            fn $promise() {
                run_at_once(contract::repository::$promise(&Stage::at_once().repository()));
            }
        )*};
    }
    candor_harness::repository_promises!(kept);
}

mod spawner {
    use super::{Stage, contract, run_at_once};

    macro_rules! kept {
        ($($promise:ident)*) => {$(
            #[test]
            fn $promise() {
                let stage = Stage::at_once();
                let (spawner, programs) = (stage.spawner(), stage.programs());
                run_at_once(contract::spawner::$promise(&spawner, &programs));
            }
        )*};
    }
    candor_harness::spawner_promises!(kept);
}

mod bus {
    use super::{Stage, contract, run_at_once};

    macro_rules! kept {
        ($($promise:ident)*) => {$(
            #[test]
            fn $promise() {
                run_at_once(contract::bus::$promise(&Stage::at_once().bus()));
            }
        )*};
    }
    candor_harness::bus_promises!(kept);
}
