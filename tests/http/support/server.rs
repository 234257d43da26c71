//! The server under test.

use std::{net::SocketAddr, sync::Arc};

use alm_core::{
    Alm, AlmBuilder, Principal,
    domain::{Actor, EnvironmentName, Role},
    ports::{Clock, Ids, PasswordHasher, Store, SystemClock, SystemIds, TokenClaims, TokenIssuer, TokioTimer},
};
use alm_core::{
    ports::Rate,
    services::{AuditTree, LoginLimits},
    tlog::Signer,
};
use alm_http::{
    Api,
    auth::{Argon2Hasher, Jwt, SystemSecrets},
    serve::{ServeConfig, serve},
};
use alm_store_memory::MemoryStore;
use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};

use super::{Client, LONG, eventually};

pub(crate) const SECRET: &[u8] = b"nothing but tests is signed with this secret";

/// How a test wants its server to be.
pub(crate) struct Setup {
    store: Arc<dyn Store>,
    hasher: Arc<dyn PasswordHasher>,
    auto_deploy: Vec<EnvironmentName>,
    alm: Box<dyn FnOnce(AlmBuilder) -> AlmBuilder + Send>,
    api: Box<dyn FnOnce(Api) -> Api + Send>,
    prefix: &'static str,
    host: Box<dyn FnOnce(Router) -> Router + Send>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            hasher: Arc::new(Argon2Hasher::with_params(2, 8, 1, 1).unwrap()),
            auto_deploy: Vec::new(),
            alm: Box::new(|alm| alm),
            api: Box::new(|api| api),
            prefix: "",
            host: Box::new(|router| router),
        }
    }
}

impl Setup {
    pub(crate) fn store(self, store: Arc<dyn Store>) -> Self {
        Self { store, ..self }
    }

    pub(crate) fn hasher(self, hasher: impl PasswordHasher + 'static) -> Self {
        Self { hasher: Arc::new(hasher), ..self }
    }

    pub(crate) fn auto_deploy(self, environments: &[&str]) -> Self {
        let auto_deploy = environments.iter().map(|name| EnvironmentName::parse(*name).unwrap()).collect();
        Self { auto_deploy, ..self }
    }

    pub(crate) fn alm(self, alm: impl FnOnce(AlmBuilder) -> AlmBuilder + Send + 'static) -> Self {
        Self { alm: Box::new(alm), ..self }
    }

    pub(crate) fn api(self, api: impl FnOnce(Api) -> Api + Send + 'static) -> Self {
        Self { api: Box::new(api), ..self }
    }

    /// The router of the API becomes a part of what `host` makes of it, at `prefix`.
    pub(crate) fn nested(self, prefix: &'static str, host: impl FnOnce(Router) -> Router + Send + 'static) -> Self {
        Self { prefix, host: Box::new(host), ..self }
    }

    pub(crate) async fn start(self) -> Server {
        let jwt = Arc::new(jwt());
        let alm = Alm::builder(self.store)
            .authenticator(jwt.clone())
            .token_issuer(jwt)
            .password_hasher(self.hasher)
            .secrets(Arc::new(SystemSecrets))
            .login_limits(lenient())
            .auto_deploy(self.auto_deploy)
            .audit_tree(AuditTree::new(Arc::new(MemoryStore::new()), signer()));
        let alm = (self.alm)(alm).build();
        let api = Api::new(alm.clone()).metrics(Arc::new(|| Box::pin(async { "requests 1\n".to_owned() })));
        let router = (self.host)((self.api)(api).router());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            serve(listener, router, ServeConfig::default(), std::future::pending()).await;
        });
        tasks.spawn(async move { alm.run(TokioTimer, std::future::pending()).await });
        let anyone = Client::new(format!("http://{address}{}", self.prefix));
        Server { address, anyone, _tasks: tasks }
    }
}

/// What the audit log of the server is signed with.
pub(crate) fn signer() -> Signer {
    Signer::new("alm.example/audit", &[7; 32]).unwrap()
}

/// One may try to log in as often as any test does.
fn lenient() -> LoginLimits {
    let often = Rate { burst: 10_000.try_into().unwrap(), interval: LONG };
    LoginLimits::default().per_account(often).per_account_and_address(often).per_address(often)
}

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    anyone: Client,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// A client without a token.
    pub(crate) fn anyone(&self) -> Client {
        self.anyone.clone()
    }

    /// A client with the role `user`, of the name `ada`.
    pub(crate) fn user(&self) -> Client {
        self.by("ada", Role::User)
    }

    /// A client with the role `admin`, of the name `root`.
    pub(crate) fn admin(&self) -> Client {
        self.by("root", Role::Admin)
    }

    pub(crate) fn by(&self, name: &str, role: Role) -> Client {
        self.with(&Principal::new(Actor::parse(name).unwrap(), role))
    }

    pub(crate) fn with(&self, principal: &Principal) -> Client {
        self.anyone.with_token(token(principal))
    }

    /// Waits until every consumer has handled every event.
    pub(crate) async fn settled(&self) {
        let client = self.anyone();
        eventually("the consumers are done", async || {
            let ready = client.get("/readyz").await.ok(200);
            let done = ready["dependencies"].as_array().unwrap().iter().all(|d| d["lag"].as_u64().unwrap_or(0) == 0);
            done.then_some(())
        })
        .await;
    }

    /// The whole event log, which is gapless and in order.
    pub(crate) async fn events(&self) -> Vec<serde_json::Value> {
        let events = self.admin().all("/events?limit=200").await;
        for (place, event) in events.iter().enumerate() {
            assert_eq!(event["sequence"], format!("{:020}", place + 1), "the log has a gap");
        }
        events
    }

    /// Type and subject of every event, in their order.
    pub(crate) async fn story(&self) -> Vec<String> {
        let events = self.events().await;
        events
            .iter()
            .map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["subject"].as_str().unwrap()))
            .collect()
    }
}

pub(crate) fn jwt() -> Jwt {
    Jwt::hs256(SECRET, "alm", "alm").unwrap()
}

/// A token of `principal` that counts for an hour.
pub(crate) fn token(principal: &Principal) -> String {
    let now = SystemClock.now();
    let claims = TokenClaims {
        id: SystemIds.uuid_v7(),
        principal: principal.clone(),
        issued_at: now,
        expires_at: now.plus_seconds(3600),
    };
    futures_util::FutureExt::now_or_never(jwt().issue(&claims)).expect("signing waits for nothing").unwrap()
}
