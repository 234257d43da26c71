//! Durable consumers: made when they are not there, brought up to what they must be when they are less.

use alm_core::{
    changeset::ConsumerName,
    ports::{BackendError, BackendErrorKind},
};
use async_nats::jetstream::ErrorCode;
use serde_json::{Map, Value, json};

use crate::{
    api::ApiError,
    fault::not_applied,
    link::{Link, Period},
    stream::{StreamInfo, Wanted},
};

const ACK_WAIT_NANOS: u64 = 30_000_000_000;
const MAX_ACK_PENDING: u32 = 4096;
const ATTEMPTS: u32 = 8;

/// What the options say of consumers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsumerOptions {
    pub(crate) ack_wait_nanos: Option<u64>,
    pub(crate) max_ack_pending: Option<u32>,
}

impl ConsumerOptions {
    /// The consumer is there afterwards, as it must be.
    pub(crate) async fn ensure(
        self,
        link: &Link,
        period: Period,
        stream: &Wanted,
        info: &StreamInfo,
        consumer: &ConsumerName,
    ) -> Result<(), BackendError> {
        let place = format!("{}.{consumer}", stream.name);
        let api = async |verb: &str, request: &Value| {
            link.api(period, "subscribe", &format!("CONSUMER.{verb}.{place}"), request).await
        };
        let put = async |config: Map<String, Value>| {
            let request = json!({"stream_name": stream.name, "config": config});
            api("DURABLE.CREATE", &request).await
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (what, put) = match api("INFO", &Value::Null).await {
                Ok(found) => {
                    let is = found.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
                    let change = self.change(&is, stream).map_err(|why| impossible(&place, why))?;
                    let Some(changed) = change else { return Ok(()) };
                    ("changed", put(changed).await)
                }
                Err(ApiError::Refused(error)) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {
                    ("made", put(self.new_config(consumer, stream, info)).await)
                }
                Err(error) => return Err(error.into_fault("subscribe")),
            };
            match put {
                // Looked at again: an old server leaves out what it does not know.
                Ok(_) => tracing::debug!(consumer = place, "{what} the consumer"),
                // Someone else was faster.
                Err(ApiError::Refused(error))
                    if attempt < ATTEMPTS
                        && [ErrorCode::CONSUMER_NAME_EXIST, ErrorCode::CONSUMER_ALREADY_EXISTS]
                            .contains(&error.error_code()) => {}
                Err(error) => return Err(error.into_fault("subscribe")),
            }
            if attempt == ATTEMPTS {
                return Err(impossible(&place, "it does not become as it must be"));
            }
        }
    }

    fn new_config(self, consumer: &ConsumerName, stream: &Wanted, info: &StreamInfo) -> Map<String, Value> {
        let mut config = Map::new();
        let mut set = |name: &str, value: Value| drop(config.insert(name.to_owned(), value));
        set("durable_name", consumer.as_str().into());
        set("deliver_policy", "all".into());
        set("ack_policy", "explicit".into());
        set("replay_policy", "instant".into());
        set("max_deliver", (-1).into());
        set("ack_wait", self.ack_wait_nanos.unwrap_or(ACK_WAIT_NANOS).into());
        set("max_ack_pending", self.max_ack_pending.unwrap_or(MAX_ACK_PENDING).into());
        // A filter costs the server time, and is not needed for what there is nothing else beside.
        if !info.is_ours_alone {
            set("filter_subject", stream.subjects.as_str().into());
        }
        config
    }

    fn change(self, is: &Map<String, Value>, stream: &Wanted) -> Result<Option<Map<String, Value>>, &'static str> {
        let text = |name: &str| is.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| is.get(name).and_then(Value::as_i64).unwrap_or_default();
        let flag = |name: &str| is.get(name).and_then(Value::as_bool).unwrap_or_default();
        if !text("deliver_subject").is_empty() {
            return Err("it pushes, and must be pulled from");
        }
        if text("ack_policy") != "explicit" {
            return Err("it does not wait for each acknowledgement");
        }
        if text("deliver_policy") != "all" {
            return Err("it does not deliver all");
        }
        if flag("headers_only") {
            return Err("it delivers headers alone");
        }
        let mut to = is.clone();
        let mut set = |name: &str, value: Value| drop(to.insert(name.to_owned(), value));
        if number("max_deliver") > 0 {
            set("max_deliver", (-1).into());
        }
        if is.get("backoff").and_then(Value::as_array).is_some_and(|backoff| !backoff.is_empty()) {
            return Err("its backoff decides when what is not acknowledged comes again");
        }
        let filters = is.get("filter_subjects").and_then(Value::as_array).is_some_and(|filters| !filters.is_empty());
        if filters || !["", stream.subjects.as_str()].contains(&text("filter_subject")) {
            to.remove("filter_subjects");
            to.insert("filter_subject".to_owned(), stream.subjects.as_str().into());
        }
        let mut set = |name: &str, value: Value| drop(to.insert(name.to_owned(), value));
        if let Some(wait) = self.ack_wait_nanos
            && u64::try_from(number("ack_wait")).unwrap_or(0) != wait
        {
            set("ack_wait", wait.into());
        }
        if let Some(pending) = self.max_ack_pending
            && number("max_ack_pending") != i64::from(pending)
        {
            set("max_ack_pending", pending.into());
        }
        Ok(if to == *is { None } else { Some(to) })
    }
}

fn impossible(place: &str, why: &str) -> BackendError {
    let (stream, consumer) = place.split_once('.').unwrap_or((place, ""));
    let source = format!(
        "the consumer {consumer} of the stream {stream} is not as it must be, and can't be changed: {why}. Remove it with \
         `nats consumer rm {stream} {consumer}`: then ALM makes it anew, and it begins with the oldest event that the stream has"
    );
    not_applied(BackendErrorKind::Corrupt, "subscribe", source)
}
