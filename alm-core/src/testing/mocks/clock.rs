//! Time and randomness.

use std::time::Duration;

use async_trait::async_trait;
use mockall::mock;
use uuid::Uuid;

use crate::{
    domain::Timestamp,
    ports::{Clock, Ids, Timer},
};

mock! {
    /// A [`Clock`].
    #[derive(Debug)]
    pub Clock {}

    impl Clock for Clock {
        fn now(&self) -> Timestamp;
    }
}

mock! {
    /// The [`Ids`] port.
    #[derive(Debug)]
    pub Ids {}

    impl Ids for Ids {
        fn uuid_v7(&self) -> Uuid;
    }
}

mock! {
    /// A [`Timer`].
    #[derive(Debug)]
    pub Timer {}

    #[async_trait]
    impl Timer for Timer {
        async fn sleep(&self, duration: Duration);
    }
}
