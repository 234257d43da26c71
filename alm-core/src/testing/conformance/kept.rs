//! What is lent to a case and comes back when the case is over, however it ends.

use std::ops::{Deref, DerefMut};

use tokio::sync::oneshot;

/// Lent out; goes back when it is dropped.
pub(super) struct Lent<T: ?Sized> {
    // Both are there until it is dropped.
    value: Option<Box<T>>,
    back: Option<oneshot::Sender<Box<T>>>,
}

/// Lends `value`; it comes back by the receiver.
pub(super) fn lend<T: ?Sized>(value: Box<T>) -> (Lent<T>, oneshot::Receiver<Box<T>>) {
    let (back, comes_back) = oneshot::channel();
    (Lent { value: Some(value), back: Some(back) }, comes_back)
}

impl<T: ?Sized> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect("it is there until it is dropped")
    }
}

impl<T: ?Sized> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_deref_mut().expect("it is there until it is dropped")
    }
}

impl<T: ?Sized> Drop for Lent<T> {
    fn drop(&mut self) {
        if let (Some(value), Some(back)) = (self.value.take(), self.back.take()) {
            // When no one waits for it any more, it is dropped here.
            let _ = back.send(value);
        }
    }
}
