// Attention of the rows of a pass over the cached stream and themselves, grouped queries, keys split over a cluster.
//
// | operand | shape, type                                   | layout                                             |
// |---------|-----------------------------------------------|----------------------------------------------------|
// | q       | (R, heads, D) bf16                            | rotated                                            |
// | k_cache | (slots, layers, kv_heads, capacity, D) bf16   | units of 32 positions (common.cuh, key_index)      |
// | v_cache | (slots, layers, kv_heads, capacity, D) bf16   | units of 32 positions (common.cuh, value_index)    |
// | out     | (R, heads, D) bf16                            |                                                    |
//
// Row r at position at + r sees keys 0 .. at + r (causal) or 0 .. at + rows - 1 (bidirectional).
// Split: the heads / kv_heads queries of a KV head, times R rows, are one list, cut into tiles of 16 (two warps a tile for
// two parts of the keys; the tiles of a block share what they read). blockIdx: (split of 8, KV head, group of tiles); the 8 splits are a cluster: each
// sends its partial results to the block that merges the row, through distributed shared memory. Units of 32 keys go to the 16 parts round-robin, so
// the part and order of a key depend on its position alone: a row's result is the same bits in every pass shape.
// Traffic: K and V of the positions in use, once a block, a few units in flight. Units of the stream are on their way
// before the previous kernel has ended: only the rows of this pass are new.
#include "common.cuh"

namespace cinnabar {

namespace cg = cooperative_groups;

constexpr int SPLITS = 8;             // cluster size
constexpr int HALVES = PARTS / SPLITS;

// Mirrored by kernels/src/cuda/ops.rs.
struct Attend {
  const State* state;
  const __nv_bfloat16* q;
  const __nv_bfloat16* k_cache;
  const __nv_bfloat16* v_cache;
  __nv_bfloat16* out;
  float* partial;  // without clusters: (groups, kv_heads, PARTS, rows of a group, D + 2) f32
  uint32_t bucket; // R, padding included
  uint32_t heads, kv_heads, layers, layer, capacity;
  float scale;     // log2(e) / sqrt(D)
};

// Merges the parts of one row's four dimensions: at(part) points to D sums, then maximum and mass.
template <int D, typename At>
__device__ __forceinline__ void merge(const Attend& p, At at, int kv_head, int index, int d) {
  const int group = p.heads / p.kv_heads;
  if (index >= group * p.bucket) return;
  float top = -INFINITY;
  float maxima[PARTS];
#pragma unroll
  for (int i = 0; i < PARTS; i++) {
    maxima[i] = at(i)[D];
    top = fmaxf(top, maxima[i]);
  }
  float4 sum = make_float4(0, 0, 0, 0);
  float mass = 0;
#pragma unroll
  for (int i = 0; i < PARTS; i++) {
    const float w = exp2f(maxima[i] - top);  // 0 for a part that saw no key; part 0 always sees key 0
    const float4 o = *reinterpret_cast<const float4*>(at(i) + d);
    mass += w * at(i)[D + 1];
    sum.x += w * o.x, sum.y += w * o.y, sum.z += w * o.z, sum.w += w * o.w;
  }
  const float scale = 1.0f / mass;
  const int head = kv_head * group + index / p.bucket, row = index % p.bucket;
  uint2* to = reinterpret_cast<uint2*>(p.out + ((size_t)row * p.heads + head) * D + d);
  *to = make_uint2(pack(sum.x * scale, sum.y * scale), pack(sum.z * scale, sum.w * scale));
}

// Units that a warp has in flight, also in kernels/src/cuda/ops.rs.
__host__ __device__ constexpr int units(int dim) { return dim == 64 ? 3 : 2; }

template <int D, bool CLUSTER>
__device__ __forceinline__ void attend(const Attend& p) {
  constexpr int DC = D / 32, DT = D / 8, STRIDE = D + 8;  // floats of a row's partial result: D sums, maximum, mass
  constexpr int UNITS = units(D), UNIT = 32 * D / 8;      // uint4s of a unit's keys, or values
  // Units in flight (HALVES, UNITS, keys then values, UNIT), then all parts of the rows merged here (PARTS, share, STRIDE).
  extern __shared__ uint4 shared[];
  float* inbox = reinterpret_cast<float*>(shared + HALVES * UNITS * 2 * UNIT);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int tiles = blockDim.x / 32 / HALVES;  // of this group
  const int group_rows = tiles * 16, share = group_rows / SPLITS;  // rows, and those that a block merges
  const int g = lane / 4, q = lane % 4;
  const int kv_head = blockIdx.y, tile = warp % tiles, part = blockIdx.x * HALVES + warp / tiles;
  const int group = p.heads / p.kv_heads;
  const int index0 = (blockIdx.z * tiles + tile) * 16 + g;

  release_next();
#if __CUDA_ARCH__ >= 900
  // The first results may be sent once every block of the cluster has begun.
  if constexpr (CLUSTER) asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
  // The state is final since the embedding has begun, and so are the keys and values of the stream (step.cu, embed).
  const uint32_t at = __ldcg(&p.state->at), rows = __ldcg(&p.state->rows), slot = __ldcg(&p.state->slot);
  const bool causal = __ldcg(&p.state->causal);
  const int keys = min(at + rows, p.capacity);
  const size_t h = (((size_t)slot * p.layers + p.layer) * p.kv_heads + kv_head) * p.capacity * D;
  const uint4* ks = reinterpret_cast<const uint4*>(p.k_cache + h);
  const uint4* vs = reinterpret_cast<const uint4*>(p.v_cache + h);
  uint4* ring = shared + warp / tiles * UNITS * 2 * UNIT;
  // Copied by the warps of a half together, so a block barrier follows the wait for one's own copies.
  const auto copy_unit = [&](int base, int turn) {
    uint4* to = ring + turn * 2 * UNIT;
    const size_t from = (size_t)(base / 32) * UNIT;
    for (int i = tile * 32 + lane; i < UNIT; i += tiles * 32) {
      copy_async(to + i, ks + from + i);
      copy_async(to + UNIT + i, vs + from + i);
    }
  };
  int old = 0;  // units asked for early
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    const int base = (part + i * PARTS) * 32;
    if (base + 32 <= at) {
      copy_unit(base, i);
      commit_copies();
      old++;
    }
  }
  await_previous();
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    const int base = (part + i * PARTS) * 32;
    if (i < old) continue;
    if (base < keys) copy_unit(base, i);
    commit_copies();
  }

  uint4 query[DC][2];
  int limit[2];  // keys that the lane's two rows see
