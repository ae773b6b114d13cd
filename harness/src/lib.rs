//! Races as data: fakes of every port, contract suites for every implementation, and timelines
//! that replay a race. Never shipped.

pub mod contract;
