//! `/apps/{id}/overview`: what the services know of one app, with the caller's own token.

use alm_core::{
    Principal,
    domain::{Actor, AppId, Role, Subject},
    policy::Action,
};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{
    error::ApiError,
    request::{NoParams, PathId},
    resources::{apps::AppBody, audit::AuditEntryBody, environments::EnvironmentBody, versions::VersionBody},
    upstream::Upstream,
};

use super::{
    GatewayState,
    environments::{self, Running},
    headers::is_in_a_loop,
    part::{Asking, Gap, MAX_BYTES},
};

/// How many versions and audit entries are shown.
const NEWEST: usize = 10;

/// The most bytes that the parts may have. An app has at most what a version has, and ten versions have 3 MB.
const APP_ROOM: usize = 1024 * 1024;
const VERSIONS_ROOM: usize = 4 * 1024 * 1024;
const AUDIT_ROOM: usize = 4 * 1024 * 1024;
const ENVIRONMENTS_ROOM: usize = MAX_BYTES - APP_ROOM - VERSIONS_ROOM - AUDIT_ROOM;

/// What the services know of one app. A part that could not be had is `null`, and `missing` says why.
#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    /// The app.
    #[schema(value_type = Option<AppBody>)]
    app: Option<Box<RawValue>>,
    /// Its newest versions, at most 10, the newest first.
    #[schema(value_type = Option<Vec<VersionBody>>)]
    versions: Option<Vec<Box<RawValue>>>,
    /// What runs where, by environment, at most 200.
    #[schema(value_type = Option<Vec<EnvironmentBody>>)]
    environments: Option<Vec<Running>>,
    /// The newest audit entries about the app, at most 10, the newest first.
    #[schema(value_type = Option<Vec<AuditEntryBody>>)]
    audit: Option<Vec<Box<RawValue>>>,
    /// The parts that are not there, or not whole.
    missing: Vec<Missing>,
}

/// A part of an overview that is not there, or not whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Missing {
    /// `app`, `versions`, `environments` or `audit`.
    part: &'static str,
    /// The service that has it, such as `version`.
    upstream: &'static str,
    /// Why, for programs: `forbidden`, `too-large`, `too-many`, `upstream-failed`, `upstream-unavailable`, `upstream-timeout`, or
    /// the `code` of the problem that the service has answered.
    #[schema(example = "upstream-unavailable")]
    code: String,
    /// Why, for people.
    detail: String,
}

/// See an app as a whole
///
/// The services are asked with the caller's own token, at the same time. When one does not answer within two seconds, the rest is
/// shown, and `missing` names the part. Versions are shown when the app has at most 500: lists are oldest first, and the newest
/// are at their end; so it is with audit entries. What runs where has its versions as far as they come in time and fit in, and names
/// them in any case.
///
/// Who: as each service says; the audit log is for admin, auditor.
#[utoipa::path(get, path = "/apps/{id}/overview", tag = "apps", params(crate::openapi::IdParam), responses(
    (status = 200, body = Overview),
    (status = 401, body = crate::problem::Problem, content_type = "application/problem+json", description = "No valid token"),
    (status = 403, body = crate::problem::Problem, content_type = "application/problem+json",
        description = "The role may not read apps"),
    (status = 404, body = crate::problem::Problem, content_type = "application/problem+json", description = "It does not exist"),
))]
pub(super) async fn get_overview(
    State(GatewayState(shared)): State<GatewayState>,
    PathId(id): PathId<AppId>,
    _: NoParams,
    request: Request,
) -> Result<Json<Overview>, ApiError> {
    let (parts, _) = request.into_parts();
    if is_in_a_loop(&parts.headers) {
        return Err(ApiError::loop_detected(shared.app.name));
    }
    let asking = Asking { of: &parts, patience: shared.part_timeout };
    let (app, versions, environments, audit) = tokio::join!(
        asking.one(&shared.app, format!("/apps/{id}"), APP_ROOM),
        asking.newest(&shared.version, format!("/versions?app_id={id}&limit=50"), NEWEST, VERSIONS_ROOM),
        async {
            let deadline = Instant::now() + shared.part_timeout;
            let path = format!("/apps/{id}/environments?limit=200");
            let (mut page, room) = asking.first(&shared.deployment, path, ENVIRONMENTS_ROOM).await?;
            environments::complete(&mut page, &asking, &shared.version, deadline, room).await;
            Ok(page)
        },
        async {
            // A refusal would stand in the audit log each time that anyone looks at an app.
            if may_not_audit(&parts.headers) {
                return Err(Gap::forbidden());
            }
            let path = format!("/audit/events?subject=apps/{id}&limit=50");
            asking.newest(&shared.audit, path, NEWEST, AUDIT_ROOM).await
        },
    );
    // The owner of the app decides whether there is one, and for whom; any service, whether the token counts.
    let decisive = [app.as_ref().err(), versions.as_ref().err(), environments.as_ref().err(), audit.as_ref().err()];
    for (n, gap) in decisive.into_iter().enumerate() {
        if let Some(Gap::Answered(refusal)) = gap
            && (refusal.status == StatusCode::UNAUTHORIZED || n == 0 && refusal.status.is_client_error())
        {
            return Err(refusal.clone().into());
        }
    }
    let mut missing = Vec::new();
    Ok(Json(Overview {
        app: had(app, "app", &shared.app, &mut missing),
        versions: had(versions, "versions", &shared.version, &mut missing),
        environments: had(environments, "environments", &shared.deployment, &mut missing),
        audit: had(audit, "audit", &shared.audit, &mut missing),
        missing,
    }))
}

fn had<T>(part: Result<T, Gap>, name: &'static str, upstream: &Upstream, missing: &mut Vec<Missing>) -> Option<T> {
    part.map_err(|gap| {
        let (code, detail) = gap.told();
        missing.push(Missing { part: name, upstream: upstream.name, code, detail });
    })
    .ok()
}

/// Whether the token itself says that its bearer may not read the audit log. It is not checked here: that only spares the
/// question, and every other is asked of the service.
fn may_not_audit(headers: &HeaderMap) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        role: String,
        #[serde(default)]
        scope: String,
    }

    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let payload = token.and_then(|(_, token)| URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok());
    let Some(claims) = payload.and_then(|payload| serde_json::from_slice::<Claims>(&payload).ok()) else {
        return false;
    };
    let Some(role) = Role::parse(&claims.role) else { return false };
    let bearer = Principal::new(Actor::anonymous(), role);
    let bearer = claims.scope.split(' ').fold(bearer, Principal::with_scope);
    !Action::ListAuditEntries.rule().allows(&bearer, &Subject::Audit.into())
}
