//! Who may come over TCP, asked before anything else is done, on every address that there is.
//!
//! Anybody on this machine can connect, and every page that its browsers show can make them send
//! requests. So nothing here is taken for granted that is not there: no header that is absent counts
//! as a yes.
//!
//! | asked | else |
//! |---|---|
//! | is it addressed to this machine, by its own names alone (no name of a stranger that leads here) | 421 |
//! | does no other page ask for it | 403 |
//! | is its head of a reasonable size | 431 |
//! | does it show a credential (but for the page's own files, and the login) | 401 |
//! | may that credential do it | 403 |
//! | is its body of a type that no form can send | 415 |
//!
//! Whether there is room for one more stream (429) is asked where it is decided that an answer is one.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::Peer;
use super::limits::{self, Failures, HEAD_BYTES_MAX, Places, Streams};
use super::problem::{ApiError, Word};
use super::revocable::Revocable;
use crate::serve::App;
use crate::serve::web::Access;

/// What of a browser's cookies is ours begins with this; the port follows.
const COOKIE: &str = "candor_";

/// Cookies of our name that are tried, at most: other ports of this machine can set some, too.
const COOKIES_MAX: usize = 8;

/// The address at which a browser logs in, which needs no credential but its code.
pub(super) const LOGIN: &str = "/v1/web/login";

/// The address at which logins are ended.
pub(super) const LOGOUT: &str = "/v1/web/logout";

/// What hands out credentials, and is there on the socket alone.
const WEB: &str = "/v1/web/";

/// Where the browser may take anything from, and what it may do with it. Source: the Content Security
/// Policy and Trusted Types specifications of the W3C.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// What is said with every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Stands before the addresses.
pub(super) struct Guard {
    app: Arc<App>,
    router: Router,
    port: u16,
    peer: Peer,
    failures: Failures,
    streams: Arc<Streams>,
}

/// The cookies of a request that can be those of a login.
#[derive(Clone)]
pub(super) struct Cookies(pub(super) Vec<String>);

/// Whose request a connection is busy with, or was last.
#[derive(Clone)]
pub(super) enum Shown {
    /// Somebody's who has shown no credential that is right.
    Nobody,
    /// A look, which ends with its credential.
    Look(Arc<Access>),
    /// A change. It is not broken off once it is whole: whoever asked for it could not tell whether it
    /// was done. What has not come whole when its credential is taken back is not done.
    Change,
}

/// Where the daemon listens, so that an answer can name its cookie.
#[derive(Clone, Copy)]
pub(super) struct Port(pub(super) u16);

impl Guard {
    pub(super) fn new(app: Arc<App>, router: Router, port: u16, streams: Arc<Streams>) -> Self {
        let peer = Peer { uid: rustix::process::geteuid().as_raw() };
        Self { app, router, port, peer, failures: Failures::new(), streams }
    }

    /// Answers a request, or says why not.
    ///
    /// Whose credential the request came with is shown to the connection, which ends with it.
    pub(super) async fn answer(
        &self,
        request: Request<Body>,
        shown: &watch::Sender<Shown>,
    ) -> Response {
        let is_api = request.uri().path().starts_with("/v1");
        let answer = self.admit(request, shown).await;
        with_headers(answer.unwrap_or_else(ApiError::into_response), is_api)
    }

