//! Hooks: add, list, remove, look at, try.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use candor_adapters::sqlite::hooks::{Hook, HookId, Secret, StoredHook};
use candor_adapters::webhook::{Target, new_secret, secret_text};
use serde::Deserialize;
use utoipa::IntoParams;

use super::asked::{JsonBody, Named, Parameters};
use super::problem::{ApiError, BODY, CHANGE, Problems, READ, Set, Word, set};
use super::sessions::resolve;
use crate::api::{DeliveryView, HookRequest, HookTestView, HookView, NewHookView};
use crate::serve::{App, check_words, try_out};

/// Deliveries in one list unless it is said.
const DELIVERIES: usize = 100;

/// Hex digits of a hook's short form, which is the end of its id.
const SHORT_DIGITS: usize = 8;

/// What anything about hooks can be answered.
const HOOKS: Set = READ | set(&[Word::HooksUnavailable]);

/// What anything that names a hook can be answered.
const HOOK: Set = HOOKS | set(&[Word::NotFound, Word::AmbiguousId]);

/// The hook that is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used: what is in an address is read by name")]
struct OfHook {
    /// Its id, a beginning of it, or its last 8 digits.
    id: String,
}

/// Add a hook
///
/// It is told of what happens from now on. This answer alone tells its secret.
#[utoipa::path(
    post,
    path = "/v1/hooks",
    operation_id = "add_hook",
    tag = "hooks",
    request_body = HookRequest,
    responses(
        (status = 201, description = "The hook, which is stored.", body = NewHookView),
        Problems<{ HOOK | CHANGE | BODY | set(&[Word::Removed, Word::TooManyHooks]) }>
    ),
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<HookRequest>,
) -> Result<(StatusCode, Json<NewHookView>), ApiError> {
    let HookRequest { url, on, session, allow_local } = request;
    Target::parse(&url, allow_local).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let words = check_words(on).map_err(ApiError::bad_request)?;
    let session = match session {
        Some(text) => Some(resolve(&app, &text).await?),
        None => None,
    };
    let secret = new_secret()
        .map_err(|error| ApiError::internal(format!("the system has no random bytes: {error}")))?;
    let hook = Hook {
        id: HookId::new(),
        url,
        words,
        session,
        secret: Secret::new(secret.clone()),
        allow_local,
        created_at: app.clock.now().wall,
        cursor: app.store.last_seq().await?,
    };
    let stored = StoredHook { hook, pending: 0, delivered: 0, given_up: 0, disabled: None };
    let view = NewHookView { hook: HookView::new(&stored), secret: secret_text(&secret) };
    app.webhooks.add(stored.hook).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// List hooks
#[utoipa::path(
    get,
    path = "/v1/hooks",
    operation_id = "list_hooks",
    tag = "hooks",
    responses(
        (status = 200, description = "All of them, the oldest first.", body = Vec<HookView>),
        Problems<HOOKS>
    ),
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<HookView>>, ApiError> {
    Ok(Json(app.webhooks.store.list().await?.iter().map(HookView::new).collect()))
}

/// Remove a hook
///
/// With all that waits for it.
#[utoipa::path(
    delete,
    path = "/v1/hooks/{id}",
    operation_id = "remove_hook",
    tag = "hooks",
    params(OfHook),
    responses(
        (status = 200, description = "The hook as it was.", body = HookView),
        Problems<{ HOOK | CHANGE }>
    ),
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Json<HookView>, ApiError> {
    let stored = find(&app, &id).await?;
    if !app.webhooks.remove(stored.hook.id).await? {
        return Err(unknown(&id));
    }
    Ok(Json(HookView::new(&stored)))
}

/// What the list of deliveries can be asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryParameters {
    /// At most so many.
    #[param(minimum = 1, maximum = 11_000)]
    limit: Option<usize>,
}

/// List the last deliveries of a hook
#[utoipa::path(
    get,
    path = "/v1/hooks/{id}/deliveries",
    operation_id = "list_deliveries",
    tag = "hooks",
    params(OfHook, DeliveryParameters),
    responses(
        (status = 200, description = "The newest event first.", body = Vec<DeliveryView>),
        Problems<HOOK>
    ),
)]
pub(super) async fn deliveries(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    Parameters(parameters): Parameters<DeliveryParameters>,
) -> Result<Json<Vec<DeliveryView>>, ApiError> {
    const DELIVERIES_MAX: usize = 11_000;

    let DeliveryParameters { limit } = parameters;
    let limit = limit.unwrap_or(DELIVERIES);
    if !(1..=DELIVERIES_MAX).contains(&limit) {
        let sentence = format!("`limit` must be from 1 to {DELIVERIES_MAX}");
        return Err(ApiError::bad_request(sentence));
    }
    let stored = find(&app, &id).await?;
    let deliveries = app.webhooks.store.deliveries(stored.hook.id, limit).await?;
    Ok(Json(deliveries.into_iter().map(DeliveryView::new).collect()))
}

/// Try a hook
///
/// It is sent something that is no event, once.
#[utoipa::path(
    post,
    path = "/v1/hooks/{id}/test",
    operation_id = "test_hook",
    tag = "hooks",
    params(OfHook),
    responses(
        (status = 200, description = "What came of it, also where it was not taken.", body = HookTestView),
        Problems<{ HOOK | CHANGE }>
    ),
)]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Json<HookTestView>, ApiError> {
    let stored = find(&app, &id).await?;
    let trial = try_out(&app, &stored.hook).await;
    Ok(Json(HookTestView {
        delivered: trial.error.is_none(),
        status: trial.status,
        error: trial.error,
        took_ms: u64::try_from(trial.took.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Finds a hook by its id, a beginning of it, or its last 8 digits.
async fn find(app: &App, id: &str) -> Result<StoredHook, ApiError> {
    let wanted = id.to_ascii_lowercase();
    let is_meant = |stored: &StoredHook| {
        let id = stored.hook.id.to_string();
        !wanted.is_empty()
            && (id.starts_with(&wanted) || wanted.len() == SHORT_DIGITS && id.ends_with(&wanted))
    };
    let mut found = app.webhooks.store.list().await?;
    found.retain(is_meant);
    match (found.pop(), found.is_empty()) {
        (Some(stored), true) => Ok(stored),
        (Some(_), false) => Err(ApiError::ambiguous(format!(
            "{} hooks begin with that: write more of the id",
            found.len() + 1
        ))),
        (None, _) => Err(unknown(id)),
    }
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no hook {id}: `candor hook ls` lists them"))
}
