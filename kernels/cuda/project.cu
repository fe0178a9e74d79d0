// Projections of a decoder layer for few rows: rows (R, K) times weights (N, K), with everything around them fused.
//
//   qkv      rms_norm(x) Wqkv (+ bias), rotary embedding, write to q and into the KV cache
//   add      x += a W, in f32, and its 16-bit copy                     (attention output, down projection)
//   swiglu   silu(rms_norm(x) Wgate) * (rms_norm(x) Wup)
//
// | operand | shape, type                    | layout                                                              |
// |---------|--------------------------------|---------------------------------------------------------------------|
// | w       | (N, K) 16-bit, gain of the     | tiles of 16 rows x 32 columns, 1 KiB each, in the order of common.cuh, |
// |         | norm folded in                 | mma_chunk: 16 bytes a lane, twice; see kernels/src/cuda/pack.rs     |
// |         | or e4m3                        | half of that, 16 bytes a lane                                       |
// | scales  | (N) f32, with e4m3             | of an output                                                        |
// | x       | (R, K) 16-bit, INPUT_SCALE     | row-major                                                           |
// | sums    | f32 in registers               | lane (g, q): rows g, g+8 of the weight tile; activation rows 2q+0,1 |
//
// Split: a block has MT weight tiles and NT*8 rows; its warps split K into runs of `run` chunks, each summed in rising
// order, and the runs are summed in their order. So a row's result depends neither on NT nor on the other rows, and is
// the same in wide.cu: the verification of a draft equals the one-row pass bit for bit.
// Traffic: w once, x once a block (from L2). A warp has a few chunks in flight; the first weights are on their way
// before the previous kernel has ended. The RMS of a row is taken from the values that feed the tensor cores and applied
// to the sums.
#pragma once
#include "common.cuh"

namespace cinnabar {

enum Epilogue { QKV, ADD, SWIGLU };

constexpr int MAX_WARPS = 12;  // of a block

// Chunks that a warp has in flight, found by measuring; also in kernels/src/cuda/project.rs.
__host__ __device__ constexpr int stages(int tiles) { return tiles == 2 ? 3 : 4; }

// Mirrored by kernels/src/cuda/project.rs.
struct Project {
  const uint4* w;
  const float* scales;  // N in tile order, for fp8
  const half16* x;
  uint32_t k;      // multiple of 32
  uint32_t tiles;  // N / 16
  uint32_t run;    // chunks summed in one go
  float eps, over_k;   // of the norm, for rows as they are kept; 1 / k
  uint32_t layer;
  const State* state;
  // ADD: out_f32 (R, N) is added to, out (R, N) is its copy. SWIGLU: out (R, N / 2). QKV: out is q (R, heads * dim).
  float* out_f32;
  half16* out;
  // QKV
  const float* bias;       // N in tile order, or null
  const float2* rope;      // (positions, dim / 2): cosine, sine
  half16* k_cache;  // (slots, layers, kv_heads, capacity, dim), see key_index
  half16* v_cache;  // the same, see value_index
  uint32_t heads, kv_heads, dim, layers, capacity;  // dim: a power of two
  uint32_t early;  // 1: the next kernel may start before this one's rows are there
};

// What an epilogue needs from memory besides the sums.
struct Beside {
  float2 old_low, old_high;  // ADD: the residual stream of feature g, and g + 8, of two rows
  float2 turns[2];           // QKV: rotations of two rows
};

template <int EPI>
__device__ __forceinline__ Beside load_beside(const Project& p, int tile, int g, int row, uint32_t at) {
  Beside b = {};
  if constexpr (EPI == ADD) {
    const int n = p.tiles * 16;
    if (tile < p.tiles) {
      const float* from = p.out_f32 + (size_t)row * n + tile * 16 + g;
      b.old_low = make_float2(__ldcg(from), __ldcg(from + n));
      b.old_high = make_float2(__ldcg(from + 8), __ldcg(from + n + 8));
    }
  }
  if constexpr (EPI == QKV) {
    const int in_head = tile & (p.dim / 16 - 1);
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const uint32_t position = min(at + row + j, p.capacity - 1);
      b.turns[j] = p.rope[(size_t)position * (p.dim / 2) + in_head * 8 + g];
    }
  }
  return b;
}

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

