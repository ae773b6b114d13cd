//! Logging in: codes, logins, tokens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use candor_adapters::process::{Origin, TcpPeer};

use super::asked::{JsonBody, Named};
use super::guard::{Cookies, Port, cookie_name};
use super::inside::is_own;
use super::limits::Streams;
use super::problem::{ApiError, BODY, CHANGE, DOOR, Problems, READ, Word, set};
use super::tcp;
use crate::api::time_text;
use crate::api::web::{
    LoginRequest, LoginView, LogoutView, NewTokenView, TokenRequest, TokenView, WebOpenView,
};
use crate::serve::App;
use crate::serve::web::{Web, WebRefusal};

impl From<WebRefusal> for ApiError {
    fn from(refusal: WebRefusal) -> Self {
        let word = match &refusal {
            WebRefusal::WrongCode => Word::NotAuthorized,
            WebRefusal::NameTaken(_) => Word::TokenExists,
            WebRefusal::BadName(_) => Word::BadRequest,
            WebRefusal::TooManyTokens => Word::TooManyTokens,
            WebRefusal::NoSuchToken(_) => Word::NotFound,
            WebRefusal::NotStored { .. } | WebRefusal::NotForgotten { .. } => {
                Word::StoreUnavailable
            }
            WebRefusal::NoRandomness(_) => Word::Internal,
        };
        Self::new(word, refusal.to_string())
    }
}

/// Open the page
///
/// The daemon begins to listen on the loopback interface. The address holds a code that logs one
/// browser in. On the socket alone.
#[utoipa::path(
    post,
    path = "/v1/web/open",
    operation_id = "open_page",
    tag = "web",
    responses(
        (status = 200, description = "The page's address.", body = WebOpenView),
        Problems<{ READ | CHANGE | set(&[Word::SocketOnly, Word::CannotListen]) }>
    ),
)]
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
) -> Result<Json<WebOpenView>, ApiError> {
    let at = tcp::listen(&app, &streams).await?;
    let (code, until) = blocking(&app, Web::code).await?;
    let url = format!("{}#code={}", page_address(at), code.reveal());
    Ok(Json(WebOpenView { url, expires_at: time_text(until) }))
}

/// Log in
///
/// Exchanges a code for a cookie and a token for the page; both are needed from then on. Over TCP alone.
#[utoipa::path(
    post,
    path = "/v1/web/login",
    operation_id = "log_in",
    tag = "web",
    security(()),
    request_body = LoginRequest,
    responses(
        (status = 200, description = "The browser is logged in.", body = LoginView,
            headers(("set-cookie" = String, description = "The other half of the login."))),
        Problems<{ READ | CHANGE | BODY }>
    ),
)]
pub(super) async fn login(
    State(app): State<Arc<App>>,
    client: Option<Extension<TcpPeer>>,
    at: Option<Extension<Port>>,
    cookies: Option<Extension<Cookies>>,
    JsonBody(LoginRequest { code }): JsonBody<LoginRequest>,
) -> Result<Response, ApiError> {
    let (Some(Extension(Port(port))), Some(Extension(Cookies(cookies))), Some(Extension(client))) =
        (at, cookies, client)
    else {
        return Err(ApiError::bad_request("browsers log in over TCP: this socket needs no login"));
    };
    check_is_outside(&app, client).await?;
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
    let cookie = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
        cookie_name(port),
        logged_in.cookie.reveal(),
        crate::serve::web::LOGIN_S
    );
    let mut cookie = HeaderValue::try_from(cookie)
        .map_err(|_| ApiError::internal("a cookie that cannot be sent: a bug"))?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Checks that a login is for nobody inside a session: the code stands in the command line of the
