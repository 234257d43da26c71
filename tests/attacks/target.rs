//! The server under attack, what there is on it, and the one way in which every attack is tried.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use alm_core::{
    Alm,
    domain::Timestamp,
    ports::{Clock, EventLog as _, Rate, SystemClock, TokioTimer},
    services::LoginLimits,
};
use alm_http::{
    Api, TrustedProxies,
    auth::{Argon2Hasher, Jwt, NoCommonPasswords, SystemSecrets, VerifyingKey},
    serve::{ServeConfig, serve},
};
use alm_store_memory::MemoryStore;
use alm_test_support::eventually;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    forge::{ISSUER, SECRET},
    given::{Answer, Attack, Request, Sent, a, no_one, with_token},
    wire::{Said, exchange},
};

/// The password of every account here.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// How the server is to be.
pub(crate) struct Setup {
    pub(crate) limits: LoginLimits,
    pub(crate) serve: ServeConfig,
    pub(crate) body_timeout: Duration,
    pub(crate) proxies: TrustedProxies,
}

impl Default for Setup {
    fn default() -> Self {
        let often = Rate { burst: 100_000.try_into().unwrap(), interval: Duration::from_secs(1) };
        let limits = LoginLimits::default().per_account(often).per_account_and_address(often).per_address(often);
        Self {
            limits,
            serve: ServeConfig::default(),
            body_timeout: Duration::from_secs(30),
            proxies: TrustedProxies::default(),
        }
    }
}

/// A server that ends with the test.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    store: Arc<MemoryStore>,
    clock: Arc<Shifted>,
    /// What stands for the names in braces.
    named: BTreeMap<String, String>,
    _tasks: JoinSet<()>,
}

impl Target {
    /// A server with two apps, each with a version and a deployment to `prod` of the same number; accounts; sessions and API keys
    /// that count, and such that do not any more.
    pub(crate) async fn start(setup: Setup) -> Self {
        let mut target = Self::bare(setup).await;
        target.apps().await;
        target.accounts().await;
        target.settled().await;
        target
    }

    /// A server with the apps, and the account `bob`.
    pub(crate) async fn with_an_app_and_bob(setup: Setup) -> Self {
        let target = Self::bare(setup).await;
        target.apps().await;
        target.account("bob", "user").await;
        target.settled().await;
        target
    }

