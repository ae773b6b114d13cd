//! The API's document, OpenAPI 3.1: made of the routes, served, and kept in `docs/openapi.json`.

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, Info, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr,
};
use utoipa::{IntoParams, PartialSchema as _, ToSchema as _};

use super::problem::{DOOR, Problems, Word, response_of};
use crate::api::Problem;

/// The names of shapes that only answers have end so. All that such a shape has is always there.
const ANSWERS: [&str; 2] = ["View", "Reply"];

/// The credentials by their names in the document.
const TOKEN: &str = "token";
const PAGE: &str = "page";
const COOKIE: &str = "cookie";

/// What of a credential is asked for: nothing less than all of it.
const NO_SCOPES: [&str; 0] = [];

/// The session that is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used: what is in an address is read by name")]
pub(super) struct OfSession {
    /// Its id, or a beginning of that or of its short form that no other session has.
    id: String,
}

/// Returns what the document says of the API as a whole.
pub(super) fn frame() -> OpenApi {
    let mut components = Components::new();
    components.add_security_schemes_from_iter(credentials());
    // The first is none at all, which is what the socket asks for.
    let security = [
        SecurityRequirement::default(),
        SecurityRequirement::new(TOKEN, NO_SCOPES),
        SecurityRequirement::new(PAGE, NO_SCOPES).add(COOKIE, NO_SCOPES),
    ];
    OpenApiBuilder::new().info(info()).components(Some(components)).security(Some(security)).build()
}

/// Returns what can be shown over TCP.
fn credentials() -> [(&'static str, SecurityScheme); 3] {
    let bearer = |description: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.description(Some(description)).build())
    };
    let cookie = ApiKeyValue::with_description(
        "candor_PORT",
        "The other half, which belongs to all pages of a browser. Its name ends with the port that the \
         daemon listens on.",
    );
    [
        (TOKEN, bearer("A token of `candor token add`. One that may only look is refused more.")),
        (PAGE, bearer("One half of a login: the `page_token` that `POST /v1/web/login` answers.")),
        (COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
    ]
}

fn info() -> Info {
    let problems: String = Word::ALL
        .iter()
        .map(|word| {
            let (status, meaning) = (word.status().as_u16(), word.meaning());
            format!("\n| `{}` | {status} | {meaning} |", word.address())
        })
        .collect();
    let description = format!(
        "The API of Candor's daemon: HTTP/1.1 on the socket `candor.sock` in its home, for its own \
         user, without a credential. `candor` itself uses nothing else. And on the loopback interface, \
         once `candor open`, `candor token add` or the setting `[web] listen` has asked for that: there \
         a script shows a token of `candor token add` (`token`), a page the two halves of its login \
         (`page` and `cookie`); only the page's own files and `POST /v1/web/login` need neither. A body \
         is sent with `Content-Type: application/json` there, and a request without one says nothing of \
         a type. What changes something is refused from inside a session.\n\nTimes are RFC 3339 in UTC with microseconds. \
         Answers may get further fields; requests with fields or parameters that are not listed are \
         refused, and change nothing. Every error is `application/problem+json` (RFC 9457): compare \
         its `type`, and show its `detail`, which says what to do.\n\n| type | status | meaning \
         |\n|---|---|---|{problems}\n"
    );
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    InfoBuilder::new()
        .title("Candor")
        .version("1")
        .description(Some(description))
        .license(Some(license))
        .build()
}

/// The document as it is served.
#[derive(Clone)]
pub(super) struct Text(Arc<str>);

impl Text {
    pub(super) fn new(mut document: OpenApi) -> Self {
        describe_problems(&mut document);
        require_what_is_always_there(&mut document);
        // Every part of it came out of a serializer of the same kind, so that it can be written.
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        Self(text.into())
    }
}

/// Gives the problems that operations name: each answer stands once, however many may give it.
fn describe_problems(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let items = document.paths.paths.values();
    let operations = items.flat_map(|item| {
        [&item.get, &item.post, &item.put, &item.patch, &item.delete].into_iter().flatten()
    });
    for response in operations.flat_map(|operation| operation.responses.responses.values()) {
        if let RefOr::Ref(Ref { ref_location, .. }) = response
            && let Some((_, name)) = ref_location.rsplit_once('/')
        {
            components.responses.insert(name.to_owned(), response_of(name).into());
        }
    }
}

/// Shapes that only answers have are written whole, with null for what there is not. Only who reads
/// them may take less, from a daemon that is older.
fn require_what_is_always_there(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    for (name, schema) in &mut components.schemas {
        if ANSWERS.iter().any(|end| name.ends_with(end)) {
            require_all(schema);
        }
    }
}

fn require_all(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            object.required = object.properties.keys().cloned().collect();
        }
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(require_all),
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

/// Read this document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "get_openapi",
    tag = "daemon",
    responses(
        (status = 200, description = "OpenAPI 3.1.", content_type = "application/json"),
        Problems<DOOR>
    )
)]
pub(super) async fn serve(Extension(Text(text)): Extension<Text>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], String::from(&*text))
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::Text;

    #[test]
    fn the_document_is_the_one_that_is_kept() {
        // What has changed on purpose is kept by running this with UPDATE_EXPECT=1.
        let Text(text) = Text::new(crate::http::routes().into_openapi());
        expect_file!["../../../docs/openapi.json"].assert_eq(&text);
    }
}
