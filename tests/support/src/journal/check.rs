use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use serde_json::Value;

use super::{
    Entry,
    ask::{Ask, Effect},
    seen::{Fact, Injected, Seen},
};

/// What does not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise is broken.
    pub kind: Kind,
    /// By what.
    pub what: String,
}

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What was acknowledged is not there.
    Lost,
    /// There is what no one asked for, or what was refused.
    Phantom,
    /// Something was done or audited more than once.
    Twice,
    /// Something was done and is not in the audit log.
    NotAudited,
    /// What follows each other does not: within the log, the audit log, or what is told of one subject.
    OutOfOrder,
    /// A resource is not as its events tell, as if only a part of a change had been made.
    Torn,
    /// A resource is there and what it belongs to is not.
    Orphan,
    /// A request that was sent again was answered otherwise.
    AnsweredOtherwise,
    /// The server had no better answer than 5xx other than 502 to 504, or one of these without saying what came of it.
    Failed,
    /// A request was refused for no good reason.
    Refused,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// Compares what clients were told with what there is. Nothing is found if it all goes together.
pub fn check(journal: &[Entry], seen: &Seen) -> Vec<Violation> {
    let mut findings = Findings::default();
    let told = answers(journal);
    let asked = by_effect(journal, &told, &mut findings);
    places("audit log", &seen.audit, &mut findings);
    let seen = &without_injected(seen, &mut findings);
    logs(seen, &mut findings);
    effects(&asked, seen, &mut findings);
    subjects(&asked, seen, &mut findings);
    repetitions(journal, &told, &mut findings);
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, kind: Kind, what: impl fmt::Display) {
        self.0.push(Violation { kind, what: what.to_string() });
    }
}

type Answers<'j> = HashMap<u64, (u16, &'j Value)>;

fn answers(journal: &[Entry]) -> Answers<'_> {
    let told = journal.iter().filter_map(|entry| match entry {
        Entry::Told { request, status, body } => Some((*request, (*status, body))),
        Entry::Asked { .. } => None,
    });
    told.collect()
}

/// What is known of an effect from those who asked for it.
struct Asked<'j> {
    ask: &'j Ask,
    /// What the first of them was told who was told that it is done.
    done: Option<&'j Value>,
    /// Whether it may be there: not every one of them was told that nothing was done.
    possible: bool,
}

fn by_effect<'j>(journal: &'j [Entry], told: &Answers<'j>, findings: &mut Findings) -> BTreeMap<Effect, Asked<'j>> {
    let mut effects = BTreeMap::new();
    for entry in journal {
        let Entry::Asked { request, ask, .. } = entry else { continue };
        let asked = effects.entry(ask.effect()).or_insert(Asked { ask, done: None, possible: false });
        match told.get(request) {
            Some((200..300, body)) => {
                asked.done.get_or_insert(body);
                asked.possible = true;
            }
            Some((502..=504, body)) if body["outcome"] == "not_applied" => {}
            Some((502..=504, body)) if body["outcome"] == "unknown" => asked.possible = true,
            Some((status @ 500.., body)) => {
                asked.possible = true;
                findings.add(Kind::Failed, format_args!("{ask:?} was answered {status}: {body}"));
            }
            Some(_) => {}
            None => asked.possible = true,
        }
    }
    effects
}

/// A log by itself.
fn places(name: &str, facts: &[Fact], findings: &mut Findings) {
    if let Some((fact, place)) = facts.iter().zip(1..).find(|(fact, place)| fact.place != *place) {
        findings.add(Kind::OutOfOrder, format_args!("the {name} has {} at place {place}", fact.place));
    }
}

/// What the audit log tells of the system itself; what it tells of the test's own messages is looked at here.
fn without_injected(seen: &Seen, findings: &mut Findings) -> Seen {
    let (foreign, audit): (Vec<_>, _) =
        seen.audit.iter().cloned().partition(|fact| seen.injected.iter().any(|injected| injected.is(fact)));
    for injected in &seen.injected {
        let entries = foreign.iter().filter(|fact| injected.is(fact)).count();
        match injected {
            Injected::Claim { .. } => {}
            _ if entries == 0 => findings.add(Kind::NotAudited, format_args!("{injected:?}")),
            Injected::Event { .. } if entries > 1 => findings.add(Kind::Twice, format_args!("{injected:?}")),
            _ => {}
        }
    }
    Seen { audit, ..seen.clone() }
}

