//! Requests to `JetStream` (<https://docs.nats.io/reference/reference-protocols/nats_api_reference>), as JSON. What an answer holds
//! beyond what this version knows goes back as it came when a configuration is changed: it may be an operator's.

use alm_core::ports::BackendError;
use async_nats::jetstream;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    fault::{ADAPTER, kind_of, unknown},
    link::{Link, Period},
};

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The server says no.
    Refused(jetstream::Error),
    /// It was not answered.
    Fault(BackendError),
}

impl ApiError {
    pub(crate) fn into_fault(self, operation: &'static str) -> BackendError {
        match self {
            Self::Refused(error) => unknown(kind_of(error.code(), error.error_code()), operation, error),
            Self::Fault(error) => error,
        }
    }
}

impl Link {
    /// What `JetStream` answers.
    pub(crate) async fn api(
        &self,
        period: Period,
        operation: &'static str,
        subject: &str,
        request: &Value,
    ) -> Result<Value, ApiError> {
        let payload = if request.is_null() { String::new() } else { request.to_string() };
        let answer = self.request(period, operation, format!("$JS.API.{subject}"), payload).await;
        let answer = answer.map_err(ApiError::Fault)?;
        let odd = |error| ApiError::Fault(BackendError::internal(ADAPTER, operation).with_source(error));
        let answer: Value = serde_json::from_slice(&answer.payload).map_err(odd)?;
        match answer.get("error") {
            Some(error) => Err(ApiError::Refused(jetstream::Error::deserialize(error).map_err(odd)?)),
            None => Ok(answer),
        }
    }
}
