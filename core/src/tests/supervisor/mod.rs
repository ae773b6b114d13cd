//! Section 4 of the plan, over mocks of all ports: which calls, in which order, after which answer.

mod creation;
mod flaky;
mod order;
mod process;
mod requests;
mod rows;
mod store;
mod talk;
mod world;
