//! Lists by pages.

/// At most how many items a page has: 1 to 200, 50 unless told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(usize);

impl Limit {
    /// The most a page can have.
    pub const MAX: usize = 200;

    /// A limit of `items`, or `None` outside 1 to 200.
    pub const fn new(items: usize) -> Option<Self> {
        if items >= 1 && items <= Self::MAX { Some(Self(items)) } else { None }
    }

    /// The number of items.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

/// Some items of a list, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// After which key the next page begins; `None` on the last page.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// The page made of `items`, read with a limit one higher than the page's: the item too many only shows that there is a
    /// next page.
    pub(crate) fn of(mut items: Vec<T>, limit: Limit, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > limit.get();
        items.truncate(limit.get());
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

impl Limit {
    pub(crate) fn and_one_more(self) -> usize {
        self.0 + 1
    }
}
