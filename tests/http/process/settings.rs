use super::{
    keys::{TEST_ONLY_ED25519_PUBLIC, TEST_ONLY_P256_PUBLIC},
    run,
};
use crate::support::SECRET;

fn secret() -> &'static str {
    str::from_utf8(SECRET).unwrap()
}

/// What is wrong stops the start with one line that names it.
#[track_caller]
pub(super) fn refused(arguments: &[&str], settings: &[(&str, &str)], names: &[&str]) {
    let ended = run(arguments, &[&[("PORT", "0")], settings].concat());
    assert!([Some(1), Some(2)].contains(&ended.status.code()), "{:?}", ended.status);
    let [line] = ended.stderr.as_slice() else { panic!("it is not one line: {:?}", ended.stderr) };
    assert!(line.starts_with("error: "), "{line}");
    for name in names {
        assert!(line.contains(name), "{line} does not say {name}");
    }
    assert!(!ended.stdout.iter().any(|line| line.contains("listening")));
}

#[test]
fn a_secret_that_is_too_short_is_refused_and_it_is_said_how_to_make_one() {
    refused(&[], &[("JWT_SECRET", "short")], &["JWT_SECRET", "32", "openssl rand"]);
    refused(&[], &[("JWT_SECRET", "")], &["JWT_SECRET", "32"]);
}

#[test]
fn the_previous_secret_must_be_as_long() {
    refused(&[], &[("JWT_SECRET_PREVIOUS", "short")], &["JWT_SECRET_PREVIOUS", "32"]);
    refused(&[], &[("JWT_SECRET_PREVIOUS_FILE", "/dev/null")], &["JWT_SECRET_PREVIOUS", "32"]);
    let of_another_command = ["token", "--sub", "ci", "--role", "user", "--jwt-secret-previous", "short"];
    refused(&of_another_command, &[("JWT_SECRET", secret())], &["JWT_SECRET_PREVIOUS"]);
}

#[test]
fn a_public_key_is_no_secret() {
    for name in ["JWT_SECRET", "JWT_SECRET_PREVIOUS"] {
        refused(&[], &[(name, TEST_ONLY_P256_PUBLIC)], &[name, "public key"]);
    }
}

