//! A client that asks for changes one after the other, and keeps a journal of it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::Value;

use crate::{
    LONG,
    journal::{Ask, Entry},
};

use super::{Common, Way};

/// How long a client waits that was told to come later, or has found no one.
const PAUSE: Duration = Duration::from_millis(20);

/// One that asks for one thing after the other.
pub struct Client {
    common: Arc<Common>,
    way: Way,
    http: reqwest::Client,
    random: fastrand::Rng,
    /// What is in the names that this client gives, and in those of no other.
    name: String,
    count: u64,
    own: Own,
}

/// What a client has made, as far as it knows, and no other uses.
#[derive(Default)]
struct Own {
    apps: Vec<(i64, String)>,
    versions: Vec<i64>,
    deployments: Vec<(i64, &'static str)>,
}

impl Client {
    /// One that goes this way, and makes what has `name` in its names.
    pub fn new(common: &Arc<Common>, way: &Way, name: String, seed: u64) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
        let random = fastrand::Rng::with_seed(seed);
        Self { common: common.clone(), way: way.clone(), http, random, name, count: 0, own: Own::default() }
    }

    /// Asks until it is time to finish.
    pub async fn run(mut self) {
        while !*self.common.finish.borrow() {
            let ask = self.choose();
            let created =
                matches!(ask, Ask::CreateApp { .. } | Ask::CreateVersion { .. } | Ask::CreateDeployment { .. });
            let key = (created && self.random.bool()).then(|| format!("key-{}-{}", self.name, self.count));
            let answer = self.ask(&ask, key).await;
            self.learn(&ask, answer);
        }
    }

    /// Sends a request, and if it has a key again until it is answered for good. `None` if there was no answer.
    pub async fn ask(&self, ask: &Ask, key: Option<String>) -> Option<(u16, Value)> {
        loop {
            let mut request = 0;
            self.common.asked.send_modify(|asked| {
                request = *asked;
                *asked += 1;
            });
            self.common.journal.write(&Entry::Asked { request, ask: ask.clone(), key: key.clone() }).await;
            let answer = self.send(ask, key.as_deref()).await.ok();
            let later = if let Some((status, body)) = &answer {
                self.common.journal.write(&Entry::Told { request, status: *status, body: body.clone() }).await;
                if *status < 300 {
                    self.common.done.send_modify(|done| *done += 1);
                }
                *status >= 500 || body["code"] == "idempotency-key-in-progress"
            } else {
                self.common.unanswered.fetch_add(1, Ordering::Relaxed);
                true
            };
            if later {
                tokio::time::sleep(PAUSE).await;
            }
            if key.is_none() || !later {
                return answer;
            }
        }
    }

    async fn send(&self, ask: &Ask, key: Option<&str>) -> reqwest::Result<(u16, Value)> {
        let (method, path, body) = ask.request();
        let url = (self.way)(&path);
        let mut request = self.http.request(method.parse().unwrap(), url).bearer_auth(&self.common.token);
        if let Some(body) = &body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        Ok((status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }))
    }

    /// What no one has asked for yet.
    fn choose(&mut self) -> Ask {
        self.count += 1;
        let new = format!("{}-{}", self.name, self.count);
        let app = self.random.choice(&self.own.apps).cloned();
        let shared = self.common.shared.get().map(Vec::as_slice).unwrap_or_default();
        let shared = self.random.choice(shared).cloned().expect("there are some");
        let any_app = if self.random.bool() { app.clone().unwrap_or(shared) } else { shared };
        let version = self.random.choice(&self.own.versions).copied();
        let place = (!self.own.deployments.is_empty()).then(|| self.random.usize(..self.own.deployments.len()));
        match (self.random.u8(..100), app, version, place) {
            (0..12, Some((id, _)), ..) if self.own.apps.len() > 3 => Ask::DeleteApp { id },
            (12..16, _, Some(id), _) => Ask::DeleteVersion { id },
            (16..20, .., Some(place)) => Ask::DeleteDeployment { id: self.own.deployments[place].0 },
            (20..35, .., Some(place)) => {
                let (id, status) = self.own.deployments[place];
                let last = ["successful", "failed", "canceled"][self.random.usize(..3)];
                let next = if status == "pending" && self.random.bool() { "running" } else { last };
                Ask::MoveDeployment { id, status: next.to_owned() }
            }
            (35..50, ..) => Ask::UpdateApp { id: any_app.0, name: any_app.1, description: new },
            (50..56, _, Some(id), _) => Ask::UpdateVersion { id, changelog: new },
            (56..75, _, Some(version_id), _) => Ask::CreateDeployment { version_id, environment: new },
            (75..100, ..) => Ask::CreateVersion { app_id: any_app.0, tag: new, changelog: String::new() },
            _ => Ask::CreateApp { name: new, description: String::new() },
        }
    }

    /// What this client has from now on. What it does not know for certain it leaves alone.
    fn learn(&mut self, ask: &Ask, answer: Option<(u16, Value)>) {
        let done = answer.filter(|(status, _)| *status < 300).map(|(_, body)| body);
        let id = done.as_ref().and_then(|body| body["id"].as_i64());
        let own = &mut self.own;
        match ask {
            Ask::CreateApp { name, .. } => own.apps.extend(id.map(|id| (id, name.clone()))),
            Ask::CreateVersion { .. } => own.versions.extend(id),
            Ask::CreateDeployment { .. } => own.deployments.extend(id.map(|id| (id, "pending"))),
            Ask::DeleteApp { id } => own.apps.retain(|(app, _)| app != id),
            Ask::DeleteVersion { id } => own.versions.retain(|version| version != id),
            Ask::DeleteDeployment { id } => own.deployments.retain(|(deployment, _)| deployment != id),
            Ask::MoveDeployment { id, status } => {
                own.deployments.retain(|(deployment, _)| deployment != id);
                if done.is_some() && status == "running" {
                    own.deployments.push((*id, "running"));
                }
            }
            // It has gone with its app.
            Ask::UpdateVersion { id, .. } if done.is_none() => own.versions.retain(|version| version != id),
            Ask::UpdateVersion { .. } | Ask::UpdateApp { .. } => {}
        }
    }
}
