//! The connection to the servers, which comes and goes.

use std::{
    future::ready,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alm_core::{
    domain::CloudEvent,
    ports::{BackendError, BackendErrorKind, BusState},
};
use async_nats::{Client, ConnectOptions, Event, Message, Subject, client::Request, rustls};
use bytes::Bytes;
use tokio::{fs, sync::watch, time::timeout};

use crate::{
    fault::{ADAPTER, not_applied, of_request, unknown},
    options::{Credentials, NatsOptions},
};

/// A link that is dead is noticed after two of these.
const PING: Duration = Duration::from_secs(10);

/// How long a call waits for a connection that is not there; then it fails, so that whoever called knows.
const WAIT: Duration = Duration::from_secs(2);

/// What the headers of an event may take, what a server puts before a message, and what a page of a replay has around it: what is
/// taken can also be told again.
pub(crate) const HEADER_ROOM: usize = 1024;

/// The least that a message may have: any event fits in.
pub(crate) const LEAST_MESSAGE: usize = CloudEvent::MAX_BYTES + HEADER_ROOM;

/// How long the pauses between attempts to connect are, at first and at most.
const FIRST_PAUSE_MILLIS: u64 = 50;
const LONGEST_PAUSE_MILLIS: u64 = 5_000;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    up: bool,
    /// How often it came or went.
    changes: u64,
}

/// The connection, and what is known of it.
pub(crate) struct Link {
    pub(crate) client: Client,
    state: watch::Receiver<State>,
    /// What the server or the client has complained about last.
    complaint: Arc<Mutex<Option<String>>>,
    /// The period in which it was told that the server takes too little.
    told_too_small: AtomicU64,
    pub(crate) timeout: Duration,
}

/// A time in which the connection was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(u64);

/// Which connection it is: the id of the server, and the number that it has given to the connection.
pub(crate) type Identity = (String, u64);

impl Link {
    pub(crate) async fn open(options: &NatsOptions) -> Result<Self, BackendError> {
        // One of two providers must be chosen if a host has both; ours is the one that ALM uses everywhere.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (told, state) = watch::channel(State::default());
        let complaint = Arc::new(Mutex::new(None));
        let connect = connect_options(options).await?.event_callback({
            let complaint = complaint.clone();
            // A handshake that fails is told as any other broken connection.
            let hint =
                if needs_tls(options) { " (over TLS: perhaps a certificate is missing or not trusted)" } else { "" };
            move |event| {
                note(event, &told, &complaint, hint);
                ready(())
            }
        });
        let client = connect.connect(options.servers.clone()).await;
        let client = client.map_err(|error| not_applied(BackendErrorKind::Unavailable, "connect", error))?;
        Ok(Self { client, state, complaint, told_too_small: AtomicU64::default(), timeout: options.request_timeout })
    }

    pub(crate) fn state(&self) -> BusState {
        if self.is_connected() && self.too_small().is_none() { BusState::Up } else { BusState::Down }
    }

    fn is_connected(&self) -> bool {
        self.state.borrow().up
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.client.try_server_info().map(|info| (info.server_id, info.client_id))
    }

    pub(crate) fn max_payload(&self) -> Option<usize> {
        self.client.try_server_info().map(|info| info.max_payload)
    }

    /// How large a message may be, if that is less than an event may need. Such a server is as good as none: what it does not take
    /// could not be told again either, and whoever waits for it would wait for ever.
    fn too_small(&self) -> Option<usize> {
        self.max_payload().filter(|most| *most < LEAST_MESSAGE)
    }

    /// Waits, not for long, until the connection is there.
    pub(crate) async fn up(&self, operation: &'static str) -> Result<Period, BackendError> {
        let mut state = self.state.clone();
        match timeout(WAIT.min(self.timeout), state.wait_for(|state| state.up)).await {
            Ok(Ok(state)) => match self.too_small() {
                None => Ok(Period(state.changes)),
                Some(most) => Err(self.refused(state.changes, most, operation)),
            },
            Ok(Err(_)) | Err(_) => Err(self.down(operation)),
        }
    }

    fn refused(&self, period: u64, most: usize, operation: &'static str) -> BackendError {
        let why = format!(
            "the NATS server takes messages of up to {most} bytes, and an event may need {LEAST_MESSAGE}: set `max_payload` of the \
             server to no less, and restart it. Nothing is lost meanwhile: events wait in their logs"
        );
        if self.told_too_small.swap(period, Ordering::Relaxed) != period {
            tracing::error!(max_payload = most, least = LEAST_MESSAGE, "{why}");
        }
        not_applied(BackendErrorKind::Unavailable, operation, why)
    }

    fn down(&self, operation: &'static str) -> BackendError {
        not_applied(BackendErrorKind::Unavailable, operation, self.complained("there is no connection to NATS"))
    }

    /// `what`, and what was complained about since the connection came.
    fn complained(&self, what: &str) -> String {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        complaint.as_ref().map_or_else(|| what.to_owned(), |complaint| format!("{what}: {complaint}"))
    }

