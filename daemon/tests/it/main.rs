//! End to end: the real program, a real daemon with its real database, real processes.
//!
//! Each test has a home of its own, and its name is what it claims. None of them waits for time to
//! pass: they wait for events, for lines and for fifos, so that a slow machine changes nothing. A
//! test must never touch a process that it did not start.

mod agents;
mod api;
mod backups;
mod bad_home;
mod bad_input;
mod completions;
mod conversations;
#[cfg(target_os = "linux")]
mod crash;
mod daemon_life;
mod doctor;
mod events;
#[cfg(candor_failpoints)]
mod failpoints;
#[cfg(target_os = "linux")]
mod full_disk;
mod hooks;
#[cfg(target_os = "linux")]
mod idempotency;
mod idle;
mod inheritance;
#[cfg(target_os = "linux")]
mod input;
mod logs;
mod ls;
mod metrics;
#[cfg(target_os = "linux")]
mod outlive;
#[cfg(target_os = "linux")]
mod outlive_hung;
mod permissions;
mod promise;
mod prune;
#[cfg(target_os = "linux")]
mod quota;
mod recipes;
mod rm;
mod run_front;
mod run_options;
mod run_stop;
mod secrets;
mod show;
mod snapshot;
mod start_together;
mod stop;
mod streams;
mod support;
mod telemetry;
mod timeline;
mod top;
#[cfg(target_os = "linux")]
mod upgrade;
mod wait;
