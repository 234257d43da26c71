//! The service tells the truth when its store fails.

use std::sync::Arc;

use alm_core::{
    changeset::IdempotencyKey,
    domain::{AppId, Position},
    ports::{BackendErrorKind, EventLog, Outcome},
    services::Idempotency,
    testing::{Fault, Faulty, Operation, Script},
};

use super::{a_store, alm_with_an_app, me};
use crate::releases::release;

#[tokio::test]
async fn a_release_whose_answer_is_lost_can_be_sent_again() {
    // given a store that commits the version and can't say so
    let (store, _folder) = a_store().await;
    let lost = Fault::AnswerLost(BackendErrorKind::Timeout);
    let faulty = Faulty::over(store.clone(), Script::on(Operation::Commit, [Fault::None, lost]));
    let alm = alm_with_an_app(Arc::new(faulty)).await;
    let key = IdempotencyKey::parse("build-4711").unwrap();
    let cx = me().with_idempotency(Idempotency { key, fingerprint: [1; 32] });
    let app = AppId::new(1).unwrap();

    // when
    let error = release(&alm, &cx, app, "v1").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    release(&alm, &cx, app, "v1").await.unwrap();

    // then there is one app, one version, one deployment
    assert_eq!(store.head().await.unwrap(), Position::new(3));
}

#[tokio::test]
async fn a_release_that_is_refused_says_so() {
    let (store, _folder) = a_store().await;
    let refused = Script::on(
        Operation::Commit,
        std::iter::once(Fault::None).chain((0..9).map(|_| Fault::Refused(BackendErrorKind::NotWritable))),
    );
    let alm = alm_with_an_app(Arc::new(Faulty::over(store.clone(), refused))).await;

    let error = release(&alm, &me(), AppId::new(1).unwrap(), "v1").await.unwrap_err();

    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(store.head().await.unwrap(), Position::new(1), "nothing but the app is there");
}