    async fn bare(setup: Setup) -> Self {
        let public = [&ISSUER.ed25519_pem, &ISSUER.p256_pem].map(|pem| VerifyingKey::from_pem(pem).unwrap().remove(0));
        let jwt = Arc::new(Jwt::hs256(SECRET, "alm", "alm").unwrap().also_accepting(public).unwrap());
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Shifted::default()));
        let alm = Alm::builder(store.clone())
            .clock(clock.clone())
            .authenticator(jwt.clone())
            .token_issuer(jwt)
            .password_hasher(Arc::new(Argon2Hasher::with_params(2, 8, 1, 1).unwrap()))
            .password_policy(Arc::new(NoCommonPasswords))
            .secrets(Arc::new(SystemSecrets))
            .login_limits(setup.limits)
            .build();
        let api = Api::new(alm.clone()).body_timeout(setup.body_timeout).trusted_proxies(setup.proxies);
        let router = api.router();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            serve(listener, router, setup.serve, std::future::pending()).await;
        });
        tasks.spawn(async move { alm.run(TokioTimer, std::future::pending()).await });
        Self { address, store, clock, named: BTreeMap::new(), _tasks: tasks }
    }

    async fn apps(&self) {
        for (app, number) in [("billing", 1), ("checkout", 2)] {
            self.made("POST /apps", &format!(r#"{{"name":"{app}"}}"#)).await;
            self.made("POST /versions", &format!(r#"{{"app_id":{number},"tag":"v1"}}"#)).await;
            self.made("POST /deployments", &format!(r#"{{"version_id":{number},"environment":"prod"}}"#)).await;
        }
    }

    async fn account(&self, name: &str, role: &str) {
        let new = format!(r#"{{"username":"{name}","password":"{PASSWORD}","role":"{role}"}}"#);
        self.made("POST /users", &new).await;
    }

    async fn accounts(&mut self) {
        for (name, role) in [("amy", "admin"), ("bob", "user"), ("carol", "user"), ("dora", "admin"), ("eve", "user")] {
            self.account(name, role).await;
        }
        for (name, days) in [("expired", 1), ("rotated", 90), ("revoked", 90), ("ci", 90)] {
            let new = format!(r#"{{"name":"{name}","role":"admin","expires_in_days":{days}}}"#);
            let key = self.made("POST /api-keys", &new).await;
            self.keep(&format!("key {name}"), &key["key"]);
            self.keep(&format!("id of key {name}"), &key["id"]);
        }
        self.made("POST /api-keys/{id of key rotated}/rotate", r#"{"grace_seconds":3600}"#).await;
        self.login("bob", "a session that has expired").await;
        self.clock.forward(31 * 24 * 60 * 60);

        self.done(a("admin", "DELETE /api-keys/{id of key revoked}")).await;
        self.login("bob", "a session").await;
        self.login("amy", "a session of an admin").await;
        self.login("bob", "a session that was logged out").await;
        self.done(with_token("{token of a session that was logged out}", "POST /logout")).await;
        self.login("carol", "someone who is gone").await;
        self.login("dora", "someone who was demoted").await;
        self.login("eve", "someone with another password").await;
        self.done(a("admin", "DELETE /users/carol")).await;
        self.done(a("admin", "PUT /users/dora").json(r#"{"role":"viewer"}"#)).await;
        self.done(a("admin", "PUT /users/eve/password").json(r#"{"password":"staple battery lamp"}"#)).await;
        // Each of these is shown to end its session.
        self.login("bob", "a session that is about to be stolen").await;
        let stolen = r#"{"refresh_token":"{refresh token of a session that is about to be stolen}"}"#;
        let next = self.done(no_one("POST /token/refresh").json(stolen)).await;
        self.keep("token after the theft", &next.json()["access_token"]);
        let another_digit =
            |key: &str| format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
        self.derive("key ci with another digit", "key ci", another_digit);
        self.derive("digits of key ci", "id of key ci", |id| id.replace('-', ""));
        self.derive("digits of a session", "id of a session", |id| id.replace('-', ""));
        let login = no_one("POST /login").json(format!(r#"{{"username":"bob","password":"{PASSWORD}"}}"#));
        self.done(login.header("idempotency-key: key-of-bob")).await;
    }

    async fn made(&self, line: &str, body: &str) -> Value {
        self.done(a("admin", line).json(body)).await.json()
    }

    async fn done(&self, request: Request) -> Said {
        let said = self.send(&Sent::Request(request)).await.unwrap();
        assert!(said.statuses().iter().all(|status| (200..300).contains(status)), "{said}");
        said
    }

    async fn login(&mut self, name: &str, what: &str) {
        let login = no_one("POST /login").json(format!(r#"{{"username":"{name}","password":"{PASSWORD}"}}"#));
        let tokens = self.done(login).await.json();
        self.keep(&format!("token of {what}"), &tokens["access_token"]);
        self.keep(&format!("refresh token of {what}"), &tokens["refresh_token"]);
        let whoami = self.done(with_token(tokens["access_token"].as_str().unwrap(), "GET /whoami")).await;
        self.keep(&format!("id of {what}"), &whoami.json()["credential"]);
    }

    /// Keeps what is made of something that is kept.
    fn derive(&mut self, name: &str, from: &str, derive: impl Fn(&str) -> String) {
        let derived = derive(&self.named[&format!("{{{from}}}")]);
        self.keep(name, &derived.into());
    }

    fn keep(&mut self, name: &str, value: &Value) {
        let text = value.as_str().unwrap_or_else(|| panic!("there is no {name}"));
        self.named.insert(format!("{{{name}}}"), text.to_owned());
    }

    /// Waits until the consumers have handled every event.
    async fn settled(&self) {
        eventually("the consumers are done", async || {
            let ready = self.send(&no_one("GET /readyz").into()).await.unwrap().json();
            let done = ready["dependencies"].as_array()?.iter().all(|d| d["lag"].as_u64().unwrap_or(0) == 0);
            done.then_some(())
        })
        .await;
    }

    /// Sends it, with what stands for the names in it.
    pub(crate) async fn send(&self, sent: &Sent) -> Result<Said, String> {
        let fill = |bytes: &[u8]| self.filled(bytes);
        match sent {
            Sent::Request(request) => exchange(self.address, &request.bytes(fill), None).await,
            Sent::Bytes(bytes) => exchange(self.address, &fill(bytes), None).await,
            Sent::Endless(bytes, again) => exchange(self.address, &fill(bytes), Some(again)).await,
        }
    }

    fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        let Ok(text) = str::from_utf8(bytes) else { return bytes.to_vec() };
        let mut text = text.to_owned();
        for (name, value) in self.named.iter().filter(|_| bytes.contains(&b'{')) {
            text = text.replace(name, value);
        }
        text.into_bytes()
    }

    /// Tries every attack. All that do not go as they must are told at once.
    pub(crate) async fn withstands(&self, attacks: Vec<Attack>) {
        let failures = self.failures(attacks).await;
        assert!(failures.is_empty(), "{} things went wrong:\n{}", failures.len(), failures.join("\n"));
    }

    /// Tries every attack, one after the other. Each must get its answer, and no other must come; nothing must be in the event log but
    /// what is told; and an honest client must be served afterwards. Says what is otherwise.
    pub(crate) async fn failures(&self, attacks: Vec<Attack>) -> Vec<String> {
        let mut failures = Vec::new();
        for Attack { name, sent, answer } in attacks {
            let before = self.store.head().await.unwrap();
            let mut faults = match self.send(&sent).await {
                Ok(said) => faults(&said, &answer),
                Err(error) => vec![error],
            };
            let events = self.store.read(before, 100).await.unwrap();
            let events: Vec<_> = events.iter().map(|event| event.data.type_name()).collect();
            if events != answer.events {
                faults.push(format!("the event log has {events:?} of it, and not {:?}", answer.events));
            }
            faults.extend(self.serves_others().await.err());
            failures.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
        }
        failures
    }

    /// Whether an honest client is served: one that has come just now.
    pub(crate) async fn serves_others(&self) -> Result<(), String> {
        let said = self.send(&a("viewer", "GET /apps/1").into()).await?;
        let honest = said.statuses() == [200] && said.json()["name"] == "billing";
        honest.then_some(()).ok_or_else(|| format!("an honest client is told afterwards: {said}"))
    }
}

/// What is wrong with an answer.
fn faults(said: &Said, expected: &Answer) -> Vec<String> {
    let statuses: Vec<_> = expected.status.into_iter().collect();
    if said.statuses() != statuses {
        return vec![format!("the answer is {said}, and not {statuses:?} {}", expected.code)];
    }
    if expected.code.is_empty() {
        return Vec::new();
    }
    let problem = said.json();
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{what}: {said}"));
        }
    };
    check(problem["code"] == expected.code, &format!("the code is not {}", expected.code));
    check(said.header("content-type").as_deref() == Some("application/problem+json"), "it is no problem document");
    let fields = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |field: &Value, name: &str| field[name].as_str().unwrap_or_default().to_owned();
    let fields: Vec<_> =
        fields.iter().map(|field| format!("{}: {}", text(field, "pointer"), text(field, "code"))).collect();
    let is_refused = expected.field.is_empty() || fields == [expected.field];
    check(is_refused, &format!("the field that is refused is not {}", expected.field));
    faults
}

/// The clock of this machine, set forward.
#[derive(Debug, Default)]
struct Shifted(AtomicI64);

impl Shifted {
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_seconds(self.0.load(Ordering::Relaxed))
    }
}
