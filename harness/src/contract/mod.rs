//! What every implementation of a port must do, fake or real.
//!
//! Each function is one promise of `candor_core::ports`, named after it, and panics when the
//! promise is broken. The tests of an implementation call them all.

pub mod bus;
pub mod repository;
pub mod spawner;