    /// Returns when the connection is another one than in `period`, or has gone.
    pub(crate) async fn lost(&self, period: Period) {
        let mut state = self.state.clone();
        if state.wait_for(|state| state.changes != period.0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn is_lost(&self, period: Period) -> bool {
        self.state.borrow().changes != period.0
    }

    /// What comes of `call`, unless the connection goes meanwhile: then an answer would never come.
    pub(crate) async fn during<T>(
        &self,
        period: Period,
        operation: &'static str,
        call: impl Future<Output = T>,
    ) -> Result<T, BackendError> {
        tokio::select! {
            biased;
            answer = call => Ok(answer),
            () = self.lost(period) => Err(broken(operation)),
        }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn request(
        &self,
        period: Period,
        operation: &'static str,
        subject: impl Into<Subject>,
        payload: impl Into<Bytes>,
    ) -> Result<Message, BackendError> {
        let request = Request::new().payload(payload.into()).timeout(Some(self.timeout));
        let answer = self.during(period, operation, self.client.send_request(subject.into(), request)).await?;
        answer.map_err(|error| self.explained(of_request(error, operation)))
    }

    /// A request that was not answered, with what the server has complained about: what is not permitted is not answered, and the
    /// server tells so aside.
    pub(crate) fn explained(&self, error: BackendError) -> BackendError {
        if error.kind != BackendErrorKind::Timeout {
            return error;
        }
        let source = self.complained("the server did not answer in time");
        BackendError { source: Some(source.into()), ..error }
    }

    /// Ends the connection once what was written is sent, within a few seconds.
    pub(crate) async fn close(&self) {
        if self.is_connected() && self.client.drain().await.is_ok() {
            let mut state = self.state.clone();
            // Whether it ended in time or not, there is nothing more to be done.
            let _ = timeout(self.timeout, state.wait_for(|state| !state.up)).await;
        }
    }
}

/// The connection went while a call was under way.
pub(crate) fn broken(operation: &'static str) -> BackendError {
    unknown(BackendErrorKind::Unavailable, operation, "the connection to NATS broke")
}

fn note(event: Event, told: &watch::Sender<State>, complaint: &Mutex<Option<String>>, hint: &str) {
    let change = |up| told.send_modify(|state| *state = State { up, changes: state.changes + 1 });
    let complain = |what: Option<String>| *complaint.lock().unwrap_or_else(PoisonError::into_inner) = what;
    match event {
        Event::Connected => {
            tracing::info!("connected to NATS");
            complain(None);
            change(true);
        }
        Event::Disconnected | Event::Closed => {
            tracing::warn!("the connection to NATS is gone");
            change(false);
        }
        Event::ServerError(error) => {
            tracing::warn!(%error, "NATS complains");
            complain(Some(error.to_string()));
        }
        Event::ClientError(error) => {
            tracing::debug!(%error, "NATS can't be reached");
            complain(Some(format!("{error}{hint}")));
        }
        Event::SlowConsumer(_) => tracing::warn!("NATS brings more than is read"),
        Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
        Event::Draining => tracing::debug!("the connection to NATS ends"),
    }
}

fn needs_tls(options: &NatsOptions) -> bool {
    options.tls || options.root_certificates.is_some() || options.client_certificate.is_some()
}

async fn connect_options(options: &NatsOptions) -> Result<ConnectOptions, BackendError> {
    let connect = ConnectOptions::new()
        .name(&options.name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(pause)
        .ping_interval(PING)
        .connection_timeout(options.request_timeout)
        .request_timeout(Some(options.request_timeout))
        .require_tls(needs_tls(options));
    let connect = match &options.root_certificates {
        Some(path) => connect.add_root_certificates(readable(path).await?.to_owned()),
        None => connect,
    };
    let connect = match (&options.client_certificate, &options.client_key) {
        (Some(certificate), Some(key)) => {
            connect.add_client_certificate(readable(certificate).await?.to_owned(), readable(key).await?.to_owned())
        }
        (None, None) => connect,
        _ => return Err(wrong("a client certificate needs its key, and the key its certificate")),
    };
    Ok(match options.credentials.clone() {
        Credentials::None => connect,
        Credentials::Password { user, password } => connect.user_and_password(user, password),
        Credentials::Token(token) => connect.token(token),
        Credentials::NkeySeed(seed) => connect.nkey(seed),
        Credentials::NkeyFile(path) => {
            let seed = fs::read_to_string(&path).await.map_err(|error| unreadable(&path, &error))?;
            connect.nkey(seed.trim().to_owned())
        }
        Credentials::JwtFile(path) => {
            let credentials = fs::read_to_string(&path).await.map_err(|error| unreadable(&path, &error))?;
            // What the library says of it is not told: it might quote it.
            let parsed = connect.credentials(&credentials);
            parsed.map_err(|_| wrong(format!("{} does not hold a JWT and the seed of its nkey", path.display())))?
        }
    })
}

/// The library would look at it at each connection, and tell only that it failed.
async fn readable(path: &std::path::Path) -> Result<&std::path::Path, BackendError> {
    fs::read(path).await.map_err(|error| unreadable(path, &error))?;
    Ok(path)
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> BackendError {
    wrong(format!("{} can't be read: {error}", path.display()))
}

fn wrong(what: impl Into<String>) -> BackendError {
    BackendError::internal(ADAPTER, "connect").with_source(what.into())
}

/// Longer each time, and never the same for all: the clients of a server that was restarted must not come back at once.
fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(7);
    let longest = (FIRST_PAUSE_MILLIS << doublings).min(LONGEST_PAUSE_MILLIS);
    Duration::from_millis(fastrand::u64(longest / 2..=longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_a_bound_and_differ() {
        for attempts in [0, 1, 2, 8, 100, usize::MAX] {
            let pauses: Vec<_> = (0..20).map(|_| pause(attempts)).collect();
            assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(25)));
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(5)));
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{attempts}: {pauses:?}");
        }
        assert!(pause(2) <= Duration::from_millis(100));
        assert!(pause(usize::MAX) >= Duration::from_millis(2500));
    }
}
