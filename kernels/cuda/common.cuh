// What all kernels share: the step's state, tensor-core and ordering primitives.
#pragma once
#include <cuda_fp16.h>
#include <stdint.h>

namespace cinnabar {

constexpr int MAX_ROWS = 1024;  // rows of one pass, also in kernels/src/cuda/state.rs
constexpr int PARTS = 16;        // parts that a row's keys are split into, whatever the number of rows

// Weights, inputs of products, queries, keys and values have 16 bits: 11 of precision, values up to 65504. What is larger
// becomes that, never infinite.
using half16 = __half;

// Rows of the residual stream, attended and gated rows are kept at this share of their value, so that the few features that
// some models let grow to tens of thousands stay far below the limit: up to 2^20. A power of two: it costs no precision of
// values above 0.001, and 2^-21 absolutely below. Also in kernels/src/cuda.rs.
constexpr float INPUT_SCALE = 1.0f / 16;

// What a forward pass depends on, in device memory: a captured graph serves every position, slot and attention.
// Mirrored by kernels/src/cuda/state.rs.
struct State {
  uint32_t at;         // position of row 0
  uint32_t rows;       // rows in use; the rest up to the graph's bucket is padding
  uint32_t causal;     // 1: a row sees rows up to itself, 0: every row
  uint32_t slot;       // KV cache slot
  uint32_t head_from;  // first row that the head turns into a pick
  uint32_t head_rows;  // number of such rows
  uint32_t banned;     // token id left out of the distribution
  uint32_t ticket;     // number of this pass, published when its picks are
  uint32_t ids[MAX_ROWS];
};

struct Pick {
  uint32_t token;
  float probability;
};

// What a block of the head found in its share of the vocabulary.
struct Best {
  float maximum;
  float mass;  // sum of exp(logit - maximum)
  uint32_t token;
  uint32_t unused;
};

// Programmatic dependent launch: the next kernel may start now (it prefetches its weights) ...
__device__ __forceinline__ void release_next() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ... and nothing that an earlier kernel wrote is read, and nothing it may read is written, before this returns.
__device__ __forceinline__ void await_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ uint32_t shared_address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

// Asynchronous copies from global to shared memory (shared_address), 16 bytes a lane, past L1.
__device__ __forceinline__ void copy_async(uint32_t to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

// The value is worked out here, not where it is used.
template <typename T>
__device__ __forceinline__ void settle_early(T*& p) { asm volatile("" : "+l"(p)); }
__device__ __forceinline__ void settle_early(uint32_t& v) { asm volatile("" : "+r"(v)); }

// Sixteen bytes at an address in shared memory.
__device__ __forceinline__ uint4 load_shared(uint32_t from) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from));
  return v;
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Returns when all but the last PENDING groups of this thread have arrived.
template <int PENDING>
__device__ __forceinline__ void await_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Activations: written by another multiprocessor a moment ago, so L1 is bypassed.
__device__ __forceinline__ uint4 load_fresh(const void* p) {
  uint4 v;
  asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}

// c (16 x 8, f32) += a (16 x 16, 16-bit) * b (16 x 8, 16-bit).
__device__ __forceinline__ void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// A chunk is 32 values along the summed dimension. Of the 8-row operand, lane (g = lane / 4, q = lane % 4) holds values
// q*8 .. q*8+7 of row g in one uint4: the sum does not care about the order of its terms, so row-major memory feeds the
// tensor cores in 16-byte loads, without a transposition. The 16-row operand has the same order, in the registers' own:
// first: values q*8 + 0,1 of rows g and g+8, then q*8 + 2,3 of both; second: q*8 + 4,5 and 6,7 likewise.
__device__ __forceinline__ void mma_chunk(float (&c)[4], const uint4& first, const uint4& second, const uint4& x) {
  mma(c, first.x, first.y, first.z, first.w, x.x, x.y);
  mma(c, second.x, second.y, second.z, second.w, x.z, x.w);
}

// Where the caches keep an element of a KV head. A unit is 32 positions, dim * 32 values in a row, laid out as attend.cu
// takes it: 512 contiguous bytes a warp load. Mirrored by kernels/src/cuda/resident.rs.
__device__ __forceinline__ size_t key_index(uint32_t position, uint32_t d, uint32_t dim) {
  const uint32_t r = position % 32, t = r % 8 / 2, g = r / 8 * 2 + r % 2;
  return ((size_t)(position / 32 * 4 + t) * (dim / 32) + d / 32) * 256 + g * 32 + d % 32;
}

__device__ __forceinline__ size_t value_index(uint32_t position, uint32_t d, uint32_t dim) {
  return ((size_t)(position / 32) * (dim / 8) + d / 8) * 256 + d % 8 * 32 + position % 32;
}

__device__ __forceinline__ uint32_t pack(float low, float high) {
  uint32_t v;
  asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
  return v;
}

__device__ __forceinline__ half16 narrow(float x) {
  uint16_t v;
  asm("cvt.rn.satfinite.f16.f32 %0, %1;" : "=h"(v) : "f"(x));
  return __ushort_as_half(v);
}

__device__ __forceinline__ float2 unpack(uint32_t v) { return __half22float2(*reinterpret_cast<__half2*>(&v)); }

// A chunk of a weight tile as it is kept, in uint4s: 16 bits a weight, or 8.
template <bool FP8>
constexpr int UNIT = FP8 ? 32 : 64;

// Four e4m3 weights as 16-bit values, in their order. Exact.
__device__ __forceinline__ uint2 expand(uint32_t v) {
  uint2 wide;
#if __CUDA_ARCH__ >= 890
  asm("{\n.reg .b16 low, high;\nmov.b32 {low, high}, %2;\n"
      "cvt.rn.f16x2.e4m3x2 %0, low;\ncvt.rn.f16x2.e4m3x2 %1, high;\n}"
      : "=r"(wide.x), "=r"(wide.y)
      : "r"(v));
#else
  // Exponent and mantissa move under the wider exponent, whose offset is 8 more.
  const uint32_t low = __byte_perm(v, 0, 0x1404), high = __byte_perm(v, 0, 0x3424);
  const __half2 offset = __float2half2_rn(256.0f);
  const auto widen = [&](uint32_t x) {
    x = (x & 0x80008000u) | ((x & 0x7f007f00u) >> 1);
    __half2 y = __hmul2(*reinterpret_cast<__half2*>(&x), offset);
    return *reinterpret_cast<uint32_t*>(&y);
  };
  wide = make_uint2(widen(low), widen(high));
#endif
  return wide;
}

__device__ __forceinline__ void expand(const uint4& v, uint4& first, uint4& second) {
  const uint2 a = expand(v.x), b = expand(v.y), c = expand(v.z), d = expand(v.w);
  first = make_uint4(a.x, a.y, b.x, b.y), second = make_uint4(c.x, c.y, d.x, d.y);
}

// The lane's weights of a chunk in shared memory, as mma_chunk takes them.
template <bool FP8>
__device__ __forceinline__ void load_weights(const uint4* from, uint4& first, uint4& second) {
  if constexpr (FP8) {
    expand(*from, first, second);
  } else {
    first = from[0], second = from[32];
  }
}

__device__ __forceinline__ float sum_of_squares(const uint4& v) {
  float2 a = unpack(v.x), b = unpack(v.y), c = unpack(v.z), d = unpack(v.w);
  return a.x * a.x + a.y * a.y + b.x * b.x + b.y * b.y + c.x * c.x + c.y * c.y + d.x * d.x + d.y * d.y;
}

}  // namespace cinnabar
