//! What fails: five services, their databases, NATS, and the network between them.

use std::{os::unix::process::ExitStatusExt, path::PathBuf};

use alm_test_support::{
    nats::{NatsCluster, NatsServer},
    ports::free_port,
    postgres::{Durability, Server as Postgres},
    process::{Ended, Process, run},
    soak::NoFault,
    wire::Wire,
};
use tempfile::TempDir;

const SECRET: &str = "nothing but tests is signed with this secret";

const KILLED: i32 = 9;
const ABORTED: i32 = 6;

/// A process of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    App,
    Version,
    Deployment,
    Audit,
    Gateway,
}

impl Service {
    pub(crate) const ALL: [Self; 5] = [Self::App, Self::Version, Self::Deployment, Self::Audit, Self::Gateway];

    /// Those that have a log.
    pub(crate) const WITH_LOG: [Self; 4] = [Self::App, Self::Version, Self::Deployment, Self::Audit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Version => "version",
            Self::Deployment => "deployment",
            Self::Audit => "audit",
            Self::Gateway => "gateway",
        }
    }

    /// One of its processes.
    pub(crate) fn copy(self, copy: usize) -> Member {
        Member { service: self, copy }
    }

    /// What it is told to run.
    fn services(self) -> &'static str {
        if self == Self::App { "app,auth" } else { self.name() }
    }

    /// Who answers to a path.
    pub(crate) fn of(path: &str) -> Self {
        match path.split(['/', '?']).nth(1) {
            Some("versions") => Self::Version,
            Some("deployments") => Self::Deployment,
            Some("audit") => Self::Audit,
            _ => Self::App,
        }
    }
}

/// A process of a service. Copies of one share its database, and each has those of the same number for its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    service: Service,
    copy: usize,
}

/// The only one, mostly.
impl From<Service> for Member {
    fn from(service: Service) -> Self {
        service.copy(0)
    }
}

/// Where the services keep everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    /// One server with a database for each.
    Postgres,
}

/// A way through the network that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// From a service to NATS.
    Bus(Service),
    /// From the version service to the app service.
    Parent,
}

pub(crate) enum Nats {
    One(NatsServer),
    Three(NatsCluster),
}

impl Nats {
    pub(crate) fn url(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            Self::Three(cluster) => cluster.url(),
        }
    }

    /// What the services ask of it.
    fn parameters(&self) -> &'static str {
        match self {
            // Short, so that no test waits: what a killed process held comes again, and ids are forgotten.
            Self::One(_) => "ack_wait_secs=2&duplicate_window_secs=1",
            Self::Three(_) => "ack_wait_secs=2&duplicate_window_secs=1&replicas=3",
        }
    }
}

/// How the system is reached from outside, as long as it lives.
pub(crate) struct Front {
    /// Of each copy.
    urls: Vec<[String; 5]>,
    /// The token of an admin.
    pub(crate) token: String,
    /// Where clients write down what they were told.
    pub(crate) journal: PathBuf,
}

impl Front {
    /// Where a service answers.
    pub(crate) fn url(&self, member: impl Into<Member>) -> String {
        let Member { service, copy } = member.into();
        self.urls[copy][service as usize].clone()
    }

    /// How many processes each service has.
    pub(crate) fn copies(&self) -> usize {
        self.urls.len()
    }
}

pub(crate) struct System {
    // Before what they use. Of each copy.
    processes: Vec<[Option<Process>; 5]>,
    places: Vec<[(String, u16); 5]>,
    pub(crate) nats: Nats,
    postgres: Option<Postgres>,
    wire: Option<(Link, Wire)>,
    folder: TempDir,
}

