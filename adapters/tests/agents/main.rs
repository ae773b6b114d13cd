//! What agents printed when they were run, through their readers.
//!
//! The streams under `tests/agents/fixtures/` are those of the real programs against a stand-in for
//! their providers, shortened. Beside each stands what is to be known of it.

mod acp;
mod claude;
mod facts;
mod fixtures;
mod orders;
mod robust;
mod stderr;
