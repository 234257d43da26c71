//! Which rounds there are, as data: the tests run each once, and the soak all of them again and again.

use crate::round::{Fault, Round, Victim};
use crate::system::Kind;

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
    a_kill_of_the_server_on_sqlite_tears_nothing:
        Sqlite, 6 cycles, Fault::Kill(&[Victim::Server]);
    a_kill_of_the_server_on_postgres_tears_nothing:
        Postgres, 5 cycles, Fault::Kill(&[Victim::Server]);
    a_kill_of_the_database_tears_nothing:
        Postgres, 3 cycles, Fault::Kill(&[Victim::Database]);
    a_kill_of_server_and_database_tears_nothing:
        Postgres, 3 cycles, Fault::Kill(&[Victim::Server, Victim::Database]);

    an_end_before_the_commit_on_sqlite_tears_nothing: Sqlite, 3 cycles, Fault::Point("commit_begun");
    an_end_after_the_commit_on_sqlite_tears_nothing: Sqlite, 3 cycles, Fault::Point("commit_done");
    an_end_between_checkpoint_and_effect_on_sqlite_tears_nothing: Sqlite, 3 cycles, Fault::Point("checkpoint_moved");
    an_end_before_a_consumer_commits_on_sqlite_tears_nothing: Sqlite, 3 cycles, Fault::Point("consumer_decided");
    an_end_after_a_consumer_has_committed_on_sqlite_tears_nothing: Sqlite, 3 cycles, Fault::Point("consumer_done");
    an_end_within_the_migration_on_sqlite_tears_nothing: Sqlite, 1 cycles, Fault::FirstStart("migration_begun");

    an_end_before_the_commit_on_postgres_tears_nothing: Postgres, 3 cycles, Fault::Point("commit_begun");
    an_end_after_the_commit_on_postgres_tears_nothing: Postgres, 3 cycles, Fault::Point("commit_done");
    an_end_before_the_sealer_seals_tears_nothing: Postgres, 3 cycles, Fault::Point("seal_begun");
    an_end_after_the_sealer_has_sealed_tears_nothing: Postgres, 3 cycles, Fault::Point("sealed");
    an_end_between_checkpoint_and_effect_on_postgres_tears_nothing: Postgres, 3 cycles, Fault::Point("checkpoint_moved");
    an_end_before_a_consumer_commits_on_postgres_tears_nothing: Postgres, 3 cycles, Fault::Point("consumer_decided");
    an_end_after_a_consumer_has_committed_on_postgres_tears_nothing: Postgres, 3 cycles, Fault::Point("consumer_done");
    an_end_within_the_migration_on_postgres_tears_nothing: Postgres, 1 cycles, Fault::FirstStart("migration_begun");
}
