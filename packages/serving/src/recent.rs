//! The last items of a stream, bounded in number and in bytes.

use serde::Serialize;
use std::collections::VecDeque;
use std::io::{self, Write};

/// The last items: as many as fit into a number and a size.
///
/// ```
/// let mut last = counterpoint_serving::Recent::new(2, 100);
/// ["one", "two", "three"].into_iter().for_each(|word| last.push(word, &word));
/// assert_eq!(last.items().collect::<Vec<_>>(), [&"two", &"three"]);
/// last.push("large", &"x".repeat(100));
/// assert_eq!(last.items().count(), 0);
/// ```
#[derive(Debug, Clone)]
pub struct Recent<T> {
    items: VecDeque<(T, usize)>,
    most: usize,
    bytes: usize,
    most_bytes: usize,
}

impl<T> Recent<T> {
    /// Keeps up to `most` items of up to `most_bytes` bytes together.
    #[must_use]
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { items: VecDeque::new(), most, bytes: 0, most_bytes }
    }

    /// Adds an item of the size that this value has as JSON, and drops the oldest ones that no longer fit.
    pub fn push(&mut self, item: T, value: &impl Serialize) {
        let mut size = Size(0);
        // What cannot be written has the size of its beginning.
        let _ = serde_json::to_writer(&mut size, value);
        self.items.push_back((item, size.0));
        self.bytes = self.bytes.saturating_add(size.0);
        while self.items.len() > self.most || self.bytes > self.most_bytes {
            let Some((_, bytes)) = self.items.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// The items, the oldest first.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|(item, _)| item)
    }

    /// The first item.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.items.front().map(|(item, _)| item)
    }

    /// The items from the first one on that is not `before`, for items in the order of what `before` compares.
    pub fn since(&self, before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let begin = self.items.partition_point(|(item, _)| before(item));
        self.items.range(begin..).map(|(item, _)| item)
    }
}

/// Counts bytes.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_bounded_in_number_and_bytes() {
        let mut last = Recent::new(100, 1_000);
        for number in 0..1_000 {
            last.push(number, &number);
        }
        assert_eq!((last.items().count(), last.first()), (100, Some(&900)));
        // 240 bytes each, with their quotation marks.
        for number in 1_000..1_010 {
            last.push(number, &"x".repeat(238));
        }
        assert_eq!(last.items().collect::<Vec<_>>(), [&1_006, &1_007, &1_008, &1_009]);
        assert_eq!(last.since(|number| *number <= 1_007).collect::<Vec<_>>(), [&1_008, &1_009]);
        last.push(1_010, &"x".repeat(2_000));
        assert_eq!((last.items().count(), last.bytes), (0, 0));
    }
}
