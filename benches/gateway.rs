//! What the gateway costs: `GET /apps/{id}` through it beside the same request straight to the service, over loopback.
//!
//! The service has its store in memory, so it is as quick as one can be, and everything shares one machine: the worst case for the
//! rate. `cargo bench --bench gateway`; `ROUNDS` and `SECONDS` tell how often and how long, 3 and 3 unless set.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use alm_core::{
    Alm, Context, Principal,
    domain::{Actor, NewApp, Role},
    ports::{Clock, Ids, SystemClock, SystemIds, TokenClaims, TokenIssuer},
};
use alm_http::{
    auth::Jwt,
    gateway::{Gateway, Upstreams},
    router,
    serve::{ServeConfig, serve},
};
use alm_store_memory::MemoryStore;
use axum::Router;
use tokio::{net::TcpListener, runtime::Runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many connections ask at a time when the rate is measured.
const CONNECTIONS: usize = 32;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Serves `router` on a runtime of its own, as a process of its own would.
fn started(router: Router) -> Result<SocketAddr, Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    thread::spawn(move || runtime.block_on(serve(listener, router, ServeConfig::default(), std::future::pending())));
    Ok(address)
}

/// A kept-alive connection that asks the same again and again.
struct Client {
    stream: TcpStream,
    request: Arc<str>,
    buffer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr, request: &Arc<str>) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: request.clone(), buffer: vec![0; 16 * 1024] })
    }

    fn ask(&mut self) -> std::io::Result<()> {
        self.stream.write_all(self.request.as_bytes())?;
        let mut filled = 0;
        loop {
            filled += self.stream.read(&mut self.buffer[filled..])?;
            let answer = &self.buffer[..filled];
            assert!(filled == 0 || answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
            // The body is one object without any other in it at its end.
            if answer.ends_with(b"}") {
                return Ok(());
            }
        }
    }
}

/// The median time of a request by one client.
fn latency(address: SocketAddr, request: &Arc<str>, time: Duration) -> std::io::Result<Duration> {
    let mut client = Client::new(address, request)?;
    for _ in 0..500 {
        client.ask()?;
    }
    let (begun, mut taken) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let asked = Instant::now();
        client.ask()?;
        taken.push(asked.elapsed());
    }
    Ok(median(taken))
}

/// Requests per second by many clients.
fn rate(address: SocketAddr, request: &Arc<str>, time: Duration) -> std::io::Result<u64> {
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let (mut client, done, over) = (Client::new(address, request)?, done.clone(), over.clone());
        clients.push(thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                client.ask().expect("an answer");
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    thread::sleep(Duration::from_millis(500));
    let (begun, before) = (Instant::now(), done.load(Ordering::Relaxed));
    thread::sleep(time);
    let (count, took) = (done.load(Ordering::Relaxed) - before, begun.elapsed());
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client that ends");
    }
    Ok(count * 1000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1))
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let jwt = Arc::new(Jwt::hs256(&[7; 48], "alm", "alm")?);
    let alm = Alm::builder(Arc::new(MemoryStore::new())).authenticator(jwt.clone()).build();
    let setup = Runtime::new()?;
    let new = NewApp::parse("billing".into(), "handles invoicing".into(), BTreeMap::new())?;
    let app = setup.block_on(alm.apps().create(&Context::new(Principal::system()), new))?.value.id;
    let now = SystemClock.now();
    let claims = TokenClaims {
        id: SystemIds.uuid_v7(),
        principal: Principal::new(Actor::parse("ada").map_err(|rejected| rejected.detail)?, Role::User),
        issued_at: now,
        expires_at: now.plus_seconds(3600),
    };
    let token = setup.block_on(jwt.issue(&claims))?;
    let request: Arc<str> =
        format!("GET /apps/{app} HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer {token}\r\n\r\n").into();

    let service = started(router(alm))?;
    let base: alm_http::upstream::BaseUrl = format!("http://{service}").parse()?;
    let upstreams = Upstreams { app: base.clone(), version: base.clone(), deployment: base.clone(), audit: base };
    let gateway = started(Gateway::new(upstreams).router())?;

    let (rounds, time) = (number("ROUNDS", 3), Duration::from_secs(number("SECONDS", 3)));
    let (mut straight, mut through) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..rounds.max(1) {
        for (address, figures) in [(service, &mut straight), (gateway, &mut through)] {
            figures.0.push(latency(address, &request, time)?);
            figures.1.push(rate(address, &request, time)?);
        }
    }
    let (straight, through) = ((median(straight.0), median(straight.1)), (median(through.0), median(through.1)));
    println!(
        "one client, p50: {:?} straight, {:?} through: {:?} added",
        straight.0,
        through.0,
        through.0.saturating_sub(straight.0)
    );
    println!(
        "{CONNECTIONS} clients: {} /s straight, {} /s through: {}.{:02} ×",
        straight.1,
        through.1,
        through.1 / straight.1.max(1),
        through.1 * 100 / straight.1.max(1) % 100,
    );
    Ok(())
}
