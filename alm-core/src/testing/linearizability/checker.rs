//! The search for an order: the algorithm of J. M. Wing and C. Gong, "Testing and verifying concurrent objects" (1993), which
//! remembers where it has been as G. Lowe does in "Testing for linearizability" (2017).
//!
//! The calls stand in a list of invocations and answers by time. A call whose invocation comes before every answer that is left
//! may be the next; the one that the specification allows is taken out of the list, and the search goes on with the rest. At an
//! answer there is none left to try, so the last call goes back into the list. The calls taken out and the state they have led
//! to are remembered: whichever way it was reached, what comes after was searched before.

use std::{
    collections::HashSet,
    fmt::{self, Display},
};

use super::{
    history::{Call, History},
    specification::Specification,
};

/// How many calls before the violation are shown.
const SHOWN: usize = 20;

/// Why a history is not linearizable: the longest explanation that was found, and what it can't go on with. Shown, it is the last
/// of these calls in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The calls that were explained, in the order in which they can have been made, each with the state after it.
    pub linearized: Vec<String>,
    /// The state that they have led to.
    pub state: String,
    /// The calls one of which would have to be next, and none can be.
    pub candidates: Vec<String>,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { linearized, state, candidates } = self;
        writeln!(f, "not linearizable: {} calls can have been made one after the other", linearized.len())?;
        let hidden = linearized.len().saturating_sub(SHOWN);
        if hidden > 0 {
            writeln!(f, "  … {hidden} calls")?;
        }
        for call in &linearized[hidden..] {
            writeln!(f, "  {call}")?;
        }
        writeln!(f, "so that the state is {state}, but none of these can have been the next")?;
        for call in candidates {
            writeln!(f, "  {call}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

/// Looks for an order of the calls that explains their answers.
///
/// Its time grows with the length of the history, and in the worst case exponentially with the calls under way at once and with
/// those that have no answer. A history of 1,000 calls by eight clients takes milliseconds.
///
/// # Errors
/// There is none.
pub fn check<S: Specification>(
    specification: &S,
    history: &History<S::Operation, S::Answer>,
) -> Result<(), Box<Violation>> {
    let mut search = Search::of(specification, &history.calls);
    if search.run() { Ok(()) } else { Err(Box::new(search.violation())) }
}

/// The calls as bits.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bits(Box<[u64]>);

impl Bits {
    fn none_of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)].into())
    }

    fn flip(&mut self, place: usize) {
        self.0[place / 64] ^= 1 << (place % 64);
    }
}

/// An invocation or an answer of the call at this place.
#[derive(Clone, Copy)]
enum Moment {
    Invoked(usize),
    Answered(usize),
}

/// Moments by time, as a list that is linked both ways: what is taken out goes back without a search. Place 0 is before them all.
struct Moments {
    // The one at place n + 1.
    by_time: Vec<Moment>,
    next: Vec<usize>,
    previous: Vec<usize>,
}

const START: usize = 0;

impl Moments {
    fn of(mut moments: Vec<(u64, Moment)>) -> Self {
        moments.sort_by_key(|(at, _)| *at);
        let count = moments.len() + 1;
        let by_time = moments.into_iter().map(|(_, moment)| moment).collect();
        let previous = (0..count).map(|place| place.saturating_sub(1)).collect();
        Self { by_time, next: (1..=count).collect(), previous }
    }

    fn at(&self, place: usize) -> Option<Moment> {
        self.by_time.get(place.checked_sub(1)?).copied()
    }

    fn take_out(&mut self, place: usize) {
        let (previous, next) = (self.previous[place], self.next[place]);
        self.next[previous] = next;
        if let Some(back) = self.previous.get_mut(next) {
            *back = previous;
        }
    }

    /// What was taken out last goes back first.
    fn put_back(&mut self, place: usize) {
        let (previous, next) = (self.previous[place], self.next[place]);
        self.next[previous] = place;
        if let Some(back) = self.previous.get_mut(next) {
            *back = place;
        }
    }
}

/// Where the moments of a call stand.
#[derive(Clone, Copy, Default)]
struct Places {
    invoked: usize,
    answered: Option<usize>,
}

