//! Places at which a test can hold the daemon still, look at it, and kill it.
//!
//! They exist under `--cfg candor_failpoints` alone, which only `cargo xtask crash-sim` sets. In
//! every other build [`failpoint!`](crate::failpoint!) is nothing at all: no code, no name, no
//! variable that is read. `cargo xtask shipped` looks for them in the bytes of the program.
//!
//! A cfg and no cargo feature, since features of one build come together: a test's feature would be
//! the shipped program's as well.

#[cfg(candor_failpoints)]
mod stop;

#[cfg(candor_failpoints)]
pub use self::stop::{Point, VARIABLE, reach};

/// Marks a place, by its name in `Point`, with whose it is and what more there is to tell.
#[macro_export]
macro_rules! failpoint {
    ($point:ident) => {
        $crate::failpoint!($point, "-")
    };
    ($point:ident, $session:expr) => {
        $crate::failpoint!($point, $session, ())
    };
    ($point:ident, $session:expr, $detail:expr) => {
        #[cfg(candor_failpoints)]
        $crate::failpoint::reach($crate::failpoint::Point::$point, &$session, &$detail);
    };
}
