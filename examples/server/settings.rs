//! The settings: each an environment variable and a flag of the same name.

#![expect(clippy::doc_markdown, reason = "these doc comments are the text of --help, which is not Markdown")]

use std::{fmt, fs, net::IpAddr, path::PathBuf, str::FromStr};

use alm_bus_nats::{NatsOptions, OptionsError};
use alm_core::{
    domain::{EnvironmentName, Rejected, Services},
    tlog::Verifier,
};
use alm_http::{
    CorsOrigins, TrustedProxies,
    auth::{InvalidJwks, InvalidPublicKey, Jwks, VerifyingKey, WeakSecret},
    upstream::BaseUrl,
};
use clap::{Args, ValueEnum};

use crate::{commands::verifier, storage::DbUrl};

#[derive(Args)]
pub(crate) struct Settings {
    /// The port to listen on; 0: any that is free
    #[arg(long, env, default_value_t = 8080, global = true)]
    pub(crate) port: u16,
    /// The address to listen on
    #[arg(long, env, default_value = "127.0.0.1", value_name = "ADDRESS", global = true)]
    pub(crate) bind: IpAddr,
    /// A file with the certificate of this server, in PEM, followed by those that lead to its authority: speaks TLS, and nothing but TLS,
    /// on PORT. It is read again each minute and at SIGHUP (docs/edge.md)
    #[arg(long, env, value_name = "FILE", global = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The file with its private key, in PEM
    #[arg(long, env, value_name = "FILE", global = true)]
    pub(crate) tls_key: Option<PathBuf>,
    /// The proxies before this server, addresses and networks such as 10.0.0.0/8, separated by commas; by default none. They are believed
    /// when they say in Forwarded or X-Forwarded-For whom they pass a request on for. For a service: the gateway's (docs/edge.md)
    #[arg(long, env, value_name = "ADDRESSES", default_value = "", hide_default_value = true, global = true)]
    pub(crate) trusted_proxies: TrustedProxies,
    /// The origins whose pages may call the API from a browser, such as https://alm.example.com, separated by commas; none unless given
    #[arg(long, env, value_name = "ORIGINS", default_value = "", hide_default_value = true, global = true)]
    pub(crate) cors_origins: CorsOrigins,
    /// Where everything is kept: sqlite:PATH, postgres://USER:PASSWORD@HOST/DATABASE, or memory: until the process ends
    /// [default: sqlite:alm.db]
    #[arg(long = "db-url", env = "DB_URL", hide_env_values = true, value_name = "URL", global = true)]
    given_db_url: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    db_url_file: Option<PathBuf>,
    // Parsed apart: what clap refuses it repeats, and a URL may hold a password.
    #[arg(skip)]
    pub(crate) db_url: DbUrl,
    /// How many connections to PostgreSQL are open at most
    #[arg(long, env, default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000), global = true)]
    pub(crate) db_max_connections: u32,
    /// Whether to bring the schema of the store up to date at start
    #[arg(long, env, default_value = "auto", global = true)]
    pub(crate) migrate: Migrate,
    /// The secret that tokens are signed with, 32 bytes or more; unless given, one is made and kept beside the database
    #[arg(long, env, hide_env_values = true, value_name = "SECRET", global = true)]
    pub(crate) jwt_secret: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// The secret before this one (or, while the services learn of it one by one, the next): tokens signed with it count, but none is
    /// (docs/tokens.md)
    #[arg(long, env, hide_env_values = true, value_name = "SECRET", global = true)]
    jwt_secret_previous: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    jwt_secret_previous_file: Option<PathBuf>,
    /// Public keys in PEM, one block after the other, RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA): tokens that another issuer has signed
    /// with theirs count, too. This server goes on to sign its own with JWT_SECRET
    #[arg(long, env, hide_env_values = true, allow_hyphen_values = true, value_name = "PEM", global = true)]
    jwt_public_key: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    jwt_public_key_file: Option<PathBuf>,
    // Parsed apart: what clap refuses it repeats.
    #[arg(skip)]
    pub(crate) jwt_also_accepted: Vec<VerifyingKey>,
    /// Where another issuer publishes such keys (JWKS), https://… (http://… on this machine): they are fetched when they are needed
    /// (docs/tokens.md)
    #[arg(long, env, value_name = "URL", global = true)]
    jwt_jwks_url: Option<String>,
    /// Certificates in PEM of the authorities that may vouch for that URL; unless given, those that this machine trusts
    #[arg(long, env, hide_env_values = true, allow_hyphen_values = true, value_name = "PEM", global = true)]
    jwt_jwks_ca: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    jwt_jwks_ca_file: Option<PathBuf>,
    #[arg(skip)]
    pub(crate) jwks: Option<Jwks>,
    /// Who issues the tokens (their iss)
    #[arg(long, env, default_value = "alm", value_name = "NAME", global = true)]
    pub(crate) jwt_issuer: String,
    /// Whom the tokens are for (their aud)
    #[arg(long, env, default_value = "alm", value_name = "NAME", global = true)]
    pub(crate) jwt_audience: String,
    /// For how many seconds a token counts
    #[arg(long, env, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=31_536_000), global = true)]
    pub(crate) jwt_ttl_secs: u32,
    /// After how many seconds one has to log in again, however often the token was refreshed
    #[arg(long, env, default_value_t = 2_592_000, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=315_360_000), global = true)]
    pub(crate) session_ttl_secs: u32,
    /// The password of the first account, admin; unless given, one is made at the first start and printed once
    #[arg(long, env, hide_env_values = true, value_name = "PASSWORD", global = true)]
    pub(crate) admin_password: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    pub(crate) admin_password_file: Option<PathBuf>,
    /// Environments to which each new version is deployed (pending) by itself, separated by commas
    #[arg(long, env, value_name = "NAMES", default_value = "", hide_default_value = true, global = true)]
    pub(crate) auto_deploy: Environments,
    /// For how many days events stay in the event log at least; 0: for ever. The audit log is always kept
    #[arg(long, env, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500), global = true)]
    pub(crate) log_retention_days: u32,
    /// Serves /metrics on this port instead, without TLS
    #[arg(long, env, value_name = "PORT", global = true)]
    pub(crate) metrics_port: Option<u16>,
    /// The address of METRICS_PORT: what it tells is for whoever looks after the server
    #[arg(long, env, default_value = "127.0.0.1", value_name = "ADDRESS", global = true)]
    pub(crate) metrics_bind: IpAddr,
    /// What to log: error, warn, info, debug, trace, or a filter such as info,alm_core=debug
    #[arg(long, env, default_value = "info", value_name = "FILTER", global = true)]
    pub(crate) log: String,
    /// Where a collector takes traces by OTLP over HTTP, such as http://localhost:4318; unless given, none are sent. For a server that was
    /// built with --features otlp
    #[arg(long, env, value_name = "URL", global = true)]
    pub(crate) otel_exporter_otlp_endpoint: Option<String>,
    /// What this process runs: all; or some of app, version, deployment, audit, auth, separated by commas, while the others run
    /// elsewhere; or gateway alone
    #[arg(long, env, default_value = "all", value_name = "NAMES", global = true)]
    pub(crate) services: Runs,
    /// The bus to the other services, nats://[USER:PASSWORD@]HOST:PORT[,HOST:PORT] or tls://…; unless given, events stay in the
    /// process. Options follow a question mark: ?credentials=FILE&replicas=3 (docs/nats.md)
    #[arg(long = "nats-url", env = "NATS_URL", hide_env_values = true, value_name = "URL", global = true)]
    given_nats_url: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    nats_url_file: Option<PathBuf>,
    // Parsed apart, as DB_URL is.
    #[arg(skip)]
    pub(crate) nats: Option<NatsOptions>,
    /// The key that the audit log is signed with (make one with: server audit new-key); unless given, one is made and kept beside the
    /// database, or with PostgreSQL the audit log is not signed
    #[arg(long, env, hide_env_values = true, value_name = "KEY", global = true)]
    pub(crate) audit_key: Option<Secret>,
    #[arg(long, env, hide = true, value_name = "FILE", global = true)]
    pub(crate) audit_key_file: Option<PathBuf>,
    /// Public keys of the audit log that were in use before AUDIT_KEY, separated by commas
    #[arg(long, env, value_name = "KEYS", value_delimiter = ',', value_parser = verifier, global = true)]
    pub(crate) audit_earlier_keys: Vec<Verifier>,
    /// A file to which each checkpoint of the audit log is appended, best on another machine
    #[arg(long, env, value_name = "FILE", global = true)]
    pub(crate) audit_checkpoint_file: Option<PathBuf>,
    /// A subject of NATS on which each checkpoint of the audit log is published, and which a stream keeps (docs/nats.md)
    #[arg(long, env, value_name = "SUBJECT", global = true)]
    pub(crate) audit_checkpoint_subject: Option<String>,
    /// Verifies the whole audit log once in so many hours, and reports it as a metric; 0: never
    #[arg(long, env, default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(0..=8760), global = true)]
    pub(crate) audit_verify_hours: u32,
    /// Where the app service answers: for the gateway, and for a version service that asks for an app
    #[arg(long, env, value_name = "URL", global = true)]
    pub(crate) app_url: Option<BaseUrl>,
    /// Where the version service answers: for the gateway, and for a deployment service that asks for a version
    #[arg(long, env, value_name = "URL", global = true)]
    pub(crate) version_url: Option<BaseUrl>,
    /// Where the deployment service answers, for the gateway
    #[arg(long, env, value_name = "URL", global = true)]
    pub(crate) deployment_url: Option<BaseUrl>,
    /// Where the audit service answers, for the gateway
    #[arg(long, env, value_name = "URL", global = true)]
    pub(crate) audit_url: Option<BaseUrl>,
}

