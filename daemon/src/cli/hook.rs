//! `candor hook`: who is told of what happens.

use std::io::Write as _;

use serde::Serialize;

use super::arguments::{HookAdd, HookDeliveries, HookVerb};
use super::ls::short;
use super::terminal::{clean, clean_line};
use super::{CliError, client, encoded};
use crate::api::{DeliveryView, HookRequest, HookTestView, HookView, NewHookView};
use crate::exit_code;

/// Characters of an address, or of what was wrong, that are shown.
const TEXT_WIDTH: usize = 80;

pub(super) async fn main(verb: HookVerb) -> Result<u8, CliError> {
    match verb {
        HookVerb::Add(arguments) => add(arguments).await,
        HookVerb::Ls { json } => ls(json).await,
        HookVerb::Rm { id, json } => rm(&id, json).await,
        HookVerb::Deliveries(arguments) => deliveries(arguments).await,
        HookVerb::Test { id, json } => test(&id, json).await,
    }
}

async fn add(arguments: HookAdd) -> Result<u8, CliError> {
    let HookAdd { url, on, session, allow_local, json } = arguments;
    let request = HookRequest { url, on, session, allow_local };
    let new: NewHookView = client().await?.post_json("/v1/hooks", &request).await?;
    if json {
        return print_json(&new);
    }
    let NewHookView { hook, secret } = new;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}  {}  {}", short(&hook.id), hook.on.join(","), clean(&hook.url))?;
    writeln!(
        out,
        "its deliveries are signed with this secret, which is not shown again:\n{secret}"
    )?;
    Ok(exit_code::SUCCESS)
}

async fn ls(json: bool) -> Result<u8, CliError> {
    let hooks: Vec<HookView> = client().await?.get("/v1/hooks").await?;
    if json {
        return print_json(&hooks);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:8}  {:>7}  {:>9}  {:>8}  URL", "ID", "PENDING", "DELIVERED", "GIVEN UP")?;
    for hook in &hooks {
        let (id, url) = (short(&hook.id), clean_line(&hook.url, TEXT_WIDTH));
        let HookView { pending, delivered, given_up, .. } = hook;
        let session = hook.session.as_deref().map(|id| format!(" of {}", short(id)));
        let (on, session) = (hook.on.join(","), session.unwrap_or_default());
        writeln!(out, "{id:8}  {pending:>7}  {delivered:>9}  {given_up:>8}  {url}")?;
        writeln!(out, "{:8}  on {on}{session}", "")?;
        if let Some(reason) = &hook.disabled_reason {
            let at = hook.disabled_at.as_deref().unwrap_or_default();
            writeln!(out, "{:8}  disabled {at}: {}", "", clean(reason))?;
        }
    }
    Ok(exit_code::SUCCESS)
}

async fn rm(id: &str, json: bool) -> Result<u8, CliError> {
    let hook: HookView = client().await?.delete(&path_of(id)).await?;
    if json {
        return print_json(&hook);
    }
    let waited = if hook.pending == 0 {
        String::new()
    } else {
        format!("; {} of its deliveries were not made", hook.pending)
    };
    writeln!(std::io::stdout(), "{}  removed{waited}", short(&hook.id))?;
    Ok(exit_code::SUCCESS)
}

async fn deliveries(arguments: HookDeliveries) -> Result<u8, CliError> {
    let path = format!("{}/deliveries?limit={}", path_of(&arguments.id), arguments.limit);
    let deliveries: Vec<DeliveryView> = client().await?.get(&path).await?;
    if arguments.json {
        return print_json(&deliveries);
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>6}  {:8}  {:21}  {:9}  {:>8}  LAST",
        "SEQ", "SESSION", "TYPE", "STATE", "ATTEMPTS"
    )?;
    for it in &deliveries {
        let last = match (&it.last_error, it.last_status) {
            (Some(error), _) => clean_line(error, TEXT_WIDTH),
            (None, Some(status)) => status.to_string(),
            (None, None) => String::new(),
        };
        let next = it.next_at.as_deref().filter(|_| it.attempts > 0);
        let next = next.map_or_else(String::new, |at| format!("; again at {at}"));
        let (session, kind) = (short(&it.session), clean(&it.kind));
        let (seq, state, attempts) = (it.seq, &it.state, it.attempts);
        writeln!(out, "{seq:>6}  {session:8}  {kind:21}  {state:9}  {attempts:>8}  {last}{next}")?;
    }
    Ok(exit_code::SUCCESS)
}

async fn test(id: &str, json: bool) -> Result<u8, CliError> {
    let result: HookTestView = client().await?.post(&format!("{}/test", path_of(id))).await?;
    let exit_code = if result.delivered { exit_code::SUCCESS } else { exit_code::OWN_ERROR };
    if json {
        return print_json(&result).map(|_success| exit_code);
    }
    let said = match (&result.error, result.status) {
        (Some(error), _) => format!("not delivered: {}", clean(error)),
        (None, status) => format!("delivered: it answers {}", status.unwrap_or_default()),
    };
    writeln!(std::io::stdout(), "{said} ({} ms)", result.took_ms)?;
    Ok(exit_code)
}

fn path_of(id: &str) -> String {
    format!("/v1/hooks/{}", encoded(id))
}

fn print_json(view: &impl Serialize) -> Result<u8, CliError> {
    let text =
        serde_json::to_string_pretty(view).map_err(|error| CliError::Own(error.to_string()))?;
    writeln!(std::io::stdout(), "{}", super::terminal::json(&text))?;
    Ok(exit_code::SUCCESS)
}
