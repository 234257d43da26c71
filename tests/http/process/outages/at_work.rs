//! A server at work.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::Principal;
use alm_test_support::{
    journal::{Ask, Entry, Fact, Seen, check},
    process::Process,
};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    process::Clients as _,
    support::{Answer, Client, PASSWORD, SECRET, eventually, token},
};

/// So soon after its database the server must be back.
const BACK: Duration = Duration::from_secs(5);

/// So many clients ask at the same time.
const CLIENTS: usize = 4;

/// So much of text that what is written needs space.
const BYTES: usize = 3000;

/// The app that everyone uses.
const KNOWN: i64 = 1;

/// How long a client waits that was told to come later.
const PAUSE: Duration = Duration::from_millis(10);

/// What there is to see of an outage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// Nothing can be read, and the store is down.
    Down,
    /// What is there can be read.
    ReadOnly,
}

impl Shows {
    fn status(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::ReadOnly => "read-only",
        }
    }
}

/// A server that clients send changes to all the time.
pub(super) struct AtWork {
    pub(super) server: Process,
    asking: Arc<Asking>,
    finish: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// What the clients have in common.
struct Asking {
    admin: Client,
    journal: Mutex<Vec<Entry>>,
    told: watch::Sender<Told>,
}

/// How many requests were answered.
#[derive(Clone, Copy, Default)]
struct Told {
    done: u64,
    refused: u64,
}

/// Settings with which a server keeps everything there.
pub(super) fn settings(url: &str) -> [(&str, &str); 4] {
    let secret = str::from_utf8(SECRET).unwrap();
    [("DB_URL", url), ("JWT_SECRET", secret), ("ADMIN_PASSWORD", PASSWORD), ("PORT", "0")]
}

impl AtWork {
    /// The server, which is starting, once it works.
    pub(super) async fn on(mut server: Process) -> Self {
        server.logged("listening");
        let admin = server.client().with_token(token(&Principal::system()));
        // What comes later is held against it, also when the server has other worries.
        admin.document().await;
        let asking = Arc::new(Asking { admin, journal: Mutex::default(), told: watch::Sender::default() });
        assert_eq!(asking.ask(create("known")).await.ok(201)["id"], KNOWN);
        let (finish, finishing) = watch::channel(false);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(asking.clone().work(number, finishing.clone()));
        }
        asking.many("the server works", |told| told.done, 40).await;
        Self { server, asking, finish, clients }
    }

    /// The outage has begun: checks what there is to see of it.
    pub(super) async fn is_out(&mut self, shows: Shows) {
        self.asking.many("changes are refused", |told| told.refused, 4).await;
        let admin = &self.asking.admin;
        eventually("the server is not ready, and says why", async || {
            let ready = admin.get("/readyz").await;
            if ready.status == 200 {
                return None;
            }
            assert!(ready.header("retry-after").is_some(), "{ready}");
            let problem = ready.problem(503, "not-ready");
            let store = &problem["dependencies"][0];
            (store["name"] == "store" && store["status"] == shows.status()).then_some(())
        })
        .await;
        admin.get("/healthz").await.is(200);
        let read = admin.get(format!("/apps/{KNOWN}")).await;
        match shows {
            Shows::Down => told_to_come_later(&read),
            Shows::ReadOnly => drop(read.is(200)),
        }
    }

    /// The outage is over as soon as this is called: the server is back in time, and what clients were told in the meantime was true.
    pub(super) async fn comes_back(mut self) {
        let asking = self.asking.clone();
        let back = async {
            asking.audits_what_it_takes().await;
            until_done(async || asking.admin.get("/readyz").await).await;
        };
        tokio::time::timeout(BACK, back).await.expect("the server is back in time");

        self.finish.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        asking.audits_what_it_takes().await;
        let seen = asking.everything().await;
        assert_eq!(check(&asking.journal.lock().unwrap(), &seen), []);
        assert!(!self.server.has_ended());
    }
}

impl Asking {
    /// Asks for one change after the other.
    async fn work(self: Arc<Self>, number: usize, finish: watch::Receiver<bool>) {
        for count in 0.. {
            if *finish.borrow() {
                return;
            }
            let answer = self.ask(match count % 3 {
                0 => create("app"),
                1 => Ask::CreateVersion { app_id: KNOWN, tag: format!("v-{number}-{count}"), changelog: text() },
                // Committed by itself: it may fail where others do not.
                _ => Ask::UpdateApp { id: KNOWN, name: format!("known-{number}-{count}"), description: text() },
            });
            if answer.await.status == 503 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn ask(&self, ask: Ask) -> Answer {
        let (method, path, body) = ask.request();
        let request = {
            let mut journal = self.journal.lock().unwrap();
            let request = journal.len() as u64;
            journal.push(Entry::Asked { request, ask, key: None });
            request
        };
        let answer = self.admin.call(method, path).json(&body.expect("it has a body")).await;
        self.journal.lock().unwrap().push(Entry::Told { request, status: answer.status, body: answer.json() });
        if answer.status == 503 {
            told_to_come_later(&answer);
            self.told.send_modify(|told| told.refused += 1);
        } else {
            self.told.send_modify(|told| told.done += 1);
        }
        answer
    }

    /// Waits until so many more have been told so.
    async fn many(&self, what: &str, count: fn(&Told) -> u64, more: u64) {
        let enough = count(&self.told.borrow()) + more;
        eventually(what, async || (count(&self.told.borrow()) >= enough).then_some(())).await;
    }

    /// Waits until a change is made, and the audit log has it, and with it all that was changed before.
    async fn audits_what_it_takes(&self) {
        let app = until_done(|| self.ask(create("app"))).await["id"].clone();
        eventually("it is audited", async || {
            let entries = self.admin.get(format!("/audit/events?subject=apps/{app}")).await;
            (entries.status == 200 && entries.json()[0].is_object()).then_some(())
        })
        .await;
    }

    async fn everything(&self) -> Seen {
        let mut seen = Seen::default();
        for kind in ["apps", "versions"] {
            for row in self.admin.all(&format!("/{kind}?limit=200")).await {
                seen.rows.insert(format!("{kind}/{}", row["id"]), row);
            }
        }
        let log = self.admin.all("/events?limit=200").await.iter().map(Fact::of_event).collect();
        seen.logs.insert("the server".to_owned(), log);
        seen.audit = self.admin.all("/audit/events?limit=200").await.iter().map(Fact::of_entry).collect();
        seen
    }
}

/// The body of the first answer that is none of an outage.
async fn until_done<F: Future<Output = Answer> + Send>(ask: impl Fn() -> F + Send + Sync) -> Value {
    eventually("it is done", async || {
        let answer = ask().await;
        if answer.status == 503 { None } else { Some(answer) }
    })
    .await
    .json()
}

/// The answer to what can't be done now.
#[track_caller]
fn told_to_come_later(answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer}");
    assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()), "{answer}");
    let problem = answer.clone().problem(503, "unavailable");
    assert!(["not_applied", "unknown"].iter().any(|outcome| problem["outcome"] == *outcome), "{problem}");
}

fn create(name: &str) -> Ask {
    Ask::CreateApp { name: format!("{name}-{}", fastrand::u64(..)), description: text() }
}

/// What no other has asked for, and can't be made smaller.
fn text() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(BYTES).collect()
}
