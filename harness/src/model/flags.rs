//! The flags of the verbs that search, and what is wrong with them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::command::CommandError;
use super::{Config, SESSIONS_MAX};

/// What is to be searched.
pub(super) struct Wanted {
    pub(super) configs: Vec<Config>,
    pub(super) time_max: Duration,
    pub(super) is_nightly: bool,
}

/// Reads flags with numbers into a configuration.
pub(super) fn wanted_of(flags: &[&str]) -> Result<Wanted, CommandError> {
    let mut time_max = Duration::MAX;
    let (mut is_nightly, mut is_custom) = (false, false);
    let mut config = Config { name: "custom", exits: 4, ..Config::PLAIN };
    let mut words = flags.iter();
    while let Some(flag) = words.next() {
        match *flag {
            "--nightly" => {
                is_nightly = true;
                continue;
            }
            "--budget" => {
                time_max = budget(words.next().copied())?;
                continue;
            }
            "--timeout" => config.has_timeout = true,
            "--finish" => config.has_finish = true,
            "--ladder" => config.has_whole_ladder = true,
            "--sym" => config.is_symmetric = true,
            "--config" => {
                let name = words.next().copied().unwrap_or_default();
                config = Config::named(name).ok_or_else(|| no_config(name))?;
            }
            flag => {
                let field = field(&mut config, flag).ok_or_else(|| no_flag("explore", flag))?;
                *field = small_number(flag, words.next().copied())?;
            }
        }
        is_custom = true;
    }
    if is_nightly {
        return Ok(Wanted { configs: Config::NIGHTLY.to_vec(), time_max, is_nightly });
    }
    if !is_custom {
        return Ok(Wanted { configs: Config::PUSH.to_vec(), time_max, is_nightly });
    }
    if let Some(reason) = unsearchable(&config) {
        return Err(CommandError::Usage(reason.to_owned()));
    }
    Ok(Wanted { configs: vec![config], time_max, is_nightly })
}

/// Says why a configuration cannot be searched, where it cannot.
const fn unsearchable(config: &Config) -> Option<&'static str> {
    match config {
        Config { sessions: 0, .. } => Some("`--sessions` needs one session at least"),
        Config { settings: 4.., .. } => Some("`--settings` goes up to 3"),
        Config { continues: 2.., .. } => Some("`--continues` goes up to 1"),
        Config { is_symmetric: true, continues: 1, .. } => {
            Some("`--sym` does not go with `--continues`")
        }
        config if config.slots() > SESSIONS_MAX => {
            Some("there are three sessions at most, a continuation included")
        }
        _ => None,
    }
}

pub(super) fn no_flag(verb: &str, flag: &str) -> CommandError {
    CommandError::Usage(format!("`{verb}` has no flag `{flag}`"))
}

fn no_config(name: &str) -> CommandError {
    let names: Vec<_> = Config::all().map(|config| config.name).collect();
    let names = names.join(", ");
    CommandError::Usage(format!("there is no configuration `{name}`; there are {names}"))
}

fn budget(word: Option<&str>) -> Result<Duration, CommandError> {
    let seconds = word.and_then(|word| word.strip_suffix('s')).and_then(|word| word.parse().ok());
    let seconds = seconds
        .ok_or_else(|| CommandError::Usage("`--budget` needs seconds, as 60s".to_owned()))?;
    Ok(Duration::from_secs(seconds))
}

fn field<'a>(config: &'a mut Config, flag: &str) -> Option<&'a mut u8> {
    Some(match flag {
        "--sessions" => &mut config.sessions,
        "--crash" => &mut config.crashes,
        "--dbfault" => &mut config.store_faults,
        "--interrupts" => &mut config.interrupts,
        "--continues" => &mut config.continues,
        "--requests" => &mut config.requests,
        "--turns" => &mut config.turns,
        "--settings" => &mut config.settings,
        "--silences" => &mut config.silences,
        "--misfires" => &mut config.misfires,
        "--reuses" => &mut config.reuses,
        "--exits" => &mut config.exits,
        "--reports" => &mut config.reports,
        "--shutdowns" => &mut config.shutdowns,
        "--connects" => &mut config.connects,
        _ => return None,
    })
}

/// The largest budget that a flag may set.
const BUDGET_MAX: u64 = 9;

fn small_number(flag: &str, word: Option<&str>) -> Result<u8, CommandError> {
    let number = number(flag, word)?;
    u8::try_from(number).ok().filter(|_| number <= BUDGET_MAX).ok_or_else(|| {
        CommandError::Usage(format!("`{flag}` goes up to {BUDGET_MAX}, and not to {number}"))
    })
}

fn number(flag: &str, word: Option<&str>) -> Result<u64, CommandError> {
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| CommandError::Usage(format!("`{flag}` needs a number")))
}

/// A flag that takes a number: its name, what it is where it is not given, and its bounds.
pub(super) type Flag = (&'static str, u64, RangeInclusive<u64>);

/// Reads flags that each take a number.
pub(super) fn numbers<const N: usize>(
    verb: &str,
    flags: &[&str],
    known: [Flag; N],
) -> Result<[u64; N], CommandError> {
    let mut values = known.each_ref().map(|(_, value, _)| *value);
    let mut words = flags.iter();
    while let Some(flag) = words.next() {
        let place = known.iter().position(|(name, ..)| name == flag);
        let place = place.ok_or_else(|| no_flag(verb, flag))?;
        let bounds = &known[place].2;
        values[place] = number(flag, words.next().copied())?;
        if !bounds.contains(&values[place]) {
            let (least, most) = (bounds.start(), bounds.end());
            let message = format!("`{flag}` takes a number from {least} to {most}");
            return Err(CommandError::Usage(message));
        }
    }
    Ok(values)
}
