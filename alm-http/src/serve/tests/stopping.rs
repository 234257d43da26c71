//! What is on its way when the server is told to stop.

use std::io::Write;

use tokio::task::yield_now;

use super::*;

/// Told to stop, and so far that it knows. What a test sends from then on is on its way for as long as the test may take.
async fn told(server: Server) -> (SocketAddr, JoinHandle<ServeReport>) {
    server.stop.send(()).unwrap();
    yield_now().await;
    (server.address, server.done)
}

fn lingering() -> ServeConfig {
    patient().shutdown_linger(LONG)
}

#[tokio::test]
async fn a_request_that_no_one_has_accepted_is_answered() {
    let server = Server::start(plain(), lingering()).await;
    // The system takes it in, while no task of this thread can run.
    let mut client = std::net::TcpStream::connect(server.address).unwrap();
    client.write_all(GET.as_bytes()).unwrap();
    client.set_nonblocking(true).unwrap();
    let (_, _done) = told(server).await;

    let answer = rest(&mut TcpStream::from_std(client).unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_was_idle_has_its_answer_and_is_told_that_it_ends() {
    let server = Server::start(plain(), lingering()).await;
    let mut client = server.send(GET).await;
    let answer = response(&mut client).await;
    assert!(!answer.contains("connection: close"), "{answer}");
    let (_, _done) = told(server).await;

    client.write_all(GET.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_request_that_runs_ends_with_its_connection() {
    let (app, mut gate) = gated();
    let server = Server::start(app, lingering()).await;
    let mut client = server.send(GET).await;
    within(gate.started.recv()).await.unwrap();
    let (_, _done) = told(server).await;

    gate.open.notify_one();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_client_of_http2_that_begins_now_is_served() {
    let (address, _done) = told(Server::start(plain(), lingering()).await).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = within(h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(http2::get(&client).await.unwrap(), (200, "done".to_owned()));
}
