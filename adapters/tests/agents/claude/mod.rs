//! Claude Code: what it printed, what it is to be started with, and what it is told.

mod answers;
mod fixtures;
mod lines;
mod plan;
mod robust;
