//! A handler of a consumer.

use std::sync::Arc;

use async_trait::async_trait;
use mockall::mock;

use crate::{
    changeset::ConsumerName,
    domain::Event,
    runtime::{HandleError, Handled, Handler, HandlerContext},
};

// mockall gives an async method with a lifetime inside an argument a body that does not borrow-check, so it mocks this trait,
// which is not async, and the port is made of it.
trait Answers {
    fn name(&self) -> ConsumerName;
    fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError>;
}

mock! {
    /// A [`Handler`], to see what a [`Consumer`](crate::runtime::Consumer) makes of its answers.
    #[derive(Debug)]
    pub Handler {}

    impl Answers for Handler {
        fn name(&self) -> ConsumerName;
        fn handle<'a>(&self, events: &[Arc<Event>], cx: &HandlerContext<'a>) -> Result<Handled, HandleError>;
    }
}

#[async_trait]
impl Handler for MockHandler {
    fn name(&self) -> ConsumerName {
        Answers::name(self)
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        Answers::handle(self, events, cx)
    }
}
