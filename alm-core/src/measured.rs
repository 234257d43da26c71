//! What a process reports, where the feature `metrics` is on; nothing where it is off.
//!
//! Whatever clients send, the number of series is bounded: a pair of an application and an environment has its own only as long as
//! there are few, and there are only so many logs of other services.

#[cfg(feature = "metrics")]
use on as reported;

#[cfg(not(feature = "metrics"))]
use off as reported;

pub(crate) use reported::*;

#[cfg(feature = "metrics")]
mod on {
    use std::{
        collections::HashSet,
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use crate::{
        changeset::{Changeset, ConsumerName, Receipt},
        domain::{AppId, DeploymentData, DeploymentStatus, EnvironmentName, EventData, EventType, LogId},
        ports::StoreError,
    };

    /// How many pairs of an application and an environment have a series of their own.
    const MOST_PLACES: usize = 500;
    /// How many environments have one, whatever the application.
    const MOST_ENVIRONMENTS: usize = 50;
    /// What stands for the others.
    const OTHER: &str = "other";

    /// Counts what is committed.
    #[derive(Default)]
    pub(crate) struct Measured {
        places: Mutex<Places>,
    }

    #[derive(Default)]
    struct Places {
        all: HashSet<(AppId, EnvironmentName)>,
        environments: HashSet<EnvironmentName>,
    }

    /// What is to be counted of a changeset once it is committed.
    pub(crate) struct Told {
        events: Vec<EventType>,
        deployments: Vec<(AppId, EnvironmentName, DeploymentStatus)>,
    }

    impl Told {
        /// Of a changeset that is about to be committed.
        pub(crate) fn of(changeset: &Changeset) -> Self {
            let data = || changeset.events().iter().map(|event| &event.data);
            Self {
                events: data().filter_map(EventData::event_type).collect(),
                deployments: data().filter_map(moved).collect(),
            }
        }
    }

    fn moved(data: &EventData) -> Option<(AppId, EnvironmentName, DeploymentStatus)> {
        let DeploymentData { app_id, environment, status, .. } = match data {
            EventData::DeploymentCreated(deployment) => deployment,
            EventData::DeploymentUpdated(update) => &update.deployment,
            _ => return None,
        };
        Some((*app_id, environment.clone(), *status))
    }

    impl Measured {
        /// A store has answered to a changeset, after so many microseconds.
        pub(crate) fn committed(&self, told: Told, answer: &Result<Receipt, StoreError>, micros: i64) {
            let outcome = answer.as_ref().map_or_else(StoreError::code, |_| "committed");
            let took = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            metrics::counter!("alm_commits_total", "outcome" => outcome).increment(1);
            metrics::histogram!("alm_commit_duration_seconds", "outcome" => outcome).record(took.as_secs_f64());
            if answer.is_err() {
                return;
            }
            for event_type in told.events {
                metrics::counter!("alm_events_total", "event_type" => event_type.as_str()).increment(1);
            }
            for (app, environment, status) in told.deployments {
                let (app, environment) = self.place(app, environment);
                // All of them, because a series that begins at 1 can't be seen to grow.
                for one in DeploymentStatus::ALL {
                    let labels = [
                        ("app_id", app.clone()),
                        ("environment", environment.clone()),
                        ("status", one.as_str().to_owned()),
                    ];
                    metrics::counter!("alm_deployments_total", &labels).increment(u64::from(one == status));
                }
            }
        }

        /// What the place is called in labels.
        fn place(&self, app: AppId, environment: EnvironmentName) -> (String, String) {
            let Places { all, environments } = &mut *self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let named = (app.to_string(), environment.to_string());
            let is_known = environments.contains(&environment)
                || (environments.len() < MOST_ENVIRONMENTS && environments.insert(environment.clone()));
            let place = (app, environment);
            if all.contains(&place) || (is_known && all.len() < MOST_PLACES && all.insert(place)) {
                return named;
            }
            (OTHER.to_owned(), if is_known { named.1 } else { OTHER.to_owned() })
        }
    }

    /// A consumer has yet to handle so many events of another service's log, as far as its owner has announced.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; 2⁵³ events are far")]
    pub(crate) fn remote_lag(log: LogId, consumer: &ConsumerName, events: u64) {
        metrics::gauge!("alm_remote_log_lag_events", "log" => log.to_string(), "consumer" => consumer.to_string())
            .set(events as f64);
    }

    /// The audit log, or the tree over it, is not what was signed; or it is again.
    #[cfg(feature = "tlog")]
    pub(crate) fn audit_log_is_tampered_with(is: bool) {
        metrics::gauge!("alm_audit_verification_failed").set(f64::from(u8::from(is)));
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn places_beyond_the_first_share_one_series() {
            let measured = Measured::default();
            let place = |n: i64, environment: &str| {
                measured.place(AppId::new(n).unwrap(), EnvironmentName::parse(environment).unwrap())
            };
            for n in 1..=500 {
                assert_eq!(place(n, "prod"), (n.to_string(), "prod".to_owned()));
            }
            // What becomes of an environment is seen all the same.
            assert_eq!(place(501, "prod"), ("other".to_owned(), "prod".to_owned()));
            assert_eq!(place(1, "dev"), ("other".to_owned(), "dev".to_owned()));
            assert_eq!(place(500, "prod"), ("500".to_owned(), "prod".to_owned()));
            for n in 0..100 {
                place(1, &format!("made-up-{n}"));
            }
            assert_eq!(place(1, "one-more"), ("other".to_owned(), "other".to_owned()));
            assert_eq!(place(7, "dev"), ("other".to_owned(), "dev".to_owned()));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use crate::{
        changeset::{Changeset, ConsumerName, Receipt},
        domain::LogId,
        ports::StoreError,
    };

    #[derive(Default)]
    pub(crate) struct Measured(());

    pub(crate) struct Told;

    impl Told {
        pub(crate) fn of(_: &Changeset) -> Self {
            Self
        }
    }

    impl Measured {
        #[expect(clippy::unused_self, reason = "it does where metrics are reported")]
        pub(crate) fn committed(&self, Told: Told, _: &Result<Receipt, StoreError>, _: i64) {}
    }

    pub(crate) fn remote_lag(_: LogId, _: &ConsumerName, _: u64) {}

    #[cfg(feature = "tlog")]
    pub(crate) fn audit_log_is_tampered_with(_: bool) {}
}
