//! The URL of a database: what may stand in it, so that nothing in it is silently without effect.

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use url::Url;

const FORM: &str = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/// What stands in the URL for `sqlx`; all other parameters but `schema` are refused.
const PARAMETERS: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// What a URL says.
pub(crate) struct Target {
    pub(crate) connect: PgConnectOptions,
    pub(crate) schema: Option<String>,
}

/// Reads a URL. The error says what is wrong, and repeats nothing that may be a password.
pub(crate) fn parse(text: &str) -> Result<Target, String> {
    let mut url = Url::parse(text).map_err(|error| {
        format!("it can't be read as {FORM}: {error}; in a password, write / as %2F, # as %23, ? as %3F, % as %25")
    })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(format!("it must have the form {FORM}"));
    }
    let pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let value = |name: &str| pairs.iter().rev().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    // Asked first: without a user, what comes further on may be a part of a password.
    if url.username().is_empty() && value("user").is_none_or(str::is_empty) {
        return Err(format!("it names no user: write {FORM}"));
    }
    if url.fragment().is_some() {
        return Err("it has a #: in a password, write %23".to_owned());
    }
    let known = |name: &str| PARAMETERS.contains(&name) || name == "schema";
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !known(name)) {
        return Err(format!("{name:?} is no parameter: there are schema, {}", PARAMETERS.join(", ")));
    }
    check_files(value("sslmode"), value("sslrootcert"), value("sslcert"), value("sslkey"))?;

    let schema = value("schema").map(str::to_owned);
    let passed_on: Vec<_> = pairs.iter().filter(|(name, _)| name != "schema").collect();
    if passed_on.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(passed_on);
    }
    let connect = PgConnectOptions::from_url(&url).map_err(|error| error.to_string())?;
    check_mode(connect.get_ssl_mode())?;
    Ok(Target { connect, schema })
}

fn check_mode(mode: PgSslMode) -> Result<(), String> {
    match mode {
        // sqlx adds sslrootcert to the public authorities, so any of their certificates would do, whoever has it.
        PgSslMode::VerifyCa => Err("sslmode=verify-ca would accept a certificate for any host: use verify-full".into()),
        // sqlx never tries TLS then.
        PgSslMode::Allow => Err("sslmode=allow is not supported: use prefer".into()),
        PgSslMode::Require | PgSslMode::VerifyFull if !cfg!(feature = "tls") => {
            Err("sslmode asks for TLS, and alm-store-postgres was built without its feature tls".into())
        }
        _ => Ok(()),
    }
}

/// Whether the files of TLS are there, and are used at all.
fn check_files(
    mode: Option<&str>,
    root: Option<&str>,
    certificate: Option<&str>,
    key: Option<&str>,
) -> Result<(), String> {
    if root.is_some() && mode != Some("verify-full") {
        return Err("sslrootcert has an effect with sslmode=verify-full only: say so, too".into());
    }
    if certificate.is_some() != key.is_some() {
        return Err("sslcert and sslkey come together".into());
    }
    if certificate.is_some() && !matches!(mode, Some("require" | "verify-full")) {
        return Err("sslcert and sslkey have an effect in TLS only: add sslmode=verify-full".into());
    }
    for (name, path) in [("sslrootcert", root), ("sslcert", certificate), ("sslkey", key)] {
        let Some(path) = path else { continue };
        let pem = std::fs::read_to_string(path).map_err(|error| format!("{name}: cannot read {path}: {error}"))?;
        let label = if name == "sslkey" { "PRIVATE KEY-----" } else { "-----BEGIN CERTIFICATE-----" };
        if !pem.contains(label) {
            let kind = if name == "sslkey" { "private key" } else { "certificate" };
            return Err(format!("{name}: there is no {kind} in PEM in {path}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match parse(url) {
            Err(why) => why,
            Ok(_) => panic!("{url} must be refused"),
        }
    }

    #[test]
    fn a_url_says_all_there_is_to_say() {
        let target = parse("postgres://alm:p%40ss@db.example:6543/main?schema=app&application_name=a%20b").unwrap();
        assert_eq!(target.schema.as_deref(), Some("app"));
        let connect = target.connect;
        assert_eq!((connect.get_host(), connect.get_port()), ("db.example", 6543));
        assert_eq!((connect.get_username(), connect.get_database()), ("alm", Some("main")));
        assert_eq!(connect.get_application_name(), Some("a b"));

        let target = parse("postgresql:///main?host=/run/postgresql&user=alm").unwrap();
        assert_eq!(target.connect.get_socket().unwrap().to_str(), Some("/run/postgresql"));
        assert_eq!((target.connect.get_username(), target.schema), ("alm", None));
    }

    #[test]
    fn what_would_be_without_effect_is_refused() {
        for (parameters, why) in [
            ("sslmod=verify-full", "\"sslmod\" is no parameter"),
            ("connect_timeout=3", "\"connect_timeout\" is no parameter"),
            ("sslmode=verify_full", "sslmode"),
            ("sslmode=verify-ca", "verify-full"),
            ("sslmode=allow", "prefer"),
            ("sslrootcert=/dev/null", "sslmode=verify-full"),
            ("sslmode=require&sslrootcert=/dev/null", "sslmode=verify-full"),
            ("sslmode=verify-full&sslcert=/dev/null", "together"),
            ("sslcert=/dev/null&sslkey=/dev/null", "sslmode=verify-full"),
            ("sslmode=verify-full&sslrootcert=/no/such/file", "cannot read /no/such/file"),
            ("sslmode=verify-full&sslrootcert=/dev/null", "no certificate"),
            ("sslmode=verify-full&sslcert=/dev/null&sslkey=/dev/null", "no certificate"),
            ("port=many", "digit"),
        ] {
            let told = refusal(&format!("postgres://alm@localhost/alm?{parameters}"));
            assert!(told.replace("ssl_mode", "sslmode").contains(why), "{parameters}: {told}");
        }
    }

    #[test]
    fn a_url_without_a_user_is_refused() {
        for url in ["postgres://localhost/alm", "postgres:///alm", "postgres://:hunter2@localhost/alm"] {
            assert!(refusal(url).contains("no user"), "{url}");
        }
    }

    #[test]
    fn no_refusal_repeats_a_password() {
        for url in [
            "postgres://alm:hunter2@localhost:port/alm",
            "postgres://alm:hun/ter2hunter2@localhost/alm",
            "postgres://alm:1?hunter2@localhost/alm",
            "postgres://alm:1/hunter2@localhost/alm",
            "postgres://alm:hunter2@localhost/alm#",
            "postgres://alm:1#hunter2@localhost/alm",
            "postgres://alm:hunter2@/alm",
            "mysql://alm:hunter2@localhost/alm",
            "alm:hunter2@localhost/alm",
            "postgres://alm:hunter2@localhost/alm?sslmode=x",
            "postgres://alm:hunter2%FF@localhost/alm",
            "postgres://alm@localhost/alm?password=hunter2&port=x",
        ] {
            let told = refusal(url);
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
