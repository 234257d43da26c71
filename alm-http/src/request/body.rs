//! JSON bodies, and the requests that carry one.

use alm_core::{
    Context,
    changeset::{Fingerprint, IdempotencyKey},
    domain::FieldError,
    services::{Idempotency, Precondition},
};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny},
};
use sha2::{Digest, Sha256};

use crate::{error::ApiError, serve::BodyTimeout, state::ApiState};

use super::{Caller, Params, caller::surroundings, precondition};

/// How large a body of someone may be who has not said who they are: many of them could send one at the same time.
const MAX_ANONYMOUS_BYTES: usize = 8 * 1024;

/// What an idempotency key stands for, of a body. It is stored, so it must not be made of a password.
pub(crate) trait Fingerprinted {
    /// A hash of `raw`, the body that `self` was read from.
    fn fingerprint(&self, raw: &[u8]) -> Fingerprint {
        let _ = self;
        sha256(&[raw])
    }
}

/// SHA-256 over `parts`, each with its length before it.
pub(crate) fn sha256(parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A `POST` by an authenticated caller.
pub(crate) struct Post<T> {
    pub(crate) context: Context,
    pub(crate) body: T,
}

/// A `PUT` by an authenticated caller.
pub(crate) struct Put<T> {
    pub(crate) context: Context,
    pub(crate) body: T,
    pub(crate) precondition: Precondition,
}

/// A `POST` by anyone.
pub(crate) struct Unauthenticated<T> {
    pub(crate) context: Context,
    pub(crate) body: T,
}

impl<T: DeserializeOwned + Fingerprinted> FromRequest<ApiState> for Post<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Caller(context) = Caller::from_request_parts(&mut parts, state).await?;
        let raw = read(&parts.headers, body, state, state.settings.max_body_bytes).await?;
        let body = parse::<T>(&raw)?;
        let idempotency = idempotency(&parts.headers, &body, &raw)?;
        Ok(Self { context: context.with_idempotency(idempotency), body })
    }
}

impl<T: DeserializeOwned> FromRequest<ApiState> for Put<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Caller(context) = Caller::from_request_parts(&mut parts, state).await?;
        let precondition = precondition(&parts.headers);
        let raw = read(&parts.headers, body, state, state.settings.max_body_bytes).await?;
        Ok(Self { context, body: parse(&raw)?, precondition })
    }
}

impl<T: DeserializeOwned + Fingerprinted> FromRequest<ApiState> for Unauthenticated<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        Params::of(&parts).finish()?;
        let context = surroundings(&parts, Context::anonymous());
        let limit = state.settings.max_body_bytes.min(MAX_ANONYMOUS_BYTES);
        let raw = read(&parts.headers, body, state, limit).await?;
        let body = parse::<T>(&raw)?;
        let idempotency = idempotency(&parts.headers, &body, &raw)?;
        Ok(Self { context: context.with_idempotency(idempotency), body })
    }
}

fn idempotency(headers: &HeaderMap, body: &impl Fingerprinted, raw: &[u8]) -> Result<Option<Idempotency>, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| values.next().is_none()).map(IdempotencyKey::parse);
    let refuse =
        || ApiError::header("invalid-idempotency-key", "Idempotency-Key must have 1 to 255 visible ASCII characters");
    let key = key.and_then(Result::ok).ok_or_else(refuse)?;
    Ok(Some(Idempotency { key, fingerprint: body.fingerprint(raw) }))
}

/// The whole body, if it is said to be JSON, has at most `limit` bytes and comes in time.
async fn read(headers: &HeaderMap, body: axum::body::Body, state: &ApiState, limit: usize) -> Result<Bytes, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::unsupported_media_type());
    }
    // What is small may be large when it is unpacked, so nothing is.
    if headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(ApiError::encoded());
    }
    let collected = tokio::time::timeout(state.settings.body_timeout, Limited::new(body, limit).collect());
    match collected.await {
        Err(_) => Err(ApiError::too_slow()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large(limit)),
        Ok(Err(error)) if BodyTimeout::caused(error.as_ref()) => Err(ApiError::too_slow()),
        Ok(Err(_)) => Err(ApiError::not_json("the body ended too early")),
    }
}

