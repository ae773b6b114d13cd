//! The agents: real programs, and a replayed one, run by a real daemon against stand-ins for the APIs
//! of their models.
//!
//! `cargo xtask agents` installs the programs, runs these tests and prints their table. One whose
//! program is not there says so, and is counted as skipped; what is replayed needs none.
//!
//! Each has a home of its own, a key that opens nothing, and no network but the loopback interface. No
//! test touches a process that it did not start, and at the end of each none is left.
#![cfg(target_os = "linux")]

mod failures;
mod going_on;
mod kind;
mod mock;
mod permissions;
mod random;
mod stage;
mod stops;
mod success;
mod suite;
#[expect(dead_code, unused_imports, reason = "the other tests of the program use the rest")]
#[path = "../it/support/mod.rs"]
mod support;
mod turns;
mod wrong;

/// Makes tests of plays, one for each agent.
macro_rules! for_each_agent {
    ($($agent:ident $kind:ident: $($play:path as $name:ident),+;)+) => {
        $(mod $agent {
            $(#[test]
            fn $name() {
                crate::suite::case(
                    concat!(module_path!(), "::", stringify!($name)),
                    crate::kind::Kind::$kind,
                    $play,
                );
            })+
        })+
    };
}

/// What a push has time for.
mod quick {
    for_each_agent! {
        replayed Replayed:
            crate::success::runs_a_tool_and_reports as success,
            crate::stops::interrupted_at_every_moment as interrupt,
            crate::going_on::after_an_interrupt as goes_on_after_an_interrupt;
        claude Claude:
            crate::success::runs_a_tool_and_reports as success,
            crate::stops::interrupted_while_a_tool_runs as interrupt;
        codex Codex:
            crate::success::runs_a_tool_and_reports as success,
            crate::stops::interrupted_while_a_tool_runs as interrupt;
        gemini Gemini:
            crate::success::runs_a_tool_and_reports as success,
            crate::stops::interrupted_while_a_tool_runs as interrupt;
        opencode Opencode:
            crate::success::runs_a_tool_and_reports as success,
            crate::stops::interrupted_while_a_tool_runs as interrupt;
    }
}

/// The rest.
mod full {
    for_each_agent! {
        replayed Replayed:
            crate::stops::killed_at_every_moment as kill,
            crate::stops::interrupted_in_front_at_every_moment as front,
            crate::stops::killed_from_outside_at_every_moment as killed_from_outside,
            crate::stops::interrupted_again_when_the_first_is_swallowed as swallowed,
            crate::stops::climbed_to_the_end_when_nothing_helps as deaf,
            crate::going_on::after_a_kill_from_outside as goes_on_after_a_kill,
            crate::going_on::after_success_and_as_a_copy as goes_on_after_success,
            crate::going_on::what_is_not_there_any_more as goes_on_with_nothing,
            crate::permissions::approved_and_denied as permissions,
            crate::permissions::withdrawn_by_a_stop as permissions_withdrawn,
            crate::turns::one_after_the_other as turns,
            crate::turns::stopped_between_turns as stopped_between_turns,
            crate::wrong::api_fails as api_fails,
            crate::wrong::no_report as no_report,
            crate::wrong::lingers as lingers,
            crate::wrong::odd_lines as odd_lines,
            crate::wrong::tasks_in_the_background as background;
        claude Claude:
            crate::stops::interrupted_at_every_moment as interrupt,
            crate::stops::killed_at_every_moment as kill,
            crate::stops::interrupted_in_front_at_every_moment as front,
            crate::stops::killed_from_outside_at_every_moment as killed_from_outside,
            crate::failures::refused_key as refused_key,
            crate::failures::too_many_requests as too_many_requests,
            crate::failures::server_error as server_error,
            crate::failures::nobody_listens as nobody_listens,
            crate::failures::cut_off as cut_off,
            crate::failures::max_turns as max_turns,
            crate::failures::denied_tool as denied_tool,
            crate::going_on::after_an_interrupt as goes_on_after_an_interrupt,
            crate::going_on::after_a_kill_from_outside as goes_on_after_a_kill,
            crate::going_on::after_success_and_as_a_copy as goes_on_after_success,
            crate::going_on::what_is_not_there_any_more as goes_on_with_nothing,
            crate::permissions::approved_and_denied as permissions,
            crate::permissions::withdrawn_by_a_stop as permissions_withdrawn,
            crate::turns::one_after_the_other as turns,
            crate::turns::stopped_between_turns as stopped_between_turns;
        codex Codex:
            crate::stops::interrupted_at_every_moment as interrupt,
            crate::stops::killed_at_every_moment as kill,
            crate::stops::interrupted_in_front_at_every_moment as front,
            crate::stops::killed_from_outside_at_every_moment as killed_from_outside,
            crate::failures::refused_key as refused_key,
            crate::failures::too_many_requests as too_many_requests,
            crate::failures::server_error as server_error,
            crate::failures::nobody_listens as nobody_listens,
            crate::failures::denied_tool as denied_tool,
            crate::going_on::after_an_interrupt as goes_on_after_an_interrupt,
            crate::going_on::after_a_kill_from_outside as goes_on_after_a_kill;
        gemini Gemini:
            crate::stops::interrupted_at_every_moment as interrupt,
            crate::stops::killed_at_every_moment as kill,
            crate::stops::interrupted_in_front_at_every_moment as front,
            crate::stops::killed_from_outside_at_every_moment as killed_from_outside,
            crate::failures::refused_key as refused_key,
            crate::failures::too_many_requests as too_many_requests,
            crate::failures::server_error as server_error,
            crate::failures::nobody_listens as nobody_listens,
            crate::failures::denied_tool as denied_tool,
            crate::going_on::after_an_interrupt as goes_on_after_an_interrupt,
            crate::going_on::after_a_kill_from_outside as goes_on_after_a_kill;
        opencode Opencode:
            crate::stops::interrupted_at_every_moment as interrupt,
            crate::stops::killed_at_every_moment as kill,
            crate::stops::interrupted_in_front_at_every_moment as front,
            crate::stops::killed_from_outside_at_every_moment as killed_from_outside,
            crate::failures::refused_key as refused_key,
            crate::failures::too_many_requests as too_many_requests,
            crate::failures::server_error as server_error,
            crate::failures::nobody_listens as nobody_listens,
            crate::failures::denied_tool as denied_tool,
            crate::going_on::after_an_interrupt as goes_on_after_an_interrupt,
            crate::going_on::after_a_kill_from_outside as goes_on_after_a_kill;
    }
}
