//! What services have of something, each a part of it, asked on behalf of a client.

use std::{collections::VecDeque, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts, response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::{
    error::ApiError,
    upstream::{Upstream, UpstreamError},
};

use super::proxy::on_behalf;

/// How many pages are read for what stands at the end of a list.
const MAX_PAGES: usize = 10;
/// The most that one answer may have, to a client or of a service: a page of 50 versions with all that they can have is smaller. Written
/// as JSON a version has at most 312 KB, where a byte becomes six (`\u0001`) and a character that is not escaped so has four: 192 KiB of changelog
/// (32 KiB), 115 KB of labels (64 keys of 63 characters without control characters, and values of 256), and 1 KB of the rest.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why a part could not be had.
#[derive(Debug)]
pub(super) enum Gap {
    Answered(Refusal),
    Failed(UpstreamError),
    TimedOut,
    /// What was answered can't be read.
    Malformed,
    /// The newest stand too far from the beginning of the list.
    TooMany,
    /// It has more than there is room for in what is put together.
    TooLarge,
}

/// A service has answered something else than what was asked for.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    code: String,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Refusal> for ApiError {
    fn from(Refusal { status, code, detail, headers }: Refusal) -> Self {
        Self::refused(status, &code, detail, headers)
    }
}

impl Gap {
    /// The caller may not see it.
    pub(super) fn forbidden() -> Self {
        let (code, detail) = ("forbidden".to_owned(), "the role may not see this".to_owned());
        Self::Answered(Refusal { status: StatusCode::FORBIDDEN, code, detail, headers: Vec::new() })
    }

    /// Code and detail.
    pub(super) fn told(self) -> (String, String) {
        let (code, detail) = match self {
            Self::Answered(refusal) if refusal.status == StatusCode::FORBIDDEN => {
                return ("forbidden".to_owned(), refusal.detail);
            }
            Self::Answered(refusal) => return (refusal.code, refusal.detail),
            Self::Failed(error) => return (error.fault.code().to_owned(), error.to_string()),
            Self::TimedOut => ("upstream-timeout", "the service did not answer in time"),
            Self::Malformed => ("upstream-failed", "the service did not answer properly"),
            Self::TooMany => ("too-many", "there are too many to find the newest among them; read the list instead"),
            Self::TooLarge => ("too-large", "there is more of it than fits in here; read it at its own path instead"),
        };
        (code.to_owned(), detail.to_owned())
    }
}

/// Asks for parts on behalf of a client.
pub(super) struct Asking<'a> {
    pub(super) of: &'a Parts,
    /// How long one part may take.
    pub(super) patience: Duration,
}

impl Asking<'_> {
    /// What is at `path`, as it came, if it has at most `room` bytes.
    pub(super) async fn one(&self, upstream: &Upstream, path: String, room: usize) -> Result<Box<RawValue>, Gap> {
        self.within(async { Ok(self.get(upstream, &path, room).await?.value) }).await
    }

    /// The list at `path`, its first page, if that has at most `room` bytes; and what it leaves of these.
    pub(super) async fn first<T: DeserializeOwned>(
        &self,
        upstream: &Upstream,
        path: String,
        room: usize,
    ) -> Result<(Vec<T>, usize), Gap> {
        self.within(async {
            let page = self.get(upstream, &path, room).await?;
            Ok((page.value, room - page.bytes))
        })
        .await
    }

    /// The last `count` of the list at `path`, the last of them first, if they have at most `room` bytes.
    pub(super) async fn newest(
        &self,
        upstream: &Upstream,
        path: String,
        count: usize,
        room: usize,
    ) -> Result<Vec<Box<RawValue>>, Gap> {
        let reading = async {
            let mut newest: VecDeque<Box<RawValue>> = VecDeque::new();
            let mut next = Some(path);
            for _ in 0..MAX_PAGES {
                let Some(path) = next else { break };
                let page: Got<Vec<_>> = self.get(upstream, &path, MAX_BYTES).await?;
                for item in page.value {
                    newest.push_front(item);
                    newest.truncate(count);
                }
                next = page.next;
            }
            if next.is_some() {
                return Err(Gap::TooMany);
            }
            let bytes: usize = newest.iter().map(|item| item.get().len()).sum();
            if bytes > room { Err(Gap::TooLarge) } else { Ok(newest.into()) }
        };
        self.within(reading).await
    }

    async fn within<T>(&self, part: impl Future<Output = Result<T, Gap>> + Send) -> Result<T, Gap> {
        timeout(self.patience, part).await.unwrap_or(Err(Gap::TimedOut))
    }

    /// What is at `path`, if it has at most `most` bytes.
    async fn get<T: DeserializeOwned>(&self, upstream: &Upstream, path: &str, most: usize) -> Result<Got<T>, Gap> {
        let parts = on_behalf(self.of, upstream, path).ok_or(Gap::Malformed)?;
        // Until it is read: so many answers are in memory at most. Waiting is a part of the time that the part has.
        let _place = upstream.place().await;
        let answer = upstream.send(parts, Body::empty(), true).await.map_err(Gap::Failed)?;
        let (head, body) = answer.into_parts();
        let body = read(upstream, body, most).await?;
        if head.status != StatusCode::OK {
            return Err(refusal(&head, &body));
        }
        let next = head.headers.get(header::LINK).and_then(|link| next_page(upstream, link));
        let value = serde_json::from_slice(&body).map_err(|_| Gap::Malformed)?;
        Ok(Got { value, bytes: body.len(), next })
    }
}

/// What a service has answered.
struct Got<T> {
    value: T,
    /// How many bytes it had.
    bytes: usize,
    /// The path of the page after it if there is one.
    next: Option<String>,
}

async fn read(upstream: &Upstream, body: Incoming, most: usize) -> Result<Bytes, Gap> {
    let read = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return Gap::TooLarge;
        }
        tracing::warn!(upstream = upstream.name, error = &*error as &dyn std::error::Error, "an answer broke off");
        Gap::Malformed
    })?;
    Ok(read.to_bytes())
}

fn refusal(head: &response::Parts, body: &[u8]) -> Gap {
    #[derive(Deserialize)]
    struct Told {
        code: String,
        detail: String,
    }

    // What is no problem comes from something on the way to the service.
    let Ok(Told { code, detail }) = serde_json::from_slice(body) else { return Gap::Malformed };
    let kept = [header::WWW_AUTHENTICATE, header::RETRY_AFTER];
    let headers = kept.into_iter().filter_map(|name| head.headers.get(&name).cloned().map(|value| (name, value)));
    Gap::Answered(Refusal { status: head.status, code, detail, headers: headers.collect() })
}

/// Where `Link` leads, in the one form that ALM sends.
fn next_page(upstream: &Upstream, link: &HeaderValue) -> Option<String> {
    let reference = link.to_str().ok()?.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    upstream.base.within(reference).map(ToOwned::to_owned)
}
