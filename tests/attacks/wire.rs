//! A client that sends whatever it is told to, and takes what comes until the connection is closed.

use std::{io, net::SocketAddr};

use alm_test_support::LONG;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// That it may go on, which is no answer yet.
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// All that a server has said on a connection.
#[derive(Debug)]
pub(crate) struct Said(Vec<u8>);

/// Sends `bytes`, then `again` for as long as the server takes it, on a connection of its own.
///
/// # Errors
/// The server does not close the connection.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8], again: Option<&[u8]>) -> Result<Said, String> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut reads, mut writes) = stream.split();
    let mut said = Vec::new();
    // What is not taken any more is no fault: the answer is on its way, or was lost to the reset.
    let send = async {
        let mut sent = writes.write_all(bytes).await;
        while let (Ok(()), Some(again)) = (&sent, again) {
            sent = writes.write_all(again).await;
        }
    };
    let hear = async {
        match reads.read_to_end(&mut said).await {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error.to_string()),
            _ => Ok(()),
        }
    };
    let done = timeout(LONG, async { tokio::join!(send, hear) }).await;
    match done {
        Ok(((), heard)) => heard.map(|()| Said(said.strip_prefix(INTERIM).map(<[u8]>::to_vec).unwrap_or(said))),
        Err(_) => Err(format!("the connection stays open after {:?}", String::from_utf8_lossy(&said))),
    }
}

impl Said {
    /// The statuses of all answers, one after the other.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let text = String::from_utf8_lossy(&self.0);
        let answers = text.split("HTTP/1.").skip(1);
        answers.filter_map(|answer| answer.get(2..5)?.parse().ok()).collect()
    }

    /// The body of the only answer.
    pub(crate) fn body(&self) -> &[u8] {
        let end = self.0.windows(4).position(|window| window == b"\r\n\r\n");
        end.map_or(&[], |end| &self.0[end + 4..])
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap_or_default()
    }

    /// A header of the only answer.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.0[..self.0.len() - self.body().len()]).into_owned();
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        write!(
            f,
            "{:?} {}",
            self.statuses(),
            String::from_utf8_lossy(self.body()).chars().take(600).collect::<String>()
        )
    }
}

/// Sends it on a connection of its own; the status of the answer, or 0.
pub(crate) async fn exchange_once(address: SocketAddr, text: String) -> u16 {
    // One that can't even connect is told nothing either.
    let said = exchange(address, text.as_bytes(), None).await;
    said.ok().and_then(|said| said.statuses().first().copied()).unwrap_or_default()
}
