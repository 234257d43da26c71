//! Cursors of lists.

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use super::{
    bytes,
    world::{Answer, answer},
};

const LISTS: [&str; 7] =
    ["/apps", "/versions", "/deployments", "/users", "/events", "/audit/events", "/apps/1/environments"];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    // Which list, then the cursor: 1, 2, 9223372036854775807, ada, prod.
    bytes(&["0MQ", "1Mg", "2OTIyMzM3MjAzNjg1NDc3NTgwNw", "3YWRh", "41", "40", "5MQ", "6cHJvZA", "0", "0MTE="])
}

fn page(path: &str) -> Answer {
    let page = answer(Method::GET, path.parse().unwrap(), HeaderMap::new(), Vec::new());
    assert!(
        [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::GONE].contains(&page.status),
        "{path}: {}",
        page.status
    );
    page
}

/// A cursor is one that a list has given or could have given, or it is refused: pages go on from there to other items.
pub(super) fn cursor(data: &[u8]) {
    let Some((list, cursor)) = data.split_first() else { return };
    let list = LISTS[usize::from(*list) % LISTS.len()];
    let cursor = cursor.iter().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02x}");
        encoded
    });
    let first = page(&format!("{list}?limit=1&after={cursor}"));
    if first.status != StatusCode::OK {
        let problem: Value = serde_json::from_slice(&first.body).unwrap();
        assert!(problem["code"].is_string(), "{problem}");
        return;
    }
    let items: Vec<Value> = serde_json::from_slice(&first.body).unwrap();
    let Some(link) = first.headers.get(header::LINK) else { return };
    let next = link.to_str().unwrap().strip_prefix('<').and_then(|link| link.split_once('>')).unwrap().0;
    let second = page(next);
    assert_eq!(second.status, StatusCode::OK, "{next}: a list takes the cursor that it has given");
    let more: Vec<Value> = serde_json::from_slice(&second.body).unwrap();
    assert!(items.len() == 1 && more.len() == 1 && items != more, "{next}: {items:?} {more:?}");
}