#pragma unroll
  for (int j = 0; j < 2; j++) {
    const int index = min(index0 + j * 8, (int)(group * p.bucket - 1));
    const int row = index % p.bucket, head = kv_head * group + index / p.bucket;
    limit[j] = causal ? min((int)at + row + 1, keys) : keys;
#pragma unroll
    for (int c = 0; c < DC; c++) {
      query[c][j] = load_fresh(p.q + ((size_t)row * p.heads + head) * D + c * 32 + q * 8);
    }
  }
  // Keys that any row of the tile sees: units behind them would add nothing.
  const int seen = __reduce_max_sync(~0u, max(limit[0], limit[1]));

  float sums[DT][4] = {};
  float top[2] = {-INFINITY, -INFINITY}, mass[2] = {0, 0};
  int turn = 0;
  // Both halves take as many turns as the first: barriers are the block's.
  for (int first = blockIdx.x * HALVES * 32; first < keys; first += PARTS * 32) {
    // Column 2q+j of score tile t is key q*8 + t*2 + j: the scores of a lane are then 8 keys in a row, which is what
    // one 16-byte load of values meets in the second product.
    await_copies<UNITS - 1>();
    __syncthreads();
    const int base = first + warp / tiles * 32;
    const uint4* unit = ring + turn * 2 * UNIT + lane;
    if (base < seen) {
    float scores[4][4] = {};
#pragma unroll
    for (int t = 0; t < 4; t++) {
#pragma unroll
      for (int c = 0; c < DC; c++) mma_chunk(scores[t], query[c][0], query[c][1], unit[(t * DC + c) * 32]);
    }
    float corrections[2];
#pragma unroll
    for (int j = 0; j < 2; j++) {
      float best = -INFINITY;
#pragma unroll
      for (int t = 0; t < 4; t++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& s = scores[t][j * 2 + i];
          s = base + q * 8 + t * 2 + i < limit[j] ? s * p.scale : -INFINITY;
          best = fmaxf(best, s);
        }
      }
      best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
      best = fmaxf(best, __shfl_xor_sync(~0u, best, 2));
      best = fmaxf(best, top[j]);
      // A row that has seen no key yet keeps weight 0 without computing infinity minus infinity.
      const float shift = best == -INFINITY ? 0.0f : best;
      corrections[j] = exp2f(top[j] - shift);
      top[j] = best;
      float sum = 0;
#pragma unroll
      for (int t = 0; t < 4; t++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& s = scores[t][j * 2 + i];
          s = exp2f(s - shift);
          sum += s;
        }
      }
      mass[j] = mass[j] * corrections[j] + sum;
    }
    const uint4 low = make_uint4(pack(scores[0][0], scores[0][1]), pack(scores[1][0], scores[1][1]),
                                 pack(scores[2][0], scores[2][1]), pack(scores[3][0], scores[3][1]));
    const uint4 high = make_uint4(pack(scores[0][2], scores[0][3]), pack(scores[1][2], scores[1][3]),
                                  pack(scores[2][2], scores[2][3]), pack(scores[3][2], scores[3][3]));
