//! Versions.

use std::collections::BTreeSet;

use crate::{
    changeset::Change,
    domain::{Changelog, Revision, Subject as About, Tag, Timestamp, Version},
    ports::{Store, Unique, VersionFilter},
    testing::{
        conformance::must::Must,
        fixtures::{app_id, at, labels, of, of_all, version, version_id},
    },
};

use super::{
    given::{Handle, ended, start},
    labelled::{ODD, all_labels, label_filters, longest},
    look::ALL,
    paging::{is_found, is_listed, pages},
    refusal::{CHANGES, Refusal, change_together, is_refused, one_wins},
    subject::Subject,
};

fn tag(tag: &str) -> Tag {
    Tag::parse(tag).expect("a tag")
}

fn changelog(text: impl Into<String>) -> Changelog {
    Changelog::parse(text).expect("a changelog")
}

fn of_app(id: i64) -> VersionFilter {
    VersionFilter { app_id: Some(app_id(id)), ..VersionFilter::default() }
}

fn taken(app: i64, wanted: &str) -> Refusal {
    Refusal::Taken(Unique::VersionTag { app_id: app_id(app), tag: tag(wanted) })
}

/// `version` after a change: one revision on, with other texts and times.
fn changed(version: &Version) -> Version {
    Version {
        changelog: changelog("changed"),
        labels: labels(&[("changed", "yes")]),
        updated_at: at(version.updated_at.micros() + 1),
        revision: version.revision.next(),
        ..version.clone()
    }
}

async fn all(store: &dyn Store) -> Vec<Version> {
    store.versions(&VersionFilter::default(), None, ALL).await.must("list versions")
}

/// Checks that `version`, and only it, is shown by id, in the list and among those of its app.
async fn is_shown(store: &dyn Store, version: &Version) {
    assert_eq!(store.version(version.id).await.must("read a version").as_ref(), Some(version), "the version by its id");
    assert_eq!(all(store).await, std::slice::from_ref(version), "the list of versions");
    let of_app = store.versions(&of_app(version.app_id.get()), None, ALL).await.must("list the versions of an app");
    assert_eq!(of_app, std::slice::from_ref(version), "the list of the versions of the app");
}

pub(super) async fn a_version_reads_back_as_it_was_committed(subject: Subject) {
    let store = subject.store();
    assert_eq!(store.version(version_id(7)).await.must("read a version"), None, "there is no version yet");
    assert_eq!(all(store.as_ref()).await, []);

    let created = Version {
        changelog: changelog("the first\n- of many"),
        labels: labels(&[("commit", "abc"), ("channel", "beta")]),
        created_at: at(1_795_348_800_123_456),
        updated_at: at(1_795_348_800_123_457),
        ..version(7, 3, "v1.0.0-rc.1+build")
    };
    store.commit(of(Change::version_created(&created))).await.must("create a version");
    is_shown(store.as_ref(), &created).await;
    assert_eq!(store.versions(&of_app(7), None, ALL).await.must("list the versions of another app"), []);

    let updated = changed(&created);
    store.commit(of(Change::version_updated(&updated, created.revision))).await.must("update a version");
    is_shown(store.as_ref(), &updated).await;

    store.commit(of(Change::version_deleted(&updated))).await.must("delete a version");
    assert_eq!(store.version(version_id(7)).await.must("read a version"), None, "the version is gone");
    assert_eq!(all(store.as_ref()).await, []);
    assert_eq!(store.versions(&of_app(3), None, ALL).await.must("list the versions of an app"), []);
}

pub(super) async fn a_version_is_never_inserted_over_another(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::version_created(&version(1, 1, "v1")))).await.must("create a version");
    for again in [version(1, 1, "v2"), version(1, 2, "v1"), Version { tag: tag("v2"), ..changed(&version(1, 1, "v1")) }]
    {
        let refusal = Refusal::Taken(Unique::Id(About::Version(version_id(1))));
        let create = of(Change::version_created(&again));
        is_refused(store.as_ref(), "create a version with an id that is taken", create, refusal).await;
        is_shown(store.as_ref(), &version(1, 1, "v1")).await;
    }
    let free = of_all(Change::version_created(&version(2, 1, "v2")), [Change::version_created(&version(3, 2, "v1"))]);
    store.commit(free).await.must("take tags that no one got");
}

