//! The pieces of work of a node: none at first, mostly one, rarely many. A run has a list for each of its nodes, so an empty one
//! takes no more than a pointer.

use super::Piece;
use core::ops::{Deref, DerefMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list of pieces.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Pieces(Option<Box<Few>>);

/// One or more.
#[derive(Debug, Clone, PartialEq)]
enum Few {
    One(Piece),
    Many(Vec<Piece>),
}

impl Pieces {
    pub(super) fn push(&mut self, piece: Piece) {
        match self.0.as_deref_mut() {
            None => self.0 = Some(Box::new(Few::One(piece))),
            Some(Few::Many(pieces)) => pieces.push(piece),
            Some(few @ Few::One(_)) => {
                if let Few::One(first) = core::mem::replace(few, Few::Many(Vec::new())) {
                    *few = Few::Many(vec![first, piece]);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Deref for Pieces {
    type Target = [Piece];

    fn deref(&self) -> &[Piece] {
        match self.0.as_deref() {
            None => &[],
            Some(Few::One(piece)) => core::slice::from_ref(piece),
            Some(Few::Many(pieces)) => pieces,
        }
    }
}

impl DerefMut for Pieces {
    fn deref_mut(&mut self) -> &mut [Piece] {
        match self.0.as_deref_mut() {
            None => &mut [],
            Some(Few::One(piece)) => core::slice::from_mut(piece),
            Some(Few::Many(pieces)) => pieces,
        }
    }
}

impl FromIterator<Piece> for Pieces {
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Self {
        let mut all = Self::default();
        pieces.into_iter().for_each(|piece| all.push(piece));
        all
    }
}

impl<'a> IntoIterator for &'a Pieces {
    type Item = &'a Piece;
    type IntoIter = core::slice::Iter<'a, Piece>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Pieces {
    type Item = &'a mut Piece;
    type IntoIter = core::slice::IterMut<'a, Piece>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// As a sequence, however many there are.
impl Serialize for Pieces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Piece>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Worker;
    use super::*;
    use crate::id::TaskId;
    use crate::payload::Payload;

    /// A list of so many is what a vector of so many would be, also as data.
    #[test]
    fn none_one_and_many_are_like_a_vector() {
        let (mut pieces, mut vector) = (Pieces::default(), Vec::new());
        for state in 1..=4 {
            assert_eq!(pieces.is_empty(), vector.is_empty());
            assert_eq!(&*pieces, &*vector);
            let text = serde_json::to_string(&pieces).unwrap();
            assert_eq!(text, serde_json::to_string(&vector).unwrap());
            assert_eq!(serde_json::from_str::<Pieces>(&text).unwrap(), pieces);
            let piece = Piece::new(Worker::Task(TaskId::new(state.into())), Payload::NULL, state);
            pieces.push(piece.clone());
            vector.push(piece);
            pieces.iter_mut().zip(&mut vector).for_each(|(a, b)| (a.committed, b.committed) = (true, true));
        }
    }
}
