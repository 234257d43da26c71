//! What `GET /apps/{id}` with a token costs, beside a bare axum route that verifies the same token and returns the same JSON.
//!
//! `in-process` calls the router, without a socket; `wire-cpu` is the CPU time of the server's thread for requests over a
//! kept-alive connection on loopback, whatever the client needs (Linux; elsewhere it is the time that passes).
//!
//! `cargo bench --bench http`

#![allow(missing_docs, reason = "criterion's macros make items without docs")]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use alm_core::{
    Alm, Context, Principal,
    domain::{Actor, App, NewApp, Role},
    ports::{Authenticator, Clock, Ids, SystemClock, SystemIds, TokenClaims, TokenIssuer},
};
use alm_http::auth::Jwt;
use alm_store_memory::MemoryStore;
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, StatusCode},
    routing::get,
};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use tower::{Service, ServiceExt};

struct Subject {
    bare: Router,
    alm: Router,
    token: String,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn bare_route(State((jwt, app)): State<(Arc<Jwt>, App)>, headers: HeaderMap) -> Result<Json<App>, StatusCode> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or(StatusCode::UNAUTHORIZED)?;
    jwt.authenticate(token, SystemClock.now()).await.map_err(|_| StatusCode::UNAUTHORIZED)?;
    Ok(Json(app))
}

async fn subject() -> Subject {
    let jwt = Arc::new(Jwt::hs256(&[7; 48], "alm", "alm").expect("a secret"));
    let alm = Alm::builder(Arc::new(MemoryStore::new())).authenticator(jwt.clone()).build();
    let new = NewApp::parse("billing".into(), "handles invoicing".into(), BTreeMap::new()).expect("an app");
    let app = alm.apps().create(&Context::new(Principal::system()), new).await.expect("created").value;
    let now = SystemClock.now();
    let claims = TokenClaims {
        id: SystemIds.uuid_v7(),
        principal: Principal::new(Actor::parse("ada").expect("a name"), Role::User),
        issued_at: now,
        expires_at: now.plus_seconds(86_400),
    };
    let token = jwt.issue(&claims).await.expect("a token");
    let bare = Router::new().route("/apps/{id}", get(bare_route)).with_state((jwt, app));
    Subject { bare, alm: alm_http::router(alm), token }
}

fn in_process(criterion: &mut Criterion) {
    let runtime = runtime();
    let Subject { bare, alm, token } = runtime.block_on(subject());
    let mut group = criterion.benchmark_group("get_app/in-process");
    for (name, router) in [("bare", bare), ("alm", alm)] {
        let mut service = router.into_service::<Body>();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let request = Request::get("/apps/1").header("authorization", format!("Bearer {token}"));
                let request = request.body(Body::empty()).expect("a request");
                runtime.block_on(async {
                    let response = service.ready().await.expect("ready").call(request).await.expect("answered");
                    assert_eq!(response.status(), StatusCode::OK);
                    axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body")
                })
            });
        });
    }
    group.finish();
}

/// Serves `router` on a thread of its own; says where, and where to read that thread's CPU time.
fn serve(router: Router) -> (SocketAddr, PathBuf) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            tell.send((address, PathBuf::from("/proc").join(thread).join("schedstat"))).expect("someone listens");
            axum::serve(listener, router).await.expect("served");
        });
    });
    told.recv().expect("it listens")
}

/// The CPU time of a thread so far.
fn cpu_time(schedstat: &PathBuf, began: Instant) -> Duration {
    std::fs::read_to_string(schedstat)
        .ok()
        .and_then(|stat| stat.split(' ').next()?.parse().ok())
        .map_or_else(|| began.elapsed(), Duration::from_nanos)
}

fn wire(criterion: &mut Criterion) {
    let Subject { bare, alm, token } = runtime().block_on(subject());
    let mut group = criterion.benchmark_group("get_app/wire-cpu");
    let began = Instant::now();
    for (name, router) in [("bare", bare), ("alm", alm)] {
        let (address, schedstat) = serve(router);
        let mut client = TcpStream::connect(address).expect("connected");
        client.set_nodelay(true).expect("TCP_NODELAY");
        let request = format!("GET /apps/1 HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
        let mut buffer = vec![0; 16 * 1024];
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let before = cpu_time(&schedstat, began);
                for _ in 0..rounds {
                    client.write_all(request.as_bytes()).expect("sent");
                    // The answer is smaller than a segment of loopback, so it comes in one piece.
                    let read = client.read(&mut buffer).expect("answered");
                    assert!(buffer[..read].starts_with(b"HTTP/1.1 200") && buffer[..read].ends_with(b"}"));
                }
                cpu_time(&schedstat, began).saturating_sub(before)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, in_process, wire);
criterion_main!(benches);
