//! Everything there is to see of the five services, each asked at its own address.

use std::collections::BTreeMap;

use alm_test_support::{
    journal::{Injected, Seen},
    load::Eye,
};

use crate::system::{Front, Service, token};

pub(crate) struct Eyes {
    /// With the token of an admin.
    admin: Vec<(Service, Eye)>,
    /// With one that may read the log and nothing else that is not for everyone.
    service: Vec<(Service, Eye)>,
}

impl Eyes {
    pub(crate) fn on(front: &Front) -> Self {
        let eyes = |token: &str| {
            let eye = |service| (service, Eye::on(front.url(service), token.to_owned()));
            Service::WITH_LOG.map(eye).into()
        };
        let service = token(&["--sub", "checker", "--role", "user", "--scope", "service"]);
        Self { admin: eyes(&front.token), service: eyes(&service) }
    }

    pub(crate) async fn everything(&self, injected: &[Injected]) -> Seen {
        let mut seen =
            Seen { rows: BTreeMap::new(), logs: BTreeMap::new(), audit: Vec::new(), injected: injected.to_vec() };
        for (service, eye) in &self.service {
            seen.logs.insert(service.name().to_owned(), eye.log().await);
        }
        for (service, eye) in &self.admin {
            match service {
                Service::App => seen.rows.extend(eye.rows("apps").await),
                Service::Version => seen.rows.extend(eye.rows("versions").await),
                Service::Deployment => seen.rows.extend(eye.rows("deployments").await),
                Service::Audit | Service::Gateway => seen.audit = eye.audit().await,
            }
        }
        seen
    }
}
