//! Apps.

use std::collections::BTreeSet;

use crate::{
    changeset::Change,
    domain::{App, AppName, Description, Revision, Subject as About, Timestamp},
    ports::{AppFilter, Store, Unique},
    testing::{
        conformance::must::Must,
        fixtures::{app, app_id, at, labels, of, of_all},
    },
};

use super::{
    labelled::{ODD, all_labels, label_filters, longest},
    look::ALL,
    paging::{is_found, is_listed},
    refusal::{CHANGES, Refusal, change_together, is_refused, one_wins},
    subject::Subject,
};

fn name(name: &str) -> AppName {
    AppName::parse(name).expect("the name of an app")
}

fn named(wanted: &str) -> AppFilter {
    AppFilter { name: Some(name(wanted)), ..AppFilter::default() }
}

fn taken(wanted: &str) -> Refusal {
    Refusal::Taken(Unique::AppName(name(wanted)))
}

/// `app` after a change: one revision on, with other texts and times.
fn changed(app: &App) -> App {
    App {
        description: Description::parse("changed").expect("a description"),
        labels: labels(&[("changed", "yes")]),
        updated_at: at(app.updated_at.micros() + 1),
        revision: app.revision.next(),
        ..app.clone()
    }
}

fn renamed(app: &App, to: &str) -> App {
    App { name: name(to), ..changed(app) }
}

async fn all(store: &dyn Store) -> Vec<App> {
    store.apps(&AppFilter::default(), None, ALL).await.must("list apps")
}

/// Checks that `app`, and only it, is shown by id, in the list and by its name.
async fn is_shown(store: &dyn Store, app: &App) {
    assert_eq!(store.app(app.id).await.must("read an app").as_ref(), Some(app), "the app by its id");
    assert_eq!(all(store).await, std::slice::from_ref(app), "the list of apps");
    let by_name = store.apps(&named(app.name.as_str()), None, ALL).await.must("list apps by name");
    assert_eq!(by_name, std::slice::from_ref(app), "the list of apps by name");
}

pub(super) async fn an_app_reads_back_as_it_was_committed(subject: Subject) {
    let store = subject.store();
    assert_eq!(store.app(app_id(7)).await.must("read an app"), None, "there is no app yet");
    assert_eq!(all(store.as_ref()).await, []);

    let created = App {
        description: Description::parse("handles invoicing").expect("a description"),
        labels: labels(&[("team", "core"), ("tier", "1")]),
        created_at: at(1_795_348_800_123_456),
        updated_at: at(1_795_348_800_123_457),
        ..app(7, "billing")
    };
    store.commit(of(Change::app_created(&created))).await.must("create an app");
    is_shown(store.as_ref(), &created).await;

    let updated = renamed(&created, "invoices");
    store.commit(of(Change::app_updated(&updated, created.revision))).await.must("update an app");
    is_shown(store.as_ref(), &updated).await;
    let by_old_name = store.apps(&named("billing"), None, ALL).await.must("list apps by name");
    assert_eq!(by_old_name, [], "nothing has the old name any more");

    store.commit(of(Change::app_deleted(&updated))).await.must("delete an app");
    assert_eq!(store.app(app_id(7)).await.must("read an app"), None, "the app is gone");
    assert_eq!(all(store.as_ref()).await, []);
    assert_eq!(store.apps(&named("invoices"), None, ALL).await.must("list apps by name"), []);
}

pub(super) async fn an_app_is_never_inserted_over_another(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    for again in [app(1, "b"), renamed(&app(1, "a"), "c")] {
        let refusal = Refusal::Taken(Unique::Id(About::App(app_id(1))));
        is_refused(store.as_ref(), "create an app with an id that is taken", of(Change::app_created(&again)), refusal)
            .await;
        is_shown(store.as_ref(), &app(1, "a")).await;
    }
    store.commit(of(Change::app_created(&app(2, "b")))).await.must("take a name that no one got");
}

pub(super) async fn an_app_that_is_not_there_is_neither_changed_nor_deleted(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    store.commit(of(Change::app_created(&app(2, "b")))).await.must("create an app");
    store.commit(of(Change::app_deleted(&app(2, "b")))).await.must("delete an app");
    // One that never was, and one that is gone.
    for id in [3, 2] {
        let missing = app(id, "b");
        let refusal = || Refusal::Missing(About::App(missing.id));
        let update = of(Change::app_updated(&changed(&missing), Revision::FIRST));
        is_refused(store.as_ref(), "update an app that is not there", update, refusal()).await;
        let delete = of(Change::app_deleted(&missing));
        is_refused(store.as_ref(), "delete an app that is not there", delete, refusal()).await;
        is_shown(store.as_ref(), &app(1, "a")).await;
    }
}

