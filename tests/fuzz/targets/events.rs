//! Events as they come over the bus.

use alm_core::domain::CloudEvent;

use super::bytes;

pub(super) fn seeds() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000003","source":"/alm/AppService","type":"AppCreated","subject":"apps/1","time":"1970-01-01T00:00:00.000001Z","datacontenttype":"application/json","almlog":"00000000-0000-0000-0000-000000000001","sequence":"00000000000000000042","almchangeset":"00000000-0000-0000-0000-000000000002","almactor":"ada","data":{"id":1,"name":"billing","description":"handles invoicing"}}"#,
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000003","source":"/alm/VersionService","type":"VersionUpdated","subject":"versions/42","time":"2026-11-22T18:10:28.875462Z","datacontenttype":"application/json","almlog":"00000000-0000-0000-0000-000000000001","sequence":"09223372036854775807","almchangeset":"00000000-0000-0000-0000-000000000002","almactor":"ada","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"version_id":42,"app_id":7,"tag":"v1.2.0","changelog":"bug fixes"}}"#,
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000003","source":"/alm/DeploymentService","type":"DeploymentUpdated","subject":"deployments/123","time":"1970-01-01T00:00:00.000001Z","datacontenttype":"application/json","almlog":"00000000-0000-0000-0000-000000000001","sequence":"00000000000000000001","almchangeset":"00000000-0000-0000-0000-000000000002","almactor":"system","data":{"deployment_id":123,"version_id":42,"app_id":7,"environment":"prod","status":"successful","previous_status":"running"}}"#,
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000003","source":"/alm/AuthService","type":"LoginFailed","subject":"users/ada","time":"1970-01-01T00:00:00.000001Z","datacontenttype":"application/json","almlog":"00000000-0000-0000-0000-000000000001","sequence":"00000000000000000001","almchangeset":"00000000-0000-0000-0000-000000000002","almactor":"anonymous","data":{"user":"ada"}}"#,
        r#"{"id":"00000000-0000-0000-0000-000000000003","source":"/alm/NewService","type":"NewThing","subject":"things/1","almlog":"00000000-0000-0000-0000-000000000001","sequence":"2","data":{"more":[1,null,"x"]}}"#,
    ])
}

/// An event that is read is written and read as the same one, and stands where its document says.
pub(super) fn event(data: &[u8]) {
    let place = CloudEvent::place(data);
    if let Ok(event) = CloudEvent::decode(data) {
        assert_eq!(place, Some((event.log, event.position)));
        let written = CloudEvent::encode(&event);
        assert_eq!(CloudEvent::decode(&written).as_ref(), Ok(&event));
        assert_eq!(CloudEvent::decode_as_is(data).as_ref(), Ok(&event));
        assert_eq!(CloudEvent::encode(&CloudEvent::decode(&written).unwrap()), written);
    }
    if let Ok(event) = CloudEvent::decode_as_is(data) {
        assert_eq!(place, Some((event.log, event.position)));
        let again = CloudEvent::decode_as_is(&CloudEvent::encode(&event)).unwrap();
        assert_eq!((again.log, again.position, again.id), (event.log, event.position, event.id));
        assert_eq!(again.data.type_name(), event.data.type_name());
    }
}
