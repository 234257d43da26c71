//! When a service is not asked for a while, and when it is again.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alm_core::{Alm, domain::AppId, ports::Directory};
use alm_http::{
    directory::HttpDirectory,
    gateway::Gateway,
    router,
    serve::{ServeConfig, serve},
    upstream::{BaseUrl, UpstreamConfig},
};
use alm_store_memory::MemoryStore;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::StatusCode,
    routing::get,
};
use futures_util::future::join_all;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::support::{eventually, jwt};

use super::given::{Front, Raw, at, everything_at, quick};

/// A service that hangs until it is told to answer.
struct Hanging {
    url: BaseUrl,
    answers: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Hanging {
    async fn start() -> Self {
        let (answers, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (to_answer, count) = (answers.clone(), asked.clone());
        let router = Router::new().fallback(async move |body: Body| {
            count.fetch_add(1, Ordering::SeqCst);
            if !to_answer.load(Ordering::SeqCst) {
                pending::<()>().await;
            }
            drop(to_bytes(body, usize::MAX).await);
        });
        // As a balancer in front of it answers.
        let router = router.route("/apps/1", get(async || StatusCode::BAD_GATEWAY));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = at(listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, answers, asked, _tasks: tasks }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

const GET: &str = "GET /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n";

/// The status of the answer to a request.
async fn status(front: &Front, request: &str) -> String {
    front.send(request).await.head().await["http/1.1 ".len()..][..3].to_owned()
}

/// Waits until the circuit is closed.
async fn all_go(front: &Front) {
    eventually("all go", async || {
        join_all((0..30).map(|_| status(front, GET))).await.iter().all(|status| status == "200").then_some(())
    })
    .await;
}

/// Opens after four calls, and answers are waited for longer than a test takes.
fn patient() -> UpstreamConfig {
    quick().answer_timeout(Duration::from_mins(1)).circuit_window(4).circuit_pause(Duration::from_mins(10))
}

#[tokio::test]
async fn four_calls_try_a_service_that_hangs_and_the_others_are_refused_at_once() {
    // given
    let service = Hanging::start().await;
    let config = quick().answer_timeout(Duration::from_secs(2)).circuit_window(4);
    let pause = Duration::from_millis(200);
    let front = Front::with(everything_at(&service.url), config.circuit_pause(pause), |router| router).await;
    assert_eq!(join_all((0..4).map(|_| status(&front, GET))).await, ["504"; 4]);
    assert_eq!(status(&front, GET).await, "503");
    assert_eq!(service.asked(), 4);

    // when: many come after the pause
    let _first = eventually("some try", async || {
        let mut client = front.send(GET).await;
        // Who tries waits.
        timeout(Duration::from_millis(50), client.head()).await.is_err().then_some(client)
    })
    .await;
    let begun = Instant::now();
    let mut seen = JoinSet::new();
    let front = Arc::new(front);
    for _ in 0..30 {
        let front = front.clone();
        seen.spawn(async move { status(&front, GET).await });
    }
    let mut refused = 0;
    while let Some(status) = seen.join_next().await {
        if status.unwrap() == "503" {
            refused += 1;
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        if refused == 27 {
            break;
        }
    }

    // then
    assert_eq!(refused, 27);
    eventually("the others are out", async || (service.asked() == 4 + 4).then_some(())).await;
    service.answers.store(true, Ordering::SeqCst);
    all_go(&front).await;
}

#[tokio::test]
async fn a_client_whose_body_breaks_does_not_hide_that_the_service_hangs() {
    let service = Hanging::start().await;
    let config = quick().circuit_window(4).circuit_pause(Duration::from_mins(10));
    let front = Front::with(everything_at(&service.url), config, |router| router).await;
    let broken =
        "POST /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n";
    for _ in 0..4 {
        assert_eq!(status(&front, broken).await, "400");
        assert_eq!(status(&front, GET).await, "504");
    }
    assert_eq!(status(&front, GET).await, "503");
}

#[tokio::test]
async fn what_began_before_the_pause_does_not_open_the_circuit_again() {
    // given: calls that are still out when the circuit opens
    let service = Hanging::start().await;
    let config =
        quick().answer_timeout(Duration::from_secs(2)).circuit_window(4).circuit_pause(Duration::from_millis(100));
    let front = Arc::new(Front::with(everything_at(&service.url), config, |router| router).await);
    let mut late = JoinSet::new();
    for _ in 0..8 {
        let front = front.clone();
        late.spawn(async move { status(&front, GET).await });
    }
    eventually("they are out", async || (service.asked() == 8).then_some(())).await;
    for _ in 0..4 {
        assert_eq!(status(&front, &GET.replace("/apps", "/apps/1")).await, "502");
    }
    // when: it is back before they have ended
    service.answers.store(true, Ordering::SeqCst);
    all_go(&front).await;
    // then
    while let Some(ended) = late.join_next().await {
        assert_eq!(ended.unwrap(), "504");
        assert_eq!(status(&front, GET).await, "200");
    }
}

#[tokio::test]
async fn clients_that_are_slow_to_send_keep_no_one_from_trying() {
    // given
    let service = Hanging::start().await;
    let config = patient().circuit_pause(Duration::from_millis(100));
    let front = Front::with(everything_at(&service.url), config, |router| router).await;
    give_up(&front, &service, GET, Duration::from_millis(1100)).await;
    service.answers.store(true, Ordering::SeqCst);
    // when: those who try owe a part of their requests
    let half = "POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 8\r\n\r\nhalf";
    let mut slow = Vec::new();
    eventually("four try", async || {
        slow.push(front.send(half).await);
        (service.asked() == 8).then_some(())
    })
    .await;
    // then
    all_go(&front).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_a_service_does_not_want_do_not_open_its_circuit() {
    // As each is served by a process.
    let served = async |router| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { serve(listener, router, ServeConfig::default(), pending()).await });
        (address, serving)
    };
    let alm = Alm::builder(Arc::new(MemoryStore::new())).authenticator(Arc::new(jwt())).build();
    let (service, serving) = served(router(alm)).await;
    let config = UpstreamConfig::default().circuit_window(4).circuit_pause(Duration::from_mins(10));
    let gateway = Gateway::new(everything_at(&at(service))).upstream_config(config);
    let (front, fronting) = served(gateway.router()).await;
    let length = 8 << 20;
    let head = format!("POST /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    for _ in 0..12 {
        // No one has said who it is, so no one reads the body.
        let mut client = Raw::of(TcpStream::connect(front).await.unwrap());
        client.write(&head).await;
        let _ = client.stream.write_all(&vec![b'x'; length]).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 401"), "{head}");
    }
    serving.abort();
    fronting.abort();
}

/// Sends requests from four clients that go away `after` the service has got them.
async fn give_up(front: &Front, service: &Hanging, request: &str, after: Duration) {
    let before = service.asked();
    let clients = join_all((0..4).map(|_| front.send(request))).await;
    eventually("they are asked", async || (service.asked() == before + 4).then_some(())).await;
    let waiting = join_all(clients.into_iter().map(|mut client| async move {
        assert!(timeout(after, client.head()).await.is_err(), "it hangs");
    }));
    waiting.await;
}

#[tokio::test]
async fn a_service_that_hangs_is_not_asked_either_when_its_clients_give_up_first() {
    let post = "POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 4\r\n\r\nbody";
    let chunked = "POST /apps HTTP/1.1\r\nhost: alm\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    for request in [GET, post, chunked] {
        let service = Hanging::start().await;
        let front = Front::with(everything_at(&service.url), patient(), |router| router).await;
        give_up(&front, &service, request, Duration::from_millis(1100)).await;
        let refused = async || timeout(Duration::from_millis(50), status(&front, GET)).await.ok();
        assert_eq!(eventually("the circuit is open", refused).await, "503");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_soon_or_owes_a_part_of_its_request_says_nothing_about_the_service() {
    let half = "POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 8\r\n\r\nhalf";
    for (request, after) in [(GET, Duration::from_millis(100)), (half, Duration::from_millis(1100))] {
        let service = Hanging::start().await;
        let front = Front::with(everything_at(&service.url), patient(), |router| router).await;
        give_up(&front, &service, request, after).await;
        give_up(&front, &service, request, after).await;
        service.answers.store(true, Ordering::SeqCst);
        assert_eq!(status(&front, GET).await, "200", "{request}");
    }
}

#[tokio::test]
async fn parts_that_are_cut_off_open_the_circuit_of_a_service_that_hangs() {
    let service = Hanging::start().await;
    let gateway = Gateway::new(everything_at(&service.url)).upstream_config(patient());
    let front = Front::serving(gateway.part_timeout(Duration::from_millis(1100)), |router| router).await;
    let overview = "GET /apps/1/overview HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n";
    let seen = join_all((0..4).map(|_| async { front.send(overview).await.rest().await })).await;
    assert!(seen.iter().all(|seen| seen.contains("upstream-timeout")), "{seen:?}");
    let before = service.asked();
    let seen = front.send(overview).await.rest().await;
    assert!(!seen.contains("upstream-timeout") && seen.contains("upstream-unavailable"), "{seen}");
    assert_eq!(service.asked(), before);

    // So it is when the services ask each other.
    let directory = HttpDirectory::new(Some(service.url.clone()), None, Arc::new(jwt()));
    let directory = directory.upstream_config(&patient()).deadline(Duration::from_millis(1100));
    let id = AppId::new(1).unwrap();
    assert!(join_all((0..4).map(|_| directory.app(id))).await.iter().all(Result::is_err));
    let before = service.asked();
    assert!(directory.app(id).await.is_err());
    assert_eq!(service.asked(), before);
}
