mod frames;
mod http1_attacks;
mod http2;
mod http2_attacks;
mod reading;
mod stopping;
mod tls;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, rejection::BytesRejection},
    http::StatusCode,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::{BodyTimeout, ServeConfig, ServeReport, accept::Listen, connections::run};

const GET: &str = "GET / HTTP/1.1\r\nhost: alm\r\n\r\n";
/// Longer than anything here should take.
const LONG: Duration = Duration::from_secs(20);
/// As short as a timeout that is meant to end something can be.
const SHORT: Duration = Duration::from_millis(100);

/// A server that waits patiently for everything that a test does not shorten.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<ServeReport>,
}

impl Server {
    async fn start(app: Router, config: ServeConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::on(listener, address, app, config)
    }

    fn on(listener: impl Listen + 'static, address: SocketAddr, app: Router, config: ServeConfig) -> Self {
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(run(listener, app, config, async move { stopped.await.unwrap() }));
        Self { address, stop, done }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` on a connection of its own.
    async fn send(&self, request: &str) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    async fn stop(self) -> ServeReport {
        self.stop.send(()).unwrap();
        within(self.done).await.unwrap()
    }
}

fn patient() -> ServeConfig {
    ServeConfig::default().header_timeout(LONG).body_timeout(LONG).write_timeout(LONG).shutdown_grace(LONG)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG / 2, future).await.expect("it takes too long")
}

/// What comes until the server closes the connection.
async fn rest(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is dropped with unread data in it is reset rather than closed.
    match within(client.read_to_end(&mut bytes)).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    String::from_utf8(bytes).unwrap()
}

/// Waits until the server closes the connection, whatever comes before.
async fn closed(mut client: TcpStream) {
    let mut bytes = [0; 1024];
    while within(client.read(&mut bytes)).await.is_ok_and(|read| read > 0) {}
}

/// Sends a byte now and then until the server closes the connection.
async fn drip(mut client: TcpStream) {
    while client.write_all(b"x").await.is_ok() {
        tokio::time::sleep(SHORT / 10).await;
    }
}

/// One response to a GET on a connection that stays open.
async fn response(client: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("done") {
        let mut buffer = [0; 1024];
        let n = within(client.read(&mut buffer)).await.unwrap();
        assert_ne!(n, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    text
}

/// An app whose handler says when it starts and is dropped, and waits until it is let go.
struct Gate {
    started: mpsc::UnboundedReceiver<()>,
    ended: mpsc::UnboundedReceiver<()>,
    open: Arc<Notify>,
}

fn gated() -> (Router, Gate) {
    struct OnDrop(mpsc::UnboundedSender<()>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    let (start, started) = mpsc::unbounded_channel();
    let (end, ended) = mpsc::unbounded_channel();
    let open = Arc::new(Notify::new());
    let gate = Arc::clone(&open);
    let app = Router::new().route(
        "/",
        get(async move || {
            let _end = OnDrop(end);
            start.send(()).unwrap();
            gate.notified().await;
            "done"
        }),
    );
    (app, Gate { started, ended, open })
}

fn plain() -> Router {
    Router::new().route("/", get(async || "done"))
}

#[tokio::test]
async fn a_request_is_answered_and_knows_its_client() {
    let app = Router::new().route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()));
    let server = Server::start(app, patient()).await;
    let mut client = server.send("GET / HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n").await;
    let peer = client.local_addr().unwrap().to_string();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&peer), "{answer}");
    assert_eq!(server.stop().await.dropped, 0);
}

#[tokio::test]
async fn a_client_that_does_not_end_its_header_is_cut_off() {
    let server = Server::start(plain(), patient().header_timeout(SHORT)).await;
    for begun in ["", "GET", "GET / HTTP/1.1\r\nhost: alm\r\n"] {
        let start = Instant::now();
        let mut client = server.send(begun).await;
        assert_eq!(rest(&mut client).await, "", "{begun:?}");
        assert!(start.elapsed() >= SHORT, "{begun:?}");
    }
    let mut idle = server.send(GET).await;
    assert!(response(&mut idle).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut idle).await, "", "an idle connection is closed too");
}

#[tokio::test]
async fn a_client_that_drips_its_header_is_cut_off_too() {
    let server = Server::start(plain(), patient().header_timeout(SHORT)).await;
    let client = server.send("GET / HTTP/1.1\r\nhost: alm\r\nx: ").await;
    within(drip(client)).await;
}

#[tokio::test]
async fn a_header_has_at_most_the_size_of_the_buffer() {
    let server = Server::start(plain(), patient()).await;
    let request = format!("GET / HTTP/1.1\r\nhost: alm\r\nx: {}\r\n\r\n", "x".repeat(128 * 1024));
    let mut client = server.connect().await;
    // The server may close before it has read everything.
    let _ = client.write_all(request.as_bytes()).await;
    let mut first = [0; 12];
    if within(client.read_exact(&mut first)).await.is_ok() {
        assert_eq!(&first, b"HTTP/1.1 431");
    }
    let small = format!("GET / HTTP/1.1\r\nhost: alm\r\nx: {}\r\n\r\n", "x".repeat(32 * 1024));
    assert!(response(&mut server.send(&small).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_takes_too_long_fails_where_it_is_read() {
    let app = Router::new().route(
        "/",
        post(async |body: Result<Bytes, BytesRejection>| match body {
            Ok(body) => (StatusCode::OK, body.len().to_string()),
            Err(error) if BodyTimeout::caused(&error) => (StatusCode::REQUEST_TIMEOUT, "too long".to_owned()),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        }),
    );
    let server = Server::start(app, patient().body_timeout(SHORT)).await;
    let head = "POST / HTTP/1.1\r\nhost: alm\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
    for (begun, status) in [("", 408), ("abc", 408), ("abcd", 200)] {
        let mut client = server.send(&format!("{head}{begun}")).await;
        let answer = rest(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{begun:?}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_drips_takes_too_long_too() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let read =
        async move |body: Result<Bytes, BytesRejection>| tell.send(body.map_err(|e| BodyTimeout::caused(&e))).unwrap();
    let server = Server::start(Router::new().route("/", post(read)), patient().body_timeout(SHORT)).await;
    let client = server.send("POST / HTTP/1.1\r\nhost: alm\r\ncontent-length: 1000000\r\n\r\n").await;
    within(drip(client)).await;
    assert_eq!(told.try_recv().unwrap(), Err(true));
}

#[tokio::test]
async fn a_running_request_finishes_during_shutdown_while_new_connections_are_refused() {
    let (app, mut gate) = gated();
    let mut server = Server::start(app, patient()).await;
    let mut client = server.send(GET).await;
    within(gate.started.recv()).await.unwrap();

    server.stop.send(()).unwrap();
    within(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    timeout(SHORT, &mut server.done).await.expect_err("it waits for the request");

    gate.open.notify_one();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert_eq!(within(server.done).await.unwrap().dropped, 0);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_idle_connections() {
    let server = Server::start(plain(), patient()).await;
    let mut idle = server.send(GET).await;
    response(&mut idle).await;
    let mut silent = server.connect().await;
    // Once a later connection is answered, this one has been accepted.
    response(&mut server.send(GET).await).await;
    assert_eq!(server.stop().await.dropped, 0);
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test]
async fn a_request_that_outlasts_the_grace_is_dropped_and_counted() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient().shutdown_grace(SHORT)).await;
    let mut clients = [server.send(GET).await, server.send(GET).await];
    for _ in &clients {
        within(gate.started.recv()).await.unwrap();
    }
    assert_eq!(server.stop().await.dropped, 2);
    for client in &mut clients {
        assert_eq!(rest(client).await, "");
        gate.ended.try_recv().expect("its handler is gone when the server is");
    }
}

#[tokio::test]
async fn dropping_the_future_drops_every_connection() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient()).await;
    let mut client = server.send(GET).await;
    within(gate.started.recv()).await.unwrap();
    server.done.abort();
    assert_eq!(rest(&mut client).await, "");
    within(gate.ended.recv()).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_until_one_ends() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient().max_connections(1)).await;
    let mut first = server.send(GET).await;
    within(gate.started.recv()).await.unwrap();
    let mut second = server.send(GET).await;
    timeout(SHORT, gate.started.recv()).await.expect_err("the second is not served beside the first");

    gate.open.notify_one();
    response(&mut first).await;
    drop(first);
    within(gate.started.recv()).await.unwrap();
    gate.open.notify_one();
    response(&mut second).await;
}

#[tokio::test]
async fn an_address_has_no_more_connections_than_it_may_but_a_proxy_has() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient().max_connections_per_address(1)).await;
    let mut first = server.send(GET).await;
    within(gate.started.recv()).await.unwrap();
    assert_eq!(rest(&mut server.send(GET).await).await, "", "it is closed");
    gate.open.notify_one();
    response(&mut first).await;
    drop(first);
    // There is a place again as soon as the server sees it.
    within(async {
        loop {
            let _client = server.send(GET).await;
            if timeout(SHORT, gate.started.recv()).await.is_ok() {
                break;
            }
        }
    })
    .await;

    let (app, mut gate) = gated();
    let proxies = "127.0.0.0/8".parse().unwrap();
    let server = Server::start(app, patient().max_connections_per_address(1).trusted_proxies(proxies)).await;
    let _clients = (server.send(GET).await, server.send(GET).await);
    for _ in 0..2 {
        within(gate.started.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_no_more() {
    let app = plain().route("/panic", get(async || -> &'static str { panic!("on purpose") }));
    let server = Server::start(app, patient()).await;
    let mut client = server.send("GET /panic HTTP/1.1\r\nhost: alm\r\n\r\n").await;
    assert_eq!(rest(&mut client).await, "");
    response(&mut server.send(GET).await).await;
    assert_eq!(server.stop().await.dropped, 0);
}

/// Fails in some ways before it accepts.
struct Failing {
    listener: TcpListener,
    failures: AtomicUsize,
}

impl Listen for Failing {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        const EMFILE: i32 = 24;
        match self.failures.fetch_add(1, Ordering::Relaxed) {
            0 => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            1 | 2 => Poll::Ready(Err(io::Error::from_raw_os_error(EMFILE))),
            _ => Listen::poll_accept(&self.listener, cx),
        }
    }
}

#[tokio::test]
async fn a_fault_in_accepting_does_not_end_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Failing { listener, failures: AtomicUsize::new(0) };
    let server = Server::on(listener, address, plain(), patient());
    assert!(response(&mut server.send(GET).await).await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.stop().await.dropped, 0);
}