#pragma unroll
    for (int t = 0; t < DT; t++) {
      sums[t][0] *= corrections[0], sums[t][1] *= corrections[0];
      sums[t][2] *= corrections[1], sums[t][3] *= corrections[1];
      mma_chunk(sums[t], low, high, unit[UNIT + t * 32]);
    }
    }
    const int next = base + UNITS * PARTS * 32;
    if (first + UNITS * PARTS * 32 < keys) {
      __syncthreads();  // the slot has been read
      if (next < keys) copy_unit(next, turn);
    }
    commit_copies();
    turn = turn + 1 == UNITS ? 0 : turn + 1;
  }

#if __CUDA_ARCH__ >= 900
  if constexpr (CLUSTER) asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
#pragma unroll
  for (int j = 0; j < 2; j++) {
    const int row = tile * 16 + g + j * 8;
    float* to;
    if constexpr (CLUSTER) {
      to = inbox + (part * share + row % share) * STRIDE;
#if __CUDA_ARCH__ >= 900
      to = cg::this_cluster().map_shared_rank(to, row / share);
#endif
    } else {
      const size_t block = blockIdx.z * p.kv_heads + kv_head;
      to = p.partial + ((block * PARTS + part) * group_rows + row) * STRIDE;
    }
#pragma unroll
    for (int t = 0; t < DT; t++) {
      *reinterpret_cast<float2*>(to + t * 8 + q * 2) = make_float2(sums[t][j * 2], sums[t][j * 2 + 1]);
    }
    mass[j] += __shfl_xor_sync(~0u, mass[j], 1);
    mass[j] += __shfl_xor_sync(~0u, mass[j], 2);
    if (q == 0) *reinterpret_cast<float2*>(to + D) = make_float2(top[j], mass[j]);
  }
#if __CUDA_ARCH__ >= 900
  if constexpr (CLUSTER) {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
    for (int e = threadIdx.x; e < share * (D / 4); e += blockDim.x) {
      const int row = e / (D / 4), d = e % (D / 4) * 4;
      const auto from = [&](int part) { return inbox + (part * share + row) * STRIDE; };
      merge<D>(p, from, kv_head, blockIdx.z * group_rows + blockIdx.x * share + row, d);
    }
  }
#endif
}

// Without clusters (before compute capability 9.0): one thread block a (KV head, group of tiles).
template <int D>
__device__ __forceinline__ void merge_all(const Attend& p, int tiles) {
  constexpr int STRIDE = D + 8;
  release_next();
  await_previous();
  const int group_rows = tiles * 16;
  const float* all = p.partial + (size_t)(blockIdx.z * p.kv_heads + blockIdx.y) * PARTS * group_rows * STRIDE;
  for (int e = threadIdx.x; e < group_rows * (D / 4); e += blockDim.x) {
    const int row = e / (D / 4), d = e % (D / 4) * 4;
    const auto from = [&](int part) { return all + ((size_t)part * group_rows + row) * STRIDE; };
    merge<D>(p, from, blockIdx.y, blockIdx.z * group_rows + row, d);
  }
}

}  // namespace cinnabar

#define ATTEND(D)                                                                                               \
  extern "C" __global__ void __launch_bounds__(192) attend_d##D(const __grid_constant__ cinnabar::Attend p) {   \
    cinnabar::attend<D, true>(p);                                                                               \
  }                                                                                                             \
  extern "C" __global__ void __launch_bounds__(192) attend_parts_d##D(const __grid_constant__ cinnabar::Attend p) { \
    cinnabar::attend<D, false>(p);                                                                              \
  }                                                                                                             \
  extern "C" __global__ void __launch_bounds__(192)                                                             \
      attend_merge_d##D(const __grid_constant__ cinnabar::Attend p, uint32_t tiles) {                           \
    cinnabar::merge_all<D>(p, tiles);                                                                           \
  }
ATTEND(64)
ATTEND(128)
