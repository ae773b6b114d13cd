//! `candor rm`: removes sessions that have ended.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::arguments::Rm;
use super::{CliError, client, complain, path_of};
use crate::api::{RefusedView, RemovalView, RemovalsView};
use crate::client::{Client, ClientError};
use crate::exit_code;

pub(super) async fn main(arguments: Rm) -> Result<u8, CliError> {
    let client = client().await?;
    let mut removals = Removals::new(false);
    // Each is looked at before any is removed: a mistake must not be found out halfway.
    let mut ids = BTreeMap::new();
    for (place, name) in arguments.ids.iter().enumerate() {
        match look(&client, name).await {
            Ok(found) => {
                ids.entry(found.session).or_insert(place);
            }
            Err(error) => removals.refuse(name, error)?,
        }
    }
    if !removals.has_refused() {
        let mut ids: Vec<(usize, String)> =
            ids.into_iter().map(|(id, place)| (place, id)).collect();
        ids.sort_unstable();
        for (_place, id) in ids {
            match client.delete(&path_of(&id)).await {
                Ok(removal) => removals.add(removal),
                Err(error) => removals.refuse(&id, error)?,
            }
        }
    }
    if arguments.json {
        return removals.print_json();
    }
    for removal in &removals.view.removed {
        writeln!(std::io::stdout(), "{} removed, {}", removal.session, bytes_text(removal.bytes))?;
    }
    Ok(removals.exit_code())
}

/// Asks what a removal would come to, and removes nothing.
pub(super) async fn look(client: &Client, id: &str) -> Result<RemovalView, ClientError> {
    client.delete(&format!("{}?dry_run=true", path_of(id))).await
}

/// What was removed, and what was not.
pub(super) struct Removals {
    pub(super) view: RemovalsView,
}

impl Removals {
    pub(super) fn new(dry_run: bool) -> Self {
        let (removed, refused) = (Vec::new(), Vec::new());
        Self { view: RemovalsView { dry_run, count: 0, bytes: 0, removed, refused } }
    }

    pub(super) fn add(&mut self, removal: RemovalView) {
        self.view.count += 1;
        self.view.bytes += removal.bytes;
        self.view.removed.push(removal);
    }

    /// Tells why a session is not removed, and goes on.
    ///
    /// # Errors
    ///
    /// What is no answer about this session, but about the daemon.
    pub(super) fn refuse(&mut self, session: &str, error: ClientError) -> Result<(), CliError> {
        let ClientError::Refused(problem) = error else {
            return Err(error.into());
        };
        complain(&problem.detail);
        let session = session.to_owned();
        self.view.refused.push(RefusedView { session, reason: problem.detail });
        Ok(())
    }

    pub(super) const fn has_refused(&self) -> bool {
        !self.view.refused.is_empty()
    }

    pub(super) const fn exit_code(&self) -> u8 {
        if self.has_refused() { exit_code::OWN_ERROR } else { exit_code::SUCCESS }
    }

    pub(super) fn print_json(&self) -> Result<u8, CliError> {
        let text = serde_json::to_string_pretty(&self.view)
            .map_err(|error| CliError::Own(error.to_string()))?;
        writeln!(std::io::stdout(), "{}", super::terminal::json(&text))?;
        Ok(self.exit_code())
    }
}

/// Writes a number of bytes for a person.
pub(super) fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::bytes_text;

    #[test]
    fn bytes_have_the_largest_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes_text(bytes), text, "{bytes}");
        }
    }
}
