//! `/apps/{id}/environments`: the service of the deployments says what runs where, and the versions come from theirs.

use std::{collections::BTreeMap, iter};

use alm_core::domain::AppId;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures_util::{StreamExt, stream};
use hyper::body::Body as _;
use serde::Deserialize;
use serde_json::value::RawValue;
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

/// What runs in one environment: members that pass as they came.
pub(super) type Running = BTreeMap<String, Box<RawValue>>;

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
        asking.one(&shared.app, format!("/apps/{app}"), MAX_BYTES),
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
    let (deadline, room) = (Instant::now() + shared.part_timeout, MAX_BYTES - body.len());
    if let Ok(mut page) = serde_json::from_slice::<Vec<Running>>(&body)
        && complete(&mut page, &asking, &shared.version, deadline, room).await
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

/// Puts those versions into a page of environments that are `null` there, come until `deadline`, and have at most `room` bytes
/// together; says whether there was any.
pub(super) async fn complete(
    page: &mut [Running],
    asking: &Asking<'_>,
    versions: &Upstream,
    deadline: Instant,
    mut room: usize,
) -> bool {
    let mut lacking: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (at, environment) in page.iter().enumerate() {
        if let Some(version) = lacks(environment) {
            lacking.entry(version).or_default().push(at);
        }
    }
    let mut found = false;
    let coming = async {
        let most = room;
        let one = async |(id, places)| (places, asking.one(versions, format!("/versions/{id}"), most).await);
        let mut coming = stream::iter(lacking).map(one).buffer_unordered(AT_ONCE);
        while let Some((places, version)) = coming.next().await {
            // One that is gone, or can't be had now, is still named.
            let Ok(version) = version else { continue };
            let copies = iter::repeat_n(version, places.len());
            for (at, version) in places.into_iter().zip(copies) {
                let Some(left) = room.checked_sub(version.get().len()) else {
                    tracing::warn!(upstream = versions.name, "not all versions of what runs fit into the answer");
                    return;
                };
                room = left;
                found = true;
                page[at].insert("version".to_owned(), version);
            }
        }
    };
    if timeout_at(deadline, coming).await.is_err() {
        tracing::warn!(upstream = versions.name, "not all versions of what runs came in time");
    }
    found
}

/// The version that an environment names and does not have.
fn lacks(environment: &Running) -> Option<i64> {
    #[derive(Deserialize)]
    struct Named {
        version_id: i64,
    }

    let is_lacking = environment.get("version").is_some_and(|version| version.get() == "null");
    let deployment = environment.get("deployment").filter(|_| is_lacking)?;
    serde_json::from_str(deployment.get()).ok().map(|Named { version_id }| version_id)
}
