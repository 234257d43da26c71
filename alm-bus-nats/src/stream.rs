//! The stream: made when it is not there, brought up to what it must be when it is less, and left alone where it is more.

use alm_core::{
    domain::LogId,
    ports::{BackendError, BackendErrorKind},
};
use async_nats::jetstream::ErrorCode;
use serde_json::{Map, Value, json};
use uuid::Builder;

use crate::{
    api::ApiError,
    fault::not_applied,
    link::{LEAST_MESSAGE, Link, Period},
    options::{NatsOptions, Storage},
    subjects::covers,
};

/// How often others may be at it at the same time before it is given up.
const ATTEMPTS: u32 = 8;

/// What is known of the stream of the server.
#[derive(Clone, Debug)]
pub(crate) struct StreamInfo {
    /// Names this stream, and no other that has its name later.
    pub(crate) log: LogId,
    /// Whether it holds nothing but events.
    pub(crate) is_ours_alone: bool,
    /// How large a message may be, if the stream has a bound of its own.
    pub(crate) max_message: Option<usize>,
}

/// The stream as it must be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) subjects: String,
    storage: Storage,
    replicas: Option<usize>,
    max_age: Option<u64>,
    max_bytes: Option<i64>,
    duplicate_window: u64,
}

impl Wanted {
    pub(crate) fn of(options: &NatsOptions, subjects: String) -> Self {
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            name: options.stream.clone(),
            subjects,
            storage: options.storage,
            replicas: options.replicas,
            max_age: options.max_age.map(nanos),
            max_bytes: options.max_bytes.map(|bytes| match i64::try_from(bytes) {
                Ok(0) | Err(_) => -1,
                Ok(bytes) => bytes,
            }),
            duplicate_window: nanos(options.duplicate_window),
        }
    }

    /// The stream of the server, which is as it must be afterwards. Any number of processes may do so at once.
    pub(crate) async fn ensure(
        &self,
        link: &Link,
        period: Period,
        operation: &'static str,
    ) -> Result<StreamInfo, BackendError> {
        let api = async |verb: &str, request: &Value| {
            link.api(period, operation, &format!("STREAM.{verb}.{}", self.name), request).await
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let info = match api("INFO", &Value::Null).await {
                Ok(info) => info,
                Err(ApiError::Refused(error)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    match api("CREATE", &self.new_config()).await {
                        Ok(info) => {
                            tracing::info!(stream = self.name, "made the stream");
                            info
                        }
                        // Someone else was faster, and wants it otherwise.
                        Err(ApiError::Refused(error))
                            if error.error_code() == ErrorCode::STREAM_NAME_EXIST && attempt < ATTEMPTS =>
                        {
                            continue;
                        }
                        Err(ApiError::Refused(error)) => return Err(self.refused("made", &error, operation)),
                        Err(ApiError::Fault(error)) => return Err(error),
                    }
                }
                Err(error) => return Err(error.into_fault(operation)),
            };
            let config = info.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
            let change = self.change(&config).map_err(|why| self.impossible(why, operation))?;
            let Some(changed) = change else { return Ok(self.described(&info, &config)) };
            match api("UPDATE", &Value::Object(changed)).await {
                // What the server has made of it is looked at again: an old one leaves out what it does not know.
                Ok(_) if attempt < ATTEMPTS => tracing::info!(stream = self.name, "changed the stream"),
                Ok(_) => return Err(self.impossible("it does not become as it must be", operation)),
                Err(ApiError::Refused(error)) => return Err(self.refused("changed", &error, operation)),
                Err(ApiError::Fault(error)) => return Err(error),
            }
        }
    }

    fn described(&self, info: &Value, config: &Map<String, Value>) -> StreamInfo {
        let created = info.get("created").and_then(Value::as_str).unwrap_or_default();
        let max_message = config.get("max_msg_size").and_then(Value::as_i64).filter(|size| *size > 0);
        StreamInfo {
            log: log_of(&self.name, created),
            is_ours_alone: subjects_of(config) == [self.subjects.as_str()],
            max_message: max_message.and_then(|size| usize::try_from(size).ok()),
        }
    }

    fn new_config(&self) -> Value {
        json!({
            "name": self.name,
            "description": "The events of ALM",
            "subjects": [self.subjects],
            "retention": "limits",
            "storage": match self.storage { Storage::File => "file", Storage::Memory => "memory" },
            "num_replicas": self.replicas.unwrap_or(1),
            "max_age": self.max_age.unwrap_or(0),
            "max_bytes": self.max_bytes.unwrap_or(-1),
            "max_msgs": -1,
            "max_msgs_per_subject": -1,
            "max_consumers": -1,
            "max_msg_size": -1,
            "discard": "old",
            // The server refuses a window that is longer than what it keeps.
            "duplicate_window": match self.max_age {
                Some(age) if age > 0 => self.duplicate_window.min(age),
                _ => self.duplicate_window,
            },
            "deny_delete": true,
            "deny_purge": true,
        })
    }

    /// What must become of the configuration `is`; `None`: nothing. Everything else in it stays.
    fn change(&self, is: &Map<String, Value>) -> Result<Option<Map<String, Value>>, &'static str> {
        let text = |name: &str| is.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| is.get(name).and_then(Value::as_i64).unwrap_or_default();
        let flag = |name: &str| is.get(name).and_then(Value::as_bool).unwrap_or_default();
        if text("retention") != "limits" {
            return Err("its retention is not \"limits\", so it forgets what was acknowledged");
        }
        if self.storage == Storage::File && text("storage") != "file" {
            return Err("it is kept in memory, and is to be kept in files");
        }
        if flag("sealed") {
            return Err("it is sealed");
        }
        if is.get("mirror").is_some_and(|mirror| !mirror.is_null()) {
            return Err("it is a mirror, which can't be published to");
        }

        let mut to = is.clone();
        let mut set = |name: &str, value: Value| drop(to.insert(name.to_owned(), value));
        let subjects = subjects_of(is);
        if !subjects.iter().any(|subject| covers(subject, &self.subjects)) {
            let others = subjects.into_iter().filter(|subject| !covers(&self.subjects, subject));
            set("subjects", others.chain([self.subjects.as_str()]).collect());
        }
        for name in ["deny_delete", "deny_purge"] {
            if !flag(name) {
                set(name, true.into());
            }
        }
        if flag("no_ack") {
            set("no_ack", false.into());
        }
        if usize::try_from(number("max_msg_size")).is_ok_and(|most| 0 < most && most < LEAST_MESSAGE) {
            set("max_msg_size", LEAST_MESSAGE.into());
        }
        let max_age = match self.max_age {
            Some(age) => age,
            None => u64::try_from(number("max_age")).unwrap_or(0),
        };
        if u64::try_from(number("max_age")).unwrap_or(0) != max_age {
            set("max_age", max_age.into());
        }
        if let Some(bytes) = self.max_bytes
            && number("max_bytes").max(-1) != bytes
        {
            set("max_bytes", bytes.into());
        }
        let window = if max_age > 0 { self.duplicate_window.min(max_age) } else { self.duplicate_window };
        let has = u64::try_from(number("duplicate_window")).unwrap_or(0);
        if has < window || max_age > 0 && has > max_age {
            set("duplicate_window", window.into());
        }
        if let Some(replicas) = self.replicas
            && usize::try_from(number("num_replicas")).unwrap_or(0) < replicas
        {
            set("num_replicas", replicas.into());
        }
        Ok(if to == *is { None } else { Some(to) })
    }

    /// What only an operator can put right.
    fn impossible(&self, why: &str, operation: &'static str) -> BackendError {
        let Self { name, subjects, .. } = self;
        let source = format!(
            "the stream {name} is not as it must be, and can't be changed: {why}. Name another stream, or remove this one with \
             `nats stream rm {name}`: then ALM makes it anew for {subjects}. Events that were not delivered are replayed from their logs"
        );
        not_applied(BackendErrorKind::Corrupt, operation, source)
    }

    fn refused(&self, what: &str, error: &async_nats::jetstream::Error, operation: &'static str) -> BackendError {
        let kind = crate::fault::kind_of(error.code(), error.error_code());
        // What is none of the passing faults, an operator has to look at.
        let kind = if kind == BackendErrorKind::Internal { BackendErrorKind::Corrupt } else { kind };
        let source = format!("the stream {} can't be {what} as it must be: {error}", self.name);
        not_applied(kind, operation, source)
    }
}