/// A text that `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Migrate {
    /// Yes
    Auto,
    /// No: refuse to start on an old one
    Never,
}

/// What a process runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    Gateway,
    Services(Services),
}

impl FromStr for Runs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "gateway" {
            return Ok(Self::Gateway);
        }
        text.parse().map(Self::Services).map_err(|rejected: Rejected| format!("{}, or gateway alone", rejected.detail))
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("gateway"),
            Self::Services(Services::ALL) => f.write_str("all"),
            Self::Services(services) => services.fmt(f),
        }
    }
}

/// Names of environments, separated by commas; none in an empty text.
#[derive(Clone)]
pub(crate) struct Environments(pub(crate) Vec<EnvironmentName>);

impl FromStr for Environments {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let parsed = names.map(|name| EnvironmentName::parse(name).map_err(|rejected| format!("'{name}' {rejected}")));
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

impl Settings {
    /// Reads what files hold, and checks all of it; `is_server` unless it is for a command.
    pub(crate) fn complete(&mut self, is_server: bool) -> Result<(), String> {
        from_file("JWT_SECRET", &mut self.jwt_secret, self.jwt_secret_file.as_ref())?;
        self.also_accept()?;
        from_file("ADMIN_PASSWORD", &mut self.admin_password, self.admin_password_file.as_ref())?;
        from_file("AUDIT_KEY", &mut self.audit_key, self.audit_key_file.as_ref())?;
        from_file("DB_URL", &mut self.given_db_url, self.db_url_file.as_ref())?;
        if let Some(url) = &self.given_db_url {
            self.db_url = url.expose().parse().map_err(|reason| format!("DB_URL: {reason}"))?;
        }
        from_file("NATS_URL", &mut self.given_nats_url, self.nats_url_file.as_ref())?;
        if let Some(url) = &self.given_nats_url {
            let options = url.expose().parse();
            self.nats = Some(options.map_err(|error: OptionsError| format!("NATS_URL: {error}"))?);
        }
        self.fit_together(is_server)
    }

