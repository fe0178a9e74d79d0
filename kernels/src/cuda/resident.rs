//! What stays on the device: weights and the caches of keys and values.

use std::sync::Arc;

use super::Half;
use super::driver::{CudaError, Gpu, Shape, param};
use super::memory::Buffer;
use super::pack::{Format, Packed, TILE};

/// Weights on the device, packed by [`super::pack::pack`].
pub struct Weights {
    pub(super) packed: Buffer<u8>,
    /// Of each row, padded to whole tiles, with [`Format::Fp8`].
    scales: Option<Buffer<f32>>,
    pub(super) format: Format,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Weights {
    /// Uploads a packed matrix.
    pub fn new(gpu: &Arc<Gpu>, packed: &Packed) -> Result<Self, CudaError> {
        let Packed { format, rows, cols, ref bytes, ref scales } = *packed;
        let scales = if scales.is_empty() { None } else { Some(Buffer::from_slice(gpu, scales.as_slice())?) };
        Ok(Weights { packed: Buffer::from_slice(gpu, bytes)?, scales, format, rows, cols })
    }

    /// Random weights of the given spread, for benches of geometries without a checkpoint.
    pub fn noise(
        gpu: &Arc<Gpu>,
        format: Format,
        rows: usize,
        cols: usize,
        spread: f32,
        seed: u32,
    ) -> Result<Self, CudaError> {
        let padded = rows.next_multiple_of(TILE);
        let packed: Buffer<u8> = Buffer::zeros(gpu, padded * cols * format.bytes())?;
        let mut args = (packed.address(), (padded * cols) as u64, spread, seed);
        let shape = Shape { grid: [1024, 1, 1], threads: 256, shared: 0, cluster: 1 };
        let scales = match format {
            Format::Half => {
                let mut params =
                    [param(&mut args.0), param(&mut args.1), param(&mut args.2), param(&mut args.3)];
                // SAFETY: the kernel fills exactly the elements of the buffer, which outlives the synchronisation below.
                unsafe { gpu.launch("noise", shape, &mut params)? };
                None
            }
            Format::Fp8 => {
                args.1 /= 4;
                let mut params = [param(&mut args.0), param(&mut args.1), param(&mut args.3)];
                // SAFETY: as above, in words of four.
                unsafe { gpu.launch("noise_fp8", shape, &mut params)? };
                // As large as the others on average: theirs is spread / sqrt(3), that of the codes 0.6.
                Some(Buffer::from_slice(gpu, &vec![spread / 3.0f32.sqrt() / 0.6; padded])?)
            }
        };
        gpu.synchronize()?;
        Ok(Weights { packed, scales, format, rows, cols })
    }

    /// Address of the scales, 0 when there are none.
    pub(super) fn scales(&self) -> u64 {
        self.scales.as_ref().map_or(0, Buffer::address)
    }

    /// Rows (outputs).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs).
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        self.packed.len() + self.scales.as_ref().map_or(0, |s| s.len() * 4)
    }
}

/// Keys and values of all slots and layers.
pub struct Caches {
    pub(super) keys: Buffer<Half>,
    pub(super) values: Buffer<Half>,
    slots: usize,
    pub(super) layers: usize,
    pub(super) kv_heads: usize,
    pub(super) dim: usize,
    pub(super) capacity: usize,
}

impl Caches {
    /// Zeroed caches; `capacity` positions are rounded up to a multiple of 32.
    pub fn new(
        gpu: &Arc<Gpu>,
        slots: usize,
        layers: usize,
        kv_heads: usize,
        dim: usize,
        capacity: usize,
    ) -> Result<Self, CudaError> {
        let capacity = capacity.next_multiple_of(32);
        let len = slots * layers * kv_heads * dim * capacity;
        let (keys, values) = (Buffer::zeros(gpu, len)?, Buffer::zeros(gpu, len)?);
        Ok(Caches { keys, values, slots, layers, kv_heads, dim, capacity })
    }

    /// Bytes of one slot.
    pub fn slot_bytes(layers: usize, kv_heads: usize, dim: usize, capacity: usize) -> usize {
        4 * layers * kv_heads * dim * capacity.next_multiple_of(32)
    }

    /// Elements of a layer of a slot.
    fn layer(&self) -> usize {
        self.kv_heads * self.dim * self.capacity
    }

    /// Where `read_keys` has an element, as `key_index` in `cuda/common.cuh`.
    pub fn key_index(&self, head: usize, position: usize, d: usize) -> usize {
        let r = position % 32;
        let (t, g) = (r % 8 / 2, r / 8 * 2 + r % 2);
        let chunk = (position / 32 * 4 + t) * (self.dim / 32) + d / 32;
        head * self.capacity * self.dim + chunk * 256 + g * 32 + d % 32
    }

    /// Where `read_values` has an element, as `value_index` in `cuda/common.cuh`.
    pub fn value_index(&self, head: usize, position: usize, d: usize) -> usize {
        let tile = position / 32 * (self.dim / 8) + d / 8;
        head * self.capacity * self.dim + tile * 256 + d % 8 * 32 + position % 32
    }

    /// Keys of a slot's layer.
    pub fn read_keys(&self, slot: usize, layer: usize) -> Result<Vec<Half>, CudaError> {
        self.keys.read((slot * self.layers + layer) * self.layer(), self.layer())
    }

    /// Values of a slot's layer.
    pub fn read_values(&self, slot: usize, layer: usize) -> Result<Vec<Half>, CudaError> {
        self.values.read((slot * self.layers + layer) * self.layer(), self.layer())
    }

    /// Overwrites a slot's layer, in the layouts of the two readers.
    pub fn write(&self, slot: usize, layer: usize, keys: &[Half], values: &[Half]) -> Result<(), CudaError> {
        assert!(keys.len() == self.layer() && values.len() == self.layer(), "a whole layer");
        self.keys.write((slot * self.layers + layer) * self.layer(), keys)?;
        self.values.write((slot * self.layers + layer) * self.layer(), values)
    }

    /// Slots.
    pub fn slots(&self) -> usize {
        self.slots
    }
}
