//! `/openapi.json`, and `/docs`: a page to try the API, all of it bundled.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{OriginalUri, Path},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use utoipa_swagger_ui::Config;

use crate::{error::ApiError, headers};

pub(crate) fn routes<S: Clone + Send + Sync + 'static>(document: Value) -> Router<S> {
    let document = Arc::new(document);
    // Relative to the page, so that it also holds below a prefix.
    let config = Arc::new(Config::from("../openapi.json"));
    let page = {
        let config = config.clone();
        get(move || async move { asset("", config) })
    };
    Router::new()
        .route("/openapi.json", get(move |uri: OriginalUri| async move { openapi(&document, &uri) }))
        .route("/docs", get(|| async { (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "docs/")]) }))
        .route("/docs/", page)
        .route(
            "/docs/{*file}",
            get(move |Path(path): Path<Vec<(String, String)>>| async move {
                // A host may nest the router below parameters of its own; ours is the last.
                asset(path.last().map_or("", |(_, file)| file), config)
            }),
        )
}

/// The document as seen from where it was asked for: a host may have nested the router.
fn openapi(document: &Value, OriginalUri(uri): &OriginalUri) -> Json<Value> {
    let prefix = uri.path().strip_suffix("/openapi.json").unwrap_or_default();
    let mut document = document.clone();
    document["servers"] = json!([{"url": if prefix.is_empty() { "/" } else { prefix }}]);
    Json(document)
}

fn asset(file: &str, config: Arc<Config<'static>>) -> Result<Response, ApiError> {
    match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(file)) => {
            let content_type = [(header::CONTENT_TYPE, file.content_type)];
            let mut response = (content_type, headers::of_the_page(), file.bytes.into_owned()).into_response();
            if file.gzpipped {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            Ok(response)
        }
        Ok(None) => Err(ApiError::no_such_path()),
        Err(error) => {
            tracing::error!(error, "the documentation cannot be served");
            Err(ApiError::internal())
        }
    }
}
