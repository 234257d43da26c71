//! Servers that are away, die, and come back.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alm_core::{
    domain::{Event, EventId},
    ports::{BackendErrorKind, BusState, EventBus, Outcome},
    testing::fixtures::consumer,
};
use alm_test_support::{
    eventually,
    nats::{NatsCluster, NatsServer},
};

use crate::given::{a_log, a_name, connect, events, fault, ids_of, is, options, publish, subscribe, take, told};

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_used_when_it_comes() {
    // given
    let mut server = NatsServer::prepared(|_| String::new());
    let bus = connect(options(&server.url(), &a_name()).request_timeout(Duration::from_secs(1))).await;
    let published = events(a_log(), 1, 3);

    // then calls say so soon, and that nothing was done
    assert_eq!(bus.state(), BusState::Down);
    for error in [
        bus.publish(&published).await.unwrap_err(),
        bus.subscribe(&consumer("reader")).await.err().unwrap(),
        bus.replay(a_log(), alm_core::domain::Position::START, 1).await.unwrap_err(),
        bus.announce(alm_core::ports::Head { log: a_log(), position: alm_core::domain::Position::FIRST })
            .await
            .unwrap_err(),
    ] {
        let error = fault(error);
        assert_eq!(
            (error.kind, error.outcome),
            (BackendErrorKind::Unavailable, Outcome::NotApplied),
            "{}",
            told(&error)
        );
    }

    // when
    server.begin();

    // then
    publish(&bus, &published).await;
    assert_eq!(bus.state(), BusState::Up);
    let mut reader = subscribe(&bus, "reader").await;
    assert_eq!(ids_of(&take(reader.as_mut(), 3).await), ids_of(&published));
    server.kill();
    is(&bus, BusState::Down).await;
}

#[tokio::test]
async fn a_server_that_is_restarted_under_who_publishes_and_reads_loses_nothing_that_was_acknowledged() {
    // given one who publishes, and one who reads over another connection
    const EVENTS: usize = 2000;
    let (mut server, name) = (NatsServer::start(), a_name());
    let (bus, other) = (connect(options(&server.url(), &name)).await, connect(options(&server.url(), &name)).await);
    let mut reader = subscribe(&other, "reader").await;
    let all = events(a_log(), 1, EVENTS as u64);
    let stored = AtomicU64::new(0);

    // when
    let publishing = async {
        for batch in all.chunks(50) {
            publish(&bus, batch).await;
            stored.fetch_add(50, Ordering::Relaxed);
        }
    };
    let killing = async {
        for progress in [100, 500, 900, 1300] {
            eventually("it gets on", async || (stored.load(Ordering::Relaxed) >= progress).then_some(())).await;
            server.restart();
        }
    };
    let (taken, (), ()) = tokio::join!(take(reader.as_mut(), EVENTS), publishing, killing);

    // then
    let (mut taken, mut expected) = (ids_of(&taken), ids_of(&all));
    taken.sort_unstable();
    expected.sort_unstable();
    assert_eq!(taken, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_goes_on_without_any_one_of_its_servers() {
    // given a stream on three servers
    let mut cluster = NatsCluster::start();
    let bus = connect(options(&cluster.url(), &a_name()).replicas(3)).await;
    let log = a_log();
    publish(&bus, &events(log, 1, 10)).await;
    let mut reader = subscribe_in_time(&bus).await;
    let mut seen: BTreeSet<EventId> = take(reader.as_mut(), 10).await.iter().map(|event| event.id).collect();

    for nth in 0..3 {
        // when
        cluster.servers[nth].kill();

        // then both ways go on, on whichever servers are left
        let first = 11 + 20 * u64::try_from(nth).unwrap();
        let more: Vec<Arc<Event>> = events(log, first, first + 19);
        publish(&bus, &more).await;
        read_until(reader.as_mut(), &mut seen, &more).await;

        cluster.servers[nth].begin();
        // The others have what it has missed; it must be back before the next one goes.
        let again = events(log, 1000 + first, 1000 + first);
        publish(&bus, &again).await;
        caught_up(&cluster.url(), &cluster).await;
        read_until(reader.as_mut(), &mut seen, &again).await;
    }
}

async fn subscribe_in_time(bus: &alm_bus_nats::NatsBus) -> Box<dyn alm_core::ports::Subscription> {
    eventually("it subscribes", async || bus.subscribe(&consumer("reader")).await.ok()).await
}

async fn read_until(
    reader: &mut dyn alm_core::ports::Subscription,
    seen: &mut BTreeSet<EventId>,
    wanted: &[Arc<Event>],
) {
    let reading = async {
        while !wanted.iter().all(|event| seen.contains(&event.id)) {
            let Ok(deliveries) = reader.next(64).await else { continue };
            let tags: Vec<_> = deliveries.iter().map(|delivery| delivery.tag).collect();
            let _ = reader.ack(&tags).await;
            seen.extend(deliveries.iter().map(|delivery| crate::given::event_of(delivery).id));
        }
    };
    assert!(
        tokio::time::timeout(2 * alm_test_support::LONG, reading).await.is_ok(),
        "what was published does not come"
    );
}

/// Returns when every server of the cluster has all of every stream.
async fn caught_up(url: &str, cluster: &NatsCluster) {
    let _ = cluster;
    let urls: Vec<async_nats::ServerAddr> =
        url.trim_start_matches("nats://").split(',').map(|host| format!("nats://{host}").parse().unwrap()).collect();
    let jetstream = async_nats::jetstream::new(async_nats::connect(urls).await.unwrap());
    eventually("the server has caught up", async || {
        use futures_util::TryStreamExt;
        let streams: Vec<_> = jetstream.streams().try_collect().await.ok()?;
        let current = |info: &async_nats::jetstream::stream::Info| {
            info.cluster.as_ref().is_some_and(|cluster| {
                cluster.leader.is_some()
                    && cluster.replicas.len() == 2
                    && cluster.replicas.iter().all(|replica| replica.current)
            })
        };
        (!streams.is_empty() && streams.iter().all(current)).then_some(())
    })
    .await;
}
