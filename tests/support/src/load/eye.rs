//! Everything there is to see of a server, over HTTP.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    LONG,
    journal::{Fact, Seen},
};

/// Looks at one server with one token.
pub struct Eye {
    http: reqwest::Client,
    address: String,
    token: String,
}

impl Eye {
    /// An eye on the server at this address.
    pub fn on(address: String, token: String) -> Self {
        Self { http: reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap(), address, token }
    }

    /// A page, and the path of the next. It may take a moment until the server can show it.
    async fn page(&self, path: &str) -> (Value, Option<String>) {
        let deadline = Instant::now() + LONG;
        loop {
            let answer =
                self.http.get(format!("{}{path}", self.address)).bearer_auth(&self.token).send().await.unwrap();
            if answer.status() == 200 {
                let next = answer.headers().get("link").map(|link| {
                    let link = link.to_str().unwrap();
                    link.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned()
                });
                return (answer.json().await.unwrap(), next);
            }
            assert!(Instant::now() < deadline, "{path} is answered {}", answer.status());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let (page, following) = self.page(&path).await;
            items.extend(page.as_array().expect("a list").iter().cloned());
            next = following;
        }
        items
    }

    /// Whether every consumer has handled every event that has a position.
    pub async fn is_settled(&self) -> bool {
        let (ready, _) = self.page("/readyz").await;
        ready["dependencies"].as_array().unwrap().iter().all(|it| it["lag"].as_u64().unwrap_or(0) == 0)
    }

    /// Whether the newest entries of the audit log about `subject` are there.
    pub async fn has_audited(&self, subject: &str) -> bool {
        !self.all(&format!("/audit/events?subject={subject}")).await.is_empty()
    }

    /// What there is of a server that runs all services.
    pub async fn everything(&self) -> Seen {
        let mut rows = BTreeMap::new();
        for kind in ["apps", "versions", "deployments"] {
            rows.extend(self.rows(kind).await);
        }
        let logs = BTreeMap::from([("all".to_owned(), self.log().await)]);
        Seen { rows, logs, audit: self.audit().await, injected: Vec::new() }
    }

    /// All resources of a kind such as `apps`, by their subjects.
    pub async fn rows(&self, kind: &str) -> Vec<(String, Value)> {
        let rows = self.all(&format!("/{kind}?limit=200")).await;
        rows.into_iter().map(|row| (format!("{kind}/{}", row["id"]), row)).collect()
    }

    /// The event log.
    pub async fn log(&self) -> Vec<Fact> {
        self.all("/events?limit=200").await.iter().map(Fact::of_event).collect()
    }

    /// The audit log.
    pub async fn audit(&self) -> Vec<Fact> {
        self.all("/audit/events?limit=200").await.iter().map(Fact::of_entry).collect()
    }
}
