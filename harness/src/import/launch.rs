//! What a user asked for at the launch, told from the numbers that the session decides by.

use candor_core::machine::Policy;
use candor_core::stop::Graces;
use candor_core::verdict::SuccessCodes;

use crate::timeline::choice::LaunchOptions;

/// Returns the options of a launch with this policy, without what is usual. `None` where the format
/// has no word for it: a session that no exit code is a success for.
pub(super) fn options(policy: &Policy) -> Option<LaunchOptions> {
    let Policy { graces, timeout_ms, idle_ms, always_reports, success_codes } = *policy;
    let usual = Graces::DEFAULT;
    let grace_ms = (graces.interrupt_ms, graces.terminate_ms);
    let codes: Vec<u8> = (0..=u8::MAX).filter(|code| success_codes.contains(*code)).collect();
    (!codes.is_empty()).then(|| LaunchOptions {
        timeout_ms,
        grace_ms: (grace_ms != (usual.interrupt_ms, usual.terminate_ms)).then_some(grace_ms),
        ask_ms: graces.ask_ms,
        again_ms: graces.interrupt_again_ms,
        idle_ms,
        linger_ms: (graces.linger_ms != usual.linger_ms).then_some(graces.linger_ms),
        codes: (success_codes != SuccessCodes::ZERO).then_some(codes),
        always_reports,
    })
}