fn subjects_of(config: &Map<String, Value>) -> Vec<&str> {
    let subjects = config.get("subjects").and_then(Value::as_array);
    subjects.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A UUID of version 8 for the stream of that name which was created then, to the nanosecond: the same in every process, and
/// another one for a stream that was made anew. Its bytes are two FNV-1a hashes of both.
fn log_of(name: &str, created: &str) -> LogId {
    let hash = |seed: u64| {
        let bytes = name.bytes().chain([0]).chain(created.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let bytes = (u128::from(hash(0)) << 64 | u128::from(hash(0x9e37_79b9_7f4a_7c15))).to_be_bytes();
    LogId::new(Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wanted(options: &NatsOptions) -> Wanted {
        Wanted::of(options, "alm.v1.*.*".to_owned())
    }

    fn options() -> NatsOptions {
        "nats://localhost".parse().unwrap()
    }

    fn config(of: &Wanted, other: &Value) -> Map<String, Value> {
        let mut config = of.new_config().as_object().unwrap().clone();
        config.extend(other.as_object().unwrap().clone());
        config
    }

    fn changed(options: &NatsOptions, other: &Value) -> Option<Value> {
        let wanted = wanted(options);
        let is = config(&wanted, other);
        let to = wanted.change(&is).unwrap()?;
        Some(to.into_iter().filter(|(name, value)| is.get(name) != Some(value)).collect())
    }

    #[test]
    fn what_an_operator_has_widened_or_added_stays() {
        for more in [
            json!({"subjects": ["alm.>"]}),
            json!({"subjects": ["other", "alm.v1.*.*"], "max_age": 7, "duplicate_window": 7}),
            json!({"max_bytes": 1000, "max_age": 600_000_000_000_u64, "num_replicas": 3, "compression": "s2"}),
            json!({"max_msg_size": 263_168}),
            json!({"duplicate_window": 900_000_000_000_u64, "metadata": {"a": "b"}, "discard": "new"}),
        ] {
            assert_eq!(changed(&options(), &more), None, "{more}");
        }
        let memory = options().storage(Storage::Memory);
        assert_eq!(changed(&memory, &json!({"storage": "file"})), None);
        assert_eq!(changed(&options().replicas(1), &json!({"num_replicas": 3})), None);
    }

    #[test]
    fn what_is_less_than_it_must_be_is_changed_and_nothing_else() {
        let cases = [
            (
                options(),
                json!({"deny_delete": false, "deny_purge": false}),
                json!({"deny_delete": true, "deny_purge": true}),
            ),
            (options(), json!({"subjects": ["alm.v1.apps.created", "x"]}), json!({"subjects": ["x", "alm.v1.*.*"]})),
            (options(), json!({"duplicate_window": 5}), json!({"duplicate_window": 120_000_000_000_u64})),
            (options(), json!({"no_ack": true, "compression": "s2"}), json!({"no_ack": false})),
            (options(), json!({"max_msg_size": 263_167}), json!({"max_msg_size": 263_168})),
            (options().replicas(3), json!({"num_replicas": 1}), json!({"num_replicas": 3})),
            (options().max_bytes(9), json!({"max_bytes": -1}), json!({"max_bytes": 9})),
            (
                options().max_age(Duration::from_secs(1)),
                json!({"max_age": 0, "duplicate_window": 120_000_000_000_u64}),
                json!({"max_age": 1_000_000_000, "duplicate_window": 1_000_000_000}),
            ),
        ];
        for (options, is, expected) in cases {
            assert_eq!(changed(&options, &is), Some(expected), "{is}");
        }
    }

    #[test]
    fn what_can_not_be_changed_is_told() {
        let wanted = wanted(&options());
        for other in [
            json!({"storage": "memory"}),
            json!({"retention": "workqueue"}),
            json!({"sealed": true}),
            json!({"mirror": {"name": "other"}}),
        ] {
            assert!(wanted.change(&config(&wanted, &other)).is_err(), "{other}");
        }
    }

    #[test]
    fn a_stream_that_is_made_anew_has_another_log() {
        let logs = [
            log_of("A", "2026-01-01T00:00:00.1Z"),
            log_of("A", "2026-01-01T00:00:00.2Z"),
            log_of("B", "2026-01-01T00:00:00.1Z"),
        ];
        assert!(logs[0] != logs[1] && logs[0] != logs[2] && logs[1] != logs[2]);
        assert_eq!(log_of("A", "x").to_string(), log_of("A", "x").to_string());
    }
}
