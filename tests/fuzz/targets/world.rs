//! A server without a socket.

use std::{cell::RefCell, sync::Arc};

use alm_core::{
    Alm, Principal,
    domain::{Actor, Role},
    ports::{Clock as _, SystemClock, TokenClaims, TokenIssuer as _},
};
use alm_http::auth::{Argon2Hasher, Jwt};
use alm_store_memory::MemoryStore;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header},
};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use uuid::Uuid;

/// How many requests a server gets before another takes its place: what they leave there must not pile up.
const REQUESTS: u32 = 2000;
const MAX_BODY_BYTES: usize = 1024 * 1024;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

struct World {
    runtime: Runtime,
    router: Router,
    token: HeaderValue,
    left: u32,
}

/// What a server has answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty where it goes on for ever.
    pub(super) body: Bytes,
}

/// What a server answers that has three apps, each with a version. Unless they say otherwise, requests have the token of an admin.
pub(super) fn answer(method: Method, uri: Uri, headers: HeaderMap, body: Vec<u8>) -> Answer {
    WORLD.with_borrow_mut(|world| {
        if world.as_ref().is_none_or(|world| world.left == 0) {
            *world = Some(World::new());
        }
        let world = world.as_mut().unwrap();
        world.left -= 1;
        world.answer(method, uri, headers, body)
    })
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let jwt = Arc::new(Jwt::hs256(b"nothing but tests is signed with this secret", "alm", "alm").unwrap());
        let now = SystemClock.now();
        let claims = TokenClaims {
            id: Uuid::nil(),
            principal: Principal::new(Actor::parse("ada").unwrap(), Role::Admin),
            issued_at: now,
            expires_at: now.plus_seconds(24 * 60 * 60),
        };
        let token = runtime.block_on(jwt.issue(&claims)).unwrap();
        let alm = Alm::builder(Arc::new(MemoryStore::new()))
            .authenticator(jwt.clone())
            .token_issuer(jwt)
            .password_hasher(Arc::new(Argon2Hasher::default()))
            .build();
        let token = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        let world = Self { runtime, router: alm_http::router(alm), token, left: REQUESTS };
        for number in 1..=3 {
            let app = format!(r#"{{"name":"app {number}"}}"#);
            let version = format!(r#"{{"app_id":{number},"tag":"v1"}}"#);
            for (path, body) in [("/apps", app), ("/versions", version)] {
                let headers =
                    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
                let answer = world.answer(Method::POST, Uri::from_static(path), headers, body.into_bytes());
                assert_eq!(answer.status, StatusCode::CREATED);
            }
        }
        world
    }

    fn answer(&self, method: Method, uri: Uri, headers: HeaderMap, body: Vec<u8>) -> Answer {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request.headers_mut().entry(header::AUTHORIZATION).or_insert_with(|| self.token.clone());
        self.runtime.block_on(async {
            let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
            let goes_on = head.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "text/event-stream");
            let body = if goes_on { Bytes::new() } else { to_bytes(body, MAX_BODY_BYTES).await.unwrap() };
            Answer { status: head.status, headers: head.headers, body }
        })
    }
}
