//! `candor open`: the page in a browser.

use std::env;
use std::io::Write as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::{CliError, client};
use crate::api::web::WebOpenView;
use crate::exit_code;

/// How long a program that opens addresses is watched, in milliseconds. One that is still there then
/// has become the browser.
const OPENER_MS: u64 = 3_000;

/// The program that opens an address in the user's browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens the page in a browser, or prints its address where there is none.
pub(super) async fn main(print: bool) -> Result<u8, CliError> {
    let WebOpenView { url, .. } = client().await?.post("/v1/web/open").await?;
    let mut out = std::io::stdout();
    if print {
        writeln!(out, "{url}")?;
        return Ok(exit_code::SUCCESS);
    }
    if has_display() && opens(&url).await {
        // Not the code, which is nobody else's business.
        let address = url.split('#').next().unwrap_or_default();
        writeln!(out, "opened {address} in your browser")?;
        return Ok(exit_code::SUCCESS);
    }
    writeln!(out, "no browser could be opened here; within a minute, open\n{url}")?;
    Ok(exit_code::SUCCESS)
}

fn has_display() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// Hands an address to the system, as an argument and never to a shell. Says whether that went well.
async fn opens(url: &str) -> bool {
    let started = Command::new(OPENER)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let Ok(mut opener) = started else {
        return false;
    };
    let patience = Duration::from_millis(OPENER_MS);
    match tokio::time::timeout(patience, opener.wait()).await {
        Ok(status) => status.as_ref().is_ok_and(ExitStatus::success),
        Err(_still_there) => true,
    }
}
