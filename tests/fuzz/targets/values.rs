//! Values that stand in headers, paths, bodies and settings.

use alm_bus_nats::NatsOptions;
use alm_core::{
    changeset::{ConsumerName, IdempotencyKey},
    domain::{Actor, AppName, EnvironmentName, Services, Subject, Tag, Timestamp, TraceParent, Username},
};
use alm_http::upstream::BaseUrl;

use super::bytes;

pub(super) fn seeds() -> Vec<Vec<u8>> {
    bytes(&[
        "2026-11-22T18:10:28.875462Z",
        "1985-04-12T23:20:50.52+01:30",
        "deployments/42",
        "users/ada",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "billing",
        "prod-eu.1",
        "app,version",
        "http://app:8080/alm",
        "nats://me:secret@a:4222,b:4222?credentials=file&replicas=3",
        "tls://nats.example.com?ca=ca.pem&max_age_days=7",
        "\u{0065}\u{0301}\u{202e}",
    ])
}

/// A value that is taken is taken again as it was written, and is then the same.
pub(super) fn values(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    macro_rules! same_again {
        ($($type:ty),*) => {$(
            if let Ok(value) = <$type>::parse(text) {
                let written = value.to_string();
                assert_eq!(<$type>::parse(written.as_str()).as_ref(), Ok(&value), "{}: {written:?}", stringify!($type));
            }
        )*};
    }
    same_again!(Timestamp, Subject, TraceParent, ConsumerName, Actor, AppName, Tag, Username, EnvironmentName, BaseUrl);
    if let Ok(services) = text.parse::<Services>() {
        assert_eq!(services.to_string().parse(), Ok(services));
    }
    if let Ok(subject) = Subject::parse(text) {
        assert_eq!(subject.to_string(), text);
    }
    if let Ok(key) = IdempotencyKey::parse(text) {
        assert_eq!(key.as_str(), text);
    }
    let _ = text.parse::<NatsOptions>();
}
