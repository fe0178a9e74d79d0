// Projections of a decoder layer for few rows: rows (R, K) times weights (N, K), with everything around them fused.
//
//   qkv      rms_norm(x) Wqkv (+ bias), rotary embedding, write to q and into the KV cache
//   add      x += a W, in f32, and its bf16 copy                       (attention output, down projection)
//   swiglu   silu(rms_norm(x) Wgate) * (rms_norm(x) Wup)
//
// | operand | shape, type                    | layout                                                              |
// |---------|--------------------------------|---------------------------------------------------------------------|
// | w       | (N, K) bf16, gain of the norm  | tiles of 16 rows x 32 columns, 1 KiB each: rows 0-7 then 8-15, 16   |
// |         | folded in                      | bytes a lane (common.cuh, mma_chunk); see kernels/src/cuda/pack.rs  |
// | x       | (R, K) bf16                    | row-major                                                           |
// | sums    | f32 in registers               | lane (g, q): rows g, g+8 of the weight tile; activation rows 2q+0,1 |
//
// Split: a block has MT weight tiles and NT*8 rows; its warps split K, chunk c to warp c % warps, in rising order, and
// are summed in warp order. So a row's result depends neither on NT nor on the other rows: the verification of a draft
// equals the one-row pass bit for bit.
// Traffic: w once, x once a block (from L2). A warp has a few chunks in flight; the first weights are on their way
// before the previous kernel has ended. The RMS of a row is taken from the values that feed the tensor cores and applied
// to the sums.
#include "common.cuh"

namespace cinnabar {

enum Epilogue { QKV, ADD, SWIGLU };

// Chunks that a warp has in flight, found by measuring; also in kernels/src/cuda/ops.rs.
__host__ __device__ constexpr int stages(int tiles) { return tiles == 2 ? 3 : 4; }

// Mirrored by kernels/src/cuda/ops.rs.
struct Project {
  const uint4* w;
  const __nv_bfloat16* x;
  uint32_t k;     // multiple of 32
  uint32_t tiles; // N / 16
  float eps;
  uint32_t layer;
  const State* state;
  // ADD: out_f32 (R, N) is added to, out (R, N) is its copy. SWIGLU: out (R, N / 2). QKV: out is q (R, heads * dim).
  float* out_f32;
  __nv_bfloat16* out;
  // QKV
  const float* bias;       // N in tile order, or null
  const float2* rope;      // (positions, dim / 2): cosine, sine
  __nv_bfloat16* k_cache;  // (slots, layers, kv_heads, capacity, dim), see key_index
  __nv_bfloat16* v_cache;  // the same, see value_index
  uint32_t heads, kv_heads, dim, layers, capacity;
};

template <int EPI>
__device__ __forceinline__ void finish(const Project& p, int tile, int g, int row, float4 v, uint32_t at,
                                       uint32_t rows, uint32_t slot, float2 old_low, float2 old_high,
                                       const float2 (&turns)[2]) {
  // v: (feature g, rows row and row + 1), then (feature g + 8, the same rows).
  if constexpr (EPI == ADD) {
    const int n = p.tiles * 16, f = tile * 16 + g;
    const float low[2] = {v.x + old_low.x, v.y + old_low.y}, high[2] = {v.z + old_high.x, v.w + old_high.y};
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const size_t i = (size_t)(row + j) * n + f;
      p.out_f32[i] = low[j];
      p.out_f32[i + 8] = high[j];
      p.out[i] = __float2bfloat16(low[j]);
      p.out[i + 8] = __float2bfloat16(high[j]);
    }
  } else if constexpr (EPI == SWIGLU) {
    const int n = p.tiles * 8, f = tile * 8 + g;
    p.out[(size_t)row * n + f] = __float2bfloat16(v.x / (1.0f + __expf(-v.x)) * v.z);
    p.out[(size_t)(row + 1) * n + f] = __float2bfloat16(v.y / (1.0f + __expf(-v.y)) * v.w);
  } else {
    const int per_head = p.dim / 16, head = tile / per_head, in_head = tile % per_head;
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
        const float2 turn = turns[j];
        const float a = low[j] * turn.x - high[j] * turn.y, b = high[j] * turn.x + low[j] * turn.y;
        if (head < p.heads) {
          __nv_bfloat16* to = p.out + ((size_t)r * p.heads + head) * p.dim + i;
          to[0] = __float2bfloat16(a);
          to[p.dim / 2] = __float2bfloat16(b);
        } else if (used) {
          const size_t h = ((size_t)slot * p.layers + p.layer) * p.kv_heads + head - p.heads;
          __nv_bfloat16* to = p.k_cache + h * p.capacity * p.dim;
          to[key_index(position, i, p.dim)] = __float2bfloat16(a);
          to[key_index(position, i + p.dim / 2, p.dim)] = __float2bfloat16(b);
        }
      } else if (used) {
        const size_t h = ((size_t)slot * p.layers + p.layer) * p.kv_heads + head - p.heads - p.kv_heads;
        __nv_bfloat16* to = p.v_cache + h * p.capacity * p.dim;
        to[value_index(position, in_head * 16 + g, p.dim)] = __float2bfloat16(low[j]);
        to[value_index(position, in_head * 16 + g + 8, p.dim)] = __float2bfloat16(high[j]);
      }
    }
  }
}

