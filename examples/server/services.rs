//! The services: all of them in one process, or some of them with the others elsewhere.

use std::{error::Error, sync::Arc, time::Duration};

use alm_bus_nats::NatsBus;
use alm_core::{
    Alm, AlmBuilder,
    changeset::ConsumerName,
    domain::{Password, Services, SourceService},
    ports::TokioTimer,
    runtime::Retention,
};
use alm_http::{
    Api,
    auth::{Argon2Hasher, Jwt, NoCommonPasswords, SystemSecrets},
    directory::HttpDirectory,
    metrics_router,
};
use tokio::sync::oneshot;

use crate::{
    audit,
    run::Process,
    settings::Settings,
    storage::{Storage, own_secret, random},
    telemetry,
};

/// How long the consumers may take to handle what is left when the server stops.
const FLUSH: Duration = Duration::from_secs(5);
/// And how long the store may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// Runs `services` until the process is terminated.
pub(crate) async fn run(
    mut process: Process,
    settings: &Settings,
    services: Services,
    given: Option<Jwt>,
    terminated: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let storage = Storage::open(settings).await?;
    process.metrics = telemetry::with_storage(process.metrics, storage.clone());
    let jwt = Arc::new(match given {
        Some(jwt) => jwt,
        None => jwt(settings, &own_secret(&settings.db_url)?)?,
    });
    if let Some(jwks) = &settings.jwks {
        // Whether the issuer answers now does not matter.
        jwks.prefetch();
    }
    let bus = connected(settings).await?;
    let mut alm = built(settings, services, &storage, Some(&jwt), bus.clone());
    if services.has(SourceService::AuditService)
        && let Some(tree) = audit::key::tree(settings, &storage, bus.as_ref()).await?
    {
        alm = alm.audit_tree(tree);
    }
    let alm = alm.build();
    if services.has(SourceService::AuthService) {
        first_account(&alm, settings).await?;
    }

    let mut api = Api::new(alm.clone())
        .readiness(process.readiness.clone())
        .cors_origins(settings.cors_origins.clone())
        .trusted_proxies(settings.trusted_proxies.clone());
    if settings.metrics_port.is_none() {
        api = api.metrics(process.metrics.clone());
    }
    let open = process.open(settings, api.router(), |metrics| metrics_router(alm.clone(), metrics)).await?;
    let (stop_consumers, consumers_stop) = oneshot::channel::<()>();
    let mut consumers = {
        let alm = alm.clone();
        tokio::spawn(async move { alm.run(TokioTimer, async { drop(consumers_stop.await) }).await })
    };

    let verifying = async {
        if services.has(SourceService::AuditService) {
            audit::watch::keep_verifying(settings, &storage).await
        } else {
            std::future::pending().await
        }
    };
    let mut have_ended = false;
    let ended = tokio::select! {
        () = terminated => Ok(()),
        // It goes on for ever, unless the keys can't be read.
        ended = verifying => ended.map_err(|error| error.to_string()),
        // They end when they are told to, so this is a bug: without them the audit log would stand still unseen.
        ended = &mut consumers => {
            have_ended = true;
            Err(format!("the consumers have ended: {ended:?}"))
        }
    };
    // Whatever the reason, what runs comes to its end.
    open.close().await?;
    if !have_ended {
        // No one changes anything any more, so the consumers can come to an end.
        if tokio::time::timeout(FLUSH, drained(&alm)).await.is_err() {
            tracing::warn!("some events have not been handled; they will be at the next start of a durable store");
        }
        drop(stop_consumers);
        consumers.await?;
    }
    if let Some(bus) = bus {
        bus.close().await;
    }
    if tokio::time::timeout(CLOSE, storage.close()).await.is_err() {
        tracing::warn!("the store takes long to close; what was acknowledged is kept");
    }
    tracing::info!("stopped");
    Ok(ended?)
}

