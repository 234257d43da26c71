//! What an error of a use case means to whoever has to act on it.

use alm_core::{
    Context, Error, Principal,
    domain::{DeploymentStatus, FieldError, Invalid, Position, Revision, Subject, TraceParent},
    policy::Action,
    ports::{AuthError, BackendError, BackendErrorKind, Contention, Outcome, PasswordError, StoreError, Unique},
    services::Precondition,
    testing::fixtures::{app, app_id, username, version},
};

use Outcome::{NotApplied, Unknown};

fn lost() -> BackendError {
    let kind = BackendErrorKind::Timeout;
    BackendError { kind, outcome: Unknown, ..BackendError::internal("test", "commit") }
}

fn refused(code: &str) -> Error {
    let (pointer, detail) = ("/app_id".to_owned(), "must not be".to_owned());
    Error::Invalid(Invalid::field(FieldError { pointer, code: code.to_owned(), detail }))
}

fn taken(what: Unique) -> Error {
    StoreError::AlreadyExists(what).into()
}

#[test]
fn each_error_has_a_code_says_whether_to_try_again_and_whether_it_had_an_effect() {
    let subject = || Subject::App(app_id(1));
    let (action, v1) = (Action::GetApp, version(1, 1, "v1"));
    let tag = Unique::VersionTag { app_id: v1.app_id, tag: v1.tag };
    let corrupt = || BackendError::corrupt("test", "read");
    let illegal = DeploymentStatus::Failed.to(DeploymentStatus::Running).unwrap_err();
    let expected: [(Error, &str, bool, Outcome); 26] = [
        (refused("empty"), "invalid-field", false, NotApplied),
        (refused("unknown-parent"), "unknown-parent", false, NotApplied),
        (Error::Unauthenticated, "unauthenticated", false, NotApplied),
        (AuthError::Expired.into(), "expired-token", false, NotApplied),
        (AuthError::Backend(lost()).into(), "backend", true, Unknown),
        (Error::WrongCredentials, "wrong-credentials", false, NotApplied),
        (Error::Denied { action, subject: subject() }, "forbidden", false, NotApplied),
        (StoreError::NotFound(subject()).into(), "not-found", false, NotApplied),
        (taken(Unique::AppName(app(1, "a").name)), "app-name-taken", false, NotApplied),
        (taken(tag), "version-tag-taken", false, NotApplied),
        (taken(Unique::Username(username("ada"))), "username-taken", false, NotApplied),
        (taken(Unique::Id(subject())), "already-exists", false, NotApplied),
        (taken(Unique::IdempotencyKey), "already-exists", false, NotApplied),
        (illegal.into(), "illegal-transition", false, NotApplied),
        (Error::OwnAccount, "own-account", false, NotApplied),
        (
            Error::PreconditionFailed { subject: subject(), actual: Revision::FIRST },
            "precondition-failed",
            false,
            NotApplied,
        ),
        (Error::IdempotencyMismatch, "idempotency-key-reused", false, NotApplied),
        (Error::IdempotencyInProgress, "idempotency-key-in-progress", true, NotApplied),
        (Error::Contended(subject()), "contended", true, NotApplied),
        (PasswordError::Busy.into(), "busy", true, NotApplied),
        (StoreError::Gone { oldest: Position::FIRST }.into(), "gone", false, NotApplied),
        (Error::NotConfigured("a bus"), "not-configured", false, NotApplied),
        (StoreError::Conflict(Contention::Revision(subject())).into(), "conflict", true, NotApplied),
        (StoreError::Unsupported("that").into(), "unsupported", false, NotApplied),
        (Error::EventTooLarge { limit: 1 }, "event-too-large", false, NotApplied),
        (PasswordError::Backend(corrupt()).into(), "backend", false, NotApplied),
    ];
    for (error, code, retryable, outcome) in expected {
        assert_eq!((error.code(), error.is_retryable(), error.outcome()), (code, retryable, outcome), "{error:?}");
    }
}

#[test]
fn a_context_tells_what_it_was_given() {
    let trace = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let cx = Context::new(Principal::system()).with_request_id("r-1").with_trace(trace.clone());
    assert_eq!((cx.principal(), cx.request_id(), cx.trace()), (Some(&Principal::system()), Some("r-1"), Some(&trace)));
    let nothing = Context::anonymous();
    assert_eq!((nothing.principal(), nothing.request_id(), nothing.trace()), (None, None, None));
}

#[test]
fn a_precondition_is_none_only_when_any_revision_will_do() {
    assert!(Precondition::none().is_none());
    assert!(!Precondition::one_of([]).is_none());
    assert!(!Precondition::one_of([Revision::FIRST]).is_none());
}
