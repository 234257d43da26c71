//! The bus keeps the promises of the port, also while its server goes and comes again and again.

use std::{env, sync::Arc, time::Duration};

use alm_bus_nats::NatsBus;
use alm_core::{
    ports::EventBus,
    testing::conformance::{BusCapability, BusHarness, BusSubject},
};
use alm_test_support::nats::NatsServer;
use async_nats::jetstream;
use tokio::sync::Mutex;

use crate::given::{a_name, connect, options};

/// When deliveries come again.
const ACK_WAIT: Duration = Duration::from_millis(1500);

struct Harness;

/// The server of the one who runs the tests, or one of the case's own.
enum Server {
    Foreign(String),
    Own(Mutex<NatsServer>),
}

struct Subject {
    server: Server,
    url: String,
    name: String,
    bus: NatsBus,
}

const URL: &str = "ALM_TEST_NATS_URL";

impl BusHarness for Harness {
    type Subject = Subject;

    fn capabilities(&self) -> &[BusCapability] {
        use BusCapability::{Connections, ForeignMessages, Interruptions, Replay};
        // A server that is not ours is not killed.
        if env::var_os(URL).is_some() {
            &[Replay, Connections, ForeignMessages]
        } else {
            &[Replay, Connections, Interruptions, ForeignMessages]
        }
    }

    async fn fresh(&self) -> Subject {
        let (server, url) = if let Ok(url) = env::var(URL) {
            (Server::Foreign(url.clone()), url)
        } else {
            let server = NatsServer::start();
            let url = server.url();
            (Server::Own(Mutex::new(server)), url)
        };
        let name = a_name();
        let bus = connect(options(&url, &name).ack_wait(ACK_WAIT)).await;
        Subject { server, url, name, bus }
    }
}

impl BusSubject for Subject {
    fn bus(&self) -> Arc<dyn EventBus> {
        Arc::new(self.bus.clone())
    }

    async fn another_connection(&self) -> Option<Arc<dyn EventBus>> {
        Some(Arc::new(connect(options(&self.url, &self.name).ack_wait(ACK_WAIT)).await))
    }

    async fn expire_deliveries(&self) {
        tokio::time::sleep(ACK_WAIT + ACK_WAIT / 5).await;
    }

    async fn interrupt(&self) -> bool {
        match &self.server {
            Server::Own(server) => server.lock().await.restart(),
            Server::Foreign(_) => return false,
        }
        true
    }

    async fn inject(&self, payload: &[u8]) -> bool {
        let jetstream = jetstream::new(async_nats::connect(&self.url).await.unwrap());
        let ack = jetstream.publish(format!("{}.v1.apps.created", self.name), payload.to_vec().into());
        ack.await.unwrap().await.unwrap();
        true
    }

    async fn clean_up(self) {
        if let Server::Foreign(url) = &self.server {
            let client = async_nats::connect(url).await.unwrap();
            // A case that needs none has made none.
            let _ = jetstream::new(client).delete_stream(&self.name).await;
        }
    }
}

alm_core::bus_conformance!(Harness);
