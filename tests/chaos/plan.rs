//! Which rounds there are, as data: the tests run each once, and the soak all of them again and again.

use crate::{
    fault::{Fault, Outage, Trouble},
    round::Round,
    system::{Kind, Link, Service},
};

/// Declares the rounds: their names are those of the tests, and the list is for the soak.
macro_rules! rounds {
    ($($name:ident: $store:ident, $cycles:literal cycles, $fault:expr;)+) => {
        pub(crate) const ROUNDS: &[Round] =
            &[$(Round { name: stringify!($name), store: Kind::$store, cycles: $cycles, fault: $fault }),+];

        $(
            #[test]
            fn $name() {
                let round = ROUNDS.iter().find(|round| round.name == stringify!($name)).unwrap();
                alm_test_support::soak::hold(round.name, |seed| crate::round::run(round, seed));
            }
        )+
    };
}

rounds! {
    a_kill_of_the_app_service_loses_nothing: Sqlite, 2 cycles, Fault::Kill(Service::App);
    a_kill_of_the_version_service_loses_nothing: Sqlite, 2 cycles, Fault::Kill(Service::Version);
    a_kill_of_the_deployment_service_loses_nothing: Sqlite, 2 cycles, Fault::Kill(Service::Deployment);
    a_kill_of_the_audit_service_loses_nothing: Sqlite, 2 cycles, Fault::Kill(Service::Audit);
    a_kill_of_the_gateway_loses_nothing: Sqlite, 2 cycles, Fault::Kill(Service::Gateway);
    a_kill_of_the_version_service_on_postgres_loses_nothing: Postgres, 2 cycles, Fault::Kill(Service::Version);
    a_kill_of_the_audit_service_on_postgres_loses_nothing: Postgres, 2 cycles, Fault::Kill(Service::Audit);
    a_kill_of_one_of_two_copies_of_each_loses_nothing: Postgres, 1 cycles, Fault::Copies;

    a_restart_of_nats_loses_nothing: Sqlite, 2 cycles, Fault::Nats(Outage::Restart);
    a_kill_of_nats_loses_nothing: Sqlite, 2 cycles, Fault::Nats(Outage::Kill);
    a_nats_that_has_lost_all_it_stored_loses_nothing: Sqlite, 2 cycles, Fault::Nats(Outage::Wipe);
    a_kill_of_one_node_of_three_loses_nothing: Sqlite, 2 cycles, Fault::Node;

    what_is_published_again_after_nats_forgot_its_id_is_audited_once: Sqlite, 10 cycles, Fault::Behind;
    messages_that_are_old_or_broken_or_made_up_hinder_nothing: Sqlite, 2 cycles, Fault::Messages;

    a_slow_network_to_nats_loses_nothing: Sqlite, 2 cycles, Fault::Network(Link::Bus(Service::Version), Trouble::Slow);
    a_half_open_network_to_nats_loses_nothing: Sqlite, 2 cycles, Fault::Network(Link::Bus(Service::Audit), Trouble::HalfOpen);
    a_slow_network_between_services_loses_nothing: Sqlite, 2 cycles, Fault::Network(Link::Parent, Trouble::Slow);
    a_half_open_network_between_services_loses_nothing: Sqlite, 2 cycles, Fault::Network(Link::Parent, Trouble::HalfOpen);
}
