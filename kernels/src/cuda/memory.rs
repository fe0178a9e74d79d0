//! Device memory, and host memory that the device sees.

use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::Arc;

use bytemuck::Pod;
use cudarc::driver::sys;

use super::driver::{CudaError, Gpu, check};

/// An array in device memory.
pub struct Buffer<T> {
    gpu: Arc<Gpu>,
    pointer: sys::CUdeviceptr,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// An array of zero bytes.
    pub fn zeros(gpu: &Arc<Gpu>, len: usize) -> Result<Self, CudaError> {
        gpu.enter()?;
        let (mut pointer, bytes) = (0, len * size_of::<T>());
        // SAFETY: the output is valid for writes; the fresh allocation has the length that is cleared, and the clear is
        // ordered before later work of the same stream.
        unsafe {
            check("cuMemAlloc", sys::cuMemAlloc_v2(&mut pointer, bytes.max(16)))?;
            check("cuMemsetD8Async", sys::cuMemsetD8Async(pointer, 0, bytes.max(16), gpu.stream()))?;
        }
        Ok(Buffer { gpu: gpu.clone(), pointer, len, element: PhantomData })
    }

    /// A copy of `data`.
    pub fn from_slice(gpu: &Arc<Gpu>, data: &[T]) -> Result<Self, CudaError> {
        let buffer = Buffer::zeros(gpu, data.len())?;
        buffer.write(0, data)?;
        Ok(buffer)
    }

    /// Overwrites elements from `at` on, after everything that was enqueued.
    pub fn write(&self, at: usize, data: &[T]) -> Result<(), CudaError> {
        assert!(at + data.len() <= self.len, "write past the end of a device buffer");
        self.gpu.enter()?;
        let to = self.pointer + (at * size_of::<T>()) as u64;
        // SAFETY: the range was checked; synchronising afterwards keeps `data` alive until it has been read.
        unsafe {
            let bytes = size_of_val(data);
            check(
                "cuMemcpyHtoD",
                sys::cuMemcpyHtoDAsync_v2(to, data.as_ptr().cast(), bytes, self.gpu.stream()),
            )?;
        }
        self.gpu.synchronize()
    }

    /// Copies `count` elements from `at` on to the host, after everything that was enqueued.
    pub fn read(&self, at: usize, count: usize) -> Result<Vec<T>, CudaError> {
        let mut data = Vec::new();
        self.append_to(&mut data, at, count)?;
        Ok(data)
    }

    /// The same, appended to what is there: memory that is used again costs less than new one.
    pub fn append_to(&self, data: &mut Vec<T>, at: usize, count: usize) -> Result<(), CudaError> {
        assert!(at + count <= self.len, "read past the end of a device buffer");
        self.gpu.enter()?;
        let before = data.len();
        data.resize(before + count, T::zeroed());
        let to = data[before..].as_mut_ptr().cast();
        let from = self.pointer + (at * size_of::<T>()) as u64;
        // SAFETY: the range was checked and what was appended has its length; any bytes are a valid `T: Pod`.
        unsafe {
            let bytes = count * size_of::<T>();
            check("cuMemcpyDtoH", sys::cuMemcpyDtoHAsync_v2(to, from, bytes, self.gpu.stream()))?;
        }
        self.gpu.synchronize()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address on the device, for kernel parameters.
    pub(super) fn address(&self) -> u64 {
        self.pointer
    }
}

impl Gpu {
    /// Bytes a second that a copy in the device's memory reads and writes, of 512 MiB: no cache holds them.
    pub fn copy_rate(self: &Arc<Self>) -> Result<f64, CudaError> {
        const BYTES: usize = 512 << 20;
        const TIMES: usize = 10;
        let (from, to): (Buffer<u8>, Buffer<u8>) = (Buffer::zeros(self, BYTES)?, Buffer::zeros(self, BYTES)?);
        let copy = || {
            // SAFETY: both buffers have that length and outlive the copies, whose end is waited for.
            let copied = unsafe { sys::cuMemcpyDtoDAsync_v2(to.pointer, from.pointer, BYTES, self.stream()) };
            check("cuMemcpyDtoD", copied)
        };
        copy()?;
        let milliseconds = self.time(|| (0..TIMES).try_for_each(|_| copy()))?;
        Ok(2.0 * (BYTES * TIMES) as f64 / f64::from(milliseconds) * 1e3)
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.gpu.enter().is_ok() {
            // SAFETY: allocated in `zeros`, freed once; cuMemFree waits for work that may still use it.
            unsafe { sys::cuMemFree_v2(self.pointer) };
        }
    }
}

/// One value in pinned host memory that kernels read and write directly.
pub struct Mapped<T> {
    gpu: Arc<Gpu>,
    host: *mut T,
    device: sys::CUdeviceptr,
}

// SAFETY: the memory is plain bytes and owned; only volatile accesses of this handle and of kernels touch it.
unsafe impl<T: Pod> Send for Mapped<T> {}

impl<T: Pod> Mapped<T> {
    /// A value of zero bytes.
    pub fn zeros(gpu: &Arc<Gpu>) -> Result<Self, CudaError> {
        gpu.enter()?;
        let (mut host, mut device) = (null_mut(), 0);
        let flags = sys::CU_MEMHOSTALLOC_DEVICEMAP | sys::CU_MEMHOSTALLOC_PORTABLE;
        // SAFETY: outputs are valid for writes; the fresh allocation has the size that is cleared.
        unsafe {
            check("cuMemHostAlloc", sys::cuMemHostAlloc(&mut host, size_of::<T>(), flags))?;
            host.cast::<u8>().write_bytes(0, size_of::<T>());
            check("cuMemHostGetDevicePointer", sys::cuMemHostGetDevicePointer_v2(&mut device, host, 0))?;
        }
        Ok(Mapped { gpu: gpu.clone(), host: host.cast(), device })
    }

    /// Writes one field or element: `field` maps the value's address to the field's.
    pub fn write<F: Pod>(&mut self, value: F, field: impl FnOnce(&mut T) -> &mut F) {
        // SAFETY: the allocation holds a `T` of plain bytes, and kernels write other fields than the host does.
        let to: *mut F = field(unsafe { &mut *self.host });
        // SAFETY: `to` points into the allocation.
        unsafe { to.write_volatile(value) };
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }

    /// Reads one field or element.
    pub fn read<F: Pod>(&self, field: impl FnOnce(&T) -> &F) -> F {
        // SAFETY: the allocation holds a `T` of plain bytes; the volatile read sees what the device wrote.
        let from: *const F = field(unsafe { &*self.host });
        // SAFETY: `from` points into the allocation.
        let value = unsafe { from.read_volatile() };
        std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        value
    }

    pub(super) fn address(&self) -> u64 {
        self.device
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        if self.gpu.enter().is_ok() {
            // SAFETY: allocated in `zeros`, freed once, after the stream has run everything that may use it.
            unsafe {
                sys::cuStreamSynchronize(self.gpu.stream());
                sys::cuMemFreeHost(self.host.cast());
            }
        }
    }
}
