//! What follows from an attempt. Pure: the same answer has the same consequence.

use std::time::Duration;

use candor_adapters::sqlite::hooks::Then;
use candor_adapters::webhook::{Answer, AttemptError};
use candor_core::time::Timestamp;

/// How long after the first attempt that failed the second is made, in milliseconds. Each further one
/// takes twice as long.
const FIRST_PAUSE_MS: u64 = 5_000;

/// How long a pause can become, in milliseconds, also where the receiver asks for a longer one.
pub(super) const PAUSE_MS_MAX: u64 = 3_600_000;

/// A pause is longer by up to this part of it, so that not all come back at the same time, in
/// thousandths.
const JITTER_PERMILLE_MAX: u64 = 200;

/// After how long, from the first attempt on, a delivery is given up, in milliseconds, if it was attempted
/// often enough.
const GIVE_UP_AFTER_MS: u64 = 24 * 3_600_000;

/// Attempts before a delivery is given up, at least: a machine that slept for a weekend has made few.
const ATTEMPTS_MIN: u32 = 20;

/// Attempts at one delivery, at most.
const ATTEMPTS_MAX: u32 = 50;

/// The answer that says that nothing is wanted any more, ever.
const GONE: u16 = 410;

/// What an attempt came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Consequence {
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) then: Then,
    /// Whether the receiver wants no delivery any more.
    pub(super) is_gone: bool,
}

/// What is known of a delivery when an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The attempts before this one.
    pub(super) attempts: u32,
    /// When the first of all began.
    pub(super) first_at: Timestamp,
    /// When this one ended.
    pub(super) now: Timestamp,
    /// Any number.
    pub(super) random: u64,
}

/// Returns what follows from an attempt.
pub(super) fn follow(result: &Result<Answer, AttemptError>, moment: Moment) -> Consequence {
    let (status, asked_ms, error) = match result {
        Ok(answer) if (200..300).contains(&answer.status) => {
            let status = Some(answer.status);
            return Consequence { status, error: None, then: Then::Delivered, is_gone: false };
        }
        Ok(answer) => {
            let asked_ms = answer.retry_after_s.unwrap_or(0).saturating_mul(1_000);
            (Some(answer.status), asked_ms, format!("it answers {}", answer.status))
        }
        Err(error) => (None, 0, error.to_string()),
    };
    let is_gone = status == Some(GONE);
    let pause_ms = pause_ms(moment).max(asked_ms.min(PAUSE_MS_MAX));
    let next = moment.now + Duration::from_millis(pause_ms);
    let last = moment.first_at + Duration::from_millis(GIVE_UP_AFTER_MS);
    let made = moment.attempts + 1;
    let is_over = is_gone || (next > last && made >= ATTEMPTS_MIN) || made >= ATTEMPTS_MAX;
    let then = if is_over { Then::GivenUp } else { Then::Again(next) };
    Consequence { status, error: Some(error), then, is_gone }
}

fn pause_ms(moment: Moment) -> u64 {
    let doublings = moment.attempts.min(u64::BITS / 2);
    let pause_ms = FIRST_PAUSE_MS.saturating_mul(1 << doublings).min(PAUSE_MS_MAX);
    pause_ms + pause_ms * (moment.random % (JITTER_PERMILLE_MAX + 1)) / 1_000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use candor_adapters::sqlite::hooks::Then;
    use candor_adapters::webhook::{Answer, AttemptError};
    use candor_core::time::Timestamp;

    use super::{Moment, follow};

    fn at(ms: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn answer(status: u16, retry_after_s: Option<u64>) -> Result<Answer, AttemptError> {
        Ok(Answer { status, retry_after_s })
    }

    fn moment(attempts: u32, now_ms: u64) -> Moment {
        Moment { attempts, first_at: at(0), now: at(now_ms), random: 0 }
    }

    #[test]
    fn answers_have_their_consequences() {
        for (result, then, is_gone) in [
            (answer(200, None), Then::Delivered, false),
            (answer(204, Some(60)), Then::Delivered, false),
            (answer(301, None), Then::Again(at(5_000)), false),
            (answer(400, None), Then::Again(at(5_000)), false),
            (answer(500, None), Then::Again(at(5_000)), false),
            (answer(429, Some(60)), Then::Again(at(60_000)), false),
            (answer(503, Some(1)), Then::Again(at(5_000)), false),
            // Up to an hour, whatever is asked for.
            (answer(503, Some(u64::MAX)), Then::Again(at(3_600_000)), false),
            (answer(410, None), Then::GivenUp, true),
            (Err(AttemptError::Late), Then::Again(at(5_000)), false),
        ] {
            let found = follow(&result, moment(0, 0));
            assert_eq!((found.then, found.is_gone), (then, is_gone), "{result:?}");
            assert_eq!(found.error.is_none(), then == Then::Delivered, "{result:?}");
        }
    }

    #[test]
    fn pauses_grow_to_an_hour_and_end_after_a_day() {
        let (mut now_ms, mut pauses_s) = (0, Vec::new());
        for attempts in 0.. {
            match follow(&answer(500, None), moment(attempts, now_ms)).then {
                Then::Again(next) => {
                    let next_ms = u64::try_from(next.as_millisecond()).unwrap();
                    pauses_s.push((next_ms - now_ms) / 1_000);
                    now_ms = next_ms;
                }
                Then::GivenUp => break,
                Then::Delivered => panic!("500 is no delivery"),
            }
        }
        assert_eq!(pauses_s[..12], [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert!((23 * 3_600_000..=24 * 3_600_000).contains(&now_ms), "{now_ms}");
        assert_eq!(pauses_s.len(), 32);
    }

    #[test]
    fn a_machine_that_slept_for_days_gives_nothing_up_for_it() {
        let days_ms = 3 * 24 * 3_600_000;
        let again = |attempts| follow(&answer(500, None), moment(attempts, days_ms)).then;
        assert_eq!(again(1), Then::Again(at(days_ms + 10_000)));
        assert_eq!(again(18), Then::Again(at(days_ms + 3_600_000)));
        assert_eq!(again(19), Then::GivenUp);
    }

    #[test]
    fn jitter_makes_a_pause_longer_by_a_fifth_at_most() {
        for random in 0..1_000 {
            let Then::Again(next) =
                follow(&answer(500, None), Moment { random, ..moment(0, 0) }).then
            else {
                panic!("it is given up");
            };
            assert!((5_000..=6_000).contains(&next.as_millisecond()), "{next}");
        }
    }
}
