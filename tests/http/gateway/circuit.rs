//! When a service is not asked for a while, and when it is again.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alm_core::{domain::AppId, ports::Directory};
use alm_http::{
    directory::HttpDirectory,
    gateway::Gateway,
    upstream::{BaseUrl, UpstreamConfig},
};
use axum::{Router, body::Body};
use futures_util::future::join_all;
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use crate::support::{eventually, jwt};

use super::given::{Front, at, everything_at, quick};

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
        let router = Router::new().fallback(async move |_body: Body| {
            count.fetch_add(1, Ordering::SeqCst);
            if !to_answer.load(Ordering::SeqCst) {
                pending::<()>().await;
            }
        });
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
    eventually("it is closed", async || (status(&front, GET).await == "200").then_some(())).await;
    eventually("all go", async || {
        join_all((0..30).map(|_| status(&front, GET))).await.iter().all(|status| status == "200").then_some(())
    })
    .await;
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