pub(super) async fn a_version_that_is_not_there_is_neither_changed_nor_deleted(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::version_created(&version(1, 1, "v1")))).await.must("create a version");
    store.commit(of(Change::version_created(&version(2, 1, "v2")))).await.must("create a version");
    store.commit(of(Change::version_deleted(&version(2, 1, "v2")))).await.must("delete a version");
    // One that never was, and one that is gone.
    for id in [3, 2] {
        let missing = version(id, 1, "v2");
        let refusal = || Refusal::Missing(About::Version(missing.id));
        let update = of(Change::version_updated(&changed(&missing), Revision::FIRST));
        is_refused(store.as_ref(), "update a version that is not there", update, refusal()).await;
        let delete = of(Change::version_deleted(&missing));
        is_refused(store.as_ref(), "delete a version that is not there", delete, refusal()).await;
        is_shown(store.as_ref(), &version(1, 1, "v1")).await;
    }
}

pub(super) async fn a_version_is_changed_only_at_its_revision(subject: Subject) {
    // given a version at revision 2
    let store = subject.store();
    let current = changed(&version(1, 1, "v1"));
    store.commit(of(Change::version_created(&version(1, 1, "v1")))).await.must("create a version");
    store.commit(of(Change::version_updated(&current, Revision::FIRST))).await.must("update a version");

    for revision in [1, 3, 4, i64::MAX as u64] {
        let (other, refusal) = (Revision::new(revision), || Refusal::Stale(About::Version(version_id(1))));
        let next = Version { changelog: changelog("stale"), ..changed(&current) };
        let update = of(Change::version_updated(&next, other));
        is_refused(store.as_ref(), &format!("update at revision {revision} what is at 2"), update, refusal()).await;
        let delete = of(Change::version_deleted(&Version { revision: other, ..current.clone() }));
        is_refused(store.as_ref(), &format!("delete at revision {revision} what is at 2"), delete, refusal()).await;
        is_shown(store.as_ref(), &current).await;
    }
    store.commit(of(Change::version_deleted(&current))).await.must("delete a version at its revision");
}

pub(super) async fn a_tag_is_taken_in_its_app_until_its_version_is_gone(subject: Subject) {
    let store = subject.store();
    let first = version(1, 1, "v1");
    store.commit(of(Change::version_created(&first))).await.must("create a version");
    let create = || of(Change::version_created(&version(2, 1, "v1")));
    is_refused(store.as_ref(), "create a version with a tag that is taken", create(), taken(1, "v1")).await;

    // in another app it is another tag
    store.commit(of(Change::version_created(&version(3, 2, "v1")))).await.must("take the tag in another app");
    let other = of(Change::version_created(&version(4, 2, "v1")));
    is_refused(store.as_ref(), "create a version with a tag that is taken", other, taken(2, "v1")).await;

    // a change of its version does not free it
    let kept = changed(&first);
    store.commit(of(Change::version_updated(&kept, first.revision))).await.must("update a version");
    is_refused(store.as_ref(), "create a version with a tag that is taken", create(), taken(1, "v1")).await;

    // when its version is gone
    store.commit(of(Change::version_deleted(&kept))).await.must("delete a version");
    store.commit(of(Change::version_created(&version(5, 1, "v1")))).await.must("take a tag whose version is gone");
    let still = of(Change::version_created(&version(6, 2, "v1")));
    is_refused(store.as_ref(), "take a tag that went in another app", still, taken(2, "v1")).await;
    assert_eq!(all(store.as_ref()).await, [version(3, 2, "v1"), version(5, 1, "v1")]);
}

pub(super) async fn tags_that_look_alike_are_different(subject: Subject) {
    let store = subject.store();
    let tags = ["v1", "V1", "v1.", "v1.0", "v01", "1", "1.0", "é", "e\u{301}", "e", "ss", "ß", "v_1", "v%1", "ｖ1"];
    let versions: Vec<_> = tags.iter().zip(1..).map(|(tag, id)| version(id, 1, tag)).collect();
    for version in &versions {
        let create = of(Change::version_created(version));
        store.commit(create).await.must(&format!("create {:?} when there is no tag of just that text", version.tag));
    }
    assert_eq!(store.versions(&of_app(1), None, ALL).await.must("list the versions of an app"), versions);
}

