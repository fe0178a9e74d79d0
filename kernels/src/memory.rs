//! Memory for packed weights and caches, in huge pages where the system has them.
//!
//! Every pass reads all weights once. In pages of 4 KiB that is a page walk for every other tile, and in a virtual machine each
//! walk is one of two dimensions: a single row, which waits for memory alone, takes a fifth longer. Parts are cut from slabs, because
//! a page of 2 MiB is larger than most matrices.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use memmap2::MmapMut;

/// Bytes of a slab, unless a part asks for more. What is never written takes no memory.
const SLAB: usize = 32 << 20;
/// Parts begin on a cache line.
const LINE: usize = 64;

/// Cuts parts from slabs. A slab is given back when its last part goes.
#[derive(Default)]
pub struct Memory {
    slab: Option<Slab>,
}

struct Slab {
    map: Arc<MmapMut>,
    start: *mut u8,
    used: usize,
}

/// Bytes that belong to one owner; zero at first.
pub(crate) struct Part {
    start: *mut u8,
    len: usize,
    /// Keeps the mapping; parts of one slab do not overlap.
    _slab: Arc<MmapMut>,
}

#[expect(unsafe_code, reason = "a part is a boxed slice whose memory is a mapping's")]
// SAFETY: a part is the only way to its bytes, as a boxed slice would be.
unsafe impl Send for Part {}
#[expect(unsafe_code, reason = "a part is a boxed slice whose memory is a mapping's")]
// SAFETY: as above; a shared part is only read.
unsafe impl Sync for Part {}

#[expect(unsafe_code, reason = "a slab is a vector whose memory is a mapping's")]
// SAFETY: what no part was cut from yet is the slab's alone.
unsafe impl Send for Slab {}

impl Memory {
    /// A part of `len` bytes that begins on a cache line.
    pub(crate) fn take(&mut self, len: usize) -> Part {
        let need = len.next_multiple_of(LINE);
        let slab = match &mut self.slab {
            Some(slab) if slab.map.len() - slab.used >= need => slab,
            slab => slab.insert(Slab::new(need.max(SLAB))),
        };
        #[expect(unsafe_code, reason = "a slab is cut by pointers")]
        // SAFETY: `used + need` is inside of the mapping.
        let start = unsafe { slab.start.add(slab.used) };
        slab.used += need;
        Part { start, len, _slab: Arc::clone(&slab.map) }
    }
}

impl Slab {
    fn new(len: usize) -> Slab {
        let mut map = MmapMut::map_anon(len).expect("because a system without memory cannot hold a model");
        // Refused where huge pages are not built in; small ones hold the same.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let start = map.as_mut_ptr();
        Slab { map: Arc::new(map), start, used: 0 }
    }
}

impl Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        #[expect(unsafe_code, reason = "a part is a boxed slice whose memory is a mapping's")]
        // SAFETY: the bytes are mapped as long as the slab lives, and no other part holds them.
        unsafe {
            std::slice::from_raw_parts(self.start, self.len)
        }
    }
}

impl DerefMut for Part {
    fn deref_mut(&mut self) -> &mut [u8] {
        #[expect(unsafe_code, reason = "a part is a boxed slice whose memory is a mapping's")]
        // SAFETY: the bytes are mapped as long as the slab lives, and no other part holds them.
        unsafe {
            std::slice::from_raw_parts_mut(self.start, self.len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_apart_zero_and_outlive_their_memory() {
        let mut memory = Memory::default();
        let lens = [1, 63, 64, 65, 1000, SLAB - 100, 5, SLAB + 1, 7];
        let mut parts: Vec<Part> = lens.iter().map(|&len| memory.take(len)).collect();
        drop(memory);
        for (i, part) in parts.iter_mut().enumerate() {
            assert_eq!((part.len(), part.as_ptr() as usize % LINE), (lens[i], 0));
            let ends = [0, part.len() - 1];
            assert!(ends.iter().all(|&at| part[at] == 0), "part {i} was written by another");
            ends.iter().for_each(|&at| part[at] = i as u8 + 1);
        }
        for (i, part) in parts.iter().enumerate() {
            assert_eq!((part[0], part[part.len() - 1]), (i as u8 + 1, i as u8 + 1));
        }
    }
}