    async fn admit(
        &self,
        request: Request<Body>,
        shown: &watch::Sender<Shown>,
    ) -> Result<Response, ApiError> {
        let (mut parts, body) = request.into_parts();
        shown.send_replace(Shown::Nobody);
        check_address(&parts, self.port)?;
        check_origin(&parts.headers, self.port)?;
        if limits::head_bytes(&parts) > HEAD_BYTES_MAX {
            return Err(ApiError::new(
                Word::HeadTooLarge,
                format!("a request's head has at most {HEAD_BYTES_MAX} bytes"),
            ));
        }
        let cookies = cookies(&parts.headers, self.port);
        let access = match needs_credential(&parts) {
            true => Some(self.access(&parts.headers, &cookies)?),
            false => None,
        };
        let is_look = is_look(&parts.method);
        shown.send_replace(match &access {
            None => Shown::Nobody,
            Some(access) if is_look => Shown::Look(Arc::clone(access)),
            Some(_) => Shown::Change,
        });
        check_right(&parts, access.as_deref())?;
        check_type(&parts)?;
        parts.extensions.insert(self.peer);
        parts.extensions.insert(Cookies(cookies));
        parts.extensions.insert(Port(self.port));
        parts.extensions.insert(Arc::clone(&self.streams));
        let streams = Arc::clone(&self.streams);
        parts.extensions.insert(Places { streams, access: access.clone() });
        let body = match &access {
            Some(access) if !is_look => Body::new(Revocable::new(body, access.ended.clone())),
            Some(_) | None => body,
        };
        let answering = self.router.clone().oneshot(Request::from_parts(parts, body));
        let response = match &access {
            Some(access) if is_look => tokio::select! {
                response = answering => response,
                () = access.ended.cancelled() => return Err(not_authorized()),
            },
            Some(_) | None => answering.await,
        };
        let response = response.unwrap_or_else(|never| match never {});
        if response.status() == StatusCode::UNAUTHORIZED {
            self.failed()?;
        }
        Ok(match access {
            Some(access) if is_look => {
                response.map(|body| Body::new(Revocable::new(body, access.ended.clone())))
            }
            Some(_) | None => response,
        })
    }

    /// Finds out what the credential of a request lets its owner do.
    fn access(&self, headers: &HeaderMap, cookies: &[String]) -> Result<Arc<Access>, ApiError> {
        let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
        let access = bearer(headers).and_then(|bearer| self.app.web.access(bearer, &cookies));
        match access {
            Some(access) => Ok(access),
            None => Err(self.failed().err().unwrap_or_else(not_authorized)),
        }
    }

    /// Counts a wrong credential.
    fn failed(&self) -> Result<(), ApiError> {
        let failures = self.failures.count();
        if failures == 1 {
            tracing::warn!("a request over TCP without a valid credential was refused");
        }
        if !limits::are_too_many(failures) {
            return Ok(());
        }
        Err(ApiError::new(
            Word::TooManyFailures,
            "too many wrong credentials: wait for a second, and run `candor open` to log in",
        ))
    }
}

fn not_authorized() -> ApiError {
    ApiError::new(
        Word::NotAuthorized,
        "not logged in: run `candor open`, or show a token of `candor token add`",
    )
}

/// Checks that a request is addressed to this machine by one of its own names. A name that a stranger
/// owns can lead here, too, and then the browser takes his page for ours.
fn check_address(parts: &Parts, port: u16) -> Result<(), ApiError> {
    let misdirected = |detail: &str| Err(ApiError::new(Word::Misdirected, detail));
    if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
        return misdirected("this is no proxy: ask for a path alone");
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return misdirected("name the host that is asked, once");
    };
    match is_own(host, port) {
        true => Ok(()),
        false => misdirected("this daemon answers to 127.0.0.1, [::1] and localhost alone"),
    }
}

/// Says whether a host, with its port if it names one, is this daemon.
fn is_own(host: &HeaderValue, port: u16) -> bool {
    let Ok(host) = host.to_str() else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    ["127.0.0.1", "[::1]", "localhost"].iter().any(|own| match host.strip_prefix(own) {
        None => false,
        Some("") => true,
        Some(rest) => rest.strip_prefix(':') == Some(port.to_string().as_str()),
    })
}

