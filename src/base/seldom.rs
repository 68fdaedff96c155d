//! A value that most of its kind have at rest, and that takes room only while it is not: of a thousand members a node
//! watches six. Owns where it is kept; when it is at rest again is for its user to say.

use std::ops::{Deref, DerefMut};

/// What a value is like that nobody touched.
pub trait AtRest: Clone + 'static {
    fn at_rest() -> &'static Self;
}

/// A value in eight bytes; in room of its own from when it is first changed until [`Seldom::rest`].
#[derive(Clone, Debug)]
pub struct Seldom<T>(Option<Box<T>>);

impl<T> Seldom<T> {
    /// The value at rest.
    #[must_use]
    pub const fn resting() -> Self {
        Self(None)
    }

    /// Lets it be at rest again, and gives its room back.
    pub fn rest(&mut self) {
        self.0 = None;
    }
}

impl<T> From<T> for Seldom<T> {
    fn from(value: T) -> Self {
        Self(Some(Box::new(value)))
    }
}

impl<T: AtRest> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::at_rest())
    }
}

impl<T: AtRest> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::at_rest().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Debug)]
    struct Value(u8);

    impl AtRest for Value {
        fn at_rest() -> &'static Self {
            &Self(7)
        }
    }

    #[test]
    fn it_takes_room_only_while_it_is_changed() {
        let mut value = Seldom::<Value>::resting();
        assert_eq!((*value == Value(7), value.0.is_none()), (true, true));
        value.deref_mut().0 += 1;
        assert_eq!((*value == Value(8), value.0.is_some()), (true, true));
        value.rest();
        assert_eq!((*value == Value(7), value.0.is_none()), (true, true));
        assert_eq!(*Seldom::from(Value(1)), Value(1));
    }
}
