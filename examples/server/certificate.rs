//! The certificate of the server, from files that are read again: it is renewed without a restart.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use alm_http::serve::{InvalidCertificate, Tls};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::settings::Settings;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_mins(1);

/// What `TLS_CERT` and `TLS_KEY` name.
pub(crate) struct Certificate {
    pub(crate) tls: Tls,
    files: Files,
    /// What was read last, good or not.
    read: Pem,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// The one that the settings name, if they do.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, String> {
        let (Some(certificate), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Ok(None) };
        let files = Files { certificate: certificate.clone(), key: key.clone() };
        let read = files.read()?;
        let tls = Tls::from_pem(&read.certificate, &read.key).map_err(|error| files.blame(&error))?;
        Ok(Some(Self { tls, files, read }))
    }

    /// Shows what the files hold whenever they have changed: looked at each minute, and at each SIGHUP. While they are broken, the
    /// certificate before goes on to be shown.
    pub(crate) fn keep_up(mut self) -> impl Future<Output = ()> + Send {
        // Heard from now on: until then the signal would end the process.
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => Some(hang_up),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP is not heard: a renewed certificate is seen within a minute");
                None
            }
        };
        async move {
            loop {
                let told = async {
                    match &mut hang_up {
                        Some(hang_up) => hang_up.recv().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = told => {}
                    () = sleep(INTERVAL) => {}
                }
                self.look();
            }
        }
    }

    fn look(&mut self) {
        let read = match self.files.read() {
            Ok(read) if read == self.read => return,
            Ok(read) => read,
            Err(error) => return tracing::warn!(error, "the certificate can't be read again, the one before goes on"),
        };
        match self.tls.replace(&read.certificate, &read.key) {
            Ok(()) => tracing::info!("the certificate was replaced"),
            Err(error) => {
                let error = self.files.blame(&error);
                tracing::warn!(error, "the new certificate can't be used, the one before goes on");
            }
        }
        self.read = read;
    }
}

impl Files {
    fn read(&self) -> Result<Pem, String> {
        let read = |setting: &str, path: &Path| {
            fs::read(path).map_err(|error| format!("{setting}: cannot read {}: {error}", path.display()))
        };
        Ok(Pem { certificate: read("TLS_CERT", &self.certificate)?, key: read("TLS_KEY", &self.key)? })
    }

    /// Which setting names what `error` is about, and what to do.
    fn blame(&self, error: &InvalidCertificate) -> String {
        let (setting, path) = match error {
            InvalidCertificate::NoKey | InvalidCertificate::Mismatch => ("TLS_KEY", &self.key),
            _ => ("TLS_CERT", &self.certificate),
        };
        let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        format!("{setting}: {}: {error}{why}", path.display())
    }
}
