//! A gateway, and what stands behind it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use alm_core::domain::Role;
use alm_http::{
    Readiness,
    gateway::{Gateway, Upstreams},
    serve::{ServeConfig, serve},
    upstream::{BaseUrl, UpstreamConfig},
};
use axum::Router;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::support::{Client, LONG, Server, token};

use super::wire::Wire;

/// An address at which no one listens.
pub(super) async fn nowhere() -> BaseUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    at(listener.local_addr().unwrap())
}

pub(super) fn at(address: SocketAddr) -> BaseUrl {
    format!("http://{address}").parse().unwrap()
}

/// A version with all that it can have. In JSON it is at its largest when each character has four bytes, or each byte six.
pub(super) fn the_largest_version(id: i64) -> Value {
    let (wide, escaped) = ("\u{10330}", "\u{1}");
    let labels: BTreeMap<_, _> = (0..64).map(|n| (format!("{n:02}{}", wide.repeat(61)), escaped.repeat(256))).collect();
    json!({
        "id": id, "app_id": i64::MAX, "tag": wide.repeat(128), "changelog": escaped.repeat(32 * 1024), "labels": labels,
        "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-01-01T00:00:00.000000Z", "revision": u64::MAX,
    })
}

/// A gateway that ends with the test.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    pub(super) readiness: Readiness,
    _tasks: JoinSet<()>,
}

impl Front {
    pub(super) async fn of(upstreams: Upstreams) -> Self {
        Self::with(upstreams, quick(), |router| router).await
    }

    /// All services are at the same place.
    pub(super) async fn of_one(upstream: BaseUrl) -> Self {
        Self::of(everything_at(&upstream)).await
    }

    pub(super) async fn with(
        upstreams: Upstreams,
        config: UpstreamConfig,
        host: impl FnOnce(Router) -> Router,
    ) -> Self {
        let gateway = Gateway::new(upstreams).upstream_config(config).part_timeout(Duration::from_millis(500));
        Self::serving(gateway, host).await
    }

    pub(super) async fn serving(gateway: Gateway, host: impl FnOnce(Router) -> Router) -> Self {
        let readiness = Readiness::default();
        let gateway = gateway.readiness(readiness.clone());
        let gateway = gateway.metrics(std::sync::Arc::new(|| Box::pin(async { "requests 1\n".to_owned() })));
        let router = host(gateway.router());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            serve(listener, router, ServeConfig::default(), std::future::pending()).await;
        });
        Self { address, readiness, _tasks: tasks }
    }

    pub(super) fn anyone(&self) -> Client {
        Client::new(format!("http://{}", self.address))
    }

    pub(super) fn by(&self, name: &str, role: Role) -> Client {
        let principal = alm_core::Principal::new(alm_core::domain::Actor::parse(name).unwrap(), role);
        self.anyone().with_token(token(&principal))
    }

    pub(super) fn user(&self) -> Client {
        self.by("ada", Role::User)
    }

    pub(super) fn admin(&self) -> Client {
        self.by("root", Role::Admin)
    }

    /// Sends bytes on a connection of its own.
    pub(super) async fn send(&self, request: impl AsRef<[u8]>) -> Raw {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        Raw { stream, read: Vec::new() }
    }
}

pub(super) fn everything_at(upstream: &BaseUrl) -> Upstreams {
    Upstreams {
        app: upstream.clone(),
        version: upstream.clone(),
        deployment: upstream.clone(),
        audit: upstream.clone(),
    }
}

/// As patient as a test is, and with a circuit that no test opens by the way.
pub(super) fn quick() -> UpstreamConfig {
    UpstreamConfig::default()
        .connect_timeout(Duration::from_millis(500))
        .answer_timeout(Duration::from_millis(300))
        .pause_timeout(Duration::from_millis(300))
        .circuit_window(1000)
}

/// One connection, byte by byte.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    pub(super) fn of(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(super) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything up to `end`, with it.
    pub(super) async fn until(&mut self, end: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = text.find(end) {
                let taken: Vec<u8> = self.read.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            assert!(self.more().await, "the connection ended before {end:?}: {text}");
        }
    }

    /// The header of a message, in lower case.
    pub(super) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await.to_lowercase()
    }

    /// Everything up to the end of the connection.
    pub(super) async fn rest(mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Waits until the other end has closed the connection.
    pub(super) async fn is_closed(&mut self) {
        while self.more().await {}
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        // A connection that was reset has ended, too.
        let count = timeout(LONG, self.stream.read(&mut buffer)).await.expect("it goes on").unwrap_or(0);
        self.read.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

/// A service that is moved by the test: it takes connections in, and the test does the rest.
pub(super) struct Puppet {
    listener: TcpListener,
}

impl Puppet {
    pub(super) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(super) fn url(&self) -> BaseUrl {
        at(self.listener.local_addr().unwrap())
    }

    /// The next connection.
    pub(super) async fn connection(&self) -> Raw {
        let (stream, _) = timeout(LONG, self.listener.accept()).await.expect("someone connects").unwrap();
        Raw::of(stream)
    }

    /// The next connection, and the header of the request on it.
    pub(super) async fn request(&self) -> (Raw, String) {
        let mut connection = self.connection().await;
        let head = connection.head().await;
        (connection, head)
    }

    /// Answers the next request so, and gives the header of the request.
    pub(super) async fn answers(&self, answer: &str) -> String {
        let (mut connection, head) = self.request().await;
        connection.write(answer).await;
        // The rest of the request may not have come yet, and it would be reset.
        tokio::spawn(async move { connection.is_closed().await });
        head
    }
}

/// The API as one server, to which each of the four services is a way of its own.
pub(super) struct Services {
    pub(super) server: Server,
    pub(super) app: Wire,
    pub(super) version: Wire,
    pub(super) deployment: Wire,
    pub(super) audit: Wire,
}

impl Services {
    pub(super) async fn start() -> Self {
        let server = Server::start().await;
        let wire = async || Wire::to(server.address).await;
        let (app, version, deployment, audit) = (wire().await, wire().await, wire().await, wire().await);
        Self { server, app, version, deployment, audit }
    }

    pub(super) fn upstreams(&self) -> Upstreams {
        Upstreams {
            app: at(self.app.address),
            version: at(self.version.address),
            deployment: at(self.deployment.address),
            audit: at(self.audit.address),
        }
    }

    pub(super) async fn front(&self) -> Front {
        Front::of(self.upstreams()).await
    }
}
