//! A store, and the servers that run on it one after the other.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use alm_test_support::{LONG, eventually, journal::check, load::Eye, ports::free_port, process::Process};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

use super::{
    client::{Client, Common},
    wire::{Http1, Http2, Wire},
};
use crate::support::{SECRET, token};

/// So many requests are answered before the signal, at least and at most.
const ANSWERED: std::ops::Range<u64> = 10..60;
const HTTP1_CLIENTS: usize = 5;
const HTTP2_CLIENTS: usize = 3;

/// How clients come to the server that is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Straight,
    Gateway,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How many requests had been sent and not been answered when the signal was sent.
    pub(super) in_flight: u64,
    /// How many that were sent later were done.
    pub(super) later: u64,
    /// How many had no answer.
    pub(super) unanswered: u64,
    /// The longest time from the signal to the end.
    pub(super) slowest: Duration,
    pub(super) failures: Vec<String>,
}

impl Tally {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.failures.extend(other.failures);
        Self {
            in_flight: self.in_flight + other.in_flight,
            later: self.later + other.later,
            unanswered: self.unanswered + other.unanswered,
            slowest: self.slowest.max(other.slowest),
            failures: self.failures,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_flight, later, unanswered, slowest, failures } = self;
        let slowest = slowest.as_millis();
        write!(
            f,
            "{in_flight} requests in flight, {later} of later ones done, {unanswered} not answered, {} failures, at most \
             {slowest} ms until the end",
            failures.len()
        )
    }
}

pub(super) struct Lane {
    name: String,
    common: Arc<Common>,
    random: fastrand::Rng,
    runtime: Runtime,
    place: (String, u16),
    folder: TempDir,
    token: String,
    slowest: Duration,
}

impl Lane {
    pub(super) fn new(number: u64, seed: u64, way: Way) -> Self {
        Self {
            name: format!("lane{number}"),
            common: Arc::new(Common::new(way)),
            random: fastrand::Rng::with_seed(seed),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
            place: free_port(),
            folder: tempfile::tempdir().unwrap(),
            token: token(&alm_core::Principal::system()),
            slowest: Duration::ZERO,
        }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.place.0, self.place.1)
    }

    fn start(&self) -> Process {
        Process::serve(&[
            ("JWT_SECRET", str::from_utf8(SECRET).unwrap()),
            ("DB_URL", &format!("sqlite:{}", self.folder.path().join("alm.db").display())),
            ("BIND", &self.place.0),
            ("PORT", &self.place.1.to_string()),
            ("LOG", "warn,server=info,alm_http=warn"),
        ])
    }

    fn gateway(&self) -> Process {
        let url = format!("http://{}", self.address());
        let urls = ["APP_URL", "VERSION_URL", "DEPLOYMENT_URL", "AUDIT_URL"].map(|name| (name, url.as_str()));
        Process::serve(&[[("SERVICES", "gateway"), ("LOG", "error,server=info")].as_slice(), &urls].concat())
    }

    /// So many rounds, and then a look at what is there.
    pub(super) fn run(mut self, rounds: u64) -> Tally {
        let mut gateway = (self.common.way == Way::Gateway).then(|| self.gateway());
        let front = gateway.as_mut().map_or_else(|| self.address(), |gateway| gateway.address_of("listening"));
        for round in 0..rounds {
            self.round(round, &front);
        }
        // The next one sees what the last one has left.
        let server = self.start();
        self.look();
        drop(server);
        Tally {
            in_flight: self.common.in_flight.load(Ordering::SeqCst),
            later: self.common.later.load(Ordering::SeqCst),
            unanswered: self.common.unanswered.load(Ordering::SeqCst),
            slowest: self.slowest,
            failures: self.common.failures(),
        }
    }

    fn round(&mut self, round: u64, front: &str) {
        let server = self.start();
        let term = server.armed("TERM");
        self.common.is_told.store(false, Ordering::SeqCst);
        self.common.is_over.store(false, Ordering::SeqCst);
        let enough = *self.common.answered.borrow() + self.random.u64(ANSWERED);
        let seed = self.random.u64(..);
        let mut clients = JoinSet::new();
        self.runtime.block_on(async {
            if self.common.way == Way::Gateway {
                // It remembers that the one before was gone, until three requests have gone well.
                let eye = Eye::on(format!("http://{front}"), self.token.clone());
                for _ in 0..3 {
                    eye.all("/apps?name=none").await;
                }
            }
            for (number, wire) in self.wires(front).await.into_iter().enumerate() {
                let client = Client {
                    common: self.common.clone(),
                    wire,
                    random: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
                    name: format!("{}-{round}-{number}", self.name),
                    count: 0,
                    app: None,
                };
                clients.spawn(client.run());
            }
            let mut answered = self.common.answered.subscribe();
            let reached = tokio::time::timeout(LONG, answered.wait_for(|answered| *answered >= enough)).await;
            reached.expect("requests are answered").unwrap();
        });
        let begun = Instant::now();
        self.common.is_told.store(true, Ordering::SeqCst);
        term.send();
        let ended = server.ended();
        self.slowest = self.slowest.max(begun.elapsed());
        self.common.is_over.store(true, Ordering::SeqCst);
        let all = async { while clients.join_next().await.transpose().unwrap().is_some() {} };
        self.runtime.block_on(async { tokio::time::timeout(LONG, all).await }).expect("the clients come to an end");
        // Lines before the end would say that connections were dropped, or events left.
        if ended.status.code() != Some(0) || ended.stdout.iter().any(|line| line.contains("\"WARN\"")) {
            self.common.fails(format_args!("it ended by {:?}: {:?}", ended.status, ended.stdout));
        }
    }

    /// Several clients of HTTP/1.1, each on connections of its own, and several of HTTP/2 on one.
    async fn wires(&self, front: &str) -> Vec<Wire> {
        let mut wires: Vec<_> = (0..HTTP1_CLIENTS).map(|_| Wire::Http1(Http1::new(front, &self.token))).collect();
        wires.extend(Http2::several(HTTP2_CLIENTS, front, &self.token).await.into_iter().map(Wire::Http2));
        wires
    }

    /// Whether there is all that was acknowledged, once in the audit log, and nothing of what was not answered.
    fn look(&self) {
        let eye = Eye::on(format!("http://{}", self.address()), self.token.clone());
        let seen = self.runtime.block_on(async {
            eventually("every event is handled", async || eye.is_settled().await.then_some(())).await;
            eye.everything().await
        });
        for violation in check(&self.common.journal(), &seen) {
            self.common.fails(violation);
        }
    }
}
