//! What a changeset consists of, and what goes wrong with it before it is applied.

use alm_core::{
    changeset::{Changeset, Checkpoint, Guard, IdempotencyScope, Stamp, Write},
    domain::{
        App, AppId, Deployment, Description, NewEvent, ParentId, Position, Revision, Subject, Timestamp, Version,
    },
    ports::{BackendError, Contention, StoreError, Unique},
};

use super::{defect::Defect, toy::State};

#[derive(Clone)]
pub(super) struct Parts {
    pub(super) stamp: Stamp,
    pub(super) writes: Vec<Write>,
    pub(super) guards: Vec<Guard>,
    pub(super) events: Vec<NewEvent>,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Parts {
    pub(super) fn of(changeset: Changeset) -> Self {
        let (stamp, writes, guards, events, checkpoint) = changeset.into_parts();
        Self { stamp, writes, guards, events, checkpoint }
    }

    /// The same changeset without anything in it.
    pub(super) fn nothing(&self) -> Self {
        let (writes, guards, events) = (Vec::new(), Vec::new(), Vec::new());
        Self { stamp: self.stamp.clone(), writes, guards, events, checkpoint: None }
    }

    /// The same changeset as two that are committed one after the other.
    pub(super) fn steps(mut self, defect: Defect) -> [Self; 2] {
        let (writes, events) = (self.writes.len(), self.events.len());
        let mut first = self.nothing();
        match defect {
            Defect::CommitsEventsLater => {
                first.writes = std::mem::take(&mut self.writes);
                first.checkpoint = self.checkpoint.take();
            }
            Defect::CommitsWritesInTwoSteps => first.writes.extend(self.writes.drain(..writes / 2)),
            _ => first.events.extend(self.events.drain(..events / 2)),
        }
        [first, self]
    }

    /// Does to the parts what `defect` does before they are applied to `state`.
    pub(super) fn spoil(&mut self, defect: Defect, state: &State) -> Result<(), StoreError> {
        match defect {
            Defect::DropsAnEvent if self.events.len() > 1 => drop(self.events.pop()),
            Defect::RefusesLargeChangesets if self.events.len() > 100 => {
                return Err(StoreError::Unsupported("more than 100 events"));
            }
            Defect::IgnoresRevisions => self.writes.iter_mut().for_each(|write| expect_what_is_there(write, state)),
            Defect::IgnoresCheckpoints => {
                if let Some(checkpoint) = &mut self.checkpoint {
                    let stands = state.checkpoint(&checkpoint.consumer, checkpoint.log);
                    checkpoint.from = stands.unwrap_or(Position::START);
                }
            }
            Defect::IgnoresGuards => self.guards.clear(),
            Defect::ReordersWrites => {
                self.writes.sort_by_key(|write| !matches!(write, Write::DeleteApp { .. }));
            }
            Defect::DeletesWhatIsNotThere => self.writes.retain(|write| !deletes_nothing(write, state)),
            Defect::CutsTexts => self.apps().for_each(|app| app.description = cut(&app.description)),
            Defect::CutsTimes => {
                self.apps().for_each(|app| app.created_at = to_millis(app.created_at));
                self.events.iter_mut().for_each(|event| event.time = to_millis(event.time));
            }
            Defect::IgnoresCase => {
                let lower = |app: &App| app.name.as_str().to_lowercase();
                let same =
                    |app: &App| state.apps.values().any(|other| other.id != app.id && lower(other) == lower(app));
                if let Some(app) = self.apps().find(|app| same(app)) {
                    return Err(StoreError::AlreadyExists(Unique::AppName(app.name.clone())));
                }
            }
            Defect::KeepsExpiredAnswers => {
                return self.unless_remembered(|scope| state.remembered(scope).is_some());
            }
            Defect::ForgetsPrincipals => {
                let same = |a: &IdempotencyScope, b: &IdempotencyScope| (a.action, &a.key) == (b.action, &b.key);
                return self.unless_remembered(|scope| state.remembered.iter().any(|old| same(&old.scope, scope)));
            }
            Defect::TripsOverHalfAChangeset => {
                let is_there = |event: &NewEvent| state.log.iter().any(|logged| logged.0.id == event.id);
                if self.events.iter().any(is_there) {
                    return Err(BackendError::internal("flawed", "commit").into());
                }
            }
            Defect::ForgetsWhatGoesUnknown => self
                .writes
                .retain(|write| !matches!(write, Write::ParentGone { parent } if state.known(*parent).is_none())),
            Defect::RefusesToLearnTwice => {
                if let Some(parent) = self.writes.iter().find_map(|write| match write {
                    Write::ParentLearned { parent, .. } if state.known(*parent).is_some() => Some(*parent),
                    _ => None,
                }) {
                    let subject = match parent {
                        ParentId::App(id) => Subject::App(id),
                        ParentId::Version(id) => Subject::Version(id),
                    };
                    return Err(StoreError::AlreadyExists(Unique::Id(subject)));
                }
            }
            Defect::MixesParents => {
                for guard in &mut self.guards {
                    if let Guard::ParentKnown(parent) = guard {
                        *parent = as_an_app(*parent);
                    }
                }
                for write in &mut self.writes {
                    if let Write::ParentLearned { parent, .. } | Write::ParentGone { parent } = write {
                        *parent = as_an_app(*parent);
                    }
                }
            }
            Defect::SettlesWhatIsNotThere | Defect::LooksForLettersTooEarly => {
                self.writes.retain(|write| lacks_its_letter(write, state).is_none());
            }
            Defect::KeepsSettledLetters => {
                self.letters_are_there(state)?;
                self.writes.retain(|write| !matches!(write, Write::SettleLetter { .. }));
            }
            Defect::DropsNul => {
                for write in &mut self.writes {
                    if let Write::RecordAudit(entry) = write
                        && let Some(text) = entry.payload.as_str()
                    {
                        entry.payload = text.replace('\0', "").into();
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn unless_remembered(&self, remembered: impl Fn(&IdempotencyScope) -> bool) -> Result<(), StoreError> {
        let taken = |write: &Write| matches!(write, Write::RememberOutcome(record) if remembered(&record.scope));
        if self.writes.iter().any(taken) { Err(StoreError::AlreadyExists(Unique::IdempotencyKey)) } else { Ok(()) }
    }

    /// Fails unless each letter that is to be settled is there.
    pub(super) fn letters_are_there(&self, state: &State) -> Result<(), StoreError> {
        let lacking = self.writes.iter().find_map(|write| lacks_its_letter(write, state));
        lacking.map_or(Ok(()), |lacking| Err(StoreError::Conflict(lacking)))
    }

    pub(super) fn apps(&mut self) -> impl Iterator<Item = &mut App> {
        self.writes.iter_mut().filter_map(|write| match write {
            Write::InsertApp(app) | Write::UpdateApp { app, .. } => Some(app),
            _ => None,
        })
    }
}

fn expect_what_is_there(write: &mut Write, state: &State) {
    let (found, expected): (Option<Revision>, &mut Revision) = match write {
        Write::UpdateApp { app: App { id, .. }, expected } | Write::DeleteApp { id, expected } => {
            (state.apps.get(id).map(|found| found.revision), expected)
        }
        Write::UpdateVersion { version: Version { id, .. }, expected } | Write::DeleteVersion { id, expected } => {
            (state.versions.get(id).map(|found| found.revision), expected)
        }
        Write::UpdateDeployment { deployment: Deployment { id, .. }, expected }
        | Write::DeleteDeployment { id, expected } => (state.deployments.get(id).map(|found| found.revision), expected),
        Write::UpdateUser { user, expected } => {
            (state.users.get(&user.username).map(|found| found.user.revision), expected)
        }
        Write::SetPassword { username, expected, .. } => {
            (state.users.get(username).map(|found| found.user.revision), expected)
        }
        Write::UpdateCredential { credential, expected } => {
            (state.credentials.get(&credential.id).map(|found| found.revision), expected)
        }
        _ => return,
    };
    *expected = found.unwrap_or(*expected);
}

/// The letter that is to be settled and is not there.
fn lacks_its_letter(write: &Write, state: &State) -> Option<Contention> {
    let Write::SettleLetter { consumer, log, position } = write else { return None };
    let mut letters = state.dead_letters.iter();
    let is_there = letters.any(|it| (&it.consumer, it.log, it.position) == (consumer, *log, *position));
    (!is_there).then(|| Contention::DeadLetter { consumer: consumer.clone(), log: *log, position: *position })
}

/// The app with the id of a version.
pub(super) fn as_an_app(parent: ParentId) -> ParentId {
    match parent {
        ParentId::Version(id) => ParentId::App(AppId::new(id.get()).expect("a positive id")),
        app @ ParentId::App(_) => app,
    }
}

fn deletes_nothing(write: &Write, state: &State) -> bool {
    match write {
        Write::DeleteApp { id, .. } => !state.apps.contains_key(id),
        Write::DeleteVersion { id, .. } => !state.versions.contains_key(id),
        Write::DeleteDeployment { id, .. } => !state.deployments.contains_key(id),
        Write::DeleteUser { username } => !state.users.contains_key(username),
        Write::DeleteCredential { id } => !state.credentials.contains_key(id),
        _ => false,
    }
}

fn cut(text: &Description) -> Description {
    let text = text.as_str();
    Description::parse(&text[..text.floor_char_boundary(255)]).expect("a shorter text is a description too")
}

fn to_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.millis() * 1000).expect("a time in the same millisecond")
}