/// browser that is started with it, for all to see.
///
/// # Errors
///
/// [`Word::InsideASession`], also when it cannot be told who asks.
async fn check_is_outside(app: &Arc<App>, client: TcpPeer) -> Result<(), ApiError> {
    // It looks at all that runs here: one at a time is enough.
    let _alone = app.web.looking.lock().await;
    let asked = Arc::clone(app);
    let looking = tokio::task::spawn_blocking(move || {
        let processes = client.processes()?;
        let live = asked.registry.live_ids();
        let is_own = |id| is_own(&asked, id);
        let origins = processes.iter().map(|process| asked.origins.of(process, &live, is_own));
        Ok(origins.collect::<Vec<_>>())
    });
    let origins: io::Result<_> = looking.await.map_err(io::Error::other).flatten();
    let origins =
        origins.map_err(|error| ApiError::internal(format!("cannot see who asks: {error}")))?;
    let is_outside = |origin: &Origin| *origin == Origin::Outside;
    if !origins.is_empty() && origins.iter().all(is_outside) {
        return Ok(());
    }
    tracing::warn!(?origins, "a login was refused: it does not come from outside of all sessions");
    let detail = match origins.iter().find(|origin| !is_outside(origin)) {
        Some(Origin::Session(id)) => format!("this comes out of session {id}, which cannot log in"),
        Some(_) => {
            "this comes out of what a session has left behind, or it cannot be told: log in \
                    with a browser of your own"
                .to_owned()
        }
        None => {
            "the program that asks cannot be seen: log in with one that runs as you do".to_owned()
        }
    };
    Err(ApiError::new(Word::InsideASession, detail))
}

/// Log all browsers out
///
/// What they are being told is broken off within a second.
#[utoipa::path(
    post,
    path = "/v1/web/logout",
    operation_id = "log_out",
    tag = "web",
    responses(
        (status = 200, description = "Nobody is logged in any more.", body = LogoutView),
        Problems<{ READ | CHANGE }>
    ),
)]
pub(super) async fn logout(State(app): State<Arc<App>>) -> Result<Json<LogoutView>, ApiError> {
    Ok(Json(LogoutView { ended: blocking(&app, Web::log_out).await? }))
}

/// List the tokens of scripts
///
/// On the socket alone.
#[utoipa::path(
    get,
    path = "/v1/web/tokens",
    operation_id = "list_tokens",
    tag = "web",
    responses(
        (status = 200, description = "The tokens, without their secrets.", body = Vec<TokenView>),
        Problems<{ DOOR | set(&[Word::SocketOnly]) }>
    ),
)]
pub(super) async fn tokens(State(app): State<Arc<App>>) -> Json<Vec<TokenView>> {
    let tokens = app.web.tokens().into_iter().map(|token| TokenView {
        name: token.name,
        read_only: token.read_only,
        created_at: time_text(token.created_at),
    });
    Json(tokens.collect())
}

/// Make a token for a script
///
/// The daemon begins to listen on the loopback interface. On the socket alone.
#[utoipa::path(
    post,
    path = "/v1/web/tokens",
    operation_id = "add_token",
    tag = "web",
    request_body = TokenRequest,
    responses(
        (status = 201, description = "The token, which nobody will be told again.", body = NewTokenView),
        Problems<{ READ | CHANGE | BODY | set(&[
            Word::SocketOnly, Word::CannotListen, Word::TokenExists, Word::TooManyTokens,
        ]) }>
    ),
)]
pub(super) async fn add_token(
    State(app): State<Arc<App>>,
    Extension(streams): Extension<Arc<Streams>>,
    JsonBody(request): JsonBody<TokenRequest>,
) -> Result<(StatusCode, Json<NewTokenView>), ApiError> {
    let TokenRequest { name, read_only } = request;
    let url = page_address(tcp::listen(&app, &streams).await?);
    let wanted = name.clone();
    let secret = blocking(&app, move |web| web.add_token(&wanted, read_only)).await?;
    let token = secret.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(NewTokenView { name, token, read_only, url })))
}

/// Take a token back
///
/// Whatever goes on by it ends. On the socket alone.
#[utoipa::path(
    delete,
    path = "/v1/web/tokens/{name}",
    operation_id = "remove_token",
    tag = "web",
    params(("name" = String, Path, description = "The token's name.")),
    responses(
        (status = 204, description = "It was taken back."),
        Problems<{ READ | CHANGE | set(&[Word::SocketOnly, Word::NotFound]) }>
    ),
)]
pub(super) async fn remove_token(
    State(app): State<Arc<App>>,
    Named(name): Named<String>,
) -> Result<StatusCode, ApiError> {
    blocking(&app, move |web| web.remove_token(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
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