/// ALM over `storage`, as the settings say.
pub(crate) fn built(
    settings: &Settings,
    services: Services,
    storage: &Storage,
    jwt: Option<&Arc<Jwt>>,
    bus: Option<NatsBus>,
) -> AlmBuilder {
    let mut alm = Alm::builder(storage.store())
        .services(services)
        .password_hasher(Arc::new(Argon2Hasher::default()))
        .password_policy(Arc::new(NoCommonPasswords))
        .secrets(Arc::new(SystemSecrets))
        .token_seconds(settings.jwt_ttl_secs)
        .session_seconds(settings.session_ttl_secs)
        .auto_deploy(settings.auto_deploy.0.clone())
        .retention(retention(settings.log_retention_days));
    if let Some(jwt) = jwt {
        alm = alm.authenticator(jwt.clone()).token_issuer(jwt.clone());
        if let Some(directory) = directory(settings, jwt) {
            alm = alm.directory(Arc::new(directory));
        }
    }
    if let Some(bus) = bus {
        alm = alm.bus(Arc::new(bus));
        if let Some(name) = inbox(services) {
            alm = alm.inbox(name);
        }
    }
    alm
}

/// The name that a process which runs these services reads the bus under. One that runs all of them has nothing to hear.
fn inbox(services: Services) -> Option<ConsumerName> {
    if services == Services::ALL { None } else { ConsumerName::parse(services.to_string().replace(',', "-")).ok() }
}

/// Who is asked for apps and versions that are not here.
fn directory(settings: &Settings, jwt: &Arc<Jwt>) -> Option<HttpDirectory> {
    let (app, version) = (settings.app_url.clone(), settings.version_url.clone());
    (app.is_some() || version.is_some()).then(|| HttpDirectory::new(app, version, jwt.clone()))
}

/// The bus, if there is one. Whether it can be reached now does not matter.
pub(crate) async fn connected(settings: &Settings) -> Result<Option<NatsBus>, Box<dyn Error>> {
    let Some(options) = settings.nats.clone() else { return Ok(None) };
    match NatsBus::connect(options.name(format!("alm {}", settings.services))).await {
        Ok(bus) => Ok(Some(bus)),
        Err(error) => {
            let source = Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Err(format!("NATS_URL: {source}").into())
        }
    }
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

/// What tokens are signed with and checked by, if the settings say so.
pub(crate) fn given_jwt(settings: &Settings) -> Result<Option<Jwt>, Box<dyn Error>> {
    settings.jwt_secret.as_ref().map(|secret| jwt(settings, secret.expose())).transpose()
}

fn jwt(settings: &Settings, secret: &str) -> Result<Jwt, Box<dyn Error>> {
    let jwt = Jwt::hs256(secret.as_bytes(), &settings.jwt_issuer, &settings.jwt_audience)
        .map_err(|error| format!("JWT_SECRET: {error}"))?;
    let jwt = jwt.also_accepting(settings.jwt_also_accepted.iter().cloned());
    let jwt = jwt.map_err(|error| format!("JWT_PUBLIC_KEY: {error}"))?;
    Ok(match settings.jwks.clone() {
        Some(jwks) => jwt.with_jwks(jwks),
        None => jwt,
    })
}

/// Makes the account `admin` when there is no account, and says its password when it was made here.
async fn first_account(alm: &Alm, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let (password, made) = match &settings.admin_password {
        Some(password) => (password.expose().to_owned(), false),
        None => (random(18)?, true),
    };
    let parsed = Password::parse(&*password).map_err(|rejected| format!("ADMIN_PASSWORD {rejected}"))?;
    let created = alm.accounts().ensure_admin(&parsed).await.map_err(|error| match error {
        alm_core::Error::Invalid(invalid) => {
            let why = invalid.into_errors().into_iter().map(|error| error.detail).collect::<Vec<_>>();
            Box::<dyn Error>::from(format!("ADMIN_PASSWORD {}", why.join("; ")))
        }
        error => error.into(),
    })?;
    if created && made {
        // Not to the log, which is kept: this is said once, to whoever started the server.
        eprintln!("The first account is admin, its password is {password}");
    }
    Ok(())
}