    /// Reads the keys that tokens are checked by besides `JWT_SECRET`.
    fn also_accept(&mut self) -> Result<(), String> {
        from_file("JWT_SECRET_PREVIOUS", &mut self.jwt_secret_previous, self.jwt_secret_previous_file.as_ref())?;
        if let Some(secret) = &self.jwt_secret_previous {
            let key = VerifyingKey::hs256(secret.expose().as_bytes());
            self.jwt_also_accepted.push(key.map_err(|error: WeakSecret| format!("JWT_SECRET_PREVIOUS: {error}"))?);
        }
        from_file("JWT_PUBLIC_KEY", &mut self.jwt_public_key, self.jwt_public_key_file.as_ref())?;
        if let Some(pem) = &self.jwt_public_key {
            let keys = VerifyingKey::from_pem(pem.expose());
            self.jwt_also_accepted.extend(keys.map_err(|error: InvalidPublicKey| format!("JWT_PUBLIC_KEY: {error}"))?);
        }
        from_file("JWT_JWKS_CA", &mut self.jwt_jwks_ca, self.jwt_jwks_ca_file.as_ref())?;
        let authorities = self.jwt_jwks_ca.as_ref().map(Secret::expose);
        match &self.jwt_jwks_url {
            Some(url) => {
                let jwks = Jwks::new(url, authorities).map_err(|error| match error {
                    InvalidJwks::NoCertificates => format!("JWT_JWKS_CA: {error}"),
                    error => format!("JWT_JWKS_URL: {error}"),
                });
                self.jwks = Some(jwks?);
            }
            None if authorities.is_some() => return Err("JWT_JWKS_CA is set, but JWT_JWKS_URL is not".to_owned()),
            None => {}
        }
        Ok(())
    }

