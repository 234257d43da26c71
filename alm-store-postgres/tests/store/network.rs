//! The network between the store and its database fails at the worst moments.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::{
    changeset::{Change, Changeset},
    domain::{ChangesetId, Position},
    ports::{BackendError, BackendErrorKind, Committer, EventLog, Outcome, Reader, StoreError, TreeStore},
    testing::fixtures::{account, growth, of, username},
};
use alm_store_postgres::{PostgresStore, sqlx::postgres::PgConnectOptions};
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
};

use crate::place::Place;

/// What the network does to one who ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// It cuts the connection before the server hears of it.
    CutsBefore,
    /// It cuts the connection when the server has answered, before the store hears of it.
    CutsAfter,
    /// It swallows what the server answers, and all that comes later, and cuts nothing.
    Swallows,
}

/// A socket beside that of the server, with weather in between.
struct Network {
    folder: TempDir,
    weather: Arc<Mutex<Option<(Weather, usize)>>>,
}

/// Whether the weather strikes now.
fn strikes(weather: &Mutex<Option<(Weather, usize)>>, how: Weather) -> bool {
    let mut weather = weather.lock().unwrap();
    match weather.as_mut() {
        Some((current, left)) if *current == how && *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// Whether what the store asks ends a transaction: by the word, or because it is a whole one, with the event or the checkpoint that
/// those have.
fn ends(asked: &[u8]) -> bool {
    let has = |word: &[u8]| asked.windows(word.len()).any(|part| part == word);
    has(b"COMMIT") || has(b"LoginFailed") || has(b"alm.example/log")
}

impl Network {
    fn to(server: PgConnectOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let weather = Arc::new(Mutex::new(None));
        let current = weather.clone();
        tokio::spawn(async move {
            while let Ok((store, _)) = listener.accept().await {
                tokio::spawn(pass(store, connect(&server).await, current.clone()));
            }
        });
        Self { folder, weather }
    }

    /// It strikes so many times.
    fn turns(&self, weather: Weather, times: usize) {
        *self.weather.lock().unwrap() = Some((weather, times));
    }

    fn turns_fair(&self) {
        *self.weather.lock().unwrap() = None;
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(server: &PgConnectOptions) -> Box<dyn Stream> {
    let (host, port) = (server.get_host().to_owned(), server.get_port());
    let folder = server.get_socket().cloned().or_else(|| host.starts_with('/').then(|| host.clone().into()));
    match folder {
        Some(folder) => Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await.unwrap()),
        None => Box::new(TcpStream::connect((host, port)).await.unwrap()),
    }
}

/// Passes on what comes, until the weather turns on one who ends a transaction.
async fn pass(mut store: UnixStream, mut server: Box<dyn Stream>, weather: Arc<Mutex<Option<(Weather, usize)>>>) {
    let (mut asked, mut answered) = ([0; 8192], [0; 8192]);
    let mut committing = false;
    loop {
        tokio::select! {
            length = store.read(&mut asked) => {
                let Ok(length @ 1..) = length else { return };
                committing = ends(&asked[..length]);
                if committing && strikes(&weather, Weather::CutsBefore) {
                    return;
                }
                if server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            length = server.read(&mut answered) => {
                let Ok(length @ 1..) = length else { return };
                if committing && strikes(&weather, Weather::CutsAfter) {
                    return;
                }
                if committing && strikes(&weather, Weather::Swallows) {
                    // The store must give up by itself.
                    while let Ok(1..) = store.read(&mut asked).await {}
                    return;
                }
                if store.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A changeset that is committed alone: it makes that account.
fn alone(name: &str) -> Changeset {
    of(Change::user_created(&account(name)))
}

/// A changeset that may be committed with others.
fn joining() -> Changeset {
    of(Change::login_failed(&username("ada")))
}

/// A store behind the network, which does not wait for long.
async fn store(place: &Place, network: &Network) -> PostgresStore {
    let options = place.options_with(place.host().socket(network.folder.path()).port(5432));
    let store = PostgresStore::connect(&options.statement_timeout(Duration::from_millis(500))).await.unwrap();
    store.commit(of(Change::user_created(&account("ada")))).await.unwrap();
    store
}

/// Commits in that weather; gives the kind of the fault, of which the outcome must be unknown.
async fn fault_in(
    weather: Weather,
    network: &Network,
    store: &PostgresStore,
    changeset: &Changeset,
) -> BackendErrorKind {
    network.turns(weather, usize::MAX);
    let error = store.commit(changeset.clone()).await.unwrap_err();
    network.turns_fair();
    match error {
        StoreError::Backend(BackendError { kind, outcome: Outcome::Unknown, .. }) => kind,
        other => panic!("no one can know what came of it: {other:?}"),
    }
}

/// Waits until that many events have positions; gives the changesets that they are of.
async fn logged(store: &PostgresStore, count: u64) -> Vec<ChangesetId> {
    let coming = async {
        while store.head().await.unwrap() < Position::new(count) {
            store.changed(Position::new(count - 1)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("they get positions");
    let log = store.read(Position::new(1), 10).await.unwrap();
    log.iter().map(|event| event.changeset).collect()
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_its_receipt_tells() {
    // given
    let place = Place::migrated().await;
    let network = Network::to(place.host());
    let store = store(&place, &network).await;

    // when the server never hears of it
    let never = alone("never");
    let kind = fault_in(Weather::CutsBefore, &network, &store, &never).await;
    assert_eq!(kind, BackendErrorKind::Unavailable);
    assert_eq!(store.receipt(never.id()).await.unwrap(), None);

    // when the store never hears of it, at once or after it has waited
    let mut made = Vec::new();
    for (weather, expected, name) in [
        (Weather::CutsAfter, BackendErrorKind::Unavailable, "cut"),
        (Weather::Swallows, BackendErrorKind::Timeout, "swallowed"),
    ] {
        let changeset = alone(name);
        assert_eq!(fault_in(weather, &network, &store, &changeset).await, expected);
        assert!(store.receipt(changeset.id()).await.unwrap().is_some());
        made.push(changeset);
    }

    // then each can be sent again, and has one effect
    made.push(never);
    for changeset in &made {
        store.commit(changeset.clone()).await.unwrap();
    }
    assert_eq!(logged(&store, 4).await, made.iter().map(Changeset::id).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_committed_with_others_and_whose_answer_is_lost_is_found_by_its_id() {
    // given
    let place = Place::migrated().await;
    let network = Network::to(place.host());
    let store = store(&place, &network).await;

    // when the server never hears of it, and not of the attempts alone either
    let never = joining();
    fault_in(Weather::CutsBefore, &network, &store, &never).await;
    assert_eq!(store.receipt(never.id()).await.unwrap(), None);

    // when the store never hears of it, and the attempts alone are certain to have done nothing
    let unheard = joining();
    fault_in(Weather::CutsAfter, &network, &store, &unheard).await;
    assert!(store.receipt(unheard.id()).await.unwrap().is_some());

    // when the store never hears of it, at once or after it has waited, but of what comes then
    let mut made = vec![unheard.id()];
    for weather in [Weather::CutsAfter, Weather::Swallows] {
        network.turns(weather, 1);
        let changesets = [joining(), joining(), joining()];
        let receipts = join_all(changesets.iter().map(|changeset| store.commit(changeset.clone()))).await;
        network.turns_fair();
        for (changeset, receipt) in changesets.iter().zip(receipts) {
            assert_eq!(receipt.unwrap().changeset, changeset.id());
            made.push(changeset.id());
        }
    }

    // then each has one effect
    let mut logged = logged(&store, 8).await;
    logged.sort_unstable();
    made.sort_unstable();
    assert_eq!(logged, made);
}

#[tokio::test]
async fn a_growth_whose_answer_is_lost_is_made_or_unknown_and_the_newest_checkpoint_tells() {
    // given
    let place = Place::migrated().await;
    let network = Network::to(place.host());
    let store = store(&place, &network).await;

    // when the server does not hear of it at first, it is asked again
    network.turns(Weather::CutsBefore, 1);
    store.grow(growth(0, 1)).await.unwrap();

    // when the store does not hear of it at first, it can't tell who has grown the tree
    for (weather, expected, size) in
        [(Weather::CutsAfter, BackendErrorKind::Unavailable, 1), (Weather::Swallows, BackendErrorKind::Timeout, 2)]
    {
        network.turns(weather, 1);
        let error = store.grow(growth(size, size + 1)).await.unwrap_err();
        network.turns_fair();
        let StoreError::Backend(BackendError { kind, outcome: Outcome::Unknown, .. }) = error else {
            panic!("no one can know what came of it: {error:?}")
        };
        assert_eq!(kind, expected);
        assert_eq!(store.newest_checkpoint().await.unwrap(), Some(growth(size, size + 1).checkpoint));
    }
}