pub(super) async fn of_many_who_want_one_tag_one_gets_it(subject: Subject) {
    let store = subject.store();
    for round in 1..=5 {
        let wanted = format!("v{round}");
        let rivals: Vec<_> = (1..=20).map(|n| version(round * 100 + n, 1, &wanted)).collect();
        let create = rivals.iter().map(|version| of(Change::version_created(version))).collect();
        let winner = one_wins(&subject, "create a version of one tag", create, taken(1, &wanted)).await;
        let shown = store.version(rivals[winner].id).await.must("read a version");
        assert_eq!(shown.as_ref(), Some(&rivals[winner]), "the version whose commit was acknowledged");
    }
    assert_eq!(all(store.as_ref()).await.len(), 5, "nothing is left of those that were refused");
}

pub(super) async fn no_change_of_a_version_is_lost_among_rivals(subject: Subject) {
    let store = subject.store();
    let start = Version { changelog: changelog("0"), ..version(1, 1, "v1") };
    store.commit(of(Change::version_created(&start))).await.must("create a version");
    change_together(&subject, &About::Version(version_id(1)), |store| {
        Box::pin(async move {
            let version = store.version(version_id(1)).await.must("read a version").expect("it is there");
            let count: u64 = version.changelog.as_str().parse().expect("a number");
            let changelog = changelog((count + 1).to_string());
            let next = Version { changelog, revision: version.revision.next(), ..version.clone() };
            of(Change::version_updated(&next, version.revision))
        })
    })
    .await;
    let version = store.version(version_id(1)).await.must("read a version").expect("it is there");
    assert_eq!(version.revision.get(), 1 + CHANGES, "each change is a revision");
    assert_eq!(version.changelog.as_str(), CHANGES.to_string(), "each change was made on the one before it");
}

pub(super) async fn versions_are_found_by_every_filter(subject: Subject) {
    let store = subject.store();
    let versions: Vec<_> = (1..)
        .zip(all_labels().into_iter().chain(all_labels().into_iter().skip(1).step_by(3)))
        .map(|(id, labels)| Version { labels, ..version(id, 1 + id % 3, &format!("v{id}")) })
        .collect();
    for version in &versions {
        store.commit(of(Change::version_created(version))).await.must("create a version with odd labels");
    }
    // Labels that are gone must not be found any more.
    let gone = Version { labels: labels(&[("team", "core")]), ..version(1000, 1, "gone") };
    store.commit(of(Change::version_created(&gone))).await.must("create a version");
    store.commit(of(Change::version_deleted(&gone))).await.must("delete a version");
    let was = Version { labels: labels(&[("tier", "1"), ("team", "core")]), ..version(1001, 1, "was") };
    let is = Version { labels: labels(&[("team", "core")]), revision: was.revision.next(), ..was.clone() };
    store.commit(of(Change::version_created(&was))).await.must("create a version");
    store.commit(of(Change::version_updated(&is, was.revision))).await.must("take a label off a version");
    let versions = [versions, vec![is]].concat();

    let mut sizes = BTreeSet::new();
    for labels in label_filters() {
        for app in [None, Some(app_id(1)), Some(app_id(2)), Some(app_id(9))] {
            let filter = VersionFilter { app_id: app, labels: labels.clone() };
            let expected: Vec<_> = versions.iter().filter(|version| filter.matches(version)).cloned().collect();
            sizes.insert(expected.len());
            let read = |after, limit| store.versions(&filter, after, limit);
            is_found(&format!("the versions that pass {filter:?}"), &expected, |version| version.id, read).await;
        }
    }
    assert!(sizes.len() > 3, "the filters of this case tell too little: {sizes:?}");
}

pub(super) async fn the_longest_and_strangest_version_comes_back(subject: Subject) {
    let store = subject.store();
    let longest = Version {
        changelog: changelog(format!("{ODD}{}", "é".repeat(16_000))),
        labels: longest(),
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MAX,
        revision: Revision::new(i64::MAX as u64 - 1),
        ..version(i64::MAX, i64::MAX, &"\u{1f680}".repeat(128))
    };
    store.commit(of(Change::version_created(&longest))).await.must("create a version with the longest values");
    is_shown(store.as_ref(), &longest).await;

    let revision = Revision::new(i64::MAX as u64);
    let last = Version { changelog: changelog("x".repeat(32 * 1024)), revision, ..longest.clone() };
    store.commit(of(Change::version_updated(&last, longest.revision))).await.must("update it to the last revision");
    is_shown(store.as_ref(), &last).await;
    for filter in [VersionFilter::default(), of_app(i64::MAX)] {
        let after = store.versions(&filter, Some(last.id), ALL).await.must("list after the greatest id");
        assert_eq!(after, []);
    }
    store.commit(of(Change::version_deleted(&last))).await.must("delete it");
}