    /// Settings that are right, each by itself, may still say together what can't have been meant.
    fn fit_together(&self, is_server: bool) -> Result<(), String> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return Err("TLS_CERT is set, so TLS_KEY must name the file of its key".to_owned()),
            (None, Some(_)) => {
                return Err("TLS_KEY is set, so TLS_CERT must name the file of its certificate".to_owned());
            }
            _ => {}
        }
        let urls = [
            ("APP_URL", &self.app_url),
            ("VERSION_URL", &self.version_url),
            ("DEPLOYMENT_URL", &self.deployment_url),
            ("AUDIT_URL", &self.audit_url),
        ];
        match self.services {
            Runs::Gateway => match urls.iter().find(|(_, url)| url.is_none()) {
                Some((name, _)) if is_server => Err(format!("SERVICES is gateway, so {name} must say where it passes on to")),
                _ => Ok(()),
            },
            Runs::Services(Services::ALL) => match urls.iter().find(|(_, url)| url.is_some()) {
                Some((name, _)) => Err(format!("{name} is set, but this process runs every service: set SERVICES, or unset {name}")),
                None => Ok(()),
            },
            Runs::Services(_) if is_server && self.nats.is_none() => {
                Err("SERVICES names some services only, so NATS_URL must say how they hear of the others".to_owned())
            }
            Runs::Services(_) if is_server && self.jwt_secret.is_none() => {
                Err("SERVICES names some services only, so JWT_SECRET must be set, to the same for all of them; make one with: \
                     openssl rand -base64 48"
                    .to_owned())
            }
            Runs::Services(_) => Ok(()),
        }
    }
}

/// Reads a secret from the file that `NAME_FILE` names.
fn from_file(name: &str, secret: &mut Option<Secret>, file: Option<&PathBuf>) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    if secret.is_some() {
        return Err(format!("{name} and {name}_FILE are both set: unset one of them"));
    }
    let text =
        fs::read_to_string(file).map_err(|error| format!("{name}_FILE: cannot read {}: {error}", file.display()))?;
    // An editor ends a file with a line break, which is not part of the secret.
    *secret = Some(Secret(text.trim_end_matches(['\r', '\n']).to_owned()));
    Ok(())
}
