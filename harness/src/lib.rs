//! Races as data: fakes of every port, contract suites for every implementation, and timelines
//! that replay a race. Never shipped.
//!
//! Read it in this order:
//!
//! 1. [`timeline`]: the format, and what the world may decide;
//! 2. [`fakes`]: the ports, each call split into issued, took effect and answered;
//! 3. [`world`]: the shipped supervisor on these fakes, driven by one choice after the other;
//! 4. [`invariants`]: what must hold at every step, judged from the [`ghost`] log alone;
//! 5. [`model`]: the same daemon as a value, every world of it searched;
//! 6. [`replay`] and [`random`]: one timeline, and many that nobody wrote;
//! 7. [`failure`], with [`mod@shrink`], [`order`] and [`page`]: what went wrong, told to a reader;
//! 8. [`mod@explain`]: a schedule behind a log that somebody else wrote.
#![forbid(unsafe_code)]

pub mod check;
pub mod contract;
pub mod destination;
pub mod executor;
pub mod explain;
pub mod failure;
pub mod fakes;
mod forge;
pub mod ghost;
pub mod golden;
pub mod handle;
pub mod import;
pub mod invariants;
pub mod kills;
pub mod lanes;
pub mod model;
pub mod mutant;
pub mod next;
pub mod notice;
pub mod order;
pub mod page;
mod plan;
pub mod programs;
pub mod random;
mod relabel;
pub mod repl;
pub mod replay;
pub mod script;
pub mod shrink;
pub mod table;
pub mod timeline;
pub mod trial;
pub mod workspace;
pub mod world;
