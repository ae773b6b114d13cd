//! Core's rules, tested as anybody outside sees them: what the plan says in sections 2 and 3 is
//! written out here by hand, and core is held against it.
//!
//! What needs mocks of the ports or the insides of a machine is tested in `core/src/tests`.

mod agent;
mod bytes;
mod edges;
mod happening;
mod ladder;
mod law;
mod life;
mod permissions;
mod ports;
mod recovery;
mod rules;
mod session;
mod stop;
mod support;
mod table;
mod turns;
mod verdict;
mod words;
