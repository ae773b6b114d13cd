//! Durations as people write them: `30s`, `5m`, `1h30m`, `250ms`.

use candor_core::stop::Graces;
use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Why a text is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not a duration: write it like 30s, 5m, 1h30m or 250ms")]
pub(crate) struct BadDuration {
    text: String,
}

/// Why a text says of nothing how long ago it was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no length of time: write it like 30d, 2w, 1d12h or 90m")]
pub(crate) struct BadAge {
    text: String,
}

/// Why a text names no graces.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadGrace {
    #[error(transparent)]
    Duration(#[from] BadDuration),
    #[error("{text:?} is too long for a grace: it may be 49 days at most")]
    TooLong { text: String },
    #[error("{text:?} has more than two parts: write it like 10s,5s (after INT, after TERM)")]
    TooMany { text: String },
}

/// Reads a duration, in milliseconds.
///
/// # Errors
///
/// [`BadDuration`], whose sentence says how to write one.
pub(crate) fn parse_ms(text: &str) -> Result<u64, BadDuration> {
    let bad = || BadDuration { text: text.to_owned() };
    let duration: SignedDuration = text.trim().parse().map_err(|_| bad())?;
    u64::try_from(duration.as_millis()).map_err(|_| bad())
}

/// Reads how long ago something was, in milliseconds: like a duration, and in days and weeks as
/// well, of 24 hours each.
///
/// # Errors
///
/// [`BadAge`], whose sentence says how to write one.
pub(crate) fn parse_age_ms(text: &str) -> Result<u64, BadAge> {
    let bad = || BadAge { text: text.to_owned() };
    let span: Span = text.trim().parse().map_err(|_| bad())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| bad())?;
    u64::try_from(duration.as_millis()).map_err(|_| bad())
}

/// Reads graces: `10s,5s`, or `10s` to leave the second as it is by default.
///
/// # Errors
///
/// [`BadGrace`], whose sentence says how to write them.
pub(crate) fn parse_graces(text: &str) -> Result<Graces, BadGrace> {
    let part = |text: &str| {
        let grace_ms = parse_ms(text)?;
        u32::try_from(grace_ms).map_err(|_| BadGrace::TooLong { text: text.to_owned() })
    };
    let mut parts = text.split(',');
    let interrupt_ms = part(parts.next().unwrap_or_default())?;
    let terminate_ms = parts.next().map(part).transpose()?;
    if parts.next().is_some() {
        return Err(BadGrace::TooMany { text: text.to_owned() });
    }
    let terminate_ms = terminate_ms.unwrap_or(Graces::DEFAULT.terminate_ms);
    Ok(Graces { interrupt_ms, terminate_ms, ..Graces::DEFAULT })
}

/// Writes a length of time for a person: the two largest units.
pub(crate) fn text_of_seconds(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_age_ms, parse_graces, parse_ms, text_of_seconds};

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in
            [("30s", 30_000), ("250ms", 250), ("5m", 300_000), ("1h30m", 5_400_000), ("0s", 0)]
        {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "10", "s", "-5s", "5 parsecs", "1e9h"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ages_may_have_days_and_weeks() {
        const HOUR: u64 = 3_600_000;
        for (text, ms) in [
            ("30d", 720 * HOUR),
            ("2w", 336 * HOUR),
            ("1d12h", 36 * HOUR),
            ("90m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_age_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "30", "d", "-30d", "1mo", "1y"] {
            assert!(parse_age_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn graces_have_one_or_two_parts() {
        let graces = parse_graces("1s,250ms").unwrap();
        assert_eq!((graces.interrupt_ms, graces.terminate_ms), (1_000, 250));
        let graces = parse_graces("2s").unwrap();
        assert_eq!((graces.interrupt_ms, graces.terminate_ms), (2_000, 5_000));
        for text in ["", ",", "1s,", "1s,1s,1s", "60d"] {
            assert!(parse_graces(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_show_their_two_largest_units() {
        for (seconds, text) in
            [(-1, "0s"), (59, "59s"), (61, "1m 1s"), (3_660, "1h 1m"), (90_000, "1d 1h")]
        {
            assert_eq!(text_of_seconds(seconds), text);
        }
    }
}
