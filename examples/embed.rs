//! ALM in a service of one's own: its API below `/alm`, beside the service's own routes; its use cases called from them; and a
//! consumer of the service's own that hears of every deployment that becomes successful.
//!
//! `cargo run --example embed`, then `curl -X POST 'http://127.0.0.1:3000/release/billing/v1.2.0'`.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use alm_core::{
    Alm, Context, Principal,
    changeset::ConsumerName,
    domain::{AppName, DeploymentStatus, Event, EventData, NewApp, NewDeployment, NewVersion},
    ports::{AppFilter, TokioTimer},
    runtime::{HandleError, Handled, Handler, HandlerContext},
    services::{Limit, Precondition},
};
use alm_http::auth::{Argon2Hasher, Jwt, SystemSecrets};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};

/// Says what has been deployed. Its checkpoint is kept in the store, so on a durable store it misses nothing.
struct Announcer;

#[async_trait]
impl Handler for Announcer {
    fn name(&self) -> ConsumerName {
        ConsumerName::parse("announcer").expect("the name is a valid one")
    }

    async fn handle(&self, events: &[Arc<Event>], _cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        for event in events {
            if let EventData::DeploymentUpdated(update) = &event.data
                && update.deployment.status == DeploymentStatus::Successful
            {
                println!("version {} runs in {}", update.deployment.version_id, update.deployment.environment);
            }
        }
        Ok(Handled::nothing(events.len()))
    }
}

/// A route of the service's own that calls ALM's use cases.
async fn release(
    State(alm): State<Alm>,
    Path((name, tag)): Path<(String, String)>,
) -> Result<(StatusCode, String), (StatusCode, String)> {
    match try_release(&alm, name, tag).await {
        Ok(said) => Ok((StatusCode::CREATED, said)),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n"))),
    }
}

async fn try_release(alm: &Alm, name: String, tag: String) -> Result<String, Box<dyn Error + Send + Sync>> {
    let me = Context::new(Principal::system());
    let filter = AppFilter { name: Some(AppName::parse(&*name)?), ..AppFilter::default() };
    let known = alm.apps().list(&me, &filter, None, Limit::default()).await?.items.pop();
    let app = match known {
        Some(app) => app,
        None => alm.apps().create(&me, NewApp::parse(name, String::new(), BTreeMap::new())?).await?.value,
    };
    let version = NewVersion::parse(app.id, tag, String::new(), BTreeMap::new())?;
    let version = alm.versions().create(&me, version).await?.value;
    let deployment = NewDeployment::parse(version.id, None, "prod".into())?;
    let deployment = alm.deployments().create(&me, deployment).await?.value;
    alm.deployments().set_status(&me, deployment.id, DeploymentStatus::Successful, &Precondition::none()).await?;
    Ok(format!("released {} {} as deployment {}\n", app.name, version.tag, deployment.id))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A service that keeps its tokens over a restart reads the secret from where it keeps its others.
    let mut secret = [0; 48];
    getrandom::fill(&mut secret)?;
    let jwt = Arc::new(Jwt::hs256(&secret, "my-service", "my-service")?);
    let alm = Alm::builder(Arc::new(MemoryStore::new()))
        .authenticator(jwt.clone())
        .token_issuer(jwt)
        .password_hasher(Arc::new(Argon2Hasher::default()))
        .secrets(Arc::new(SystemSecrets))
        .handler(Arc::new(Announcer))
        .build();

    let service = Router::new()
        .route("/", get(async || "my own service\n"))
        .route("/release/{app}/{tag}", post(release))
        .nest("/alm", alm_http::router(alm.clone()))
        .with_state(alm.clone());

    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}, ALM below /alm", listener.local_addr()?);
    let stop = async || drop(tokio::signal::ctrl_c().await);
    let consumers = tokio::spawn(async move { alm.run(TokioTimer, stop()).await });
    axum::serve(listener, service).with_graceful_shutdown(stop()).await?;
    consumers.await?;
    Ok(())
}
