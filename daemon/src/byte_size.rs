//! Numbers of bytes as people write them: `512MiB`, `1GB`, `64k`.

use candor_adapters::process::{OUTPUT_QUOTA_BYTES_DEFAULT, OUTPUT_QUOTA_BYTES_MIN, OutputQuota};

/// What the units are called, in small letters, and how many bytes they have.
const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

/// Why a text is no quota.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadQuota {
    #[error("{text:?} is not a number of bytes: write it like 512MiB or 1GB, or none")]
    Unreadable { text: String },
    #[error(
        "{text:?} is too little for a quota: it may be {OUTPUT_QUOTA_BYTES_MIN} bytes at least, or none"
    )]
    TooLittle { text: String },
}

/// What is kept of each output unless the user says something else.
pub(crate) const fn default_quota() -> Option<OutputQuota> {
    OutputQuota::new(OUTPUT_QUOTA_BYTES_DEFAULT)
}

/// Reads how much is kept of each output. `None` is for `none` and `0`: all of it.
///
/// # Errors
///
/// [`BadQuota`], whose sentence says how to write one.
pub(crate) fn parse_quota(text: &str) -> Result<Option<OutputQuota>, BadQuota> {
    let bytes = match text.trim() {
        "none" => 0,
        number => parse(number).ok_or_else(|| BadQuota::Unreadable { text: text.to_owned() })?,
    };
    match OutputQuota::new(bytes) {
        None if bytes > 0 => Err(BadQuota::TooLittle { text: text.to_owned() }),
        quota => Ok(quota),
    }
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, bytes) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

#[cfg(test)]
mod tests {
    use super::{BadQuota, default_quota, parse_quota};

    #[test]
    fn quotas_are_read_in_every_unit() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("64k", 65_536),
            ("100 kB", 100_000),
            ("1MiB", 1 << 20),
            ("1GB", 1_000_000_000),
            (" 1GiB ", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse_quota(text).unwrap().unwrap().bytes(), bytes, "{text}");
        }
        assert_eq!((parse_quota("0"), parse_quota("none")), (Ok(None), Ok(None)));
        assert_eq!(default_quota(), parse_quota("1GiB").unwrap());
    }

    #[test]
    fn what_is_no_quota_is_told() {
        for text in ["", "GB", "-1", "1.5GB", "1 parsec", "99999999999999999999", "20000000TiB"] {
            let bad = BadQuota::Unreadable { text: text.to_owned() };
            assert_eq!(parse_quota(text), Err(bad));
        }
        for text in ["1", "64kB"] {
            assert_eq!(parse_quota(text), Err(BadQuota::TooLittle { text: text.to_owned() }));
        }
    }
}
