//! What a `result` line says of a turn.

use candor_core::agent::{Trouble, TroubleKind, Usage};
use candor_core::session::Report;
use candor_core::time::Timestamp;

use super::wire::{Line, Object, RateLimit};
use crate::agents::line;

/// Bytes of a report's sentence, at most.
const MESSAGE_BYTES_MAX: usize = 2_048;

/// Bytes of a word that names the kind of an end, at most.
const KIND_BYTES_MAX: usize = 64;

/// The beginning of what the program says of itself when a turn was broken off: no sentence for users.
const DIAGNOSTIC: &str = "[ede_diagnostic]";

/// Says whether a `result` calls itself a success. The field decides, and not the subtype: what the
/// model's provider refused is a `success` that is an error.
pub(super) fn is_success(line: &Line<'_>) -> bool {
    !line.is_error.get().unwrap_or_else(|| line.subtype.as_str() != Some("success"))
}

/// Returns a word for how a turn ended. `error` is the program's own for the last request to the
/// provider that failed in this turn.
pub(super) fn kind(line: &Line<'_>, error: Option<&str>) -> String {
    if is_success(line) {
        return "success".to_owned();
    }
    let reason = line.terminal_reason.or_empty();
    let subtype = line.subtype.or_empty();
    let kind = if reason.starts_with("aborted_") {
        "interrupted"
    } else if line.errors.0.iter().any(|error| is_no_conversation(error.or_empty())) {
        "no_conversation"
    } else if !matches!(subtype, "" | "success") {
        subtype
    } else if !matches!(reason, "" | "completed") {
        reason
    } else {
        match (error, line.api_error_status.count()) {
            (Some(error), _) if error != "unknown" => error,
            (_, 401 | 403) => "authentication_failed",
            (_, 429) => "rate_limit",
            (_, 500..) => "server_error",
            (_, _) => "api_error",
        }
    };
    line::head(kind, KIND_BYTES_MAX).to_owned()
}

/// Says whether the program does not have the session that it was to go on with: transcripts are
/// removed after some 30 days, and belong to a folder.
fn is_no_conversation(error: &str) -> bool {
    error.starts_with("No conversation found")
        || error.contains("--resume requires a valid session")
}

/// Returns the program's own sentence, if it has one.
pub(super) fn message(line: &Line<'_>) -> Option<String> {
    let errors = line.errors.0.iter().filter_map(|error| error.as_str());
    let errors: Vec<_> = errors.filter(|error| !error.starts_with(DIAGNOSTIC)).collect();
    let errors = errors.join("; ");
    let text = line.result.as_str().filter(|text| !text.is_empty()).unwrap_or(&errors);
    (!text.is_empty()).then(|| line::cut(text, MESSAGE_BYTES_MAX).0)
}

/// Makes a report of what is said on standard error by a program that prints nothing else: it has
/// refused its arguments, its session, or its user. Warnings may stand before it.
pub(super) fn refusal(stderr: &str) -> Option<Report> {
    let sentence = stderr.lines().map(str::trim).find_map(|line| {
        let sentence = ["Error:", "error:"].into_iter().find_map(|word| line.strip_prefix(word));
        sentence.or_else(|| line.starts_with("--").then_some(line))
    })?;
    let kind = if sentence.contains("is already in use") { "session_in_use" } else { "refused" };
    Some(Report {
        success: false,
        kind: Some(kind.to_owned()),
        message: Some(line::cut(sentence.trim(), MESSAGE_BYTES_MAX).0),
        ..Report::default()
    })
}

/// Returns the tokens of the turn alone.
pub(super) fn turn_usage(line: &Line<'_>) -> Usage {
    let Object(tokens) = &line.usage;
    let created = tokens.cache_creation_input_tokens.count();
    Usage {
        input_tokens: tokens.input_tokens.count().saturating_add(created),
        cached_tokens: tokens.cache_read_input_tokens.count(),
        output_tokens: tokens.output_tokens.count(),
    }
}

/// Returns the cost of the process so far, in millionths of a US dollar.
pub(super) fn cost_microusd(line: &Line<'_>) -> Option<u64> {
    // Rounded, and what is negative becomes 0.
    line.total_cost_usd.get().map(|dollars| (dollars * 1e6).round() as u64)
}

/// Says what hinders a request that is tried again.
pub(super) fn retry(line: &Line<'_>) -> Trouble {
    let error = line.error.as_str().unwrap_or("unknown");
    let status = line.error_status.count();
    let kind = match (status, error) {
        (429, _) | (_, "rate_limit") => TroubleKind::RateLimit,
        (_, _) => TroubleKind::Api,
    };
    let error = line::head(error, KIND_BYTES_MAX);
    let code = if status == 0 { String::new() } else { format!(" (HTTP {status})") };
    let (attempt, attempts) = (line.attempt.count(), line.max_retries.count());
    let seconds = line.retry_delay_ms.get().unwrap_or_default() / 1e3;
    let message = format!(
        "{error}{code}: attempt {attempt} of {attempts} failed, the next in {seconds:.1} s"
    );
    Trouble { kind, message, until: None }
}

/// Says what a subscription's limit means, or `None` where it lets requests pass.
pub(super) fn limit(info: &RateLimit<'_>) -> Option<Trouble> {
    if info.status.as_str() != Some("rejected") {
        return None;
    }
    let which = match line::head(info.rate_limit_type.or_empty(), KIND_BYTES_MAX) {
        "" => String::new(),
        which => format!(" ({which})"),
    };
    // A time that no calendar has is none.
    let until = info.resets_at.get().and_then(|s| Timestamp::from_second(s as i64).ok());
    let message = format!("the subscription's limit is reached{which}");
    Some(Trouble { kind: TroubleKind::RateLimit, message, until })
}
