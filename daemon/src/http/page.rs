//! The page: its files, which are part of the program.
//!
//! They hold no secret, so everybody may have them; what they show comes from `/v1`, which asks who
//! is there. Nothing is read from the disk, and nothing refers to another machine.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use super::problem::ApiError;
use crate::serve::App;

/// Bytes of a file's hash that stand in its tag.
const TAG_BYTES: usize = 16;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// Makes the list of files, each with its type.
macro_rules! assets {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        [$(Asset {
            name: $name,
            kind: $kind,
            bytes: include_bytes!(concat!("../../web/", $name)),
        }),+]
    };
}

static ASSETS: [Asset; 25] = assets! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "actions.js": SCRIPT,
    "ansi.js": SCRIPT,
    "api.js": SCRIPT,
    "conversation.js": SCRIPT,
    "decide.js": SCRIPT,
    "detail.js": SCRIPT,
    "dialogs.js": SCRIPT,
    "dom.js": SCRIPT,
    "escape.js": SCRIPT,
    "launch.js": SCRIPT,
    "list.js": SCRIPT,
    "live.js": SCRIPT,
    "login.js": SCRIPT,
    "main.js": SCRIPT,
    "output.js": SCRIPT,
    "select.js": SCRIPT,
    "sse.js": SCRIPT,
    "status.js": SCRIPT,
    "store.js": SCRIPT,
    "story.js": SCRIPT,
    "tail.js": SCRIPT,
    "words.js": SCRIPT,
};

/// The tags of [`ASSETS`], in their order.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| ASSETS.iter().map(tag).collect());

/// Returns where the page's files are.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(front))
        .route("/favicon.ico", get(icon))
        .route("/assets/{name}", get(asset))
}

async fn front(headers: HeaderMap) -> Response {
    answer("index.html", &headers)
}

async fn icon(headers: HeaderMap) -> Response {
    answer("icon.svg", &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&name, &headers)
}

fn answer(name: &str, asked: &HeaderMap) -> Response {
    let found = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.name == name);
    let Some((asset, tag)) = found else {
        return ApiError::not_found("the page has no such file").into_response();
    };
    // It may be kept, and is asked for each time: a daemon of another version has other files.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, tag.clone()),
    ];
    if is_known(asked, tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, asset.bytes).into_response()
}

/// Says whether who asks has the file with this tag. Source: RFC 9110, section 13.1.2.
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let wanted =
        asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    wanted
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
}

fn tag(asset: &Asset) -> HeaderValue {
    let mut text = String::from('"');
    for byte in Sha256::digest(asset.bytes).iter().take(TAG_BYTES) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text.push('"');
    // It consists of hexadecimal digits and quotes.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests;