pub(super) async fn an_app_is_changed_only_at_its_revision(subject: Subject) {
    // given an app at revision 2
    let store = subject.store();
    let current = changed(&app(1, "a"));
    store.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    store.commit(of(Change::app_updated(&current, Revision::FIRST))).await.must("update an app");

    for revision in [1, 3, 4, i64::MAX as u64] {
        let (other, refusal) = (Revision::new(revision), || Refusal::Stale(About::App(app_id(1))));
        let update = of(Change::app_updated(&renamed(&current, "b"), other));
        is_refused(store.as_ref(), &format!("update at revision {revision} what is at 2"), update, refusal()).await;
        let delete = of(Change::app_deleted(&App { revision: other, ..current.clone() }));
        is_refused(store.as_ref(), &format!("delete at revision {revision} what is at 2"), delete, refusal()).await;
        is_shown(store.as_ref(), &current).await;
    }
    store.commit(of(Change::app_deleted(&current))).await.must("delete an app at its revision");
}

pub(super) async fn an_app_name_is_taken_until_its_owner_is_renamed_or_gone(subject: Subject) {
    // given
    let store = subject.store();
    let (first, second) = (app(1, "a"), app(2, "b"));
    store.commit(of_all(Change::app_created(&first), [Change::app_created(&second)])).await.must("create two apps");

    // then no one else gets the name
    let create = of(Change::app_created(&app(3, "a")));
    is_refused(store.as_ref(), "create an app with a name that is taken", create, taken("a")).await;
    let rename = of(Change::app_updated(&renamed(&second, "a"), second.revision));
    is_refused(store.as_ref(), "give an app a name that is taken", rename, taken("a")).await;
    assert_eq!(all(store.as_ref()).await, [first.clone(), second.clone()]);

    // when its owner keeps it, that is not in its way
    let kept = changed(&first);
    store.commit(of(Change::app_updated(&kept, first.revision))).await.must("update an app that keeps its name");
    let create = of(Change::app_created(&app(3, "a")));
    is_refused(store.as_ref(), "create an app with a name that is taken", create, taken("a")).await;

    // when its owner is renamed, the one name is free and the other taken
    let moved = renamed(&kept, "c");
    store.commit(of(Change::app_updated(&moved, kept.revision))).await.must("rename an app");
    store.commit(of(Change::app_created(&app(4, "a")))).await.must("take a name that a rename made free");
    let create = of(Change::app_created(&app(5, "c")));
    is_refused(store.as_ref(), "create an app with the new name of another", create, taken("c")).await;

    // when its owner is gone
    store.commit(of(Change::app_deleted(&second))).await.must("delete an app");
    store.commit(of(Change::app_created(&app(6, "b")))).await.must("take a name whose owner is gone");
    assert_eq!(all(store.as_ref()).await, [moved, app(4, "a"), app(6, "b")]);
}

pub(super) async fn app_names_that_look_alike_are_different(subject: Subject) {
    let store = subject.store();
    let names = ["a", "A", "á", "ä", "ａ", "a\u{200d}", "a.", "ss", "ß", "SS", "a b", "a  b", "_", "%", "i", "İ", "ı"];
    for (name, id) in names.iter().zip(1..) {
        let create = of(Change::app_created(&app(id, name)));
        store.commit(create).await.must(&format!("create an app named {name:?} when there is none of just that name"));
    }
    for (name, id) in names.iter().zip(1..) {
        let found = store.apps(&named(name), None, ALL).await.must("list apps by name");
        assert_eq!(found, [app(id, name)], "the apps of the name {name:?}");
    }
}

pub(super) async fn of_many_who_want_one_app_name_one_gets_it(subject: Subject) {
    let store = subject.store();
    for round in 1..=5 {
        let wanted = format!("a{round}");
        let rivals: Vec<_> = (1..=20).map(|n| app(round * 100 + n, &wanted)).collect();
        let create = rivals.iter().map(|app| of(Change::app_created(app))).collect();
        let winner = one_wins(&subject, "create an app of one name", create, taken(&wanted)).await;
        let found = store.apps(&named(&wanted), None, ALL).await.must("list apps by name");
        assert_eq!(found, rivals[winner..=winner], "the app whose commit was acknowledged");
    }
    assert_eq!(all(store.as_ref()).await.len(), 5, "nothing is left of those that were refused");
}

pub(super) async fn no_change_of_an_app_is_lost_among_rivals(subject: Subject) {
    let store = subject.store();
    let start = App { description: Description::parse("0").expect("a description"), ..app(1, "a") };
    store.commit(of(Change::app_created(&start))).await.must("create an app");
    change_together(&subject, &About::App(app_id(1)), |store| {
        Box::pin(async move {
            let app = store.app(app_id(1)).await.must("read an app").expect("it is there");
            let count: u64 = app.description.as_str().parse().expect("a number");
            let description = Description::parse((count + 1).to_string()).expect("a description");
            let next = App { description, revision: app.revision.next(), ..app.clone() };
            of(Change::app_updated(&next, app.revision))
        })
    })
    .await;
    let app = store.app(app_id(1)).await.must("read an app").expect("it is there");
    assert_eq!(app.revision.get(), 1 + CHANGES, "each change is a revision");
    assert_eq!(app.description.as_str(), CHANGES.to_string(), "each change was made on the one before it");
}