/// `application/json` or `application/…+json`, in UTF-8 (RFC 8259, section 8.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf_8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    let json = essence == "application/json"
        || essence.strip_prefix("application/").is_some_and(|subtype| subtype.ends_with("+json"));
    json && utf_8
}

fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, ApiError> {
    // serde reads a JSON array into a struct, field by field; a caller who sends one has made a mistake.
    let first = raw.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first != b'{') {
        check_syntax(raw)?;
        return Err(refuse("", "invalid-type", "must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, error) = (pointer(error.path()), error.inner());
        if !error.is_data() {
            return not_json(error);
        }
        // A field was refused before the end was seen; that it is no JSON at all would say more.
        check_syntax(raw).err().unwrap_or_else(|| unreadable(&path, error))
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn check_syntax(raw: &[u8]) -> Result<(), ApiError> {
    // serde_json does not look into the strings that it skips.
    let text = str::from_utf8(raw).map_err(|_| ApiError::not_json("the body is not JSON in UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut deserializer).and_then(|_| deserializer.end()).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> ApiError {
    let place = format!("at line {} column {}", error.line(), error.column());
    ApiError::not_json(format!("the body is not JSON in UTF-8: it goes wrong {place}"))
}

/// Reads one of `all` by its name. Only a string will do, where serde would take `{"name": null}` for an enum, too.
pub(crate) fn one_of<'de, D: Deserializer<'de>, T: Copy>(
    deserializer: D,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, D::Error> {
    let given = String::deserialize(deserializer)?;
    all.iter().copied().find(|one| name(*one) == given).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        D::Error::custom(format_args!("must be one of {}", names.join(", ")))
    })
}

/// Reads an integer, also when it is written with a fraction of zero: for JSON Schema, `1.0` is one.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    // Beyond these a fraction can't be told any more.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = serde_json::Number::deserialize(deserializer)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and its size is checked")]
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64);
    let integer = number.as_i64().or_else(|| number.as_f64().and_then(whole));
    integer.ok_or_else(|| D::Error::custom("must be an integer of 64 bits"))
}

/// The same, where there may be none.
pub(crate) fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Integer(i64);
    impl<'de> Deserialize<'de> for Integer {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            integer(deserializer).map(Self)
        }
    }
    Ok(Option::<Integer>::deserialize(deserializer)?.map(|Integer(number)| number))
}

fn unreadable(pointer: &str, error: &serde_json::Error) -> ApiError {
    // The place in the text that serde adds says less than the pointer does.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let named = || message.split('`').nth(1).unwrap_or_default();
    let inside = |field: &str| {
        let field = escaped(field);
        if pointer.ends_with(&format!("/{field}")) { pointer.to_owned() } else { format!("{pointer}/{field}") }
    };
    if message.starts_with("unknown field") {
        return refuse(&inside(named()), "unknown-field", "there is no such field");
    }
    if message.starts_with("missing field") {
        return refuse(&inside(named()), "missing-field", "must be given");
    }
    if message.starts_with("duplicate field") {
        return refuse(&inside(named()), "duplicate-field", "must be given once");
    }
    refuse(pointer, "invalid-type", message)
}

fn refuse(pointer: &str, code: &str, detail: &str) -> ApiError {
    ApiError::invalid(vec![FieldError {
        pointer: pointer.to_owned(),
        code: code.to_owned(),
        detail: detail.chars().take(256).collect(),
    }])
}

/// The JSON pointer (RFC 6901) of a path.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let segment = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&segment);
    }
    pointer
}

/// A member's name in a JSON pointer (RFC 6901, section 3), cut so that what a caller has sent does not come back whole.
fn escaped(name: &str) -> String {
    name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")
}
