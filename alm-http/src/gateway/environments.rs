//! `/apps/{id}/environments`: the service of the deployments says what runs where, and the versions come from theirs.

use std::collections::{BTreeMap, BTreeSet};

use alm_core::domain::AppId;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures_util::{StreamExt, stream};
use hyper::body::Body as _;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::{
    error::ApiError,
    request::FromPath,
    upstream::{Fault, Upstream, UpstreamError},
};

use super::{
    Shared,
    part::{Asking, Gap, MAX_BYTES},
    proxy::forward,
};

/// How many versions are asked for at the same time.
const AT_ONCE: usize = 8;

/// The app whose environments the request asks for. To `HEAD` nothing is put together.
pub(super) fn app_of(request: &Request) -> Option<AppId> {
    let segment = request.uri().path().strip_prefix("/apps/")?.strip_suffix("/environments")?;
    (request.method() == Method::GET).then(|| AppId::from_path(segment))?
}

/// Passes the request on, and puts the versions in that the answer only names.
///
/// # Errors
/// The service of the apps has no such app, or the one of the deployments does not answer.
pub(super) async fn pass(shared: &Shared, app: AppId, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let client = parts.clone();
    // What comes is to be read here.
    parts.headers.remove(header::ACCEPT_ENCODING);
    let asking = Asking { of: &client, patience: shared.part_timeout };
    let (page, owner) = tokio::join!(
        forward(shared, &shared.deployment, Request::from_parts(parts, body)),
        asking.one(&shared.app, format!("/apps/{app}")),
    );
    // Who may not ask, or asks for what can't be, learns that first, as from one server that has it all.
    if !page.as_ref().is_ok_and(|page| page.status().is_client_error())
        && let Err(Gap::Answered(refusal)) = owner
        && refusal.status == StatusCode::NOT_FOUND
    {
        return Err(refusal.into());
    }
    let page = page?;
    if !can_be_read(&page) {
        return Ok(page);
    }
    let (mut head, body) = page.into_parts();
    let body = to_bytes(body, MAX_BYTES).await.map_err(|error| {
        let upstream = shared.deployment.name;
        ApiError::upstream(&UpstreamError { upstream, fault: Fault::Failed, source: Some(error.into()) }, false)
    })?;
    if let Ok(mut page) = serde_json::from_slice::<Vec<Value>>(&body)
        && complete(&mut page, &asking, &shared.version, Instant::now() + shared.part_timeout).await
        && let Ok(completed) = serde_json::to_vec(&page)
    {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(completed.len()));
        return Ok(Response::from_parts(head, Body::from(completed)));
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// Whether it is a page that may lack versions. One that is too large to be read has them, and passes as it comes.
fn can_be_read(page: &Response) -> bool {
    let length = page.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    page.status() == StatusCode::OK
        && is_json(page.headers())
        && !page.headers().contains_key(header::CONTENT_ENCODING)
        && length.is_some_and(|length| length <= MAX_BYTES)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

/// Puts those versions into a page of environments that are `null` there, and come until `deadline`; says whether there was any.
pub(super) async fn complete(page: &mut [Value], asking: &Asking<'_>, versions: &Upstream, deadline: Instant) -> bool {
    let lacking: BTreeSet<i64> = page.iter().filter_map(lacks).collect();
    if lacking.is_empty() {
        return false;
    }
    let mut had = BTreeMap::new();
    let coming = async {
        let one = async |id: i64| (id, asking.one(versions, format!("/versions/{id}")).await);
        let mut coming = stream::iter(lacking).map(one).buffer_unordered(AT_ONCE);
        while let Some((id, version)) = coming.next().await {
            // One that is gone, or can't be had now, is still named.
            had.extend(version.ok().map(|version| (id, version)));
        }
    };
    if timeout_at(deadline, coming).await.is_err() {
        tracing::warn!(upstream = versions.name, "not all versions of what runs came in time");
    }
    let found = !had.is_empty();
    for environment in page {
        if let Some(version) = lacks(environment).and_then(|id| had.get(&id)) {
            environment["version"] = version.clone();
        }
    }
    found
}

/// The version that an environment names and does not have.
fn lacks(environment: &Value) -> Option<i64> {
    let is_lacking = environment.get("version").is_some_and(Value::is_null);
    environment["deployment"]["version_id"].as_i64().filter(|_| is_lacking)
}
