//! What happens to the system under load.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alm_test_support::{
    LONG, eventually,
    journal::{Ask, Part},
    load::{Common, Eye, Way},
    soak::NoFault,
};

use crate::{
    bus::{Bus, ID},
    messages::Put,
    system::{Link, Nats, Service, System},
};

/// So many requests are done before a fault, at least and at most.
const DONE: std::ops::Range<u64> = 40..120;
/// So many are sent while it lasts.
const ASKED: std::ops::Range<u64> = 60..200;
/// While the network is bad, so many.
const LONGER: std::ops::Range<u64> = 200..400;
/// How much later what is sent over a slow network comes.
const LATE: Duration = Duration::from_millis(150);
/// A point between what a consumer does and the commit of how far it is: when it is the relay, events are published and it is not
/// written down that they are.
const POINT: &str = "consumer_decided";
/// A service comes to the point for the so-manieth time at most.
const TIMES: std::ops::Range<u64> = 1..12;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A process is killed, and after a while started again.
    Kill(Service),
    /// Of two processes of each service one is killed, of one service after the other, and started again when the others have shown that
    /// they do without.
    Copies,
    /// NATS is away for a while.
    Nats(Outage),
    /// One of three servers is away for a while.
    Node,
    /// The audit service is away, and a relay is killed between publishing and writing it down, for so long that NATS does not
    /// know any more what was published.
    Behind,
    /// Messages come that no service has published.
    Messages,
    /// The network fails.
    Network(Link, Trouble),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outage {
    Restart,
    Kill,
    /// What it has stored is gone.
    Wipe,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Slow,
    /// Nothing comes, and no one is told.
    HalfOpen,
}

impl Fault {
    /// What can fail of the network.
    pub(crate) fn link(self) -> Option<Link> {
        match self {
            Self::Network(link, _) => Some(link),
            _ => None,
        }
    }

    /// How many processes of each service there are.
    pub(crate) fn copies(self) -> usize {
        if matches!(self, Self::Copies) { 2 } else { 1 }
    }

    /// Of which services clients and other services may be told that they can't be reached.
    pub(crate) fn away(self) -> &'static [Part] {
        match self {
            Self::Kill(Service::App) | Self::Network(Link::Parent, _) => &[Part::App],
            Self::Kill(Service::Version) | Self::Behind => &[Part::Version],
            Self::Kill(Service::Deployment) => &[Part::Deployment],
            Self::Copies => &Part::ALL,
            _ => &[],
        }
    }
}

/// What goes on while faults happen.
pub(crate) struct Scene<'s> {
    pub(crate) system: &'s mut System,
    pub(crate) load: &'s Arc<Common>,
    pub(crate) bus: &'s Bus,
    pub(crate) random: &'s mut fastrand::Rng,
    pub(crate) put: &'s mut Put,
}

