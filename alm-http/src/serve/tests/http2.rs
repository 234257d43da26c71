//! HTTP/2 as well-behaved clients speak it.

use axum::{body::Bytes, http::Request};
use h2::client::SendRequest;
use tokio::{task::JoinHandle, time::timeout};

use super::*;

/// A client that is a library's, and its connection until that ends.
pub(super) async fn client(server: &Server) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) = within(h2::client::handshake(server.connect().await)).await.unwrap();
    (client, tokio::spawn(connection))
}

pub(super) fn request(method: &str) -> Request<()> {
    Request::builder().method(method).uri("http://alm/").body(()).unwrap()
}

/// The status and the body of an answer.
async fn answer(response: h2::client::ResponseFuture) -> Result<(u16, String), h2::Error> {
    let (head, mut body) = within(response).await?.into_parts();
    let mut text = Vec::new();
    while let Some(data) = within(body.data()).await {
        let data = data?;
        body.flow_control().release_capacity(data.len()).unwrap();
        text.extend(data);
    }
    Ok((head.status.as_u16(), String::from_utf8(text).unwrap()))
}

pub(super) async fn get(client: &SendRequest<Bytes>) -> Result<(u16, String), h2::Error> {
    let (response, _) = within(client.clone().ready()).await?.send_request(request("GET"), true)?;
    answer(response).await
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_beside_each_other() {
    let (app, mut gate) = gated();
    let app = app.route("/peer", get_route(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()));
    let server = Server::start(app, patient()).await;
    let stream = server.connect().await;
    let local = stream.local_addr().unwrap().to_string();
    let (client, connection) = within(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { get(&client).await }
    });
    within(gate.started.recv()).await.unwrap();
    let peer = Request::builder().uri("http://alm/peer").body(()).unwrap();
    let (response, _) = client.clone().send_request(peer, true).unwrap();
    assert_eq!(answer(response).await.unwrap(), (200, local));
    gate.open.notify_one();
    assert_eq!(within(waiting).await.unwrap().unwrap(), (200, "done".to_owned()));
    assert_eq!(server.stop().await.dropped, 0);
}

fn get_route<H: axum::handler::Handler<T, ()>, T: 'static>(handler: H) -> axum::routing::MethodRouter {
    axum::routing::get(handler)
}

#[tokio::test]
async fn a_large_answer_comes_whole() {
    let whole: String = ('a'..='z').cycle().take(1_000_000).collect();
    let app = Router::new().route(
        "/",
        get_route({
            let whole = whole.clone();
            async move || whole
        }),
    );
    let server = Server::start(app, patient()).await;
    let (client, _) = client(&server).await;
    let (status, text) = get(&client).await.unwrap();
    assert!(status == 200 && text == whole);
}

#[tokio::test]
async fn a_body_that_takes_too_long_fails_where_it_is_read() {
    let app = Router::new().route(
        "/",
        post(async |body: Result<Bytes, BytesRejection>| match body {
            Err(error) if BodyTimeout::caused(&error) => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::OK,
        }),
    );
    let server = Server::start(app, patient().body_timeout(SHORT)).await;
    let (mut client, _) = client(&server).await;
    let (response, _body) = client.send_request(request("POST"), false).unwrap();
    assert_eq!(answer(response).await.unwrap().0, 408);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_at_work_is_not() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient().header_timeout(SHORT)).await;
    let (idle, ended) = client(&server).await;
    let (busy, mut goes_on) = client(&server).await;
    let answer = tokio::spawn(async move { get(&busy).await });
    within(gate.started.recv()).await.unwrap();
    within(ended).await.unwrap().unwrap();
    drop(idle);
    timeout(3 * SHORT, &mut goes_on).await.expect_err("it is at work");
    gate.open.notify_one();
    assert_eq!(within(answer).await.unwrap().unwrap(), (200, "done".to_owned()));
    within(goes_on).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_running_request_finishes_during_shutdown() {
    let (app, mut gate) = gated();
    let mut server = Server::start(app, patient()).await;
    let (client, ended) = client(&server).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { get(&client).await }
    });
    within(gate.started.recv()).await.unwrap();
    server.stop.send(()).unwrap();
    timeout(SHORT, &mut server.done).await.expect_err("it waits for the request");
    gate.open.notify_one();
    assert_eq!(within(waiting).await.unwrap().unwrap(), (200, "done".to_owned()));
    assert_eq!(within(server.done).await.unwrap().dropped, 0);
    within(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_idle_connections() {
    let server = Server::start(plain(), patient()).await;
    let (client, ended) = client(&server).await;
    get(&client).await.unwrap();
    // Nor for one whose client says nothing any more, not even good-bye.
    let mut silent = frames::begin(&server).await;
    frames::next(&mut silent).await.unwrap();
    assert_eq!(server.stop().await.dropped, 0);
    within(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_outlasts_the_grace_is_dropped_and_counted() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient().shutdown_grace(SHORT)).await;
    let (client, _) = client(&server).await;
    let waiting = tokio::spawn(async move { get(&client).await });
    within(gate.started.recv()).await.unwrap();
    assert_eq!(server.stop().await.dropped, 1);
    gate.ended.try_recv().expect("its handler is gone when the server is");
    within(waiting).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn dropping_the_future_drops_every_request() {
    let (app, mut gate) = gated();
    let server = Server::start(app, patient()).await;
    let (client, _) = client(&server).await;
    let waiting = tokio::spawn(async move { get(&client).await });
    within(gate.started.recv()).await.unwrap();
    server.done.abort();
    within(gate.ended.recv()).await.unwrap();
    within(waiting).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_panic_ends_its_request_and_no_more() {
    let app = plain().route("/panic", get_route(async || -> &'static str { panic!("on purpose") }));
    let server = Server::start(app, patient()).await;
    let (mut client, _) = client(&server).await;
    let panics = Request::builder().uri("http://alm/panic").body(()).unwrap();
    let (response, _) = client.send_request(panics, true).unwrap();
    answer(response).await.unwrap_err();
    assert_eq!(get(&client).await.unwrap(), (200, "done".to_owned()));
}
