//! The list of sessions: what it can be asked for, and where its next page is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use candor_adapters::sqlite::{ListQuery, Resolution};
use candor_core::session::SessionId;
use candor_core::status::Status;
use candor_core::stop::StopKind;
use candor_core::time::Timestamp;
use candor_core::verdict::{Completion, Failure, LostReason, SpawnStage, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::asked::Parameters;
use super::problem::{ApiError, Problems, READ};
use super::sessions::view;
use crate::api::SessionView;
use crate::serve::App;

/// Sessions in one list when the client does not say how many.
const LIST_LIMIT: u32 = 100;

/// Sessions in one list, at most.
const LIST_LIMIT_MAX: u32 = 100_000;

/// Characters of a text that is looked for, at most.
const TEXT_CHARACTERS_MAX: usize = 256;

/// Every way to end, for the words of their outcomes.
const ENDS: [Verdict; 10] = [
    Verdict::Completed(Completion::Succeeded),
    Verdict::Completed(Completion::Interrupted(StopKind::Interrupt)),
    Verdict::Failed(Failure::TimedOut),
    Verdict::Failed(Failure::Spawn { stage: SpawnStage::Exec, errno: 0 }),
    Verdict::Failed(Failure::AgentError),
    Verdict::Failed(Failure::NoReport),
    Verdict::Failed(Failure::OomKill),
    Verdict::Failed(Failure::Signal(0)),
    Verdict::Failed(Failure::CoreDump(0)),
    Verdict::Failed(Failure::ExitCode(0)),
];

/// What `GET /v1/sessions` can be asked for.
#[derive(Clone, Deserialize, IntoParams, Serialize)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParameters {
    /// Words of statuses, separated by commas; none means all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    status: String,
    /// Words of outcomes, separated by commas; none means all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    outcome: String,
    /// Only sessions of this agent, by the word for it, such as `claude`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    agent: String,
    /// Only sessions that run in this folder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    folder: String,
    /// Only sessions that have this in their title, command, prompt, folder or id, of each of which the
    /// first 1,024 bytes are searched, in small letters or capital ones; of at most 256 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[param(max_length = 256)]
    q: String,
    /// Only sessions that had ended by then, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = DateTime)]
    ended_by: Option<Timestamp>,
    /// Only sessions that are older than this one: the last of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>, format = Uuid)]
    before: Option<SessionId>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(default = 100, maximum = 100_000)]
    limit: Option<u32>,
}

/// List sessions, newest first
#[utoipa::path(
    get,
    path = "/v1/sessions",
    operation_id = "list_sessions",
    tag = "sessions",
    params(ListParameters),
    responses(
        (
            status = 200, description = "The sessions, newest first.", body = Vec<SessionView>,
            headers(("link" = String, description = "Where the next page is, as `rel=\"next\"`."))
        ),
        Problems<READ>
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Response, ApiError> {
    let query = parameters.query()?;
    if let Some(before) = query.before.filter(|_| query.text.is_some())
        && matches!(app.store.resolve(&before.to_string()).await?, Resolution::None)
    {
        return Err(ApiError::bad_request(
            "`before` is no session that there is or was: give the last one of the page before",
        ));
    }
    let limit = query.limit;
    let listed = app.store.list(&query).await?;
    for damaged in &listed.damaged {
        tracing::error!(error = %damaged, "left out of a list");
    }
    let is_full = listed.sessions.len() + listed.damaged.len() >= limit as usize;
    let last = listed.sessions.last().map(|stored| stored.session.id).filter(|_| is_full);
    let next = last.and_then(|last| parameters.next(last)).map(|next| [(header::LINK, next)]);
    let views: Vec<_> = listed.sessions.iter().map(|stored| view(&app, &stored.session)).collect();
    Ok((next, Json(views)).into_response())
}

impl ListParameters {
    fn query(&self) -> Result<ListQuery, ApiError> {
        let statuses = words(&self.status).map(|word| {
            word.parse::<Status>().map_err(|error| ApiError::bad_request(error.to_string()))
        });
        let outcomes = words(&self.outcome).map(|word| match outcomes().any(|it| it == word) {
            true => Ok(word.to_owned()),
            false => Err(ApiError::bad_request(format!(
                "no such outcome: use one of {}",
                outcomes().collect::<Vec<_>>().join(", ")
            ))),
        });
        if self.q.chars().count() > TEXT_CHARACTERS_MAX {
            return Err(ApiError::bad_request(format!(
                "`q` has more than {TEXT_CHARACTERS_MAX} characters: look for less"
            )));
        }
        if [&self.q, &self.folder, &self.agent].iter().any(|text| text.contains('\0')) {
            return Err(ApiError::bad_request(
                "there is a NUL byte in what is asked: leave it out",
            ));
        }
        let limit = self.limit.unwrap_or(LIST_LIMIT);
        if limit > LIST_LIMIT_MAX {
            return Err(ApiError::bad_request(format!(
                "a list has at most {LIST_LIMIT_MAX} sessions: go on with `before`"
            )));
        }
        let asked = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(ListQuery {
            statuses: statuses.collect::<Result<_, _>>()?,
            outcomes: outcomes.collect::<Result<_, _>>()?,
            agent: asked(&self.agent),
            folder: asked(&self.folder),
            text: asked(&self.q),
            before: self.before,
            ended_by: self.ended_by,
            ..ListQuery::newest(limit)
        })
    }

    /// Returns where the page after the one that ends with this session is.
    fn next(&self, last: SessionId) -> Option<String> {
        let next = Self { before: Some(last), ..self.clone() };
        let query = serde_urlencoded::to_string(next).ok()?;
        Some(format!("</v1/sessions?{query}>; rel=\"next\""))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|word| !word.is_empty())
}

fn outcomes() -> impl Iterator<Item = &'static str> {
    let lost = LostReason::ALL.into_iter().map(Verdict::Lost);
    ENDS.into_iter().chain(lost).map(Verdict::outcome)
}
