//! The URL of NATS: `nats://[user:password@|token@]host[:port][,host[:port]…][?name=value&…]`, or `tls://…`.

use async_nats::ServerAddr;
use url::form_urlencoded;

use crate::options::{Credentials, NatsOptions, OptionsError};

const PORT: u16 = 4222;

pub(crate) fn parse(url: &str) -> Result<NatsOptions, OptionsError> {
    let (rest, tls) = match url.split_once("://") {
        Some(("nats", rest)) => (rest, false),
        Some(("tls", rest)) => (rest, true),
        _ => return Err(invalid("must begin with nats:// or tls://")),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (identity, hosts) = match rest.rsplit_once('@') {
        Some((identity, hosts)) => (Some(identity), hosts),
        None => (None, rest),
    };
    let servers = hosts.split(',').map(|host| server(host, tls)).collect::<Result<Vec<_>, _>>()?;
    let mut options = NatsOptions::of(servers, tls);
    if let Some(identity) = identity {
        options.credentials = match identity.split_once(':') {
            Some((user, password)) => Credentials::Password { user: decoded(user)?, password: decoded(password)? },
            None => Credentials::Token(decoded(identity)?),
        };
    }
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        options = with(options, &name, value.into_owned())?;
    }
    Ok(options)
}

/// The parameters of the URL. An unknown one is refused: a setting that is misspelt must not be missed.
fn with(options: NatsOptions, name: &str, value: String) -> Result<NatsOptions, OptionsError> {
    let number = |value: &str| value.parse().map_err(|_| invalid(format!("has a {name} that is not a number")));
    let seconds = |value: &str| number(value).map(std::time::Duration::from_secs);
    Ok(match name {
        "credentials" => options.credentials_file(value),
        "nkey" => options.nkey_file(value),
        "tls_ca" => options.root_certificates(value),
        "tls_cert" => NatsOptions { client_certificate: Some(value.into()), ..options },
        "tls_key" => NatsOptions { client_key: Some(value.into()), ..options },
        "stream" => options.stream(value),
        "subject_prefix" => options.subject_prefix(value),
        "replicas" => options.replicas(usize::try_from(number(&value)?).unwrap_or(usize::MAX)),
        "max_bytes" => options.max_bytes(number(&value)?),
        "max_age_secs" => options.max_age(seconds(&value)?),
        "duplicate_window_secs" => options.duplicate_window(seconds(&value)?),
        "ack_wait_secs" => options.ack_wait(seconds(&value)?),
        _ => {
            let known = "credentials, nkey, tls_ca, tls_cert, tls_key, stream, subject_prefix, replicas, max_bytes, max_age_secs, \
                         duplicate_window_secs, ack_wait_secs";
            return Err(invalid(format!("has a parameter that is not known; there are {known}")));
        }
    })
}

fn server(host: &str, tls: bool) -> Result<ServerAddr, OptionsError> {
    let scheme = if tls { "tls" } else { "nats" };
    let broken = || invalid("must have hosts as in host:port, with commas between");
    // What else there is in the URL of a server was looked at before.
    if host.is_empty() || host.contains(['/', '@', '#', '\\']) || host.contains(char::is_whitespace) {
        return Err(broken());
    }
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let port = if after_address.contains(':') { String::new() } else { format!(":{PORT}") };
    let server: ServerAddr = format!("{scheme}://{host}{port}").parse().map_err(|_| broken())?;
    if server.host().is_empty() { Err(broken()) } else { Ok(server) }
}

/// With `%40` for `@`, and so on.
fn decoded(text: &str) -> Result<String, OptionsError> {
    let broken = || invalid("has a user, password or token that is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok()).ok_or_else(broken)?;
            bytes.push(u8::from_str_radix(code, 16).map_err(|_| broken())?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

// The URL itself is not told: it may hold a secret.
fn invalid(why: impl Into<String>) -> OptionsError {
    OptionsError::new("the URL of NATS", why)
}
