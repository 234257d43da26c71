//! Whatever happened is still there when the file is opened again; the strategies make what happens.

use alm_core::{
    domain::{App, EventType},
    ports::{AppFilter, Committer, EventLog, Reader},
    testing::{
        inspect::log_of,
        property,
        strategies::{history, invalid_tag, proptest::prelude::*},
    },
};

use super::{a_store, alm_with_an_app, me};
use crate::{releases::release, store::JsonFileStore};

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(property(16))]

    #[test]
    fn a_history_is_the_same_after_a_restart(history in history()) {
        block_on(async {
            let (store, folder) = a_store().await;
            for changeset in history.for_log(store.log_id()) {
                store.commit(changeset).await.unwrap();
            }
            let reopened = JsonFileStore::open(folder.path().join("alm.json")).await.unwrap();
            let all = AppFilter::default();
            assert_eq!(reopened.apps(&all, None, 1000).await.unwrap(), store.apps(&all, None, 1000).await.unwrap());
            assert_eq!(log_of(&reopened).await, log_of(store.as_ref()).await);
        });
    }

    #[test]
    fn any_app_has_a_json_form_that_is_read_back(app in any::<App>()) {
        let text = serde_json::to_string(&app).unwrap();
        prop_assert_eq!(serde_json::from_str::<App>(&text).unwrap(), app);
    }

    #[test]
    fn a_release_with_a_bad_tag_is_refused_and_leaves_no_trace((tag, _) in invalid_tag()) {
        block_on(async {
            let (store, _folder) = a_store().await;
            let alm = alm_with_an_app(store.clone()).await;
            let app = alm.store().apps(&AppFilter::default(), None, 1).await.unwrap().remove(0);
            let error = release(&alm, &me(), app.id, &tag).await.unwrap_err();
            assert_eq!(error.code(), "invalid-field");
            let log = log_of(store.as_ref()).await;
            assert_eq!(log.iter().map(|event| event.data.event_type()).collect::<Vec<_>>(), [Some(EventType::AppCreated)]);
        });
    }
}