pub(super) async fn apps_are_found_by_every_filter(subject: Subject) {
    let store = subject.store();
    let apps: Vec<_> =
        (1..).zip(all_labels()).map(|(id, labels)| App { labels, ..app(id, &format!("a{id}")) }).collect();
    for app in &apps {
        store.commit(of(Change::app_created(app))).await.must("create an app with odd labels");
    }
    // Labels that are gone must not be found any more.
    let gone = App { labels: labels(&[("team", "core")]), ..app(1000, "gone") };
    store.commit(of(Change::app_created(&gone))).await.must("create an app");
    store.commit(of(Change::app_deleted(&gone))).await.must("delete an app");
    let was = App { labels: labels(&[("tier", "1"), ("team", "core")]), ..app(1001, "was") };
    let is = App { labels: labels(&[("team", "core")]), revision: was.revision.next(), ..was.clone() };
    store.commit(of(Change::app_created(&was))).await.must("create an app");
    store.commit(of(Change::app_updated(&is, was.revision))).await.must("take a label off an app");
    let apps = [apps, vec![is]].concat();

    let mut sizes = BTreeSet::new();
    for wanted in label_filters() {
        for name in [None, Some(name("a2")), Some(name("a3")), Some(name("nowhere"))] {
            let filter = AppFilter { name, labels: wanted.clone() };
            let expected: Vec<_> = apps.iter().filter(|app| filter.matches(app)).cloned().collect();
            sizes.insert(expected.len());
            let read = |after, limit| store.apps(&filter, after, limit);
            is_found(&format!("the apps that pass {filter:?}"), &expected, |app| app.id, read).await;
        }
    }
    assert!(sizes.len() > 3, "the filters of this case tell too little: {sizes:?}");
}

pub(super) async fn the_longest_and_strangest_app_comes_back(subject: Subject) {
    let store = subject.store();
    let description = Description::parse(format!("{ODD}{}", "é".repeat(1900))).expect("a description");
    let longest = App {
        description,
        labels: longest(),
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MAX,
        revision: Revision::new(i64::MAX as u64 - 1),
        ..app(i64::MAX, &"\u{1f680}".repeat(128))
    };
    store.commit(of(Change::app_created(&longest))).await.must("create an app with the longest values");
    is_shown(store.as_ref(), &longest).await;

    let last = App {
        description: Description::parse("x".repeat(4096)).expect("a description"),
        revision: Revision::new(i64::MAX as u64),
        ..longest.clone()
    };
    store.commit(of(Change::app_updated(&last, longest.revision))).await.must("update it to the last revision");
    is_shown(store.as_ref(), &last).await;
    let after = store.apps(&AppFilter::default(), Some(last.id), ALL).await.must("list after the greatest id");
    assert_eq!(after, []);
    store.commit(of(Change::app_deleted(&last))).await.must("delete it");
}

pub(super) async fn apps_are_listed_by_id_in_pages(subject: Subject) {
    // given apps that neither come in the order of their ids, nor have names in that order
    let store = subject.store();
    let ids = [30, 4, 1 << 40, 5, 12, 100, 6, i64::MAX, 99, 9];
    for (id, name) in ids.iter().zip(["m", "z", "a", "k", "b", "Z", "c", "0", "y", "x"]) {
        store.commit(of(Change::app_created(&app(*id, name)))).await.must("create an app");
    }
    let mut expected = all(store.as_ref()).await;
    expected.sort_by_key(|app| app.id);
    assert_eq!(expected.len(), ids.len(), "all of them are there");

    // then
    let filter = AppFilter::default();
    is_listed("all apps", &expected, |app| app.id, |after, limit| store.apps(&filter, after, limit)).await;
    // when a page begins where nothing is, or is no more
    store.commit(of(Change::app_deleted(&app(9, "x")))).await.must("delete an app");
    for (after, next) in [(1, 4), (7, 12), (9, 12), (101, 1 << 40)] {
        let page = store.apps(&filter, Some(app_id(after)), 1).await.must("list apps");
        assert_eq!(page.iter().map(|app| app.id).collect::<Vec<_>>(), [app_id(next)], "after {after}, where no app is");
    }
    // then a name is found only after its place
    let c = named("c");
    assert_eq!(store.apps(&c, Some(app_id(5)), ALL).await.must("list apps by name"), [app(6, "c")]);
    assert_eq!(store.apps(&c, Some(app_id(6)), ALL).await.must("list apps by name"), []);
}
