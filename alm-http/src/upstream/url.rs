//! Where a service is.

use std::{fmt, str::FromStr};

use axum::http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// The URL below which a service has its routes, such as `http://app:8080` or `http://10.0.0.7/alm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    authority: Authority,
    /// Without a slash at its end; empty for the root.
    path: String,
}

/// Why a text is no [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBaseUrl {
    /// It does not begin with `http://` and a host.
    #[error("must be a URL, such as http://app:8080")]
    NoUrl,
    /// It is a URL of something else.
    #[error("must begin with http://: nothing else is spoken between services")]
    Scheme,
    /// It has a user, a query or a fragment, or dots and double slashes in its path.
    #[error("must have nothing but a host, a port and a plain path")]
    TooMuch,
}

impl BaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// See [`InvalidBaseUrl`].
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        if text.contains(['#', '?']) {
            return Err(InvalidBaseUrl::TooMuch);
        }
        let uri = Uri::from_str(text).map_err(|_| InvalidBaseUrl::NoUrl)?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let (Some(scheme), Some(authority)) = (uri.scheme(), authority) else { return Err(InvalidBaseUrl::NoUrl) };
        if *scheme != Scheme::HTTP {
            return Err(InvalidBaseUrl::Scheme);
        }
        let path = uri.path().trim_end_matches('/');
        let is_plain =
            path.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | "..")) && !path.contains('%');
        if authority.as_str().contains('@') || !is_plain {
            return Err(InvalidBaseUrl::TooMuch);
        }
        Ok(Self { authority: authority.clone(), path: path.to_owned() })
    }

    /// The URL of `path` at this service, byte for byte; `None` if it is no path.
    pub(crate) fn at(&self, path: &PathAndQuery) -> Option<Uri> {
        let path = if self.path.is_empty() {
            path.clone()
        } else {
            PathAndQuery::try_from(format!("{}{path}", self.path)).ok()?
        };
        Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(path).build().ok()
    }

    /// What stands below this service in `reference`, a path or a URL that the service gave; `None` if it leads elsewhere.
    pub(crate) fn within<'a>(&self, reference: &'a str) -> Option<&'a str> {
        let path = match reference.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                self.authority.as_str().eq_ignore_ascii_case(authority).then_some(path)?
            }
            // A reference such as `//host/path` has a host of its own (RFC 3986, section 4.2).
            _ if reference.starts_with('/') && !reference.starts_with("//") => reference,
            _ => return None,
        };
        let path = path.strip_prefix(self.path.as_str())?;
        path.starts_with('/').then_some(path)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_and_written() {
        for (text, written) in [
            ("http://app:8080", "http://app:8080"),
            ("http://app:8080/", "http://app:8080"),
            ("http://10.0.0.7/alm/", "http://10.0.0.7/alm"),
            ("http://[::1]:80/a/b", "http://[::1]:80/a/b"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for (text, why) in [
            ("", InvalidBaseUrl::NoUrl),
            ("app:8080", InvalidBaseUrl::NoUrl),
            ("/apps", InvalidBaseUrl::NoUrl),
            ("http://", InvalidBaseUrl::NoUrl),
            ("https://app", InvalidBaseUrl::Scheme),
            ("http://me:secret@app", InvalidBaseUrl::TooMuch),
            ("http://app?x=1", InvalidBaseUrl::TooMuch),
            ("http://app/#x", InvalidBaseUrl::TooMuch),
            ("http://app/a/../b", InvalidBaseUrl::TooMuch),
            ("http://app//a", InvalidBaseUrl::TooMuch),
            ("http://app/%2e%2e", InvalidBaseUrl::TooMuch),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_path_is_put_below_it_byte_for_byte() {
        let path = PathAndQuery::from_static("/apps/%41?label=a%3Db&x=%2F");
        for (base, uri) in [
            ("http://app:1", "http://app:1/apps/%41?label=a%3Db&x=%2F"),
            ("http://app:1/alm", "http://app:1/alm/apps/%41?label=a%3Db&x=%2F"),
        ] {
            assert_eq!(BaseUrl::parse(base).unwrap().at(&path).unwrap().to_string(), uri);
        }
    }

    #[test]
    fn only_what_is_below_it_is_found_within() {
        let base = BaseUrl::parse("http://app:1/alm").unwrap();
        for (reference, within) in [
            ("/alm/apps/1", Some("/apps/1")),
            ("http://app:1/alm/apps?x=1", Some("/apps?x=1")),
            ("HTTP://APP:1/alm/apps", Some("/apps")),
            ("/almost/apps", None),
            ("/apps", None),
            ("//app:1/alm/apps", None),
            ("http://other/alm/apps", None),
            ("https://app:1/alm/apps", None),
            ("apps", None),
        ] {
            assert_eq!(base.within(reference), within, "{reference}");
        }
    }
}