/// The logs and the audit log against each other.
fn logs(seen: &Seen, findings: &mut Findings) {
    for (name, facts) in &seen.logs {
        places(&format!("log {name}"), facts, findings);
    }
    for (name, facts) in [("logs", seen.logged().collect()), ("audit log", seen.audit.iter().collect::<Vec<_>>())] {
        let mut ids = HashSet::new();
        for fact in facts {
            if !ids.insert(&fact.id) {
                findings.add(Kind::Twice, format_args!("the {name} has the event {} again: {fact:?}", fact.id));
            }
        }
    }
    let logged: HashSet<&str> = seen.logged().map(|fact| fact.id.as_str()).collect();
    let audited: HashMap<&str, u64> = seen.audit.iter().map(|fact| (fact.id.as_str(), fact.place)).collect();
    for fact in seen.logged().filter(|fact| !audited.contains_key(fact.id.as_str())) {
        findings.add(Kind::NotAudited, format_args!("{fact:?}"));
    }
    for fact in seen.audit.iter().filter(|fact| !logged.contains(fact.id.as_str())) {
        findings.add(Kind::Phantom, format_args!("it is audited and was never logged: {fact:?}"));
    }
    for (name, facts) in &seen.logs {
        let places: Vec<_> = facts.iter().filter_map(|fact| audited.get(fact.id.as_str())).collect();
        if let Some(at) = places.windows(2).position(|pair| pair[0] > pair[1]) {
            let what =
                format!("entry {} is of an event of the log {name} before that of {}", places[at + 1], places[at]);
            findings.add(Kind::OutOfOrder, what);
        }
    }
}
fn by_subject(facts: &[Fact]) -> BTreeMap<&str, Vec<&Fact>> {
    let mut subjects = BTreeMap::<_, Vec<_>>::new();
    for fact in facts.iter().filter(|fact| fact.effect().is_some()) {
        subjects.entry(fact.subject.as_str()).or_default().push(fact);
    }
    subjects
}

/// What was asked for, against the audit log.
fn effects(asked: &BTreeMap<Effect, Asked<'_>>, seen: &Seen, findings: &mut Findings) {
    let mut audited = BTreeMap::<Effect, Vec<&Fact>>::new();
    for fact in &seen.audit {
        if let Some(effect) = fact.effect() {
            audited.entry(effect).or_default().push(fact);
        }
    }
    let logged: HashSet<Effect> = seen.logged().filter_map(Fact::effect).collect();
    for (effect, asked) in asked {
        let facts = audited.get(effect).map(Vec::as_slice).unwrap_or_default();
        if facts.iter().any(|fact| fact.id != facts[0].id) {
            findings.add(Kind::Twice, format_args!("{effect} was done by several events: {facts:?}"));
        }
        // An event that is logged and not audited has been found already.
        if asked.done.is_some() && facts.is_empty() && !logged.contains(effect) {
            let kind = if is_there(asked, &seen.rows) { Kind::NotAudited } else { Kind::Lost };
            findings.add(kind, format_args!("{effect} was acknowledged and is not in the log"));
        }
    }
    let deleted: HashSet<&str> =
        seen.audit.iter().filter(|fact| fact.is_deletion()).map(|fact| fact.subject.as_str()).collect();
    for (effect, facts) in &audited {
        let follows =
            |fact: &Fact| fact.is_deletion() && fact.parents().iter().any(|parent| deleted.contains(parent.as_str()));
        match asked.get(effect) {
            Some(asked) if asked.possible => {}
            _ if follows(facts[0]) => {}
            Some(_) => findings.add(Kind::Phantom, format_args!("{effect} was refused, and is audited")),
            None => findings.add(Kind::Phantom, format_args!("{effect} is audited, and no one asked for it")),
        }
    }
}

/// Whether the tables show what was acknowledged.
fn is_there(asked: &Asked<'_>, rows: &BTreeMap<String, Value>) -> bool {
    let Some(body) = asked.done else { return false };
    let subject = match asked.ask {
        Ask::CreateApp { .. } | Ask::UpdateApp { .. } => format!("apps/{}", body["id"]),
        Ask::CreateVersion { .. } | Ask::UpdateVersion { .. } => format!("versions/{}", body["id"]),
        Ask::CreateDeployment { .. } | Ask::MoveDeployment { .. } => format!("deployments/{}", body["id"]),
        Ask::DeleteApp { id } => return !rows.contains_key(&format!("apps/{id}")),
        Ask::DeleteVersion { id } => return !rows.contains_key(&format!("versions/{id}")),
        Ask::DeleteDeployment { id } => return !rows.contains_key(&format!("deployments/{id}")),
    };
    rows.get(&subject).is_some_and(|row| row["revision"].as_u64() >= body["revision"].as_u64())
}