#[test]
fn what_is_no_public_key_is_refused_and_not_repeated() {
    for wrong in ["", "hunter2hunter2", "-----BEGIN PUBLIC KEY-----\nhunter2hunter2\n-----END PUBLIC KEY-----"] {
        for (arguments, settings) in [
            (vec![], vec![("JWT_PUBLIC_KEY", wrong)]),
            (vec!["--jwt-public-key", wrong], vec![("JWT_SECRET", secret())]),
        ] {
            let ended = run(&arguments, &[&[("PORT", "0")], settings.as_slice()].concat());
            assert_eq!(ended.status.code(), Some(2));
            let [line] = ended.stderr.as_slice() else { panic!("it is not one line: {:?}", ended.stderr) };
            for said in ["JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----", "RSA", "2048", "P-256", "Ed25519"] {
                assert!(line.contains(said), "{line} does not say {said}");
            }
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
    refused(&[], &[("JWT_PUBLIC_KEY_FILE", "/nowhere/key")], &["JWT_PUBLIC_KEY_FILE", "/nowhere/key"]);
    refused(&[], &[("JWT_PUBLIC_KEY_FILE", "/dev/null")], &["JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----"]);
}

#[test]
fn keys_are_fetched_from_where_no_one_else_can_put_his() {
    for url in ["hunter2", "http://id.example.com/keys", "https://me:hunter2@id.example.com/keys"] {
        let ended = run(&[], &[("PORT", "0"), ("JWT_JWKS_URL", url)]);
        assert_eq!(ended.status.code(), Some(2));
        let [line] = ended.stderr.as_slice() else { panic!("it is not one line: {:?}", ended.stderr) };
        assert!(line.contains("JWT_JWKS_URL") && !line.contains("hunter2"), "{line}");
    }
    let url = ("JWT_JWKS_URL", "https://id.example.com/keys");
    refused(&[], &[url, ("JWT_JWKS_CA", TEST_ONLY_P256_PUBLIC)], &["JWT_JWKS_CA", "-----BEGIN CERTIFICATE-----"]);
    refused(&[], &[url, ("JWT_JWKS_CA_FILE", "/nowhere/ca.pem")], &["JWT_JWKS_CA_FILE", "/nowhere/ca.pem"]);
    refused(&[], &[("JWT_JWKS_CA", TEST_ONLY_P256_PUBLIC)], &["JWT_JWKS_CA", "JWT_JWKS_URL"]);
}

#[test]
fn there_may_be_eight_keys_to_check_tokens_by() {
    let seven = [TEST_ONLY_P256_PUBLIC; 7].concat();
    let too_many = [("JWT_SECRET", secret()), ("JWT_SECRET_PREVIOUS", secret()), ("JWT_PUBLIC_KEY", &seven)];
    refused(&[], &too_many, &["JWT_PUBLIC_KEY", "9", "8"]);
    refused(&[], &[&too_many[1..], &[("SERVICES", "all")]].concat(), &["JWT_PUBLIC_KEY", "9", "8"]);
}

#[test]
fn a_secret_is_given_in_one_way_only() {
    for (name, value) in [("JWT_SECRET_PREVIOUS", secret()), ("JWT_PUBLIC_KEY", TEST_ONLY_ED25519_PUBLIC)] {
        let file = format!("{name}_FILE");
        refused(&[], &[(name, value), (&file, "/dev/null")], &[name, &file, "unset one"]);
    }
    refused(&[], &[("JWT_SECRET", secret()), ("JWT_SECRET_FILE", "/dev/null")], &["JWT_SECRET", "JWT_SECRET_FILE"]);
    let both = [("ADMIN_PASSWORD", "a-password"), ("ADMIN_PASSWORD_FILE", "/dev/null")];
    refused(&[], &both, &["ADMIN_PASSWORD", "ADMIN_PASSWORD_FILE"]);
}

#[test]
fn a_secret_file_that_cannot_be_read_is_named() {
    refused(&[], &[("JWT_SECRET_FILE", "/nowhere/secret")], &["JWT_SECRET_FILE", "/nowhere/secret"]);
    refused(&[], &[("JWT_SECRET_FILE", "/dev/null")], &["JWT_SECRET"]);
}

#[test]
fn a_value_that_is_none_is_refused_by_name() {
    for (name, value) in [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("BIND", "somewhere"),
        ("DB_URL", "mysql://localhost/alm"),
        ("DB_URL", "memory"),
        ("SERVICES", "nothing"),
        ("MIGRATE", "perhaps"),
        ("JWT_TTL_SECS", "0"),
        ("JWT_TTL_SECS", "soon"),
        ("LOG_RETENTION_DAYS", "-1"),
        ("LOG_RETENTION_DAYS", "a month"),
        ("METRICS_PORT", "x"),
        ("METRICS_BIND", "everywhere"),
        ("TRUSTED_PROXIES", "localhost"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://alm.example/"),
        ("AUTO_DEPLOY", "Prod"),
        ("ADMIN_PASSWORD", "short"),
        ("LOG", "alm=loud"),
    ] {
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        let ended = run(&[], &[("PORT", "0"), (name, value)]);
        assert!([Some(1), Some(2)].contains(&ended.status.code()), "{name}={value}: {:?}", ended.status);
        let [line] = ended.stderr.as_slice() else { panic!("{name}={value}: {:?}", ended.stderr) };
        assert!(line.contains(name) || line.contains(&flag), "{name}={value}: {line}");
        // A password is not repeated to whoever reads along.
        assert!(name != "ADMIN_PASSWORD" || !line.contains(value), "{line}");
    }
}

#[test]
fn settings_that_do_not_fit_together_are_refused_rather_than_ignored() {
    for name in ["APP_URL", "VERSION_URL", "DEPLOYMENT_URL", "AUDIT_URL"] {
        refused(&[], &[(name, "http://127.0.0.1:8080")], &[name, "SERVICES"]);
        refused(&[], &[("SERVICES", "gateway"), (name, "ftp://127.0.0.1")], &["-url", "http://"]);
    }
    let all_but_one = [
        ("SERVICES", "gateway"),
        ("APP_URL", "http://127.0.0.1:1"),
        ("VERSION_URL", "http://127.0.0.1:1"),
        ("DEPLOYMENT_URL", "http://127.0.0.1:1"),
    ];
    refused(&[], &all_but_one, &["AUDIT_URL"]);
    refused(&[], &[("SERVICES", "version"), ("JWT_SECRET", secret())], &["SERVICES", "NATS_URL"]);
    let bus = ("NATS_URL", "nats://127.0.0.1:4222");
    refused(&[], &[("SERVICES", "version"), bus], &["SERVICES", "JWT_SECRET", "openssl rand"]);
    refused(&[], &[("SERVICES", "version,gateway"), bus], &["gateway", "deployment"]);
    for url in ["nats:/", "http://hunter2@127.0.0.1", "nats://alm:hunter2@127.0.0.1?speed=high"] {
        let refused = run(&[], &[("NATS_URL", url), ("PORT", "0")]);
        assert_eq!(refused.status.code(), Some(2));
        let [line] = refused.stderr.as_slice() else { panic!("{:?}", refused.stderr) };
        assert!(line.contains("NATS_URL") && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_store_that_this_version_does_not_have_is_refused_and_no_password_repeated() {
    refused(&[], &[("DB_URL", "mysql://alm:hunter2@localhost/alm")], &["sqlite:PATH", "memory:"]);
    for url in ["mysql://alm:hunter2@localhost/alm", "postgres://alm:hunter2@127.0.0.1:1/alm"] {
        let refused = run(&[], &[("DB_URL", url), ("JWT_SECRET", secret()), ("PORT", "0")]);
        assert!([Some(1), Some(2)].contains(&refused.status.code()), "{:?}", refused.status);
        assert!(!refused.stderr.concat().contains("hunter2"), "a password is not repeated to whoever reads along");
    }
}

#[test]
fn an_unknown_flag_or_command_is_refused() {
    refused(&["--surprise"], &[], &["--surprise"]);
    refused(&["frobnicate"], &[], &["frobnicate"]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&[], &[("PORT", &port)], &[&port]);
}

#[test]
fn a_flag_wins_over_the_environment() {
    refused(&["--jwt-secret", "short"], &[("JWT_SECRET", secret())], &["JWT_SECRET", "32"]);
}

#[test]
fn help_lists_every_setting_by_both_its_names() {
    let previous = "the secret that was in use before this one";
    let help = run(
        &["--help"],
        &[("JWT_SECRET", secret()), ("JWT_SECRET_PREVIOUS", previous), ("ADMIN_PASSWORD", "a-password")],
    );
    assert_eq!(help.status.code(), Some(0));
    assert_eq!(help.stderr, [""; 0]);
    let text = help.stdout.join("\n");
    for name in [
        "PORT",
        "BIND",
        "SERVICES",
        "DB_URL",
        "MIGRATE",
        "JWT_SECRET",
        "JWT_SECRET_PREVIOUS",
        "JWT_PUBLIC_KEY",
        "JWT_JWKS_URL",
        "JWT_JWKS_CA",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "JWT_TTL_SECS",
        "ADMIN_PASSWORD",
        "AUTO_DEPLOY",
        "LOG_RETENTION_DAYS",
        "METRICS_PORT",
        "NATS_URL",
        "APP_URL",
        "VERSION_URL",
        "DEPLOYMENT_URL",
        "AUDIT_URL",
        "LOG",
    ] {
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        assert!(text.contains(&flag) && text.contains(&format!("[env: {name}")), "{name} is not in:\n{text}");
    }
    for name in [
        "JWT_SECRET_FILE",
        "JWT_SECRET_PREVIOUS_FILE",
        "JWT_PUBLIC_KEY_FILE",
        "JWT_JWKS_CA_FILE",
        "ADMIN_PASSWORD_FILE",
        "NATS_URL_FILE",
        "migrate",
        "token",
        "dead-letters",
    ] {
        assert!(text.contains(name), "{name} is not in:\n{text}");
    }
    for hidden in [secret(), previous, "a-password"] {
        assert!(!text.contains(hidden), "a secret is shown");
    }
}

#[test]
fn migrate_ends_when_it_is_done() {
    let ended = run(&["migrate"], &[]);
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), vec![]));
}

#[test]
fn a_token_needs_a_secret_a_name_and_a_role() {
    refused(&["token", "--sub", "ci", "--role", "user"], &[], &["JWT_SECRET"]);
    let with_secret = [("JWT_SECRET", secret())];
    refused(&["token", "--role", "user"], &with_secret, &["--sub"]);
    refused(&["token", "--sub", "ci"], &with_secret, &["--role"]);
    refused(&["token", "--sub", "ci", "--role", "owner"], &with_secret, &["--role"]);
    refused(&["token", "--sub", "ci", "--role", "user"], &[("JWT_SECRET", "short")], &["JWT_SECRET"]);
}
