//! Requests.

use std::{fmt, pin::Pin, sync::Arc};

use reqwest::{Method, header};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Answer, Document, Stream};

/// Sends requests to one server, with a token or without. Clones are cheap.
#[derive(Clone)]
pub(crate) struct Client {
    server: Arc<Target>,
    token: Option<String>,
}

struct Target {
    /// Where the API is: scheme, authority and prefix.
    base: String,
    http: reqwest::Client,
    document: OnceCell<Arc<Document>>,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(super::LONG).build().unwrap();
        Self { server: Arc::new(Target { base, http, document: OnceCell::new() }), token: None }
    }

    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// What the server says of itself.
    pub(crate) async fn document(&self) -> Arc<Document> {
        let load = async || {
            let url = format!("{}/openapi.json", self.server.base);
            let served = self.server.http.get(url).send().await.unwrap();
            assert_eq!(served.status(), 200);
            Arc::new(Document::new(served.json().await.unwrap()))
        };
        self.server.document.get_or_init(load).await.clone()
    }

    pub(crate) fn call(&self, method: &str, path: impl fmt::Display) -> Call {
        let method = method.to_uppercase().parse().unwrap();
        let call =
            Call { server: self.server.clone(), method, path: path.to_string(), headers: Vec::new(), body: Vec::new() };
        match &self.token {
            Some(token) => call.header("authorization", format!("Bearer {token}")),
            None => call,
        }
    }

    pub(crate) fn get(&self, path: impl fmt::Display) -> Call {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: impl fmt::Display, body: &Value) -> Call {
        self.call("POST", path).json(body)
    }

    pub(crate) fn put(&self, path: impl fmt::Display, body: &Value) -> Call {
        self.call("PUT", path).json(body)
    }

    pub(crate) fn delete(&self, path: impl fmt::Display) -> Call {
        self.call("DELETE", path)
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let page = self.get(&path).await.is(200);
            items.extend(page.json().as_array().expect("a list").clone());
            next = page.next_page().map(|link| self.within(&link));
        }
        items
    }

    /// What stands below the prefix of the API in a path that the server gave.
    pub(crate) fn within(&self, path: &str) -> String {
        let base: reqwest::Url = self.server.base.parse().unwrap();
        let prefix = base.path().trim_end_matches('/');
        path.strip_prefix(prefix).unwrap_or_else(|| panic!("{path} is not below {prefix}")).to_owned()
    }
}

/// A request that is not sent yet; awaiting it sends it and holds the answer against the document.
pub(crate) struct Call {
    server: Arc<Target>,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn if_match(self, tags: &str) -> Self {
        self.header("if-match", tags)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(Some("application/json"), body.to_string())
    }

    pub(crate) fn raw(mut self, content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(name, _)| name != "content-type");
        self.headers.extend(content_type.map(|content_type| ("content-type".to_owned(), content_type.to_owned())));
        self.body = body.into();
        self
    }

    /// Sends it, for an answer that does not end.
    pub(crate) async fn follow(self) -> Stream {
        let response = self.header("accept", "text/event-stream").execute().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream::of(response)
    }

    async fn send(self) -> Answer {
        let (server, method) = (self.server.clone(), self.method.clone());
        let response = self.execute().await;
        let full_path = response.url().path().to_owned();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let answer = Answer::new(method, full_path, status, headers, body.to_vec());
        let client = Client { server, token: None };
        answer.check(client.document().await.as_ref());
        answer
    }

    async fn execute(self) -> reqwest::Response {
        let Self { server, method, path, headers, body } = self;
        let mut request = server.http.request(method.clone(), format!("{}{path}", server.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if !body.is_empty() || [Method::POST, Method::PUT].contains(&method) {
            request = request.header(header::CONTENT_LENGTH, body.len()).body(body);
        }
        request.send().await.unwrap()
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
