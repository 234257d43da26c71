//! Connections in TLS: to the right server, and to no other.

use std::error::Error;

use alm_core::{
    changeset::Change,
    ports::{Committer, Reader, StoreError},
    testing::fixtures::{app, app_id, of},
};
use alm_store_postgres::{
    PostgresOptions, PostgresStore,
    sqlx::{self, Connection, PgConnection},
};

use alm_test_support::{
    certificates::{Authority, tls_settings},
    postgres::{Durability, PORT, Server, address},
};

/// A server in TLS at an address, with a certificate for `name`.
fn server_with_certificate(authority: &Authority, address: &str, name: &str) -> Server {
    let prepare = |folder: &std::path::Path| tls_settings(folder, address, authority, name);
    // It takes a while, and is done on a test's own runtime.
    tokio::task::block_in_place(|| Server::start_with(Durability::None, prepare))
}

fn options(address: &str, user: &str, parameters: &str) -> Result<PostgresOptions, StoreError> {
    PostgresOptions::parse(&format!("postgres://{user}@{address}:{PORT}/template1?{parameters}"))
}

/// The fault of whoever connects so, with all its sources on one line.
async fn refusal(options: &PostgresOptions) -> String {
    let error = PostgresStore::migrate(options).await.unwrap_err();
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    assert!(!told.contains('\n'), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_certificate_is_in_order_is_used_in_tls() {
    // given
    let (authority, address) = (Authority::new(), address());
    let server = server_with_certificate(&authority, &address, &format!("IP:{address}"));
    let ca = authority.ca();
    let parameters = format!("sslmode=verify-full&sslrootcert={}&application_name=in_tls", ca.display());
    let options = options(&address, "alm", &parameters).unwrap();

    // when
    PostgresStore::migrate(&options).await.unwrap();
    let store = PostgresStore::connect(&options).await.unwrap();
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    assert_eq!(store.app(app_id(1)).await.unwrap(), Some(app(1, "a")));

    // then every connection is encrypted
    let mut host = PgConnection::connect(&server.url()).await.unwrap();
    let connections = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'in_tls'";
    let in_tls: Vec<bool> = sqlx::query_scalar(connections).fetch_all(&mut host).await.unwrap();
    assert!(!in_tls.is_empty() && in_tls.iter().all(|in_tls| *in_tls), "{in_tls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_the_one_asked_for_is_refused_and_the_error_says_why() {
    // given a server with a certificate for another host
    let (authority, address) = (Authority::new(), address());
    let _server = server_with_certificate(&authority, &address, "DNS:elsewhere.example");
    let with_ca = |ca: &Authority| format!("sslmode=verify-full&sslrootcert={}", ca.ca().display());

    // then the host is not the one that the certificate is for
    let told = refusal(&options(&address, "alm", &with_ca(&authority)).unwrap()).await;
    assert!(told.contains("is not for this host") && told.contains("elsewhere.example"), "{told}");
    // its authority is not the one that is known
    for parameters in [with_ca(&Authority::new()), "sslmode=verify-full".to_owned()] {
        let told = refusal(&options(&address, "alm", &parameters).unwrap()).await;
        assert!(told.contains("an authority that is not known") && told.contains("sslrootcert"), "{told}");
    }
    // in clear the server does not answer
    let told = refusal(&options(&address, "alm", "sslmode=disable").unwrap()).await;
    assert!(told.contains("pg_hba.conf") && told.contains("no encryption"), "{told}");
    // and encryption without a check is what `require` asks for
    PostgresStore::migrate(&options(&address, "alm", "sslmode=require").unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_be_known_by_a_certificate() {
    // given
    let (authority, address) = (Authority::new(), address());
    let server = server_with_certificate(&authority, &address, &format!("IP:{address}"));
    let mut host = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("CREATE ROLE certified LOGIN SUPERUSER").execute(&mut host).await.unwrap();
    let with = |(certificate, key): &(std::path::PathBuf, std::path::PathBuf)| {
        let (certificate, key) = (certificate.display(), key.display());
        let ca = authority.ca();
        format!("sslmode=verify-full&sslrootcert={}&sslcert={certificate}&sslkey={key}", ca.display())
    };

    // then one of that name may come in, and one of another may not, nor one without any
    let right = authority.certify("right", "certified", "DNS:client");
    PostgresStore::migrate(&options(&address, "certified", &with(&right)).unwrap()).await.unwrap();
    let wrong = authority.certify("wrong", "someone", "DNS:client");
    let told = refusal(&options(&address, "certified", &with(&wrong)).unwrap()).await;
    assert!(told.contains("check the user"), "{told}");
    let told = refusal(&options(&address, "certified", "sslmode=require").unwrap()).await;
    assert!(told.contains("valid client certificate"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_when_tls_is_asked_for() {
    let address = address();
    let _server = tokio::task::block_in_place(|| {
        Server::start_with(Durability::None, |folder| {
            let rules = folder.join("hba.conf");
            std::fs::write(&rules, "local all all trust\nhost all all all trust\n").unwrap();
            vec![format!("listen_addresses={address}"), format!("hba_file={}", rules.display())]
        })
    });
    for mode in ["require", "verify-full"] {
        let told = refusal(&options(&address, "alm", &format!("sslmode={mode}")).unwrap()).await;
        assert!(told.contains("which sslmode asks for: turn on ssl"), "{told}");
    }
    PostgresStore::migrate(&options(&address, "alm", "sslmode=prefer").unwrap()).await.unwrap();
}