template <int EPI>
__device__ __forceinline__ void finish(const Project& p, int tile, int g, int row, float4 v, uint32_t at,
                                       uint32_t rows, uint32_t slot, const Beside& beside) {
  // v: (feature g, rows row and row + 1), then (feature g + 8, the same rows).
  if constexpr (EPI == ADD) {
    const int n = p.tiles * 16, f = tile * 16 + g;
    constexpr float back = 1 / INPUT_SCALE;
    const float low[2] = {__fmaf_rn(v.x, back, beside.old_low.x), __fmaf_rn(v.y, back, beside.old_low.y)};
    const float high[2] = {__fmaf_rn(v.z, back, beside.old_high.x), __fmaf_rn(v.w, back, beside.old_high.y)};
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const size_t i = (size_t)(row + j) * n + f;
      p.out_f32[i] = low[j];
      p.out_f32[i + 8] = high[j];
      p.out[i] = narrow(low[j] * INPUT_SCALE);
      p.out[i + 8] = narrow(high[j] * INPUT_SCALE);
    }
  } else if constexpr (EPI == SWIGLU) {
    const int n = p.tiles * 8, f = tile * 8 + g;
    p.out[(size_t)row * n + f] = narrow(silu(v.x) * v.z * INPUT_SCALE);
    p.out[(size_t)(row + 1) * n + f] = narrow(silu(v.y) * v.w * INPUT_SCALE);
  } else {
    const int per_head = p.dim / 16, head = tile >> (__ffs(per_head) - 1), in_head = tile & (per_head - 1);
    if (p.bias) {
      const float low = p.bias[tile * 16 + g], high = p.bias[tile * 16 + g + 8];
      v.x += low, v.y += low, v.z += high, v.w += high;
    }
    const float low[2] = {v.x, v.y}, high[2] = {v.z, v.w};
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const uint32_t r = row + j, position = at + r;
      // Padding rows have no position, a row past the end has no place: both leave the cache alone.
      const bool used = r < rows && position < p.capacity;
      if (head < p.heads + p.kv_heads) {
        const int i = in_head * 8 + g;
        const float2 turn = beside.turns[j];
        // Fused as written, so that every kernel rounds alike.
        const float a = __fmaf_rn(low[j], turn.x, -__fmul_rn(high[j], turn.y));
        const float b = __fmaf_rn(high[j], turn.x, __fmul_rn(low[j], turn.y));
        if (head < p.heads) {
          half16* to = p.out + ((size_t)r * p.heads + head) * p.dim + i;
          to[0] = narrow(a);
          to[p.dim / 2] = narrow(b);
        } else if (used) {
          const size_t h = ((size_t)slot * p.layers + p.layer) * p.kv_heads + head - p.heads;
          half16* to = p.k_cache + h * p.capacity * p.dim;
          to[key_index(position, i, p.dim)] = narrow(a);
          to[key_index(position, i + p.dim / 2, p.dim)] = narrow(b);
        }
      } else if (used) {
        const size_t h = ((size_t)slot * p.layers + p.layer) * p.kv_heads + head - p.heads - p.kv_heads;
        half16* to = p.v_cache + h * p.capacity * p.dim;
        to[value_index(position, in_head * 16 + g, p.dim)] = narrow(low[j]);
        to[value_index(position, in_head * 16 + g + 8, p.dim)] = narrow(high[j]);
      }
    }
  }
}

// One over the root of the mean square, of a sum of squares.
__device__ __forceinline__ float norm_scale(const Project& p, float squares) {
  return rsqrtf(__fmaf_rn(squares, p.over_k, p.eps));
}

// Sums times the scales of their two rows, not fused with what follows.
__device__ __forceinline__ float4 scaled(const float4& v, float a, float b) {
  return make_float4(__fmul_rn(v.x, a), __fmul_rn(v.y, b), __fmul_rn(v.z, a), __fmul_rn(v.w, b));
}

// The same, of features g and g + 8 of a tile.
__device__ __forceinline__ float2 load_scales(const Project& p, int tile, int g) {
  const float* from = p.scales + min(tile, (int)p.tiles - 1) * 16 + g;
  return make_float2(from[0], from[8]);
}

__device__ __forceinline__ float4 scaled_features(const float4& v, const float2& by) {
  return make_float4(__fmul_rn(v.x, by.x), __fmul_rn(v.y, by.x), __fmul_rn(v.z, by.y), __fmul_rn(v.w, by.y));
}

