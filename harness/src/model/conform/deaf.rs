//! What a timeline can say, and the model cannot make.

/// Why the model cannot make the choices of a timeline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deaf {
    /// It has no word for drafts, the continuation of what has ended, and requests that have names.
    Feature,
    /// The world refuses a choice of the timeline.
    Refused(String),
    /// Its sessions all have the same options.
    Options,
    /// It has room for three sessions.
    Sessions,
    /// It knows a few exits, which stand for all.
    Exit,
    /// It knows one reason for each way to be lost, or to be refused.
    Reason,
    /// Its agents report once.
    SecondReport,
    /// It does not offer the choice where the world does: one of both is wrong.
    NotOffered(String),
}

/// The timelines of the corpus that the model cannot make, by the names of their files.
pub const DEAF_TO: [(&str, Deaf); 22] = [
    ("answer_meets_crash", Deaf::Feature),
    ("answer_meets_ended_session", Deaf::Feature),
    ("answer_meets_stop", Deaf::Feature),
    ("approval_meets_ended_session", Deaf::Feature),
    ("approval_meets_second_request", Deaf::Feature),
    ("bypass_meets_bypass_that_ends", Deaf::Feature),
    ("bypass_meets_ended_session", Deaf::Feature),
    ("client_meets_request", Deaf::Feature),
    ("client_meets_request_and_draft", Deaf::Feature),
    ("continue_meets_continue", Deaf::Feature),
    ("continue_meets_exit", Deaf::Feature),
    ("continue_meets_missing_program", Deaf::Feature),
    ("crash_meets_approval", Deaf::Feature),
    ("crash_meets_continue", Deaf::Feature),
    ("idle_meets_request", Deaf::Feature),
    ("report_meets_interrupt_and_report", Deaf::SecondReport),
    ("request_meets_bypass_that_ends", Deaf::Feature),
    ("request_meets_final_report", Deaf::Feature),
    ("request_meets_stored_interrupt", Deaf::Feature),
    ("request_meets_unstored_line", Deaf::Feature),
    ("start_meets_missing_program", Deaf::Feature),
    ("start_meets_start", Deaf::Feature),
];
