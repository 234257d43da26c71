//! HTTP as bytes: it must be known when the last byte of a request is sent, and whether one of its answer has come.

use axum::{
    body::Bytes,
    http::{Request, header},
};
use h2::client::SendRequest;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came after a request.
pub(super) enum Came {
    /// A whole answer.
    Answer(u16, Value),
    /// Not one byte.
    Nothing,
    /// A part of an answer.
    Part(String),
}

/// A request that can be sent: method, path and body.
pub(super) type Asked = (&'static str, String, Option<Value>);

/// A client of one of the two protocols.
pub(super) enum Wire {
    Http1(Http1),
    Http2(Http2),
}

impl Wire {
    /// Sends a request to its last byte; `None` if there is no one to send it to.
    pub(super) async fn send(&mut self, asked: &Asked) -> Option<()> {
        match self {
            Self::Http1(wire) => wire.send(asked).await,
            Self::Http2(wire) => wire.send(asked).await,
        }
    }

    /// The answer to what was sent.
    pub(super) async fn answer(&mut self) -> Came {
        match self {
            Self::Http1(wire) => wire.answer().await,
            Self::Http2(wire) => wire.answer().await,
        }
    }
}

/// Keeps its connection until the server says that it ends, and then makes another one.
pub(super) struct Http1 {
    address: String,
    token: String,
    stream: Option<TcpStream>,
}

impl Http1 {
    pub(super) fn new(address: &str, token: &str) -> Self {
        Self { address: address.to_owned(), token: token.to_owned(), stream: None }
    }

    async fn send(&mut self, (method, path, body): &Asked) -> Option<()> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(&self.address).await.ok()?,
        };
        let body = body.as_ref().map(Value::to_string).unwrap_or_default();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        // When this fails the answer will not come either.
        let _ = self.stream.insert(stream).write_all(text.as_bytes()).await;
        Some(())
    }

    async fn answer(&mut self) -> Came {
        let Some(mut stream) = self.stream.take() else { return Came::Nothing };
        let mut bytes = Vec::new();
        loop {
            if let Some((status, body, is_last)) = whole(&bytes) {
                if !is_last {
                    self.stream = Some(stream);
                }
                return Came::Answer(status, body);
            }
            match stream.read_buf(&mut bytes).await {
                Ok(1..) => {}
                // It was closed, or reset.
                _ if bytes.is_empty() => return Came::Nothing,
                _ => return Came::Part(String::from_utf8_lossy(&bytes).into_owned()),
            }
        }
    }
}

/// Status and body of an answer that has come as a whole, and whether the server has said that it is the last one.
fn whole(bytes: &[u8]) -> Option<(u16, Value, bool)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
    let header =
        |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let length: usize = header("content-length").expect("a length").parse().unwrap();
    (body.len() >= length).then(|| (status, json(body.as_bytes()), header("connection") == Some("close")))
}

fn json(body: &[u8]) -> Value {
    if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() }
}

/// One of several that share a connection.
pub(super) struct Http2 {
    client: SendRequest<Bytes>,
    token: String,
    waiting: Option<h2::client::ResponseFuture>,
}

impl Http2 {
    /// So many on one connection.
    pub(super) async fn several(count: usize, address: &str, token: &str) -> Vec<Self> {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        (0..count).map(|_| Self { client: client.clone(), token: token.to_owned(), waiting: None }).collect()
    }

    async fn send(&mut self, (method, path, body): &Asked) -> Option<()> {
        let mut client = self.client.clone().ready().await.ok()?;
        let request = Request::builder()
            .method(*method)
            .uri(format!("http://alm{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(())
            .unwrap();
        let (response, mut stream) = client.send_request(request, body.is_none()).ok()?;
        if let Some(body) = body {
            // When this fails the answer will not come either.
            let _ = stream.send_data(body.to_string().into(), true);
        }
        self.waiting = Some(response);
        Some(())
    }

    async fn answer(&mut self) -> Came {
        let Some(waiting) = self.waiting.take() else { return Came::Nothing };
        let Ok(response) = waiting.await else { return Came::Nothing };
        let (head, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            match data {
                Ok(data) => {
                    stream.flow_control().release_capacity(data.len()).unwrap();
                    body.extend(data);
                }
                Err(error) => return Came::Part(format!("{} and then {error}", head.status)),
            }
        }
        Came::Answer(head.status.as_u16(), json(&body))
    }
}