/// Checks that no other page asks. Both headers are set by browsers, and no page can forge them; who
/// sends neither has to show a credential all the same.
fn check_origin(headers: &HeaderMap, port: u16) -> Result<(), ApiError> {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

    let own = |origin: &HeaderValue| {
        let host = origin.as_bytes().strip_prefix(b"http://");
        let host = host.and_then(|host| HeaderValue::from_bytes(host).ok());
        // A browser leaves out no port but 80.
        host.is_some_and(|host| {
            is_own(&host, port)
                && (port == 80 || has_port(&host))
                && headers
                    .get(header::HOST)
                    .is_some_and(|asked| asked.as_bytes() == host.as_bytes())
        })
    };
    let is_own_site =
        |site: &HeaderValue| [&b"same-origin"[..], b"none"].contains(&site.as_bytes());
    let is_foreign = headers.get_all(header::ORIGIN).iter().any(|origin| !own(origin))
        || headers.get_all(SEC_FETCH_SITE).iter().any(|site| !is_own_site(site));
    match is_foreign {
        false => Ok(()),
        true => Err(ApiError::new(
            Word::ForeignOrigin,
            "another page asks for this: only Candor's own page may",
        )),
    }
}

fn has_port(host: &HeaderValue) -> bool {
    host.as_bytes()
        .rsplit(|byte| *byte == b':')
        .next()
        .is_some_and(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit))
}

/// Says whether an address is more than the page itself, of which everybody may have a copy.
fn needs_credential(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let looks = is_look(&parts.method);
    let is_page = path == "/" || path == "/favicon.ico" || path.starts_with("/assets/");
    let is_login = path == LOGIN && parts.method == Method::POST;
    !(is_login || (looks && is_page))
}

/// Says whether a request changes nothing.
fn is_look(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// Checks that a credential is good for what is asked.
fn check_right(parts: &Parts, access: Option<&Access>) -> Result<(), ApiError> {
    let forbidden = |word, detail: &str| Err(ApiError::new(word, detail));
    let path = parts.uri.path();
    if path.starts_with(WEB) && path != LOGIN && path != LOGOUT {
        return forbidden(
            Word::SocketOnly,
            "credentials are handed out on the daemon's socket alone",
        );
    }
    if access.is_some_and(|access| access.read_only) && !is_look(&parts.method) {
        return forbidden(Word::ReadOnly, "this token may only look");
    }
    Ok(())
}

/// Says whether a request announces a body. What reads it may be wrapped, and know less.
///
/// Source: RFC 9112, section 6.3.
fn has_body(parts: &Parts) -> bool {
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let is_long = length.is_some_and(|length| length.as_bytes() != b"0");
    is_long || parts.headers.contains_key(header::TRANSFER_ENCODING)
}

/// Checks that a body is of a type that a page cannot send to another site unasked.
fn check_type(parts: &Parts) -> Result<(), ApiError> {
    const JSON: &str = "application/json";
    const BYTES: &str = "application/octet-stream";

    if is_look(&parts.method) {
        return Ok(());
    }
    let types: Vec<&[u8]> =
        parts.headers.get_all(header::CONTENT_TYPE).iter().map(HeaderValue::as_bytes).collect();
    let path = parts.uri.path();
    let takes_bytes = path.ends_with("/input") || path.ends_with("/messages");
    let is_right = match types.as_slice() {
        [] => !has_body(parts),
        [one] => *one == JSON.as_bytes() || (takes_bytes && *one == BYTES.as_bytes()),
        _ => false,
    };
    match is_right {
        true => Ok(()),
        false => Err(ApiError::new(Word::UnsupportedMediaType, format!("send a body as {JSON}"))),
    }
}

/// Returns the secret in `Authorization`, if there is one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, secret) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret)
}

/// Returns the name of the cookie of a daemon at this port.
pub(super) fn cookie_name(port: u16) -> String {
    format!("{COOKIE}{port}")
}

/// Returns the values of all cookies that have our name.
fn cookies(headers: &HeaderMap, port: u16) -> Vec<String> {
    let name = cookie_name(port);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .take(COOKIES_MAX)
        .collect()
}

/// Adds what every answer says to browsers.
pub(super) fn with_headers(mut response: Response, is_api: bool) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_api || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests;
