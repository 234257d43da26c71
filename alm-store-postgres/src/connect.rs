//! The first connection: whether the server will do, and what to do when it can't be made.

use std::{error::Error, fmt, io, time::Duration};

use alm_core::ports::{BackendError, Outcome, StoreError};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::error::{ADAPTER, backend};

/// The oldest version that is tested, as the server counts them.
const OLDEST: i32 = 150_000;

/// A connection outside of the pool, which would keep the reason of a failure for itself.
pub(crate) async fn connect(
    options: &PgConnectOptions,
    search_path: &str,
    patience: Duration,
    operation: &'static str,
) -> Result<PgConnection, StoreError> {
    let connecting = timeout(patience, PgConnection::connect_with(options)).await;
    let connected = connecting.unwrap_or_else(|_| {
        let why = format!("it has not answered within {patience:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, why).into())
    });
    let mut connection = connected.map_err(|error| {
        let advice = advice(&error, options);
        advised(backend(operation, error, Outcome::NotApplied), advice)
    })?;
    let session = "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), \
                   current_setting('search_path')";
    let (version, encoding, path): (i32, String, String) = sqlx::query_as(session)
        .fetch_one(&mut connection)
        .await
        .map_err(|error| backend(operation, error, Outcome::NotApplied))?;
    let why = will_not_do(version, &encoding).or_else(|| {
        (path.replace(' ', "") != search_path).then(|| {
            format!(
                "the session looks for tables in {path:?} and not in {search_path:?}: a pooler in between drops the \
                 startup parameter options, so ALTER ROLE … SET search_path, or connect past the pooler"
            )
        })
    });
    match why {
        None => Ok(connection),
        Some(why) => Err(BackendError::internal(ADAPTER, operation).with_source(why).into()),
    }
}

/// Why a store can't be kept in such a database.
fn will_not_do(version: i32, encoding: &str) -> Option<String> {
    if version < OLDEST {
        let (is, needed) = (version / 10_000, OLDEST / 10_000);
        return Some(format!("the server is PostgreSQL {is}: it must be {needed} or newer"));
    }
    (encoding != "UTF8")
        .then(|| format!("the database is encoded in {encoding}: create one with ENCODING 'UTF8' TEMPLATE template0"))
}

/// What to do when a connection with these options fails so.
fn advice(error: &sqlx::Error, options: &PgConnectOptions) -> Option<String> {
    let place = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| format!("{}, port {}", socket.display(), options.get_port()),
    );
    match error {
        sqlx::Error::Tls(_) => {
            Some(format!("no TLS with {place}, which sslmode asks for: turn on ssl in its postgresql.conf"))
        }
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => tls_advice(error, &place),
        sqlx::Error::Io(_) => Some(format!("cannot reach PostgreSQL at {place}: see that it runs there")),
        sqlx::Error::Database(error) => match error.code().unwrap_or_default().as_ref() {
            "28P01" => Some("check the user and the password in the URL".to_owned()),
            "28000" => Some("check the user, and what pg_hba.conf asks of it".to_owned()),
            "3D000" => Some("create the database, or name another in the URL".to_owned()),
            "42501" => Some("GRANT CONNECT ON DATABASE is missing for this user".to_owned()),
            "53300" => Some("close other connections, or raise max_connections".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(feature = "tls")]
fn tls_advice(error: &io::Error, place: &str) -> Option<String> {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };

    let rustls::Error::InvalidCertificate(refused) = error.get_ref()?.downcast_ref()? else { return None };
    let what = match refused {
        // The second is what it comes to when two authorities have the same name.
        UnknownIssuer | BadSignature => {
            "comes from an authority that is not known: name that one's certificate as sslrootcert"
        }
        NotValidForName | NotValidForNameContext { .. } => "is not for this host: connect to a name that stands in it",
        Expired | ExpiredContext { .. } => "has expired: renew it",
        _ => "is refused",
    };
    Some(format!("the certificate of {place} {what}"))
}

#[cfg(not(feature = "tls"))]
fn tls_advice(_: &io::Error, _: &str) -> Option<String> {
    None
}

/// The same fault, with what to do in front of what the database said.
pub(crate) fn advised(error: StoreError, advice: Option<String>) -> StoreError {
    match (error, advice) {
        (StoreError::Backend(mut fault), Some(advice)) => {
            fault.source = fault.source.take().map(|source| Box::new(Advised { advice, source }) as _);
            fault.into()
        }
        (error, _) => error,
    }
}

#[derive(Debug)]
struct Advised {
    advice: String,
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.advice)
    }
}

impl Error for Advised {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_will_not_do_is_told_why() {
        assert_eq!(will_not_do(150_000, "UTF8"), None);
        assert_eq!(will_not_do(180_001, "UTF8"), None);
        assert!(will_not_do(140_013, "UTF8").unwrap().contains("PostgreSQL 14: it must be 15 or newer"));
        assert!(will_not_do(150_000, "SQL_ASCII").unwrap().contains("ENCODING 'UTF8'"));
    }
}
