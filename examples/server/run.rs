//! The server itself.

use std::{error::Error, sync::Arc, time::Duration};

use alm_core::{Alm, domain::Password, ports::TokioTimer, runtime::Retention};
use alm_http::{
    Api, Readiness,
    auth::{Argon2Hasher, Jwt},
    metrics_router,
    serve::{ServeConfig, serve as serve_http},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};

use crate::{
    settings::Settings,
    storage::{Storage, own_secret, random},
    telemetry,
};

/// How long the consumers may take to handle what is left when the server stops.
const FLUSH: Duration = Duration::from_secs(5);

#[tokio::main]
pub(crate) async fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    telemetry::log(&settings.log)?;
    let metrics = telemetry::metrics()?;

    // Before anyone can know that the server is there, and before anything is made that a failed start would leave behind.
    let terminated = terminated()?;
    let given = settings.jwt_secret.as_ref().map(|secret| jwt(settings, secret.expose())).transpose()?;
    let listener = listen(settings, settings.port).await?;
    let storage = Storage::open(settings).await?;
    let jwt = Arc::new(match given {
        Some(jwt) => jwt,
        None => jwt(settings, &own_secret(&settings.db_url)?)?,
    });
    let alm = Alm::builder(storage.store())
        .authenticator(jwt.clone())
        .token_issuer(jwt)
        .password_hasher(Arc::new(Argon2Hasher::default()))
        .token_seconds(settings.jwt_ttl_secs)
        .auto_deploy(settings.auto_deploy.0.clone())
        .retention(retention(settings.log_retention_days))
        .build();

    let (stop, stopping) = watch::channel(false);
    let stopped = |mut stopping: watch::Receiver<bool>| async move {
        // The sender lives until everything has stopped.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    first_account(&alm, settings).await?;
    let readiness = Readiness::default();
    let mut api = Api::new(alm.clone()).readiness(readiness.clone());
    let mut servers = Vec::new();
    match settings.metrics_port {
        None => api = api.metrics(metrics),
        Some(port) => {
            let listener = listen(settings, port).await?;
            tracing::info!(address = %listener.local_addr()?, "metrics");
            let router = metrics_router(alm.clone(), metrics);
            servers.push(tokio::spawn(serve_http(listener, router, ServeConfig::default(), stopped(stopping.clone()))));
        }
    }
    let address = listener.local_addr()?;
    servers.push(tokio::spawn(serve_http(listener, api.router(), ServeConfig::default(), stopped(stopping.clone()))));
    let (stop_consumers, consumers_stop) = oneshot::channel::<()>();
    let mut consumers = {
        let alm = alm.clone();
        tokio::spawn(async move { alm.run(TokioTimer, async { drop(consumers_stop.await) }).await })
    };
    tracing::info!(%address, docs = format!("http://{address}/docs"), "listening");

    tokio::select! {
        () = terminated => {}
        // They end when they are told to, so this is a bug: without them the audit log would stand still unseen.
        ended = &mut consumers => return Err(format!("the consumers have ended: {ended:?}").into()),
    }
    tracing::info!("shutting down");
    readiness.shut_down();
    stop.send_replace(true);
    for server in servers {
        server.await?;
    }
    // No one changes anything any more, so the consumers can come to an end.
    if tokio::time::timeout(FLUSH, drained(&alm)).await.is_err() {
        tracing::warn!("some events have not been handled; they will be at the next start of a durable store");
    }
    drop(stop_consumers);
    consumers.await?;
    storage.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits until every consumer has handled every event.
async fn drained(alm: &Alm) {
    while !matches!(alm.progress().await, Ok(progress) if progress.iter().all(|consumer| consumer.lag() == 0)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Answers that have expired always go, events when they are so many days old; 0: never.
fn retention(days: u32) -> Retention {
    match days {
        0 => Retention::default(),
        days => Retention::default().of_log(Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
    }
}

/// What tokens are signed with and checked by.
fn jwt(settings: &Settings, secret: &str) -> Result<Jwt, Box<dyn Error>> {
    Jwt::hs256(secret.as_bytes(), &settings.jwt_issuer, &settings.jwt_audience)
        .map_err(|error| format!("JWT_SECRET: {error}").into())
}

/// Makes the account `admin` when there is no account, and says its password when it was made here.
async fn first_account(alm: &Alm, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let (password, made) = match &settings.admin_password {
        Some(password) => (password.expose().to_owned(), false),
        None => (random(18)?, true),
    };
    let parsed = Password::parse(&*password).map_err(|rejected| format!("ADMIN_PASSWORD {rejected}"))?;
    if alm.accounts().ensure_admin(&parsed).await? && made {
        // Not to the log, which is kept: this is said once, to whoever started the server.
        eprintln!("The first account is admin, its password is {password}");
    }
    Ok(())
}

async fn listen(settings: &Settings, port: u16) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind((settings.bind, port)).await;
    listener.map_err(|error| format!("cannot listen on {}:{port}: {error}", settings.bind).into())
}

/// Takes the signals from now on; done when one has come.
fn terminated() -> Result<impl Future<Output = ()>, Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