impl Scene<'_> {
    /// Lets it happen once under load. False: it need not happen again.
    pub(crate) async fn happens(&mut self, fault: Fault) -> Result<bool, NoFault> {
        self.load.done(self.random.u64(DONE)).await;
        match fault {
            Fault::Kill(service) => {
                self.system.kill(service)?;
                self.load.asked(self.random.u64(ASKED)).await;
                self.system.begin(service);
            }
            Fault::Copies => {
                let mut services = Service::ALL;
                self.random.shuffle(&mut services);
                for service in services {
                    self.copy(service).await?;
                }
            }
            Fault::Nats(outage) => self.nats(outage).await,
            Fault::Node => self.node().await,
            Fault::Behind => return self.behind().await,
            Fault::Messages => {
                self.put.on(self.bus, self.random).await;
                self.load.done(self.random.u64(DONE)).await;
            }
            Fault::Network(_, trouble) => self.network(trouble).await,
        }
        Ok(true)
    }

    /// Kills one of two, and makes sure that the other does all that there is to do, also what only one process does at a time: giving
    /// positions, telling the bus, hearing from it.
    async fn copy(&mut self, service: Service) -> Result<(), NoFault> {
        let victim = self.random.usize(..2);
        let front = self.system.front();
        self.system.kill(service.copy(victim))?;
        self.load.asked(self.random.u64(ASKED)).await;

        let other = 1 - victim;
        let way: Way = if service == Service::Gateway {
            let url = front.url(Service::Gateway.copy(other));
            Arc::new(move |path| format!("{url}{path}"))
        } else {
            let urls = Service::ALL.map(|service| front.url(service.copy(other)));
            Arc::new(move |path| format!("{}{path}", urls[Service::of(path) as usize]))
        };
        let name = format!("without-{}", service.name());
        let made = async {
            let app_id = self.load.create(&way, &name).await;
            let version = Ask::CreateVersion { app_id, tag: name.clone(), changelog: String::new() };
            let version_id = self.load.make(&way, &version, &format!("{name}-version")).await;
            let deployment = Ask::CreateDeployment { version_id, environment: name.clone() };
            let deployment_id = self.load.make(&way, &deployment, &format!("{name}-deployment")).await;
            [format!("apps/{app_id}"), format!("versions/{version_id}"), format!("deployments/{deployment_id}")]
        };
        let made = tokio::time::timeout(LONG, made).await.expect("writes go on at the other");
        let audit = Eye::on(front.url(Service::Audit.copy(other)), front.token.clone());
        for subject in made {
            let what = format!("{subject} is audited without one of {}", service.name());
            eventually(&what, async || audit.has_audited(&subject).await.then_some(())).await;
        }
        self.system.begin(service.copy(victim));
        Ok(())
    }

    async fn nats(&mut self, outage: Outage) {
        let during = self.random.u64(ASKED);
        let Nats::One(server) = &mut self.system.nats else { panic!("there is one server") };
        match outage {
            Outage::Restart => server.stop(),
            Outage::Kill => server.kill(),
            Outage::Wipe => {
                server.kill();
                server.wipe();
            }
        }
        self.load.asked(during).await;
        server.begin();
    }

    async fn node(&mut self) {
        let (victim, during) = (self.random.usize(..3), self.random.u64(LONGER));
        let Nats::Three(cluster) = &mut self.system.nats else { panic!("there are three servers") };
        cluster.servers[victim].kill();
        self.load.asked(during).await;
        cluster.servers[victim].begin();
    }

    async fn network(&mut self, trouble: Trouble) {
        let during = self.random.u64(LONGER);
        match trouble {
            Trouble::Slow => {
                self.system.wire().is_late(LATE);
                self.load.asked(during).await;
                self.system.wire().is_late(Duration::ZERO);
            }
            Trouble::HalfOpen => {
                self.system.wire().stalls(true);
                self.load.asked(during).await;
                if self.random.bool() {
                    self.system.wire().cut();
                }
                self.system.wire().stalls(false);
            }
        }
    }

    /// True until something was published again that NATS has not known.
    async fn behind(&mut self) -> Result<bool, NoFault> {
        let Self { system, load, bus, random, .. } = self;
        system.kill(Service::Audit)?;
        system.kill(Service::Version)?;
        system.spawn(Service::Version, Some(&format!("{POINT}:{}", random.u64(TIMES))));
        let deadline = Instant::now() + LONG;
        while !system.has_ended(Service::Version) {
            if Instant::now() > deadline {
                return Err(format!("the version service does not come to {POINT}"));
            }
            load.asked(1).await;
        }
        system.ended_at(Service::Version, POINT)?;

        let last = bus.messages().await.pop().expect("there are some");
        let id = last.headers.get(ID).expect("it has an id").to_string();
        eventually("NATS has forgotten the ids", async || {
            bus.put(&last.subject, &id, last.payload.to_vec()).await.then_some(())
        })
        .await;
        system.begin(Service::Version);
        load.done(random.u64(DONE)).await;
        system.begin(Service::Audit);
        let again = bus.copies().await.into_iter().any(|(other, copies)| copies > 1 && other != id);
        Ok(!again)
    }
}