template <int EPI, int MT, int NT>
__device__ __forceinline__ void project(const Project& p) {
  constexpr bool NORM = EPI != ADD;
  constexpr int STAGES = stages(MT);
  constexpr int GROUPS = MT * NT * 32;  // float4s of a block's sums
  constexpr int SLOT = MT * 64 + NT * 32;  // uint4s of a chunk: weights, then rows
  // The slots of all warps (stages, SLOT); later the sums (warps, GROUPS) and the squares (warps, NT * 8).
  extern __shared__ uint4 shared[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int g = lane / 4, q = lane % 4;
  const int tile0 = blockIdx.x * MT, row0 = blockIdx.y * NT * 8;
  const int chunks = p.k / 32, steps = (chunks - warp + warps - 1) / warps;
  const int slots = min(STAGES, (chunks + warps - 1) / warps);
  uint4* ring = shared + (size_t)warp * slots * SLOT + lane;
  const int last_tile = p.tiles - 1;

  const auto copy_weights = [&](int step) {
    if (step >= steps) return;
    uint4* to = ring + step % STAGES * SLOT;
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const uint4* from = p.w + ((size_t)min(tile0 + m, last_tile) * chunks + warp + step * warps) * 64 + lane;
      copy_async(to + m * 64, from);
      copy_async(to + m * 64 + 32, from + 32);
    }
  };
  const auto copy_rows = [&](int step) {
    if (step >= steps) return;
    uint4* to = ring + step % STAGES * SLOT + MT * 64;
    const __nv_bfloat16* from = p.x + (size_t)(row0 + g) * p.k + (warp + step * warps) * 32 + q * 8;
#pragma unroll
    for (int n = 0; n < NT; n++) copy_async(to + n * 32, from + (size_t)n * 8 * p.k);
  };

  release_next();
#pragma unroll
  for (int s = 0; s < STAGES; s++) copy_weights(s);
  // The state is final since the embedding has begun (step.cu, embed).
  uint32_t at = 0, rows = 0, slot = 0;
  float2 turns[2] = {make_float2(1, 0), make_float2(1, 0)};
  const auto load_turns = [&](int e) {
    const int per_head = p.dim / 16, in_head = (tile0 + e / 32 / NT) % per_head;
    const int row = row0 + e / 32 % NT * 8 + e % 4 * 2;
#pragma unroll
    for (int j = 0; j < 2; j++) {
      const uint32_t position = min(at + row + j, p.capacity - 1);
      turns[j] = p.rope[(size_t)position * (p.dim / 2) + in_head * 8 + e % 32 / 4];
    }
  };
  if constexpr (EPI == QKV) {
    at = __ldcg(&p.state->at), rows = __ldcg(&p.state->rows), slot = __ldcg(&p.state->slot);
    if (threadIdx.x < GROUPS) load_turns(threadIdx.x);
  }
  await_previous();
#pragma unroll
  for (int s = 0; s < STAGES; s++) {
    copy_rows(s);
    commit_copies();
  }

  // What the epilogue needs from memory, asked for early by the threads that will use it.
  float2 old_low = make_float2(0, 0), old_high = make_float2(0, 0);
  const auto residual = [&](int e) {
    const int row = row0 + e / 32 % NT * 8 + e % 4 * 2, f = (tile0 + e / 32 / NT) * 16 + e % 32 / 4;
    const int n = p.tiles * 16;
    if (f < n) {
      const float* from = p.out_f32 + (size_t)row * n + f;
      old_low = make_float2(__ldcg(from), __ldcg(from + n));
      old_high = make_float2(__ldcg(from + 8), __ldcg(from + n + 8));
    }
  };
  if constexpr (EPI == ADD) {
    if (threadIdx.x < GROUPS) residual(threadIdx.x);
  }

  float sums[MT][NT][4] = {}, squares[NT] = {};
  for (int step = 0; step < steps; step++) {
    await_copies<STAGES - 1>();
    const uint4* from = ring + step % STAGES * SLOT;
    uint4 x[NT];
#pragma unroll
    for (int n = 0; n < NT; n++) x[n] = from[MT * 64 + n * 32];
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const uint4 low = from[m * 64], high = from[m * 64 + 32];
#pragma unroll
      for (int n = 0; n < NT; n++) mma_chunk(sums[m][n], low, high, x[n]);
    }
    if constexpr (NORM) {
#pragma unroll
      for (int n = 0; n < NT; n++) squares[n] += sum_of_squares(x[n]);
    }
    copy_weights(step + STAGES);
    copy_rows(step + STAGES);
    commit_copies();
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
    for (int i = 1; i < warps; i++) {
      const float4 o = all[i * GROUPS + e];
      v.x += o.x, v.y += o.y, v.z += o.z, v.w += o.w;
    }
    if constexpr (NORM) {
      float a = 0, b = 0;
      for (int i = 0; i < warps; i++) {
        const float2 s = *reinterpret_cast<const float2*>(all_squares + i * NT * 8 + row);
        a += s.x, b += s.y;
      }
      a = rsqrtf(a / p.k + p.eps), b = rsqrtf(b / p.k + p.eps);
      v.x *= a, v.z *= a, v.y *= b, v.w *= b;
    }
    if constexpr (EPI == ADD) {
      if (e != threadIdx.x) residual(e);
    }
    if constexpr (EPI == QKV) {
      if (e != threadIdx.x) load_turns(e);
    }
    finish<EPI>(p, tile, e % 32 / 4, row0 + row, v, at, rows, slot, old_low, old_high, turns);
  }
}

}  // namespace cinnabar

// kernels/src/cuda/ops.rs spells these names.
#define PROJECT(NAME, EPI, MT, NT)                                              \
  extern "C" __global__ void __launch_bounds__(384)                             \
      NAME##_m##MT##_n##NT(const __grid_constant__ cinnabar::Project p) {       \
    cinnabar::project<cinnabar::EPI, MT, NT>(p);                                \
  }
#define PROJECT_ROWS(NAME, EPI, MT) \
  PROJECT(NAME, EPI, MT, 1)         \
  PROJECT(NAME, EPI, MT, 2)         \
  PROJECT(NAME, EPI, MT, 4)         \
  PROJECT(NAME, EPI, MT, 8)
#define PROJECT_ALL(NAME, EPI) \
  PROJECT_ROWS(NAME, EPI, 1)   \
  PROJECT_ROWS(NAME, EPI, 2)   \
  PROJECT_ROWS(NAME, EPI, 4)
PROJECT_ALL(qkv, QKV)
PROJECT_ALL(add, ADD)
PROJECT_ALL(swiglu, SWIGLU)
