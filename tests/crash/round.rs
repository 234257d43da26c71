//! A round: load, faults, and what is found when they are over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alm_test_support::{
    LONG, eventually,
    journal::{Journal, check},
    load::{Client, Common, Eye, Way},
    soak::{NoFault, Report},
};
use tokio::task::JoinSet;

use crate::system::{Kind, System};

/// So many clients ask at the same time.
const CLIENTS: u64 = 12;
/// So many requests are done before a kill, at least and at most.
const DONE: std::ops::Range<u64> = 60..220;
/// A server comes to a point for the so-manieth time at most.
const TIMES: std::ops::Range<u64> = 1..40;
/// If so many requests are done and it has not come there, it does not come there.
const ENOUGH: u64 = 2500;

pub(crate) struct Round {
    pub(crate) name: &'static str,
    pub(crate) store: Kind,
    /// How often the fault happens.
    pub(crate) cycles: u64,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Processes are killed at a random moment.
    Kill(&'static [Victim]),
    /// The server ends itself at the point of that name, when it has come there a random number of times.
    Point(&'static str),
    /// The server ends itself at that point when it starts on an empty database.
    FirstStart(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Server,
    /// All processes of the database server.
    Database,
}

/// Runs a round on a runtime of its own.
///
/// # Errors
/// There was no fault, so the round says nothing.
pub(crate) fn run(round: &Round, seed: u64) -> Result<Report, NoFault> {
    let mut system = System::new(round.store);
    run_on(&mut system, round, seed)
}

pub(crate) fn run_on(system: &mut System, round: &Round, seed: u64) -> Result<Report, NoFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(drive(system, round, seed))
}

async fn drive(system: &mut System, round: &Round, seed: u64) -> Result<Report, NoFault> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faults = 0;
    if let Fault::FirstStart(point) = round.fault {
        if system.start(Some(&format!("{point}:1"))) {
            return Err(format!("the server has started without coming to {point}"));
        }
        system.ended_at(point)?;
        faults += 1;
    }
    assert!(system.start(None), "the server does not start");

    let journal = system.folder().join("journal");
    let address = system.address.subscribe();
    let way: Way = Arc::new(move |path| format!("{}{path}", *address.borrow()));
    let common = Arc::new(Common::new(&journal, System::token()));
    common.share(&way, &["shared-1", "shared-2"]).await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(Client::new(&common, &way, format!("c{number}"), random.u64(..)).run());
    }

    for _ in 0..round.cycles {
        match round.fault {
            Fault::Kill(victims) => {
                common.done(random.u64(DONE)).await;
                kill(system, victims, &mut random)?;
            }
            Fault::Point(point) => {
                common.done(random.u64(DONE)).await;
                // An armed server takes the place of the one that runs.
                system.kill_server()?;
                if system.start(Some(&format!("{point}:{}", random.u64(TIMES)))) {
                    ended(system, &common, point).await?;
                }
                system.ended_at(point)?;
                assert!(system.start(None), "the server does not start again");
            }
            Fault::FirstStart(_) => {
                common.done(random.u64(DONE)).await;
                continue;
            }
        }
        faults += 1;
    }
    common.done(CLIENTS).await;
    common.finish();
    let finished = async { while clients.join_next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(3 * LONG, finished).await.expect("the clients come to an end");

    let eye = Eye::on(system.address.borrow().clone(), System::token());
    settled(&common, &way, &eye).await;
    let found = eye.everything().await;
    let violations = check(&Journal::read(&journal), &found);
    Ok(Report::of(faults, &common, found.audit.len(), violations))
}

/// Waits until the server has ended.
async fn ended(system: &mut System, common: &Common, point: &str) -> Result<(), NoFault> {
    let begun = common.count_done();
    let deadline = Instant::now() + 3 * LONG;
    while !system.server_has_ended() {
        if common.count_done() > begun + ENOUGH || Instant::now() > deadline {
            return Err(format!("the server does not come to {point}"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Kills the victims, and starts again what was killed.
fn kill(system: &mut System, victims: &[Victim], random: &mut fastrand::Rng) -> Result<(), NoFault> {
    let mut order = victims.to_vec();
    random.shuffle(&mut order);
    for victim in &order {
        match victim {
            Victim::Server => system.kill_server()?,
            Victim::Database => system.kill_database()?,
        }
    }
    if victims.contains(&Victim::Database) {
        system.start_database();
    }
    if victims.contains(&Victim::Server) {
        assert!(system.start(None), "the server does not start again");
    }
    Ok(())
}

/// Waits until the consumers have handled all there is, and what follows from it, and so on.
async fn settled(common: &Arc<Common>, way: &Way, eye: &Eye) {
    // An app's end is followed by that of its versions, and that by that of their deployments. What was committed before an app
    // was made has its position before it.
    for step in 0..3 {
        let name = format!("settled-{step}");
        let app = common.create(way, &name).await;
        let audited = format!("apps/{app}");
        eventually("the consumers have caught up", async || {
            (eye.has_audited(&audited).await && eye.is_settled().await).then_some(())
        })
        .await;
    }
}

#[test]
fn a_round_without_a_fault_says_nothing() {
    let round = Round { name: "none", store: Kind::Sqlite, cycles: 1, fault: Fault::Point("no_such_point") };
    assert_eq!(run(&round, 0).unwrap_err(), "the server does not come to no_such_point");
}
