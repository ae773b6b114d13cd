//! The edges of section 2, written out by hand, against `Status::edge`.

use candor_core::status::Status::{
    self, Completed, Completing, Failed, Lost, Queued, Running, Starting, WaitingInput,
};

/// Every edge of the plan's table, and the one that is marked.
const EDGES: [(Option<Status>, Status); 28] = [
    // (none): launch accepted; continue of a live session accepted.
    (None, Starting),
    (None, Queued),
    // queued: its settings changed; the parent ended; stop asked.
    (Some(Queued), Queued),
    (Some(Queued), Starting),
    (Some(Queued), Completed),
    // The one edge that the plan's table lacks: its creation was in doubt, its caller was told
    // that it failed, and then the row was found. It provably never ran, which is rule 4.
    (Some(Queued), Failed),
    // starting: its settings changed; the process is up; stop asked; refused, never ran, or gone.
    (Some(Starting), Starting),
    (Some(Starting), Running),
    (Some(Starting), Completing),
    (Some(Starting), Completed),
    (Some(Starting), Failed),
    (Some(Starting), Lost),
    // running: its settings changed; a request opened; stop asked or a final report; gone.
    (Some(Running), Running),
    (Some(Running), WaitingInput),
    (Some(Running), Completing),
    (Some(Running), Completed),
    (Some(Running), Failed),
    (Some(Running), Lost),
    // waiting_input: a second request; the last one answered; stop or report; gone.
    (Some(WaitingInput), WaitingInput),
    (Some(WaitingInput), Running),
    (Some(WaitingInput), Completing),
    (Some(WaitingInput), Completed),
    (Some(WaitingInput), Failed),
    (Some(WaitingInput), Lost),
    // completing: late spawn or next rung; gone.
    (Some(Completing), Completing),
    (Some(Completing), Completed),
    (Some(Completing), Failed),
    (Some(Completing), Lost),
];

#[test]
fn the_edges_are_those_listed_and_no_other() {
    for from in Status::ALL.map(Some).into_iter().chain([None]) {
        for to in Status::ALL {
            assert_eq!(Status::edge(from, to), EDGES.contains(&(from, to)), "{from:?} to {to}");
        }
    }
}

#[test]
fn nothing_leads_out_of_a_terminal_status() {
    for from in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
        for to in Status::ALL {
            assert!(!Status::edge(Some(from), to), "{from} to {to}");
        }
    }
}

#[test]
fn completed_failed_and_lost_are_the_terminal_ones() {
    let terminal: Vec<_> = Status::ALL.into_iter().filter(|status| status.is_terminal()).collect();
    assert_eq!(terminal, [Completed, Failed, Lost]);
}
