//! Parents that another service owns.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alm_core::{
    domain::{AppId, Timestamp, VersionId},
    ports::{BackendError, BackendErrorKind, Clock, Directory, Outcome, SystemClock, TokenClaims, TokenIssuer},
};
use alm_http::{directory::HttpDirectory, upstream::BaseUrl};
use async_trait::async_trait;
use std::sync::Mutex;

use crate::support::{Fate, Given, Setup, a_faulty_store, jwt};

use super::given::{Puppet, Services, at, nowhere, quick, the_largest_version};

fn directory(app: BaseUrl, version: BaseUrl) -> HttpDirectory {
    HttpDirectory::new(Some(app), Some(version), Arc::new(jwt()))
}

fn app(id: i64) -> AppId {
    AppId::new(id).unwrap()
}

fn unknown<T: std::fmt::Debug>(found: Result<T, BackendError>) -> BackendError {
    match found {
        Err(error) => {
            assert_eq!(error.outcome, Outcome::NotApplied);
            assert!(error.is_retryable() && error.retry_after.is_some(), "{error:?}");
            error
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_owner_says_whether_there_is_a_parent() {
    let services = Services::start().await;
    let ada = services.server.user();
    let (billing, tag) = (ada.app("billing").await, "v1");
    let version = ada.version(billing, tag).await;
    let directory = directory(at(services.app.address), at(services.version.address));
    assert!(directory.app(app(billing)).await.unwrap());
    assert!(!directory.app(app(99)).await.unwrap());
    let version = VersionId::new(version).unwrap();
    assert_eq!(directory.version(version).await.unwrap(), Some(app(billing)));
    assert_eq!(directory.version(VersionId::new(99).unwrap()).await.unwrap(), None);
    // The owners were asked, each for its own, on connections that last.
    assert_eq!((services.app.connections(), services.version.connections()), (1, 1));
}

#[tokio::test]
async fn a_parent_may_have_all_that_it_can_have() {
    let puppet = Puppet::new().await;
    let directory = directory(puppet.url(), puppet.url());
    let version = the_largest_version(7).to_string();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{version}", version.len());
    let (found, _) = tokio::join!(directory.version(VersionId::new(7).unwrap()), puppet.answers(&answer));
    assert_eq!(found.unwrap(), Some(app(i64::MAX)));
}

#[tokio::test]
async fn an_owner_that_is_down_leaves_it_unknown_within_the_deadline() {
    let directory = directory(nowhere().await, nowhere().await);
    let begun = Instant::now();
    let error = unknown(directory.app(app(1)).await);
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(2));
    unknown(directory.version(VersionId::new(1).unwrap()).await);
}

#[tokio::test]
async fn an_owner_that_hangs_leaves_it_unknown_within_the_deadline() {
    let services = Services::start().await;
    services.app.swallows(true);
    let directory = directory(at(services.app.address), at(services.version.address));
    let begun = Instant::now();
    let error = unknown(directory.deadline(Duration::from_millis(300)).app(app(1)).await);
    assert_eq!(error.kind, BackendErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_owner_whose_store_fails_leaves_it_unknown() {
    let (store, faults) = a_faulty_store();
    let server = Setup::default().store(store).start().await;
    faults.set(Fate::FailsReads);
    let directory = directory(at(server.address), nowhere().await);
    assert_eq!(unknown(directory.app(app(1)).await).kind, BackendErrorKind::Unavailable);
    faults.off();
    assert!(!directory.app(app(1)).await.unwrap());
}

#[tokio::test]
async fn when_to_ask_again_is_what_the_owner_says() {
    let puppet = Puppet::new().await;
    let directory = directory(puppet.url(), puppet.url());
    let owner = async {
        for _ in 0..3 {
            let answer =
                "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            puppet.answers(answer).await;
        }
    };
    let (found, ()) = tokio::join!(directory.app(app(1)), owner);
    assert_eq!(unknown(found).retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn only_the_owner_itself_can_say_that_there_is_none() {
    let other = "{\"code\": \"other\", \"detail\": \"\"}";
    let owners = "{\"code\": \"not-found\", \"detail\": \"\"}";
    for (content_type, body) in
        [("text/html", "no such host"), ("application/json", owners), ("application/problem+json", other)]
    {
        let puppet = Puppet::new().await;
        let directory = directory(puppet.url(), puppet.url());
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let owner = async {
            for _ in 0..3 {
                puppet.answers(&answer).await;
            }
        };
        let (found, ()) = tokio::join!(directory.app(app(1)), owner);
        unknown(found);
    }
}

#[tokio::test]
async fn a_service_that_has_no_such_things_can_not_say_that_there_is_none() {
    let services = Services::start().await;
    // Nothing is at its paths here, as in a service that has other things than those asked for.
    let elsewhere: BaseUrl = format!("{}/other", at(services.app.address)).parse().unwrap();
    let directory = directory(elsewhere.clone(), elsewhere);
    unknown(directory.app(app(1)).await);
    unknown(directory.version(VersionId::new(1).unwrap()).await);
}

#[tokio::test]
async fn a_try_that_fails_is_followed_by_another() {
    let puppet = Puppet::new().await;
    let directory = directory(puppet.url(), puppet.url());
    let owner = async {
        puppet.answers("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        drop(puppet.request().await);
        puppet.answers("HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n{\"id\":1}").await
    };
    let (found, asked) = tokio::join!(directory.app(app(1)), owner);
    assert!(found.unwrap());
    assert!(asked.starts_with("get /apps/1 http/1.1\r\n"), "{asked}");
}

#[tokio::test]
async fn an_answer_about_something_else_does_not_count() {
    for body in ["{\"id\":2}", "{}", "[]", "<html>"] {
        let puppet = Puppet::new().await;
        let directory = directory(puppet.url(), puppet.url());
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let (found, _) = tokio::join!(directory.app(app(1)), puppet.answers(&answer));
        assert!(found.is_err(), "{body}: {found:?}");
    }
}

#[tokio::test]
async fn an_owner_that_keeps_failing_is_not_asked_for_a_while() {
    let mut services = Services::start().await;
    let config = quick().circuit_window(3).circuit_pause(Duration::from_mins(10));
    let directory = directory(at(services.app.address), at(services.version.address)).upstream_config(&config);
    services.app.refuses().await;
    for _ in 0..2 {
        unknown(directory.app(app(1)).await);
    }
    services.app.connects();
    let error = unknown(directory.app(app(1)).await);
    assert_eq!(error.retry_after, Some(Duration::from_mins(10)));
    // The other owner is another circuit.
    assert_eq!(directory.version(VersionId::new(9).unwrap()).await.unwrap(), None);
}

/// Counts the tokens that it issues.
struct Counting(AtomicUsize);

#[async_trait]
impl TokenIssuer for Counting {
    async fn issue(&self, claims: &TokenClaims) -> Result<String, BackendError> {
        assert_eq!((claims.principal.name.as_str(), claims.principal.role.as_str()), ("service", "user"));
        assert_eq!(claims.expires_at, claims.issued_at.plus_seconds(60));
        self.0.fetch_add(1, Ordering::Relaxed);
        jwt().issue(claims).await
    }
}

struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_token_is_used_for_half_of_its_minute() {
    let services = Services::start().await;
    let (issuer, clock) = (Arc::new(Counting(AtomicUsize::new(0))), Arc::new(Hands(Mutex::new(SystemClock.now()))));
    let url = at(services.app.address);
    let directory = HttpDirectory::new(Some(url.clone()), Some(url), issuer.clone()).clock(clock.clone());
    // So that each of them counts now, by the clock of the owner.
    let begun = clock.now().plus_seconds(-35);
    for (seconds, issued) in [(0, 1), (29, 1), (30, 2), (59, 2), (60, 3), (0, 4)] {
        *clock.0.lock().unwrap() = begun.plus_seconds(seconds);
        assert!(!directory.app(app(1)).await.unwrap());
        assert_eq!(issuer.0.load(Ordering::Relaxed), issued, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_token_that_the_owner_refuses_is_made_anew() {
    let puppet = Puppet::new().await;
    let issuer = Arc::new(Counting(AtomicUsize::new(0)));
    let directory = HttpDirectory::new(Some(puppet.url()), Some(puppet.url()), issuer.clone());
    let owner = async {
        puppet.answers("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        puppet.answers("HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n{\"id\":1}").await
    };
    let (found, _) = tokio::join!(directory.app(app(1)), owner);
    assert!(found.unwrap());
    assert_eq!(issuer.0.load(Ordering::Relaxed), 2);
}
