//! Clients that do not read their answers, or take their time.

use axum::{
    body::Body,
    routing::{MethodRouter, get},
};
use futures_util::{StreamExt, stream};

use super::{http2::request, *};

/// An answer that never ends, which tells when it is given up.
fn endless() -> (Router, mpsc::UnboundedReceiver<()>) {
    struct OnDrop(mpsc::UnboundedSender<()>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    let (end, ended) = mpsc::unbounded_channel();
    let endless: MethodRouter = get(async move || {
        let guard = OnDrop(end);
        let chunks = stream::repeat(Bytes::from(vec![b'x'; 64 * 1024]));
        Body::from_stream(chunks.map(move |chunk| {
            let _guard = &guard;
            Ok::<_, io::Error>(chunk)
        }))
    });
    (Router::new().route("/", endless), ended)
}

/// An answer that pauses until it is told to go on.
fn pausing() -> (Router, mpsc::UnboundedSender<Bytes>) {
    let (say, said) = mpsc::unbounded_channel::<Bytes>();
    let said = Arc::new(std::sync::Mutex::new(Some(said)));
    let pausing: MethodRouter = get(async move || {
        let said = said.lock().unwrap().take().unwrap();
        Body::from_stream(stream::unfold(said, async |mut said| Some((Ok::<_, io::Error>(said.recv().await?), said))))
    });
    (Router::new().route("/", pausing), say)
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_dropped() {
    let (app, mut ended) = endless();
    let server = Server::start(app, patient().write_timeout(SHORT)).await;
    let _client = server.send(GET).await;
    within(ended.recv()).await.unwrap();
    assert_eq!(server.stop().await.dropped, 0);
}

#[tokio::test]
async fn also_when_the_whole_answer_is_there() {
    let app = Router::new().route("/", get(async || vec![b'x'; 64 * 1024 * 1024]));
    let server = Server::start(app, patient().max_connections(1).write_timeout(SHORT)).await;
    let _first = server.send(GET).await;
    let mut second = server.send(GET).await;
    within(second.read_exact(&mut [0])).await.expect("it gets the place of the first");
}

#[tokio::test]
async fn a_stream_of_http2_that_is_not_read_is_dropped() {
    let (app, mut ended) = endless();
    let server = Server::start(app, patient().write_timeout(SHORT)).await;
    let mut client = h2::client::Builder::new();
    client.initial_window_size(0);
    let (mut client, connection) = within(client.handshake::<_, Bytes>(server.connect().await)).await.unwrap();
    let connection = tokio::spawn(connection);
    let (response, _) = client.send_request(request("GET"), true).unwrap();
    let _body = within(response).await.unwrap();
    within(ended.recv()).await.unwrap();
    let _ = within(connection).await.unwrap();
    assert_eq!(server.stop().await.dropped, 0);
}

#[tokio::test]
async fn an_answer_may_pause_for_as_long_as_it_likes() {
    let (app, say) = pausing();
    let server = Server::start(app, patient().write_timeout(SHORT).header_timeout(SHORT)).await;
    let mut client = server.send("GET / HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n").await;
    for word in ["one", "two", "done"] {
        let mut byte = [0];
        while timeout(3 * SHORT, client.read_exact(&mut byte)).await.is_ok() {}
        say.send(Bytes::from(word)).unwrap();
    }
    drop(say);
    assert!(rest(&mut client).await.ends_with("done\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn so_may_one_of_http2() {
    let (app, say) = pausing();
    let server = Server::start(app, patient().write_timeout(SHORT).header_timeout(SHORT)).await;
    let (mut client, _connection) = http2::client(&server).await;
    let (response, _) = client.send_request(request("GET"), true).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    for word in ["one", "two", "done"] {
        timeout(3 * SHORT, body.data()).await.expect_err("it pauses");
        say.send(Bytes::from(word)).unwrap();
        assert_eq!(within(body.data()).await.unwrap().unwrap(), word);
    }
}