template <int EPI, int MT, int NT, bool FP8>
__device__ __forceinline__ void project(const Project& p) {
  constexpr bool NORM = EPI != ADD;
  constexpr int STAGES = stages(MT);
  constexpr int GROUPS = MT * NT * 32;     // float4s of a block's sums
  constexpr int SLOT = MT * UNIT<FP8> + NT * 32;  // uint4s of a chunk: weights, then rows
  // The slots of all warps (stages, SLOT); later the sums (warps, GROUPS) and the squares (warps, NT * 8).
  extern __shared__ uint4 shared[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int g = lane / 4, q = lane % 4;
  const int tile0 = blockIdx.x * MT, row0 = blockIdx.y * NT * 8;
  const int chunks = p.k / 32, first = warp * p.run, steps = min((int)p.run, chunks - first);
  const uint4* ring = shared + (size_t)warp * min(STAGES, (int)p.run) * SLOT + lane;
  const int last_tile = p.tiles - 1;

  // Everything that can be is worked out before the wait: what follows it is what a pass takes.
  uint32_t to = shared_address(ring);
  const uint4* weights[MT];
  const uint4* inputs[NT];
#pragma unroll
  for (int m = 0; m < MT; m++) weights[m] = p.w + ((size_t)min(tile0 + m, last_tile) * chunks + first) * UNIT<FP8> + lane;
#pragma unroll
  for (int n = 0; n < NT; n++) {
    inputs[n] = reinterpret_cast<const uint4*>(p.x) + (size_t)(row0 + n * 8 + g) * (p.k / 8) + first * 4 + q;
    settle_early(inputs[n]);
  }
  settle_early(to);
  // Chunk `ahead` chunks after the pointers, to slot s.
  const auto copy_weights = [&](int ahead, int s) {
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
      for (int part = 0; part < UNIT<FP8>; part += 32) {
        copy_async(to + (s * SLOT + m * UNIT<FP8> + part) * 16, weights[m] + ahead * UNIT<FP8> + part);
      }
    }
  };
  const auto copy_rows = [&](int ahead, int s) {
#pragma unroll
    for (int n = 0; n < NT; n++) copy_async(to + (s * SLOT + MT * UNIT<FP8> + n * 32) * 16, inputs[n] + ahead * 4);
  };

#pragma unroll
  for (int s = 0; s < STAGES; s++) {
    if (s < steps) copy_weights(s, s);
  }
  // The state is final since the embedding has begun (step.cu, embed).
  uint32_t at = 0, rows = 0, slot = 0;
  // Asked for early by the threads that will use it.
  Beside beside = {};
  const auto load = [&](int e) {
    beside = load_beside<EPI>(p, tile0 + e / 32 / NT, e % 32 / 4, row0 + e / 32 % NT * 8 + e % 4 * 2, at);
  };
  if constexpr (EPI == QKV) {
    at = __ldcg(&p.state->at), rows = __ldcg(&p.state->rows), slot = __ldcg(&p.state->slot);
    if (threadIdx.x < GROUPS) load(threadIdx.x);
  }
  float2 scales = {};
  if constexpr (FP8) scales = load_scales(p, tile0 + threadIdx.x % GROUPS / 32 / NT, threadIdx.x % 32 / 4);
  if (p.early) release_next();
  await_previous();
#pragma unroll
  for (int s = 0; s < STAGES; s++) {
    if (s < steps) copy_rows(s, s);
    commit_copies();
  }
  // Earlier only where it pays (kernels/src/cuda/project.rs): what starts then takes memory bandwidth and room from this kernel.
  release_next();
  if constexpr (EPI == ADD) {
    if (threadIdx.x < GROUPS) load(threadIdx.x);
  }

  float sums[MT][NT][4] = {}, squares[NT] = {};
  for (int step = 0; step < steps; step += STAGES) {
#pragma unroll
    for (int s = 0; s < STAGES; s++) {
      if (step + s >= steps) break;
      await_copies<STAGES - 1>();
      const uint4* from = ring + s * SLOT;
      uint4 x[NT];
#pragma unroll
      for (int n = 0; n < NT; n++) x[n] = from[MT * UNIT<FP8> + n * 32];
#pragma unroll
      for (int m = 0; m < MT; m++) {
        uint4 a, b;
        load_weights<FP8>(from + m * UNIT<FP8>, a, b);
#pragma unroll
        for (int n = 0; n < NT; n++) mma_chunk(sums[m][n], a, b, x[n]);
      }
      if constexpr (NORM) {
#pragma unroll
        for (int n = 0; n < NT; n++) squares[n] += sum_of_squares(x[n]);
      }
      if (step + s + STAGES < steps) copy_weights(s + STAGES, s), copy_rows(s + STAGES, s);
      commit_copies();
    }
#pragma unroll
    for (int m = 0; m < MT; m++) weights[m] += STAGES * UNIT<FP8>;
#pragma unroll
    for (int n = 0; n < NT; n++) inputs[n] += STAGES * 4;
  }

  // The slots become the place where the warps' sums meet.
  await_copies<0>();
  __syncthreads();
  float4* all = reinterpret_cast<float4*>(shared);
  float* all_squares = reinterpret_cast<float*>(all + warps * GROUPS);
#pragma unroll
  for (int m = 0; m < MT; m++) {
#pragma unroll
    for (int n = 0; n < NT; n++) {
      all[warp * GROUPS + (m * NT + n) * 32 + lane] =
          make_float4(sums[m][n][0], sums[m][n][1], sums[m][n][2], sums[m][n][3]);
    }
  }
  if constexpr (NORM) {
#pragma unroll
    for (int n = 0; n < NT; n++) {
      float s = squares[n];
      s += __shfl_xor_sync(~0u, s, 1);
      s += __shfl_xor_sync(~0u, s, 2);
      if (q == 0) all_squares[warp * NT * 8 + n * 8 + g] = s;
    }
  }
  __syncthreads();

  for (int e = threadIdx.x; e < GROUPS; e += blockDim.x) {
    const int tile = tile0 + e / 32 / NT, row = e / 32 % NT * 8 + e % 4 * 2;
    if (tile >= p.tiles) break;
    float4 v = all[e];
#pragma unroll
    for (int i = 1; i < MAX_WARPS; i++) {
      if (i >= warps) break;
      const float4 o = all[i * GROUPS + e];
      v.x += o.x, v.y += o.y, v.z += o.z, v.w += o.w;
    }
    if constexpr (FP8) {
      if (e != threadIdx.x) scales = load_scales(p, tile, e % 32 / 4);
      v = scaled_features(v, scales);
    }
    if constexpr (NORM) {
      float a = 0, b = 0;
#pragma unroll
      for (int i = 0; i < MAX_WARPS; i++) {
        if (i >= warps) break;
        const float2 s = *reinterpret_cast<const float2*>(all_squares + i * NT * 8 + row);
        a += s.x, b += s.y;
      }
      v = scaled(v, norm_scale(p, a), norm_scale(p, b));
    }
    if (EPI != SWIGLU && e != threadIdx.x) load(e);
    finish<EPI>(p, tile, e % 32 / 4, row0 + row, v, at, rows, slot, beside);
  }
}

}  // namespace cinnabar

