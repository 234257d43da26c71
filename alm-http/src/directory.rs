//! Parents that another service owns: whether an app or a version exists is asked of the service that has it.

use std::{error::Error, sync::Arc, time::Duration};

use alm_core::{
    Principal,
    domain::{Actor, AppId, Role, Timestamp, VersionId},
    ports::{
        BackendError, BackendErrorKind, Clock, Directory, Ids, Outcome, SystemClock, SystemIds, TokenClaims,
        TokenIssuer,
    },
};
use async_trait::async_trait;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts, uri::PathAndQuery};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::{
    error::NO_SUCH_PATH,
    upstream::{BaseUrl, Client, Fault, Upstream, UpstreamConfig, UpstreamError, full_jitter},
};

const ADAPTER: &str = "directory";
/// The name under which the owners are asked.
const SUBJECT: &str = "service";
const TOKEN_SECONDS: i64 = 60;
const TRIES: u32 = 3;
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_millis(500);
/// The most that an answer may have: a version with all that it can have has 312 KB.
const MAX_BYTES: usize = 512 * 1024;

/// A [`Directory`] that asks the services that own apps and versions, with a token of its own that counts for a minute.
///
/// An owner that does not answer is asked up to three times, all within 2 s, and then it is not known whether there is a parent:
/// the API answers `503`. One that keeps failing is not asked for a few seconds. Only its own word that there is no parent counts
/// as that; a `404` of something on the way to it, or of another service, does not.
pub struct HttpDirectory {
    app: Option<Upstream>,
    version: Option<Upstream>,
    tokens: ServiceToken,
    deadline: Duration,
}

impl HttpDirectory {
    /// Asks at `app` for apps and at `version` for versions, with tokens by `issuer` that these services accept. What has no URL
    /// can't be known.
    pub fn new(app: Option<BaseUrl>, version: Option<BaseUrl>, issuer: Arc<dyn TokenIssuer>) -> Self {
        let config = UpstreamConfig::default().answer_timeout(Duration::from_secs(1));
        let client = Client::new(&config);
        Self {
            app: app.map(|app| Upstream::new("app", app, client.clone(), &config)),
            version: version.map(|version| Upstream::new("version", version, client, &config)),
            tokens: ServiceToken { issuer, clock: Arc::new(SystemClock), current: Mutex::new(None) },
            deadline: Duration::from_secs(2),
        }
    }

    /// Takes the time of its tokens from `clock`, which else is the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.tokens.clock = clock;
        self
    }

    /// How patient it is with the owners.
    #[must_use]
    pub fn upstream_config(mut self, config: &UpstreamConfig) -> Self {
        let client = Client::new(config);
        let anew = |owner: Upstream| Upstream::new(owner.name, owner.base, client.clone(), config);
        (self.app, self.version) = (self.app.map(anew), self.version.map(anew));
        self
    }

    /// How long all tries together may take; 2 s unless told.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// What the owner at `path` has, or `None` when it has nothing there.
    async fn look_up(
        &self,
        owner: Option<&Upstream>,
        operation: &'static str,
        path: String,
    ) -> Result<Option<Bytes>, BackendError> {
        let failed = |kind, retry_after| BackendError {
            kind,
            adapter: ADAPTER,
            operation,
            outcome: Outcome::NotApplied,
            retry_after: Some(retry_after),
            source: None,
        };
        let Some(owner) = owner else {
            let why = "where that service answers is not configured";
            return Err(failed(BackendErrorKind::Unavailable, Duration::from_secs(1)).with_source(why));
        };
        let asking = async {
            let mut tried = 0;
            loop {
                let failure = match self.ask(owner, &path).await? {
                    Ok(found) => return Ok(found),
                    Err(failure) => failure,
                };
                tried += 1;
                if tried == TRIES || !failure.may_pass() {
                    let (kind, retry_after) = failure.meaning();
                    return Err(failed(kind, retry_after).with_source(failure));
                }
                metrics::counter!("alm_upstream_retries_total", "upstream" => owner.name).increment(1);
                sleep(full_jitter(BACKOFF, BACKOFF_CAP, tried - 1)).await;
            }
        };
        let found = timeout(self.deadline, asking).await;
        found.unwrap_or_else(|_| {
            let why = format!("the {} service did not answer in time", owner.name);
            Err(failed(BackendErrorKind::Timeout, Duration::from_secs(1)).with_source(why))
        })
    }

    /// What one try gives.
    async fn ask(&self, owner: &Upstream, path: &str) -> Result<Result<Option<Bytes>, Failure>, BackendError> {
        let token = self.tokens.current().await?;
        let Some(parts) = request(owner, path, &token) else {
            return Err(BackendError::internal(ADAPTER, "write a request"));
        };
        let answer = match owner.ask(parts).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(Failure::Silent(error))),
        };
        if answer.status() == StatusCode::UNAUTHORIZED {
            // It may be that the owner's clock is ahead, or the key has changed.
            self.tokens.forget(&token).await;
        }
        Ok(judge(owner, answer).await)
    }
}

