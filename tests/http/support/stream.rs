//! Server-sent events, as they come.

use serde_json::Value;

use super::LONG;

/// An answer that goes on.
pub(crate) struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    pub(super) fn of(response: reqwest::Response) -> Self {
        Self { response, text: String::new() }
    }

    /// The id of the next event, or its type if it has none, and its data; or `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                // A comment keeps the connection alive and says nothing.
                if let Some(data) = field("data") {
                    // What is no event of the log has a type of its own, and no id to come again with.
                    let name = field("id").or(field("event")).unwrap().to_owned();
                    return Some((name, serde_json::from_str(data).unwrap()));
                }
            }
            self.read_on().await?;
        }
    }

    /// Waits until a comment comes, before any event.
    pub(crate) async fn comment(&mut self) {
        while !self.text.contains("\n\n") {
            self.read_on().await.expect("the stream goes on");
        }
        assert!(self.text.starts_with(':'), "{}", self.text);
    }

    async fn read_on(&mut self) -> Option<()> {
        let chunk = tokio::time::timeout(LONG, self.response.chunk()).await.expect("the stream goes on").unwrap()?;
        self.text.push_str(str::from_utf8(&chunk).unwrap());
        Some(())
    }

    /// The ids and subjects of the next events.
    pub(crate) async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..count {
            let (id, event) = self.next().await.expect("the stream goes on");
            told.push(format!("{id} {}", event["subject"].as_str().unwrap()));
        }
        told
    }
}
