//! A buffer of fixed capacity that overwrites its oldest element.

/// The last `N` elements pushed, oldest first.
#[derive(Debug, Clone)]
pub struct RingBuffer<T, const N: usize> {
    slots: [Option<T>; N],
    start: usize,
    len: usize,
}

impl<T: Copy, const N: usize> RingBuffer<T, N> {
    /// An empty buffer.
    pub fn new() -> Self {
        RingBuffer { slots: [None; N], start: 0, len: 0 }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.
    }

    /// True when the next push overwrites the oldest element.
    pub fn is_full(&self) -> bool {
        self.len == N
    }

    /// Appends an element and gives back the one it overwrote.
    pub fn push(&mut self, value: T) -> Option<T> {
        let end = (self.start + self.len) % N;
        let old = self.slots[end].replace(value);
        if self.is_full() {
            self.start = (self.start + 1) % N;
        } else {
            self.len += 1;
        }
        old
    }

    /// Takes the oldest element.
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let value = self.slots[self.start].take();
        self.start = (self.start + 1) % N;
        self.len -= 1;
        value
    }

    /// The elements, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).filter_map(move |i| self.slots[(self.start + i) % N].as_ref())
    }
}
