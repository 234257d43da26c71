//! What ends when an account changes, and what other services must know of it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::from_value;

use crate::{
    changeset::{Change, ConsumerName},
    domain::{
        Credential, CredentialId, Event, EventData, EventType, Holder, Services, SessionData, SessionEnd,
        SourceService, Timestamp, Username,
    },
    ports::{CredentialFilter, StoreError},
};

use super::handler::{Effects, HandleError, Handled, Handler, HandlerContext, broken};

/// How many sessions end in one commit.
const STEP: usize = 100;

/// Where the accounts are: ends the sessions of an account that has another role or password or is gone, each with an event of its
/// own. They do not count any more as soon as the account is another; this tells the others of it.
///
/// Where they are not: keeps what ends, until no token that was issued for it counts any more.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionConsumer {
    services: Services,
}

impl SessionConsumer {
    /// Of a process that runs these services.
    pub fn of(services: Services) -> Self {
        Self { services }
    }
}

#[async_trait]
impl Handler for SessionConsumer {
    fn name(&self) -> ConsumerName {
        ConsumerName::built_in("sessions")
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        let has_accounts = self.services.has(SourceService::AuthService);
        let mut effects = Effects::default();
        for (place, event) in events.iter().enumerate() {
            if let Some(reason) = unreadable(event) {
                if place > 0 {
                    return Ok(Handled { count: place, effects });
                }
                return Err(HandleError::Unprocessable { at: place, reason: reason.to_owned() });
            }
            if !has_accounts {
                if let Some((id, until)) = ended(event) {
                    effects.revoke(id, until);
                }
                continue;
            }
            let Some(changed) = changed(event).filter(|_| !cx.is_elsewhere(event)) else { continue };
            let ended = outlived(&changed, cx).await?;
            if ended.is_empty() {
                continue;
            }
            let mut effects = match changed {
                Changed::Account(_) => Effects::of(event.clone()),
                // Not who has logged in has ended it.
                Changed::Session(_) => Effects::default(),
            };
            let all = ended.len() < STEP;
            for change in ended {
                effects.change(change);
            }
            return Ok(Handled { count: if all { place + 1 } else { place }, effects });
        }
        Ok(Handled { count: events.len(), effects })
    }
}

/// Whose sessions may be over.
enum Changed<'a> {
    Account(&'a Username),
    /// A log-in that had been decided before the account changed comes after that.
    Session(CredentialId),
}

fn changed(event: &Event) -> Option<Changed<'_>> {
    match &event.data {
        EventData::UserUpdated(user) => Some(Changed::Account(&user.user)),
        EventData::UserDeleted(user) | EventData::PasswordChanged(user) => Some(Changed::Account(&user.user)),
        EventData::LoginSucceeded(SessionData { session, .. }) => session.map(Changed::Session),
        _ => None,
    }
}

/// The credential that is over by `event`, and until when that must be known.
fn ended(event: &Event) -> Option<(CredentialId, Timestamp)> {
    match &event.data {
        EventData::SessionEnded(ended) => Some((ended.session, ended.tokens_until)),
        EventData::ApiKeyRevoked(revoked) => Some((revoked.api_key, revoked.tokens_until)),
        // Of a newer version these are enough; what it tells besides need not be understood.
        EventData::Unread(unread) => {
            let id = match EventType::parse(&unread.event_type)? {
                EventType::SessionEnded => "session",
                EventType::ApiKeyRevoked => "api_key",
                _ => return None,
            };
            let member = |name: &str| unread.data.get(name).cloned();
            Some((from_value(member(id)?).ok()?, from_value(member("tokens_until")?).ok()?))
        }
        _ => None,
    }
}

/// Why what `event` tells of the end of a credential can't be read.
fn unreadable(event: &Event) -> Option<&str> {
    let EventData::Unread(unread) = &event.data else { return None };
    let is_end =
        matches!(EventType::parse(&unread.event_type), Some(EventType::SessionEnded | EventType::ApiKeyRevoked));
    broken(event).filter(|_| is_end && ended(event).is_none())
}

/// The ends of sessions that are not of the account as it is now: of a step at most.
async fn outlived(changed: &Changed<'_>, cx: &HandlerContext<'_>) -> Result<Vec<Change>, StoreError> {
    let end = |session: &Credential| Change::credential_ended(session, SessionEnd::AccountChanged, cx.tokens_until());
    let username = match *changed {
        Changed::Account(username) => username,
        Changed::Session(id) => {
            let held = cx.reader().credential(id).await?;
            let outlived = held.filter(|held| held.current_account().is_none());
            return Ok(outlived.iter().map(|held| end(&held.credential)).collect());
        }
    };
    let account = cx.reader().user(username).await?;
    let filter = CredentialFilter::SessionsOf(username.clone());
    let (mut ends, mut after) = (Vec::new(), None);
    while ends.len() < STEP {
        let sessions = cx.reader().credentials(&filter, after, STEP).await?;
        let Some(last) = sessions.last() else { break };
        after = Some(last.id);
        for session in &sessions {
            let Holder::Session(of) = &session.holder else { continue };
            if !account.as_ref().is_some_and(|account| of.is_of(&account.user)) {
                ends.push(end(session));
            }
        }
    }
    ends.truncate(STEP);
    Ok(ends)
}
