//! The process around the services: where it listens, and how it ends.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use alm_http::{
    MetricsRenderer, Readiness,
    serve::{ServeConfig, serve as serve_http},
};
use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    certificate::Certificate,
    gateway, services,
    settings::{Runs, Settings},
    telemetry,
};

/// Signals that come within so long are one.
const AT_ONCE: Duration = Duration::from_millis(300);

/// What there is before anyone can know that the server is, and before anything is made that a failed start would leave behind.
pub(crate) struct Process {
    pub(crate) metrics: MetricsRenderer,
    pub(crate) readiness: Readiness,
    listener: TcpListener,
    certificate: Option<Certificate>,
}

#[tokio::main]
pub(crate) async fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let _kept = telemetry::log(settings)?;
    let metrics = telemetry::metrics(settings)?;
    let terminated = terminated()?;
    match settings.services {
        Runs::Gateway => {
            let process = Process::begin(settings, metrics).await?;
            gateway::run(process, settings, terminated).await
        }
        Runs::Services(these) => {
            let given = services::given_jwt(settings)?;
            let process = Process::begin(settings, metrics).await?;
            services::run(process, settings, these, given, terminated).await
        }
    }
}

impl Process {
    async fn begin(settings: &Settings, metrics: MetricsRenderer) -> Result<Self, Box<dyn Error>> {
        let certificate = Certificate::of(settings)?;
        let listener = listen(settings.bind, settings.port).await?;
        Ok(Self { metrics, readiness: Readiness::default(), listener, certificate })
    }

    /// Serves `router`, and `metrics` on a port of its own when the settings say so.
    pub(crate) async fn open(
        self,
        settings: &Settings,
        router: Router,
        metrics: impl FnOnce(MetricsRenderer) -> Router,
    ) -> Result<Open, Box<dyn Error>> {
        let mut open = Open {
            readiness: self.readiness,
            stop: watch::channel(false).0,
            servers: Vec::new(),
            upkeep: JoinSet::new(),
        };
        if let Some(port) = settings.metrics_port {
            let listener = listen(settings.metrics_bind, port).await?;
            tracing::info!(address = %listener.local_addr()?, "metrics");
            open.serve(listener, metrics(self.metrics), ServeConfig::default());
        }
        let address = self.listener.local_addr()?;
        let mut config = ServeConfig::default().trusted_proxies(settings.trusted_proxies.clone());
        let mut scheme = "http";
        if let Some(certificate) = self.certificate {
            config = config.tls(certificate.tls.clone());
            scheme = "https";
            open.upkeep.spawn(certificate.keep_up());
        }
        open.serve(self.listener, router, config);
        tracing::info!(%address, services = %settings.services, docs = format!("{scheme}://{address}/docs"), "listening");
        Ok(open)
    }
}

/// A process that answers requests.
pub(crate) struct Open {
    readiness: Readiness,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    // What goes on beside them ends with this.
    upkeep: JoinSet<()>,
}

impl Open {
    fn serve(&mut self, listener: TcpListener, router: Router, config: ServeConfig) {
        let mut stopping = self.stop.subscribe();
        self.servers.push(tokio::spawn(async move {
            // The sender lives until everything has stopped.
            let stopped = async move { drop(stopping.wait_for(|stop| *stop).await) };
            serve_http(listener, router, config, stopped).await;
        }));
    }

    /// Ends what runs, and takes in no more.
    pub(crate) async fn close(self) -> Result<(), Box<dyn Error>> {
        tracing::info!("shutting down");
        self.readiness.shut_down();
        self.stop.send_replace(true);
        for server in self.servers {
            server.await?;
        }
        Ok(())
    }
}

async fn listen(address: IpAddr, port: u16) -> Result<TcpListener, Box<dyn Error>> {
    let address = SocketAddr::new(address, port);
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}").into())
}

/// Takes the signals from now on; done when one has come. Whoever interrupts, as by Ctrl-C, while the process stops does not want to
/// wait.
fn terminated() -> Result<impl Future<Output = ()>, Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (told, first) = oneshot::channel();
    tokio::spawn(async move {
        let is_interrupt = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => true,
        };
        let stops_already = told.send(()).is_err();
        if !(stops_already && is_interrupt) {
            // One that was sent to a whole group, and passed on to its members besides, is one.
            let _ = timeout(AT_ONCE, async { while interrupt.recv().await.is_some() {} }).await;
            interrupt.recv().await;
        }
        tracing::warn!("interrupted while it stops: what runs is given up");
        std::process::exit(130);
    });
    Ok(async move { drop(first.await) })
}