// kernels/src/cuda/project.rs spells these names.
#define PROJECT(NAME, EPI, MT, NT)                                              \
  extern "C" __global__ void __launch_bounds__(384)                             \
      NAME##_m##MT##_n##NT(const __grid_constant__ cinnabar::Project p) {       \
    cinnabar::project<cinnabar::EPI, MT, NT, false>(p);                         \
  }                                                                             \
  extern "C" __global__ void __launch_bounds__(384)                             \
      NAME##_fp8_m##MT##_n##NT(const __grid_constant__ cinnabar::Project p) {   \
    cinnabar::project<cinnabar::EPI, MT, NT, true>(p);                          \
  }
#define PROJECT_ALL(NAME, EPI) \
  PROJECT(NAME, EPI, 1, 1)     \
  PROJECT(NAME, EPI, 1, 2)     \
  PROJECT(NAME, EPI, 1, 4)     \
  PROJECT(NAME, EPI, 1, 8)     \
  PROJECT(NAME, EPI, 2, 1)     \
  PROJECT(NAME, EPI, 2, 2)     \
  PROJECT(NAME, EPI, 2, 4)     \
  PROJECT(NAME, EPI, 2, 8)     \
  PROJECT(NAME, EPI, 4, 1)     \
  PROJECT(NAME, EPI, 4, 2)     \
  PROJECT(NAME, EPI, 4, 4)
PROJECT_ALL(qkv, QKV)
PROJECT_ALL(add, ADD)
PROJECT_ALL(swiglu, SWIGLU)