impl System {
    /// All five, each so many times, ready. `link` is the one that can fail.
    pub(crate) async fn start(kind: Kind, copies: usize, nats: Nats, link: Option<Link>) -> Self {
        let postgres = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(databases().await),
        };
        let mut system = Self {
            processes: (0..copies).map(|_| Default::default()).collect(),
            places: (0..copies).map(|_| std::array::from_fn(|_| free_port())).collect(),
            nats,
            postgres,
            wire: None,
            folder: tempfile::tempdir().unwrap(),
        };
        if let Some(link) = link {
            let target = match (link, &system.nats) {
                (Link::Bus(_), Nats::One(server)) => server.host(),
                (Link::Bus(_), Nats::Three(_)) => panic!("a cluster tells its clients of other ways"),
                (Link::Parent, _) => system.place(Service::App.into()),
            };
            system.wire = Some((link, Wire::to(target).await));
        }
        for member in system.members() {
            system.spawn(member, None);
        }
        for member in system.members() {
            system.listens(member);
        }
        system
    }

    fn members(&self) -> Vec<Member> {
        (0..self.places.len()).flat_map(|copy| Service::ALL.map(|service| service.copy(copy))).collect()
    }

    fn process(&mut self, Member { service, copy }: Member) -> &mut Option<Process> {
        &mut self.processes[copy][service as usize]
    }

    /// How it is reached from outside.
    pub(crate) fn front(&self) -> Front {
        let journal = self.folder.path().join("journal");
        Front {
            urls: (0..self.places.len()).map(|copy| Service::ALL.map(|service| self.url(service.copy(copy)))).collect(),
            token: token(&["--sub", "ada", "--role", "admin"]),
            journal,
        }
    }

    /// The network that can fail.
    pub(crate) fn wire(&self) -> &Wire {
        let (_, wire) = self.wire.as_ref().expect("a link was named");
        wire
    }

    fn place(&self, Member { service, copy }: Member) -> String {
        let (address, port) = &self.places[copy][service as usize];
        format!("{address}:{port}")
    }

    /// Where a service answers.
    fn url(&self, member: Member) -> String {
        format!("http://{}", self.place(member))
    }

    /// Where a service keeps what it has.
    pub(crate) fn database(&self, service: Service) -> String {
        match &self.postgres {
            Some(postgres) => postgres.url().replace("/template1?", &format!("/{}db?", service.name())),
            None => format!("sqlite:{}", self.folder.path().join(format!("{}.db", service.name())).display()),
        }
    }

    /// Where a service reaches NATS.
    fn bus(&self, service: Service) -> String {
        let url = match &self.wire {
            Some((link, wire)) if *link == Link::Bus(service) => format!("nats://{}", wire.address()),
            _ => self.nats.url(),
        };
        format!("{url}?{}", self.nats.parameters())
    }

    /// Starts a service, with a point at which it ends itself if one is given.
    pub(crate) fn spawn(&mut self, member: impl Into<Member>, point: Option<&str>) {
        let member @ Member { service, copy } = member.into();
        let (address, port) = &self.places[copy][service as usize];
        let mut settings = vec![
            ("SERVICES", service.services().to_owned()),
            ("BIND", address.clone()),
            ("PORT", port.to_string()),
            ("JWT_SECRET", SECRET.to_owned()),
            ("ADMIN_PASSWORD", "correct-horse-battery".to_owned()),
            // Where it listens, and what is told when a round fails.
            ("LOG", std::env::var("ALM_CHAOS_LOG").unwrap_or_else(|_| "warn,alm_core=info,server=info".to_owned())),
        ];
        if service != Service::Gateway {
            settings.extend([("DB_URL", self.database(service)), ("NATS_URL", self.bus(service))]);
            // One PostgreSQL has them all.
            settings.extend((self.places.len() > 1).then(|| ("DB_MAX_CONNECTIONS", "6".to_owned())));
        }
        let url = |service: Service| self.url(service.copy(copy));
        match (service, &self.wire) {
            (Service::Version, Some((Link::Parent, wire))) => {
                settings.push(("APP_URL", format!("http://{}", wire.address())));
            }
            (Service::Version, _) => settings.push(("APP_URL", url(Service::App))),
            (Service::Deployment, _) => settings.push(("VERSION_URL", url(Service::Version))),
            (Service::Gateway, _) => settings.extend([
                ("APP_URL", url(Service::App)),
                ("VERSION_URL", url(Service::Version)),
                ("DEPLOYMENT_URL", url(Service::Deployment)),
                ("AUDIT_URL", url(Service::Audit)),
            ]),
            _ => {}
        }
        settings.extend(point.map(|point| ("ALM_FAILPOINT", point.to_owned())));
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        *self.process(member) = Some(Process::spawn(&[], &settings));
    }

    /// Waits until a service listens.
    pub(crate) fn listens(&mut self, member: impl Into<Member>) {
        self.process(member.into()).as_mut().expect("it was started").logged("listening");
    }

    /// Starts a service again.
    pub(crate) fn begin(&mut self, member: impl Into<Member>) {
        let member = member.into();
        self.spawn(member, None);
        self.listens(member);
    }

    /// Kills a service.
    pub(crate) fn kill(&mut self, member: impl Into<Member>) -> Result<(), NoFault> {
        let process = self.process(member.into()).take().ok_or("there is no process to kill")?;
        process.signal("KILL");
        let ended = process.ended();
        if ended.status.signal() == Some(KILLED) { Ok(()) } else { Err(unlike("killed", &ended)) }
    }

    /// Whether a service has ended by itself.
    pub(crate) fn has_ended(&mut self, service: Service) -> bool {
        self.process(service.into()).as_mut().is_some_and(Process::has_ended)
    }

    /// What a service that has ended by itself has ended by: it must be the point.
    pub(crate) fn ended_at(&mut self, service: Service, point: &str) -> Result<(), NoFault> {
        let ended = self.process(service.into()).take().ok_or("there is no process")?.ended();
        let said = format!("ended at {point}");
        let at_point = ended.stderr.iter().any(|line| line.ends_with(&said));
        if at_point && ended.status.signal() == Some(ABORTED) { Ok(()) } else { Err(unlike(&said, &ended)) }
    }

    /// What the services have logged that no one has read, for whoever looks for the reason of a failure.
    pub(crate) fn tell(&mut self) {
        for member in self.members() {
            if let Some(process) = self.process(member) {
                for line in process.rest_of_log() {
                    println!("{} {}: {line}", member.service.name(), member.copy);
                }
            }
        }
    }
}

/// A token that all of them accept.
pub(crate) fn token(arguments: &[&str]) -> String {
    let settings = [("JWT_SECRET", SECRET), ("JWT_TTL_SECS", "86400")];
    let [token] = run(&[&["token"], arguments].concat(), &settings).stdout.try_into().unwrap();
    token
}

async fn databases() -> Postgres {
    use sqlx::{AssertSqlSafe, Connection, Executor, postgres::PgConnection};

    let postgres = Postgres::start(Durability::None);
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    for service in Service::WITH_LOG {
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {}db", service.name()))).await.unwrap();
    }
    connection.close().await.unwrap();
    postgres
}

fn unlike(expected: &str, ended: &Ended) -> NoFault {
    format!("the process was to be {expected}, but: {:?} {:?}", ended.status, ended.stderr)
}
