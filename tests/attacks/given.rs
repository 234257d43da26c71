//! What an attack is told in: who sends what, and the answer that it must get.
//!
//! A text in braces is the name of something that there is only when the server runs, such as `{token of a session}`; what there is
//! stands in [`target`](crate::target).

/// An attack: a line of a table.
pub(crate) struct Attack {
    /// No other attack has it.
    pub(crate) name: &'static str,
    pub(crate) sent: Sent,
    pub(crate) answer: Answer,
}

pub(crate) fn attack(name: &'static str, sent: impl Into<Sent>, answer: Answer) -> Attack {
    Attack { name, sent: sent.into(), answer }
}

/// What is sent on a connection of its own.
pub(crate) enum Sent {
    /// A request that is well framed, whatever it says.
    Request(Request),
    /// These bytes, and nothing else.
    Bytes(Vec<u8>),
    /// Bytes, and others after them again and again until the server has had enough.
    Endless(Vec<u8>, Vec<u8>),
}

/// A request of HTTP/1.1.
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<Vec<u8>>,
}

impl From<Request> for Sent {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

/// A request by someone who does not say who they are.
pub(crate) fn no_one(line: impl Into<String>) -> Request {
    Request { line: line.into(), headers: Vec::new(), body: None }
}

/// A request with this token.
pub(crate) fn with_token(token: impl AsRef<str>, line: impl Into<String>) -> Request {
    no_one(line).header(format!("authorization: Bearer {}", token.as_ref()))
}

/// A request by Mallory, who has this role: `admin`, `user`, `deployer`, `auditor` or `viewer`.
pub(crate) fn a(role: &str, line: impl Into<String>) -> Request {
    scoped(role, "", line)
}

/// A request by Mallory, who has this role everywhere, and these scopes besides.
pub(crate) fn scoped(role: &str, scope: &str, line: impl Into<String>) -> Request {
    named("mallory", role, scope, line)
}

/// A request by who calls himself so, with a token that says so.
pub(crate) fn named(name: &str, role: &str, scope: &str, line: impl Into<String>) -> Request {
    with_token(crate::forge::token_of(name, role, scope), line)
}

impl Request {
    pub(crate) fn header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// With a body that is said to be JSON.
    pub(crate) fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = self.header(format!("content-type: {content_type}"));
        request.body = Some(body.into());
        request
    }

    /// What goes over the wire; `fill` says what stands for names in braces.
    pub(crate) fn bytes(&self, fill: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let headers: String = self.headers.iter().flat_map(|header| [header.as_str(), "\r\n"]).collect();
        let body = self.body.as_deref().map(&fill);
        let length = match &body {
            Some(body) => format!("content-length: {}\r\n", body.len()),
            None if self.line.starts_with('P') => "content-length: 0\r\n".to_owned(),
            None => String::new(),
        };
        let head = format!("{} HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n{headers}{length}\r\n", self.line);
        [fill(head.as_bytes()), body.unwrap_or_default()].concat()
    }
}

/// The answer that an attack must get, and what it leaves in the event log. Whatever is not told here must not be.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// `None`: the connection is closed without a word.
    pub(crate) status: Option<u16>,
    /// Of the problem; empty when the request does not get as far as to have one.
    pub(crate) code: &'static str,
    /// The field that is refused, and why; empty when it is not about one.
    pub(crate) field: &'static str,
    /// The types of the events.
    pub(crate) events: &'static [&'static str],
}

/// The connection is closed without a word.
pub(crate) const CLOSED: Answer = Answer { status: None, code: "", field: "", events: &[] };

/// The token does not count.
pub(crate) const NO_TOKEN: Answer = refused(401, "invalid-token");

/// It may not, and the refusal goes on record.
pub(crate) const DENIED: Answer = Answer { events: &["AccessDenied"], ..refused(403, "forbidden") };

/// Name and password do not fit, and that goes on record.
pub(crate) const WRONG: Answer = Answer { events: &["LoginFailed"], ..refused(401, "wrong-credentials") };

/// Refused with a problem of this code.
pub(crate) const fn refused(status: u16, code: &'static str) -> Answer {
    Answer { status: Some(status), code, field: "", events: &[] }
}

/// Refused before anyone has looked at what it says.
pub(crate) const fn cut_off(status: u16) -> Answer {
    refused(status, "")
}

/// One field is refused, as `/name: empty`.
pub(crate) const fn field(field: &'static str) -> Answer {
    Answer { field, ..refused(422, "invalid-field") }
}

/// It is answered as any other, for it is harmless.
pub(crate) const fn harmless(status: u16, events: &'static [&'static str]) -> Answer {
    Answer { status: Some(status), code: "", field: "", events }
}