#[async_trait]
impl Directory for HttpDirectory {
    async fn app(&self, id: AppId) -> Result<bool, BackendError> {
        #[derive(Deserialize)]
        struct App {
            id: AppId,
        }

        let found = self.look_up(self.app.as_ref(), "app", format!("/apps/{id}")).await?;
        let Some(found) = found else { return Ok(false) };
        let app: App = read(&found, "app")?;
        if app.id == id { Ok(true) } else { Err(BackendError::corrupt(ADAPTER, "app")) }
    }

    async fn version(&self, id: VersionId) -> Result<Option<AppId>, BackendError> {
        #[derive(Deserialize)]
        struct Version {
            id: VersionId,
            app_id: AppId,
        }

        let found = self.look_up(self.version.as_ref(), "version", format!("/versions/{id}")).await?;
        let Some(found) = found else { return Ok(None) };
        let version: Version = read(&found, "version")?;
        if version.id == id { Ok(Some(version.app_id)) } else { Err(BackendError::corrupt(ADAPTER, "version")) }
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], operation: &'static str) -> Result<T, BackendError> {
    serde_json::from_slice(body).map_err(|error| BackendError::corrupt(ADAPTER, operation).with_source(error))
}

fn request(owner: &Upstream, path: &str, token: &str) -> Option<Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = owner.base.at(&PathAndQuery::try_from(path).ok()?)?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    bearer.set_sensitive(true);
    parts.headers.insert(header::AUTHORIZATION, bearer);
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    parts
        .headers
        .insert(HeaderName::from_static("x-request-id"), HeaderValue::try_from(SystemIds.uuid_v7().to_string()).ok()?);
    Some(parts)
}

/// Why one try told nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Silent(UpstreamError),
    #[error("the {upstream} service has answered {status}{}", code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Answered { upstream: &'static str, status: StatusCode, code: Option<String>, retry_after: Option<Duration> },
    #[error("the answer of the {upstream} service can't be read")]
    Unreadable { upstream: &'static str, source: Box<dyn Error + Send + Sync> },
}

impl Failure {
    /// Whether another try within a second may do better.
    fn may_pass(&self) -> bool {
        match self {
            Self::Silent(error) => !matches!(error.fault, Fault::CircuitOpen(_)),
            Self::Answered { .. } | Self::Unreadable { .. } => true,
        }
    }

    fn meaning(&self) -> (BackendErrorKind, Duration) {
        let soon = Duration::from_secs(1);
        match self {
            Self::Silent(error) => match error.fault {
                Fault::TimedOut => (BackendErrorKind::Timeout, soon),
                Fault::CircuitOpen(pause) => (BackendErrorKind::Unavailable, pause),
                _ => (BackendErrorKind::Unavailable, soon),
            },
            Self::Answered { retry_after, .. } => (BackendErrorKind::Unavailable, retry_after.unwrap_or(soon)),
            Self::Unreadable { .. } => (BackendErrorKind::Unavailable, soon),
        }
    }
}

async fn judge(owner: &Upstream, answer: Response<Incoming>) -> Result<Option<Bytes>, Failure> {
    #[derive(Deserialize)]
    struct Told {
        code: String,
        detail: String,
    }

    let upstream = owner.name;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_BYTES).collect().await;
    let body = body.map_err(|source| Failure::Unreadable { upstream, source })?.to_bytes();
    if head.status == StatusCode::OK {
        return Ok(Some(body));
    }
    let is_problem = head.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/problem+json");
    let told = if is_problem { serde_json::from_slice(&body).ok() } else { None };
    let (code, detail) = told.map(|Told { code, detail }| (code, detail)).unzip();
    // A service that does not have such things has no route for them: then the URL leads to the wrong one.
    let has_route = detail.is_some_and(|detail| detail != NO_SUCH_PATH);
    if head.status == StatusCode::NOT_FOUND && code.as_deref() == Some("not-found") && has_route {
        return Ok(None);
    }
    let retry_after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    Err(Failure::Answered { upstream, status: head.status, code, retry_after })
}

/// The token that the owners are asked with.
struct ServiceToken {
    issuer: Arc<dyn TokenIssuer>,
    clock: Arc<dyn Clock>,
    /// The last one, and until when it is used: half of its time, so that it counts when it arrives.
    current: Mutex<Option<(Arc<str>, Timestamp)>>,
}

impl ServiceToken {
    async fn current(&self) -> Result<Arc<str>, BackendError> {
        let now = self.clock.now();
        let mut current = self.current.lock().await;
        if let Some((token, until)) = &*current
            // A clock that was set back must not make it last.
            && now < *until && *until <= now.plus_seconds(TOKEN_SECONDS / 2)
        {
            return Ok(token.clone());
        }
        let name = Actor::parse(SUBJECT).map_err(|_| BackendError::internal(ADAPTER, "name itself"))?;
        let claims = TokenClaims {
            id: SystemIds.uuid_v7(),
            principal: Principal::new(name, Role::User),
            issued_at: now,
            expires_at: now.plus_seconds(TOKEN_SECONDS),
        };
        let token: Arc<str> = self.issuer.issue(&claims).await?.into();
        *current = Some((token.clone(), now.plus_seconds(TOKEN_SECONDS / 2)));
        Ok(token)
    }

    /// Makes another one for the next who asks, unless that has been done.
    async fn forget(&self, token: &str) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|(known, _)| **known == *token) {
            *current = None;
        }
    }
}