struct Search<'a, S: Specification> {
    specification: &'a S,
    calls: &'a [Call<S::Operation, S::Answer>],
    moments: Moments,
    places: Vec<Places>,
    // How many answers have yet to be explained.
    answers_left: usize,
    state: S::State,
    // The calls taken out, each with the state before it.
    taken: Vec<(usize, S::State)>,
    taken_bits: Bits,
    seen: HashSet<(Bits, S::State)>,
    longest: Vec<usize>,
}

impl<'a, S: Specification> Search<'a, S> {
    fn of(specification: &'a S, calls: &'a [Call<S::Operation, S::Answer>]) -> Self {
        let mut moments = Vec::new();
        for (place, call) in calls.iter().enumerate() {
            moments.push((call.invoked, Moment::Invoked(place)));
            if let Some((at, _)) = &call.answered {
                moments.push((*at, Moment::Answered(place)));
            }
        }
        let moments = Moments::of(moments);
        let mut places = vec![Places::default(); calls.len()];
        for (moment, place) in moments.by_time.iter().zip(1..) {
            match *moment {
                Moment::Invoked(call) => places[call].invoked = place,
                Moment::Answered(call) => places[call].answered = Some(place),
            }
        }
        Self {
            specification,
            calls,
            answers_left: places.iter().filter(|places| places.answered.is_some()).count(),
            moments,
            places,
            state: specification.initial(),
            taken: Vec::new(),
            taken_bits: Bits::none_of(calls.len()),
            seen: HashSet::new(),
            longest: Vec::new(),
        }
    }

    /// Whether there is an order.
    fn run(&mut self) -> bool {
        let mut place = self.moments.next[START];
        while self.answers_left > 0 {
            match self.moments.at(place) {
                Some(Moment::Invoked(call)) if self.take(call) => place = self.moments.next[START],
                Some(Moment::Invoked(_)) => place = self.moments.next[place],
                Some(Moment::Answered(_)) | None => {
                    if self.taken.len() > self.longest.len() {
                        self.longest = self.taken.iter().map(|(call, _)| *call).collect();
                    }
                    let Some(call) = self.give_back() else { return false };
                    place = self.moments.next[self.places[call].invoked];
                }
            }
        }
        true
    }

    /// Makes `call` the next, if it can be and that was not tried before.
    fn take(&mut self, call: usize) -> bool {
        let Some(after) = self.after(&self.state, call) else { return false };
        self.taken_bits.flip(call);
        if !self.seen.insert((self.taken_bits.clone(), after.clone())) {
            self.taken_bits.flip(call);
            return false;
        }
        let Places { invoked, answered } = self.places[call];
        self.moments.take_out(invoked);
        if let Some(answered) = answered {
            self.moments.take_out(answered);
            self.answers_left -= 1;
        }
        self.taken.push((call, std::mem::replace(&mut self.state, after)));
        true
    }

    fn give_back(&mut self) -> Option<usize> {
        let (call, before) = self.taken.pop()?;
        self.state = before;
        self.taken_bits.flip(call);
        let Places { invoked, answered } = self.places[call];
        if let Some(answered) = answered {
            self.moments.put_back(answered);
            self.answers_left += 1;
        }
        self.moments.put_back(invoked);
        Some(call)
    }

    /// The state after `call`, if it can have been made now.
    fn after(&self, state: &S::State, call: usize) -> Option<S::State> {
        let Call { operation, answered, .. } = &self.calls[call];
        let answer = answered.as_ref().map(|(_, answer)| answer);
        let after = self.specification.apply(state, operation, answer)?;
        // A call without an answer may as well never have been made, so it is only tried where it changes something.
        (answer.is_some() || after != *state).then_some(after)
    }

    fn violation(&self) -> Violation {
        let mut state = self.specification.initial();
        let mut linearized = Vec::new();
        for call in &self.longest {
            state = self.after(&state, *call).unwrap_or(state);
            linearized.push(format!("{}, so {state:?}", self.calls[*call]));
        }
        let left = || (0..self.calls.len()).filter(|call| !self.longest.contains(call)).map(|call| &self.calls[call]);
        let first_answer = left().filter_map(|call| call.answered.as_ref()).map(|(at, _)| *at).min();
        let may_be_next = left().filter(|call| first_answer.is_none_or(|at| call.invoked < at));
        let candidates = may_be_next.map(ToString::to_string).collect();
        Violation { linearized, state: format!("{state:?}"), candidates }
    }
}
