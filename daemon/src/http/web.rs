//! Logging in: codes, logins, tokens.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};

use super::guard::{Cookies, Port, cookie_name};
use super::limits::Streams;
use super::problem::{ApiError, Named};
use super::tcp;
use crate::api::time_text;
use crate::api::web::{
    LoginRequest, LoginView, LogoutView, NewTokenView, TokenRequest, TokenView, WebOpenView,
};
use crate::serve::App;
use crate::serve::web::{Web, WebRefusal};

impl From<WebRefusal> for ApiError {
    fn from(refusal: WebRefusal) -> Self {
        let (status, kind) = match &refusal {
            WebRefusal::WrongCode => (StatusCode::UNAUTHORIZED, "not_authorized"),
            WebRefusal::NameTaken(_) => (StatusCode::CONFLICT, "token_exists"),
            WebRefusal::BadName(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            WebRefusal::TooManyTokens => (StatusCode::TOO_MANY_REQUESTS, "too_many_tokens"),
            WebRefusal::NoSuchToken(_) => (StatusCode::NOT_FOUND, "not_found"),
            WebRefusal::NotStored { .. } | WebRefusal::NotForgotten { .. } => {
                (StatusCode::INSUFFICIENT_STORAGE, "store_unavailable")
            }
            WebRefusal::NoRandomness(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self::new(status, kind, refusal.to_string())
    }
}

/// Begins to listen, and hands out the address of the page with a code to log in with.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
) -> Result<Json<WebOpenView>, ApiError> {
    let at = tcp::listen(&app, &streams).await?;
    let (code, until) = blocking(&app, Web::code).await?;
    let url = format!("{}#code={}", page_address(at), code.reveal());
    Ok(Json(WebOpenView { url, expires_at: time_text(until) }))
}

/// Exchanges a code for a cookie and a page's token.
pub(super) async fn login(
    State(app): State<Arc<App>>,
    at: Option<Extension<Port>>,
    cookies: Option<Extension<Cookies>>,
    request: Result<Json<LoginRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let (Some(Extension(Port(port))), Some(Extension(Cookies(cookies)))) = (at, cookies) else {
        return Err(ApiError::bad_request("browsers log in over TCP: this socket needs no login"));
    };
    let Json(LoginRequest { code }) = request?;
    let logged_in = blocking(&app, move |web| {
        let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
        web.log_in(&code, &cookies)
    })
    .await?;
    let view = LoginView {
        page_token: logged_in.page.reveal().to_owned(),
        expires_at: time_text(logged_in.expires_at),
    };
    let mut response = Json(view).into_response();
    if let Some(cookie) = logged_in.cookie {
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
            cookie_name(port),
            cookie.reveal(),
            crate::serve::web::LOGIN_S
        );
        let mut cookie = HeaderValue::try_from(cookie)
            .map_err(|_| ApiError::internal("a cookie that cannot be sent: a bug"))?;
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Ends all logins.
pub(super) async fn logout(State(app): State<Arc<App>>) -> Result<Json<LogoutView>, ApiError> {
    Ok(Json(LogoutView { ended: blocking(&app, Web::log_out).await? }))
}

/// Lists the tokens of scripts.
pub(super) async fn tokens(State(app): State<Arc<App>>) -> Json<Vec<TokenView>> {
    let tokens = app.web.tokens().into_iter().map(|token| TokenView {
        name: token.name,
        read_only: token.read_only,
        created_at: time_text(token.created_at),
    });
    Json(tokens.collect())
}

/// Makes a token for a script, and begins to listen.
pub(super) async fn add_token(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    request: Result<Json<TokenRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<NewTokenView>), ApiError> {
    let Json(TokenRequest { name, read_only }) = request?;
    let url = page_address(tcp::listen(&app, &streams).await?);
    let wanted = name.clone();
    let secret = blocking(&app, move |web| web.add_token(&wanted, read_only)).await?;
    let token = secret.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(NewTokenView { name, token, read_only, url })))
}

/// Takes a token back.
pub(super) async fn remove_token(
    State(app): State<Arc<App>>,
    Named(name): Named<String>,
) -> Result<StatusCode, ApiError> {
    blocking(&app, move |web| web.remove_token(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stands at `/` as long as there is no page.
pub(super) async fn front() -> &'static str {
    "candor: run `candor open`\n"
}

fn page_address(at: SocketAddr) -> String {
    format!("http://{at}/")
}

/// Does what may write to the disk where that holds nobody up. A client that leaves meanwhile leaves
/// nothing half done.
async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    act: impl FnOnce(&Web) -> Result<T, WebRefusal> + Send + 'static,
) -> Result<T, ApiError> {
    let app = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || act(&app.web)).await;
    Ok(done.map_err(|_| ApiError::internal("it broke off: a bug"))??)
}
