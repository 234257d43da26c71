//! A round: load, faults, and what is found when they are over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alm_test_support::{
    LONG,
    journal::{Ask, Injected, Journal, Seen, Violation, check, refused},
    load::{Client, Common, Way},
    nats::{NatsCluster, NatsServer},
    soak::{NoFault, Report},
};
use tokio::task::JoinSet;

use crate::{
    bus::Bus,
    fault::{Fault, Scene},
    look::Eyes,
    messages::Put,
    system::{Front, Kind, Nats, Service, System},
};

/// So many clients ask at the same time: every other one by the gateway, the rest at the services themselves.
const CLIENTS: u64 = 6;

pub(crate) struct Round {
    pub(crate) name: &'static str,
    pub(crate) store: Kind,
    /// How often the fault happens.
    pub(crate) cycles: u64,
    pub(crate) fault: Fault,
}

/// Runs a round on a runtime of its own.
///
/// # Errors
/// There was no fault, so the round says nothing.
pub(crate) fn run(round: &Round, seed: u64) -> Result<Report, NoFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(drive(round, seed))
}

async fn drive(round: &Round, seed: u64) -> Result<Report, NoFault> {
    let mut random = fastrand::Rng::with_seed(seed);
    let nats = match round.fault {
        Fault::Node => Nats::Three(NatsCluster::start()),
        _ => Nats::One(NatsServer::start()),
    };
    let mut system = System::start(round.store, round.fault.copies(), nats, round.fault.link()).await;
    let bus = Bus::connect(&system.nats.url()).await;
    let front = system.front();
    let load = Load::on(&front, &mut random).await;
    let mut put = Put::default();

    let mut faults = 0;
    for _ in 0..round.cycles {
        let mut scene =
            Scene { system: &mut system, load: &load.common, bus: &bus, random: &mut random, put: &mut put };
        faults += 1;
        if !scene.happens(round.fault).await? {
            break;
        }
    }
    let common = load.end().await;
    if let Err(left) = settled(&front, &common, &bus, put.hopeless).await {
        system.tell();
        panic!("{left}");
    }

    let (audited, violations) = found(&front, round, &put.injected).await;
    if !violations.is_empty() {
        system.tell();
    }
    Ok(Report::of(faults, &common, audited, violations))
}

/// Clients that ask until they are told to end.
pub(crate) struct Load {
    pub(crate) common: Arc<Common>,
    clients: JoinSet<()>,
}

impl Load {
    pub(crate) async fn on(front: &Front, random: &mut fastrand::Rng) -> Self {
        let common = Arc::new(Common::new(&front.journal, front.token.clone()));
        let ways = ways(front);
        common.share(&ways[0], &["shared-1", "shared-2"]).await;
        let mut clients = JoinSet::new();
        for (number, way) in (0..CLIENTS).zip(ways.iter().cycle()) {
            clients.spawn(Client::new(&common, way, format!("c{number}"), random.u64(..)).run());
        }
        Self { common, clients }
    }

    /// Lets them do some more, and waits for their end.
    pub(crate) async fn end(mut self) -> Arc<Common> {
        self.common.done(2 * CLIENTS).await;
        self.common.finish();
        let finished = async { while self.clients.join_next().await.transpose().unwrap().is_some() {} };
        tokio::time::timeout(3 * LONG, finished).await.expect("the clients come to an end");
        self.common
    }
}

/// By the gateway, and without it. Where there are copies of them, each request goes to the next one: so who tries again tries another.
fn ways(front: &Front) -> [Way; 2] {
    let urls = |service: Service| (0..front.copies()).map(|copy| front.url(service.copy(copy))).collect::<Vec<_>>();
    let (gateways, services) = (urls(Service::Gateway), Service::ALL.map(urls));
    let turns = |turn: &AtomicUsize, urls: &[String]| urls[turn.fetch_add(1, Ordering::Relaxed) % urls.len()].clone();
    let (gateway, service) = (AtomicUsize::new(0), AtomicUsize::new(0));
    [
        Arc::new(move |path| format!("{}{path}", turns(&gateway, &gateways))),
        Arc::new(move |path| format!("{}{path}", turns(&service, &services[Service::of(path) as usize]))),
    ]
}

/// Waits until every message has been acknowledged by everyone, after each way through the system was gone once more. Else says what
/// is left.
pub(crate) async fn settled(front: &Front, common: &Arc<Common>, bus: &Bus, hopeless: usize) -> Result<(), String> {
    let [way, _] = ways(front);
    let app = common.create(&way, "settled").await;
    let version = Ask::CreateVersion { app_id: app, tag: "settled".to_owned(), changelog: String::new() };
    let version_id = common.make(&way, &version, "settled-version").await;
    let deployment = Ask::CreateDeployment { version_id, environment: "settled".to_owned() };
    common.make(&way, &deployment, "settled-deployment").await;
    bus.is_read(hopeless).await
}

/// What does not go together once the system has come to rest, and how much is audited.
pub(crate) async fn found(front: &Front, round: &Round, injected: &[Injected]) -> (usize, Vec<Violation>) {
    let journal = Journal::read(&front.journal);
    let eyes = Eyes::on(front);
    let deadline = Instant::now() + LONG;
    loop {
        let seen: Seen = eyes.everything(injected).await;
        let mut violations = check(&journal, &seen);
        // What is lost on the way is known by what its owner announces, every few seconds.
        if violations.is_empty() || Instant::now() > deadline {
            violations.extend(refused(&journal, round.fault.away()));
            return (seen.audit.len(), violations);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
