//! One buffer, many threads, no element written by two of them.

use std::marker::PhantomData;

/// A mutable slice that several threads write in turns of their own elements.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    len: usize,
    buffer: PhantomData<&'a mut [T]>,
}

#[expect(unsafe_code, reason = "threads write disjoint parts of one slice")]
// SAFETY: the pointer comes from a unique borrow that lives as long as this value; `slice`'s contract forbids two
// threads to hold the same element, so sharing the value is as good as having split the slice.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), len: buffer.len(), buffer: PhantomData }
    }

    /// Elements `from..from + len`. Panics when they are not inside the buffer.
    ///
    /// # Safety
    /// While the slice lives no other slice of this buffer holds one of its elements.
    #[expect(unsafe_code, reason = "threads write disjoint parts of one slice")]
    #[expect(clippy::mut_from_ref, reason = "the caller keeps the parts apart")]
    pub(crate) unsafe fn slice(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} is outside of {}", self.len);
        // SAFETY: inside the buffer by the assertion; unique by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// Writes `values` to every `step`th element from `from` on. Panics when they are not inside the buffer.
    ///
    /// # Safety
    /// While this runs nothing else holds one of these elements.
    #[expect(unsafe_code, reason = "threads write disjoint parts of one slice")]
    pub(crate) unsafe fn scatter(&self, from: usize, step: usize, values: &[T])
    where
        T: Copy,
    {
        let Some(last) = values.len().checked_sub(1) else { return };
        assert!(from + last * step < self.len, "{from} + {last} · {step} is outside of {}", self.len);
        for (i, &value) in values.iter().enumerate() {
            // SAFETY: up to the last one the elements are inside by the assertion; unique by the contract.
            unsafe { self.start.add(from + i * step).write(value) };
        }
    }
}
