//! How long it takes until a program is known to be up, by turns with a shim and without.

use std::time::Instant;

use candor_adapters::process::DirectSpawner;
use candor_core::ports::ProcessSpawner;
use candor_harness::programs::RealPrograms;
use serde_json::{Value, json};

use crate::stage::{ended, in_runtime, launch, nanoseconds, shims};

/// Launches with each that do not count: they find everything cold.
const COLD: usize = 10;

pub(crate) fn measure(count: usize) -> Value {
    let home = tempfile::tempdir().expect("there is room");
    let programs = RealPrograms::new(home.path().to_owned());
    let program = programs.command("/bin/true", [""; 0]);
    let direct = DirectSpawner::new(home.path().join("direct"));
    let shims = shims(&home.path().join("shims"));
    let spawners: [&dyn ProcessSpawner; 2] = [&direct, &shims];
    let mut taken = [const { Vec::new() }; 2];
    in_runtime(async {
        for round in 0..COLD + count {
            for (spawner, taken) in spawners.iter().zip(&mut taken) {
                let begun = Instant::now();
                let process = launch(*spawner, &program).await;
                let launched = begun.elapsed();
                ended(&*process).await;
                if round >= COLD {
                    taken.push(nanoseconds(launched));
                }
            }
        }
    });
    let [direct, shim] = taken;
    json!({ "direct_ns": direct, "shim_ns": shim })
}
