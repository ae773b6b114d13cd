//! The page's files as they are embedded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::to_bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{ASSETS, CSS, HTML, SCRIPT, SVG, TAGS, answer};

/// Bytes of all files together, at most: the page is there at once also over a slow tunnel.
const WEIGHT_BYTES_MAX: usize = 200_000;

/// The one address that stands in the files: a name that nobody asks for. Source: SVG 2, section 3.2.
const SVG_NAME: &str = "http://www.w3.org/2000/svg";

/// What would read text as markup or as a script, or put style into markup, which the policy forbids.
const FORBIDDEN: [&str; 17] = [
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "srcdoc",
    "createContextualFragment",
    "DOMParser",
    "eval(",
    "new Function",
    "setTimeout('",
    "setAttribute('style'",
    " style=\"",
    "onclick=\"",
    "<script>",
    "<style",
    "javascript:",
    "EventSource(",
];

fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
    ASSETS.iter().map(|asset| (asset.name, str::from_utf8(asset.bytes).unwrap()))
}

#[test]
fn every_file_is_embedded_with_its_type() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // It tells Node, which runs the tests, that the scripts are modules.
        .filter(|name| name != "package.json")
        .collect();
    let embedded: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
    assert_eq!(files, embedded);
    for asset in &ASSETS {
        let kind = match Path::new(asset.name).extension().and_then(|it| it.to_str()) {
            Some("html") => HTML,
            Some("css") => CSS,
            Some("js") => SCRIPT,
            Some("svg") => SVG,
            other => panic!("{}: no type for {other:?}", asset.name),
        };
        assert_eq!(asset.kind, kind, "{}", asset.name);
    }
}

#[test]
fn everything_that_is_referred_to_is_there_and_nothing_else_is() {
    let mut referred: BTreeSet<String> = BTreeSet::from(["index.html".to_owned()]);
    for (name, text) in texts() {
        for quote in ['"', '\''] {
            for piece in text.split(quote) {
                let own = piece.strip_prefix("/assets/").or_else(|| {
                    piece
                        .strip_prefix("./")
                        .filter(|_| Path::new(name).extension() == Some("js".as_ref()))
                });
                if let Some(own) = own.filter(|own| !own.contains(['\n', ' '])) {
                    let is_there = ASSETS.iter().any(|asset| asset.name == own);
                    assert!(is_there, "{name} refers to {own}, which is not there");
                    referred.insert(own.to_owned());
                }
            }
        }
    }
    let embedded: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
    assert_eq!(referred, embedded, "a file that nothing refers to");
}

#[test]
fn nothing_refers_to_another_machine() {
    for (name, text) in texts() {
        let rest = text.replace(SVG_NAME, "").replace("url(#", "");
        for scheme in ["http://", "https://", "ws://", "wss://", "'//", "\"//", "url(", "@import"] {
            assert!(!rest.contains(scheme), "{name} has {scheme}");
        }
    }
}

#[test]
fn nothing_reads_text_as_markup() {
    for (name, text) in texts() {
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn the_page_is_light() {
    let weight: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
    assert!(weight <= WEIGHT_BYTES_MAX, "the page weighs {weight} bytes");
}

#[tokio::test]
async fn a_file_is_sent_once_and_then_only_asked_for() {
    let first = answer("store.js", &HeaderMap::new());
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
    assert_eq!(first.headers()[header::CONTENT_TYPE], SCRIPT);
    let tag = first.headers()[header::ETAG].clone();
    let body = to_bytes(first.into_body(), WEIGHT_BYTES_MAX).await.unwrap();
    assert!(body.starts_with(b"// What the page knows"));

    for known in [tag.to_str().unwrap().to_owned(), format!("\"x\", W/{}", tag.to_str().unwrap())] {
        let asked =
            HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::try_from(known).unwrap())]);
        let again = answer("store.js", &asked);
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(to_bytes(again.into_body(), WEIGHT_BYTES_MAX).await.unwrap().is_empty());
    }
    let other = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""))]);
    assert_eq!(answer("store.js", &other).status(), StatusCode::OK);
}

#[test]
fn tags_differ_and_what_is_not_there_is_not_found() {
    let tags: BTreeSet<&[u8]> = TAGS.iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(tags.len(), ASSETS.len());
    for name in ["", "..", "../Cargo.toml", "main.js/", "package.json", "/etc/passwd"] {
        assert_eq!(answer(name, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{name}");
    }
}
