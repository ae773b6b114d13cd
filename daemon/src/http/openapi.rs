//! The API's document, OpenAPI 3.1: made of the routes, served, and kept in `docs/openapi.json`.

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Info, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr};
use utoipa::{IntoParams, PartialSchema as _, ToSchema as _};

use super::problem::{DOOR, Problems, Word, response_of};
use crate::api::Problem;

/// The names of shapes that only answers have end so. All that such a shape has is always there.
const ANSWERS: [&str; 2] = ["View", "Reply"];

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
    OpenApiBuilder::new().info(info()).build()
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
         user. `candor` itself uses nothing else.\n\nTimes are RFC 3339 in UTC with microseconds. \
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