/// Each subject's story, as the audit log tells it: its order, and what it has come to.
fn subjects(asked: &BTreeMap<Effect, Asked<'_>>, seen: &Seen, findings: &mut Findings) {
    let stories = by_subject(&seen.audit);
    for (subject, story) in &stories {
        let mut told = HashSet::new();
        let story: Vec<_> = story.iter().filter(|fact| told.insert(&fact.id)).collect();
        for (place, fact) in story.iter().enumerate() {
            let (first, last) = (place == 0, place + 1 == story.len());
            if fact.is_creation() != first || fact.is_deletion() && !last {
                findings.add(Kind::OutOfOrder, format_args!("{subject} has {} at place {place}", fact.event_type));
            }
            let done = fact.effect().and_then(|effect| asked.get(&effect)?.done);
            let revision = done.and_then(|body| body["revision"].as_u64());
            if revision.is_some_and(|revision| revision != place as u64 + 1) {
                let what = format!("revision {revision:?} of {subject} is at place {place} of its story");
                findings.add(Kind::OutOfOrder, what);
            }
            if let Some(id) = done.and_then(|body| body["id"].as_i64())
                && !subject.ends_with(&format!("/{id}"))
            {
                findings.add(Kind::Torn, format_args!("{subject} was told to be {id}"));
            }
        }
        outcome(subject, &story, seen, findings);
    }
    for (subject, row) in &seen.rows {
        if !stories.contains_key(subject.as_str()) {
            let created = row_effect(subject, row);
            let known = created.is_some_and(|effect| asked.get(&effect).is_some_and(|asked| asked.possible));
            let kind = if known { Kind::NotAudited } else { Kind::Phantom };
            findings.add(kind, format_args!("{subject} is there, and not in the audit log: {row}"));
        }
    }
}

/// What a subject has come to, against the tables.
fn outcome(subject: &str, story: &[&&Fact], seen: &Seen, findings: &mut Findings) {
    let Some(last) = story.last() else { return };
    match (seen.rows.get(subject), last.is_deletion()) {
        (None, true) => {}
        (None, false) => findings.add(Kind::Lost, format_args!("{subject} is gone, and no one deleted it")),
        (Some(row), true) => findings.add(Kind::Phantom, format_args!("{subject} was deleted, and is there: {row}")),
        (Some(row), false) => {
            let mut told = last.data.as_object().into_iter().flatten();
            let differs = told.any(|(name, value)| match name.as_str() {
                "previous_status" => false,
                "version_id" if subject.starts_with("versions/") => row["id"] != *value,
                "deployment_id" => row["id"] != *value,
                _ => row[name] != *value,
            });
            if differs || row["revision"] != story.len() {
                findings.add(Kind::Torn, format_args!("{row} is not what {} events tell: {last:?}", story.len()));
            }
            if let Some(parent) = last.parents().iter().find(|parent| !seen.rows.contains_key(*parent)) {
                findings.add(Kind::Orphan, format_args!("{subject} is there, and {parent} is not"));
            }
        }
    }
}

/// What must have been asked for if the row is as it was made.
fn row_effect(subject: &str, row: &Value) -> Option<Effect> {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let ask = match subject.split('/').next()? {
        "apps" => Ask::CreateApp { name: text("name")?, description: text("description")? },
        "versions" => {
            Ask::CreateVersion { app_id: row["app_id"].as_i64()?, tag: text("tag")?, changelog: text("changelog")? }
        }
        _ => Ask::CreateDeployment { version_id: row["version_id"].as_i64()?, environment: text("environment")? },
    };
    Some(ask.effect())
}

/// Requests that were sent again, by their keys.
fn repetitions(journal: &[Entry], told: &Answers<'_>, findings: &mut Findings) {
    let mut first = BTreeMap::new();
    for entry in journal {
        let Entry::Asked { request, ask, key: Some(key) } = entry else { continue };
        let Some(answer @ (200..300, _)) = told.get(request) else { continue };
        let first = first.entry(key).or_insert(answer);
        if *first != answer {
            findings.add(Kind::AnsweredOtherwise, format_args!("{ask:?} was told {first:?}, and later {answer:?}"));
        }
    }
}