pub(super) async fn versions_are_listed_by_id_in_pages(subject: Subject) {
    // given versions of two apps in turn, that neither come in the order of their ids, nor have tags in that order
    let store = subject.store();
    let ids = [30, 4, 1 << 40, 5, 12, 100, 6, i64::MAX, 99, 9];
    for ((id, tag), app) in
        ids.iter().zip(["m", "z", "a", "k", "b", "Z", "c", "0", "y", "x"]).zip([2, 1].iter().cycle())
    {
        store.commit(of(Change::version_created(&version(*id, *app, tag)))).await.must("create a version");
    }
    let mut expected = all(store.as_ref()).await;
    expected.sort_by_key(|version| version.id);
    assert_eq!(expected.len(), ids.len(), "all of them are there");

    // then
    for filter in [VersionFilter::default(), of_app(1), of_app(2), of_app(3)] {
        let expected: Vec<_> = expected.iter().filter(|version| filter.matches(version)).cloned().collect();
        let read = |after, limit| store.versions(&filter, after, limit);
        is_listed(&format!("the versions that pass {filter:?}"), &expected, |version| version.id, read).await;
    }
    // when a page begins where nothing is, where nothing is any more, or at a version of another app
    store.commit(of(Change::version_deleted(&version(9, 1, "x")))).await.must("delete a version");
    for (filter, after, next) in
        [(VersionFilter::default(), 7, 12), (VersionFilter::default(), 9, 12), (of_app(1), 6, 100), (of_app(2), 5, 6)]
    {
        let page = store.versions(&filter, Some(version_id(after)), 1).await.must("list versions");
        let ids: Vec<_> = page.iter().map(|version| version.id).collect();
        assert_eq!(ids, [version_id(next)], "after {after}, which is not in the list, of {filter:?}");
    }
}

/// Ids of versions that stay; between them there is room for others.
const STAY: [i64; 12] = [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200];

/// Inserts versions of the app 1 between those that stay, and deletes them again; no id twice.
async fn come_and_go(store: Handle, ids: impl Iterator<Item = i64> + Send) {
    for id in ids {
        let comes = version(id, 1, &format!("comes{id}"));
        store.commit(of(Change::version_created(&comes))).await.must("create a version");
        tokio::task::yield_now().await;
        store.commit(of(Change::version_deleted(&comes))).await.must("delete a version");
    }
}

pub(super) async fn pages_give_what_stays_exactly_once_whatever_comes_and_goes(subject: Subject) {
    // given
    let store = subject.store();
    let stay = STAY.map(|id| version(id, 1, &format!("stays{id}")));
    for version in &stay {
        store.commit(of(Change::version_created(version))).await.must("create a version");
    }
    let mut others = (0..).map(|n| [1, 550, 1201][n % 3] + i64::try_from(n / 3).expect("a small number"));
    let mut other = || version(others.next().expect("an endless row"), 1, "comes");
    let mut comes = other();
    store.commit(of(Change::version_created(&comes))).await.must("create a version");
    for filter in [VersionFilter::default(), of_app(1)] {
        for limit in [1, 3] {
            // when between any two pages one goes, and another comes before or behind the place that is reached
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = store.versions(&filter, after, limit).await.must("list versions");
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                seen.extend(page);
                store.commit(of(Change::version_deleted(&comes))).await.must("delete a version");
                comes = other();
                store.commit(of(Change::version_created(&comes))).await.must("create a version");
            }
            // then
            let stayed: Vec<_> = seen.iter().filter(|version| stay.contains(version)).cloned().collect();
            assert_eq!(stayed, stay, "what stays is given once, in order, by pages of {limit} of {filter:?}");
        }
    }

    // when others come and go all the time
    let writers = [101..125, 950..975].map(|ids| start(come_and_go(subject.store(), ids)));
    let mut limits = (1..6).cycle();
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        for filter in [VersionFilter::default(), of_app(1)] {
            let limit = limits.next().expect("an endless row");
            let seen =
                pages(limit, |version: &Version| version.id, |after, limit| store.versions(&filter, after, limit))
                    .await;
            // then
            let stayed: Vec<_> = seen.iter().filter(|version| stay.contains(version)).cloned().collect();
            assert_eq!(stayed, stay, "what stays is given once, in order, by pages of {limit} of {filter:?}");
        }
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        ended(writer).await;
    }
}
