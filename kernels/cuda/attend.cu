// Attention of the rows of a pass over the cached stream and themselves, grouped queries, keys split over a cluster.
//
// | operand | shape, type                                   | layout                                             |
// |---------|-----------------------------------------------|----------------------------------------------------|
// | q       | (R, heads, D) 16-bit                          | rotated                                            |
// | k_cache | (slots, layers, kv_heads, capacity, D) 16-bit | units of 32 positions (common.cuh, key_index)      |
// | v_cache | (slots, layers, kv_heads, capacity, D) 16-bit | units of 32 positions (common.cuh, value_index)    |
// | out     | (R, heads, D) 16-bit, INPUT_SCALE             |                                                    |
//
// Row r at position at + r sees keys 0 .. at + r (causal) or 0 .. at + rows - 1 (bidirectional).
// Split: the heads / kv_heads queries of a KV head, times R rows, are one list, cut into tiles of 16. Units of 32 keys go
// to 16 parts round-robin, so the part and order of a key depend on its position alone; what the parts give is added up in
// one order. A row's result is the same bits in every pass shape. blockIdx: (split, KV head, group of tiles).
//   few rows    8 or 16 splits are a cluster, a warp has one part; each block sends its partial results to the block that
//               merges the row, through distributed shared memory; without clusters a second kernel merges
//   many rows   one split, a warp has four parts one after the other, the block merges its own rows
// Traffic: K and V of the positions in use, once a block, a few units in flight, shared by the tiles of a block. For few
// rows the stream's are on their way before the previous kernel has ended: only the rows of this pass are new.
#include "common.cuh"

namespace cinnabar {

// Mirrored by kernels/src/cuda/attend.rs.
struct Attend {
  const State* state;
  const half16* q;
  const half16* k_cache;
  const half16* v_cache;
  half16* out;
  float* partial;  // without clusters: (groups, kv_heads, PARTS, rows of a group, D + 2) f32
  uint32_t bucket; // R, padding included
  uint32_t heads, kv_heads, layers, layer, capacity;
  float scale;     // log2(e) / sqrt(D)
};

// Units that are in flight for few rows and for many; also in kernels/src/cuda/attend.rs.
__host__ __device__ constexpr int units(int dim) { return dim == 64 ? 3 : 2; }
__host__ __device__ constexpr int many_units(int dim) { return dim == 64 ? 2 : 1; }

// A power of two, an exact one for a whole number, 0 for minus infinity. Maxima are rounded up to whole numbers, so that moving a
// partial result to another maximum is exact and parts may meet in any kernel, at any time, with the same bits.
__device__ __forceinline__ float power(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Merges one row's four dimensions of all parts: at(slot) points to D sums, then maximum and mass, of PW parts in a row.
// The sums of four parts are added up, then the four fours.
template <int D, int PW, typename At>
__device__ __forceinline__ void merge(const Attend& p, At at, int kv_head, int index, int d) {
  constexpr int SLOTS = PARTS / PW, FOUR = 4 / PW;
  const int group = p.heads / p.kv_heads;
  if (index >= group * p.bucket) return;
  float top = -INFINITY;
  float2 ends[SLOTS];  // maximum, mass
#pragma unroll
  for (int i = 0; i < SLOTS; i++) {
    ends[i] = *reinterpret_cast<const float2*>(at(i) + D);
    top = fmaxf(top, ends[i].x);
  }
  float4 sum = make_float4(0, 0, 0, 0);
  float mass = 0;
#pragma unroll
  for (int i = 0; i < SLOTS; i += FOUR) {
    float4 four = make_float4(0, 0, 0, 0);
    float four_mass = 0;
#pragma unroll
    for (int j = i; j < i + FOUR; j++) {
      const float w = power(ends[j].x - top);  // 0 for parts that saw no key; part 0 always sees key 0
      const float4 o = *reinterpret_cast<const float4*>(at(j) + d);
      four_mass = __fmaf_rn(w, ends[j].y, four_mass);
      four.x = __fmaf_rn(w, o.x, four.x), four.y = __fmaf_rn(w, o.y, four.y);
      four.z = __fmaf_rn(w, o.z, four.z), four.w = __fmaf_rn(w, o.w, four.w);
    }
    mass += four_mass, sum.x += four.x, sum.y += four.y, sum.z += four.z, sum.w += four.w;
  }
  const float scale = INPUT_SCALE / mass;
  const int head = kv_head * group + index / p.bucket, row = index % p.bucket;
  uint2* to = reinterpret_cast<uint2*>(p.out + ((size_t)row * p.heads + head) * D + d);
  *to = make_uint2(pack(sum.x * scale, sum.y * scale), pack(sum.z * scale, sum.w * scale));
}

#if __CUDA_ARCH__ >= 900
// The address in another block of the cluster of what this block has at `address`.
__device__ __forceinline__ uint32_t in_block(uint32_t address, uint32_t rank) {
  uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
  return there;
}

// Stores to another block's shared memory and counts the bytes there, without waiting for anything.
__device__ __forceinline__ void send(uint32_t to, const float2& v, uint32_t arrival) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::"r"(to),
               "r"(__float_as_uint(v.x)), "r"(__float_as_uint(v.y)), "r"(arrival)
               : "memory");
}

__device__ __forceinline__ void send(uint32_t to, const float4& v, uint32_t arrival) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),
               "r"(__float_as_uint(v.x)), "r"(__float_as_uint(v.y)), "r"(__float_as_uint(v.z)),
               "r"(__float_as_uint(v.w)), "r"(arrival)
               : "memory");
}

// Returns when all bytes that were announced have arrived.
__device__ __forceinline__ void await_arrival(uint32_t arrival) {
  uint32_t done = 0;
  while (!done) {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared.b64 p, [%1], 0;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(arrival)
                 : "memory");
  }
}
#endif

// What the keys of a part give two rows of a lane, g and g + 8 of the tile, so far. Of sums[t] the columns i and 2 + i
// are dimension column_of(t, q) + i of the two rows.
template <int D>
struct Running {
  float sums[D / 8][4] = {};
  float top[2] = {-INFINITY, -INFINITY}, mass[2] = {0, 0};
};

// Two tiles of sums after each other are four dimensions in a row, which travel in one piece.
__device__ __forceinline__ int column_of(int t, int q) { return t / 2 * 16 + q * 4 + t % 2 * 2; }

// Scores of a unit of keys in shared memory, 4 x D/32 x 32 uint4. Column 2q+j of score tile t is key q*8 + t*2 + j: the
// scores of a lane are then 8 keys in a row, which is what one 16-byte load of values meets in the second product.
template <int D>
__device__ __forceinline__ void score(float (&scores)[4][4], const uint4* unit, const uint4 (&query)[D / 32][2]) {
  constexpr int DC = D / 32;
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int t = 0; t < 4; t++) {
#pragma unroll
    for (int i = 0; i < 4; i++) scores[t][i] = 0;
#pragma unroll
    for (int c = 0; c < DC; c++) mma_chunk(scores[t], query[c][0], query[c][1], unit[(t * DC + c) * 32 + lane]);
  }
}

// Adds a unit of keys with these scores and the values behind its keys.
template <int D>
__device__ __forceinline__ void add_unit(Running<D>& r, float (&scores)[4][4], const uint4* unit, int base,
                                         const int (&limit)[2], bool all_seen, float scale) {
  constexpr int DT = D / 8, UNIT = 32 * D / 8;
  const int lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  float corrections[2];
#pragma unroll
  for (int j = 0; j < 2; j++) {
    float best = -INFINITY;
#pragma unroll
    for (int t = 0; t < 4; t++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float& s = scores[t][j * 2 + i];
        s = all_seen || base + q * 8 + t * 2 + i < limit[j] ? s * scale : -INFINITY;
        best = fmaxf(best, s);
      }
    }
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 1));
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 2));
    best = fmaxf(ceilf(best), r.top[j]);
    // A row that has seen no key yet keeps weight 0 without computing infinity minus infinity.
    const float shift = best == -INFINITY ? 0.0f : best;
    corrections[j] = power(r.top[j] - shift);
    r.top[j] = best;
    float sum = 0;
#pragma unroll
    for (int t = 0; t < 4; t++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float& s = scores[t][j * 2 + i];
        s = power(s - shift);
        sum += s;
      }
    }
    r.mass[j] = __fmaf_rn(r.mass[j], corrections[j], sum);
  }
  uint4 weights[2];
#pragma unroll
  for (int i = 0; i < 2; i++) {
    const float(&a)[4] = scores[i * 2], (&b)[4] = scores[i * 2 + 1];
    weights[i] = make_uint4(pack(a[0], a[1]), pack(a[2], a[3]), pack(b[0], b[1]), pack(b[2], b[3]));
  }
  const uint4* values = unit + UNIT + column_of(0, g / 2) * 4 + g % 2 * 4 + q;
#pragma unroll
  for (int t = 0; t < DT; t++) {
    r.sums[t][0] *= corrections[0], r.sums[t][1] *= corrections[0];
    r.sums[t][2] *= corrections[1], r.sums[t][3] *= corrections[1];
    mma_chunk(r.sums[t], weights[0], weights[1], values[column_of(t, 0) * 4]);
  }
}

// The mass of a row, of which each lane has added up its keys.
__device__ __forceinline__ float whole_mass(float mass) {
  mass += __shfl_xor_sync(~0u, mass, 1);
  return mass + __shfl_xor_sync(~0u, mass, 2);
}

// SPLITS blocks share the keys and are a cluster; PW parts are one warp's, one after the other; UNITS are in flight.
template <int D, int SPLITS, int PW, int UNITS, bool CLUSTER>
__device__ __forceinline__ void attend(const Attend& p) {
  constexpr int TEAMS = PARTS / SPLITS / PW;              // of warps with the same parts
  constexpr int DC = D / 32, DT = D / 8, STRIDE = D + 8;  // floats of a row's partial result: D sums, maximum, mass
  constexpr int UNIT = 32 * D / 8;                        // uint4s of a unit's keys, or values
  constexpr bool ALONE = SPLITS == 1;                     // the block merges its own rows
  // Units in flight (TEAMS, UNITS, keys then values, UNIT), then all parts of the rows merged here (slots, share, STRIDE);
  // a block alone puts the latter over the former.
  extern __shared__ uint4 shared[];
  float* inbox = reinterpret_cast<float*>(shared + (ALONE ? 0 : TEAMS * UNITS * 2 * UNIT));
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int tiles = blockDim.x / 32 / TEAMS;  // of this group
  const int group_rows = tiles * 16, share = group_rows / SPLITS;  // rows, and those that a block merges
  const int g = lane / 4, q = lane % 4;
  const int kv_head = blockIdx.y, tile = warp % tiles, slot_of_parts = blockIdx.x * TEAMS + warp / tiles;
  const int group = p.heads / p.kv_heads;
  // The last rows see the most keys and begin first.
  const int first_index = (gridDim.z - 1 - blockIdx.z) * group_rows, index0 = first_index + tile * 16 + g;

#if __CUDA_ARCH__ >= 900
  // Counts the bytes that arrive in the inbox. Results may be sent once every block of the cluster has come this far.
  __shared__ uint64_t arrived;
  const uint32_t arrival = shared_address(&arrived);
  if constexpr (CLUSTER) {
    if (threadIdx.x == 0) {
      asm volatile("mbarrier.init.shared.b64 [%0], 1;\nfence.mbarrier_init.release.cluster;" ::"r"(arrival) : "memory");
      asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(arrival),
                   "r"(PARTS / PW * share * (D + 2) * 4)
                   : "memory");
    }
    __syncthreads();
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
  }
#endif
  // The state is final since the embedding has begun, and so are the keys and values of the stream (step.cu, embed).
  const uint32_t at = __ldcg(&p.state->at), rows = __ldcg(&p.state->rows), slot = __ldcg(&p.state->slot);
  const bool causal = __ldcg(&p.state->causal);
  const int all_keys = min(at + rows, p.capacity);
  // Keys that a row of the block may see.
  const int last_index = first_index + group_rows - 1;
  const int last_row = first_index / p.bucket == last_index / p.bucket ? last_index % p.bucket : p.bucket - 1;
  const int keys = causal ? min(all_keys, (int)at + last_row + 1) : all_keys;
  const size_t h = (((size_t)slot * p.layers + p.layer) * p.kv_heads + kv_head) * p.capacity * D;
  const uint4* ks = reinterpret_cast<const uint4*>(p.k_cache + h);
  const uint4* vs = reinterpret_cast<const uint4*>(p.v_cache + h);
  uint4* ring = shared + warp / tiles * UNITS * 2 * UNIT;
  // Turns of a part, the same for all parts of the block: barriers are the block's.
  const int rounds = (keys - blockIdx.x * TEAMS * PW * 32 + PARTS * 32 - 1) / (PARTS * 32), turns = PW * rounds;
  // First key of this team's unit in a turn: a part's units, then the next part's.
  const auto base_of = [&](int turn) {
    if constexpr (PW == 1) return (slot_of_parts + turn * PARTS) * 32;
    int part = 0;
    for (; turn >= rounds; turn -= rounds) part++;
    return (slot_of_parts * PW + part + turn * PARTS) * 32;
  };
  // Copied by the warps of a team together, so a block barrier follows the wait for one's own copies.
  const auto copy_unit = [&](int base, int place) {
    const uint32_t to = shared_address(ring + place * 2 * UNIT);
    const size_t from = (size_t)(base / 32) * UNIT;
    for (int i = tile * 32 + lane; i < UNIT; i += tiles * 32) {
      copy_async(to + i * 16, ks + from + i);
      copy_async(to + (UNIT + i) * 16, vs + from + i);
    }
  };
  int old = 0;  // units asked for early
  if constexpr (PW == 1) {
#pragma unroll
    for (int i = 0; i < UNITS; i++) {
      if (base_of(i) + 32 <= at) {
        copy_unit(base_of(i), i);
        commit_copies();
        old++;
      }
    }
  }
  await_previous();
  release_next();
#pragma unroll
  for (int i = 0; i < UNITS; i++) {
    if (i < old) continue;
    if (i < turns && base_of(i) < keys) copy_unit(base_of(i), i);
    commit_copies();
  }

  uint4 loaded[DC][2];
  int limit[2];  // keys that the lane's two rows see
#pragma unroll
  for (int j = 0; j < 2; j++) {
    const int index = min(index0 + j * 8, (int)(group * p.bucket - 1));
    const int row = index % p.bucket, head = kv_head * group + index / p.bucket;
    limit[j] = causal ? min((int)at + row + 1, all_keys) : all_keys;
#pragma unroll
    for (int c = 0; c < DC; c++) {
      loaded[c][j] = load_fresh(p.q + ((size_t)row * p.heads + head) * D + c * 32 + q * 8);
    }
  }
  uint4 query[DC][2];
#pragma unroll
  for (int c = 0; c < DC; c++) {
    const uint4 low = loaded[c][0], high = loaded[c][1];
    query[c][0] = make_uint4(low.x, high.x, low.y, high.y), query[c][1] = make_uint4(low.z, high.z, low.w, high.w);
  }
  // Keys that any row of the tile sees: units behind them would add nothing.
  const int seen = __reduce_max_sync(~0u, max(limit[0], limit[1]));
  const int seen_by_all = __reduce_min_sync(~0u, min(limit[0], limit[1]));

  Running<D> part;
  float total[PW == 1 ? 1 : DT][4] = {};
  float total_top[2] = {-INFINITY, -INFINITY}, total_mass[2] = {0, 0};
  // So few keys that all are there at once: one barrier, and scores of the next unit beside the weights of this one.
  const bool few = PW == 1 && turns <= UNITS;
  if (few) {
    await_copies<0>();
    __syncthreads();
    float scores[UNITS][4][4];
#pragma unroll
    for (int i = 0; i < UNITS; i++) {
      if (base_of(i) < seen) score<D>(scores[i], ring + i * 2 * UNIT, query);
    }
#pragma unroll
    for (int i = 0; i < UNITS; i++) {
      const int base = base_of(i);
      if (base < seen) {
        add_unit<D>(part, scores[i], ring + i * 2 * UNIT, base, limit, base + 32 <= seen_by_all, p.scale);
      }
    }
  }
  int place = 0, left = rounds;
  for (int turn = 0; !few && turn < turns; turn++) {
    await_copies<UNITS - 1>();
    __syncthreads();
    const int base = base_of(turn);
    const uint4* unit = ring + place * 2 * UNIT;
    if (base < seen) {
      float scores[4][4];
      score<D>(scores, unit, query);
      add_unit<D>(part, scores, unit, base, limit, base + 32 <= seen_by_all, p.scale);
    }
    if (turn + UNITS < turns) {
      __syncthreads();  // the place has been read
      if (base_of(turn + UNITS) < keys) copy_unit(base_of(turn + UNITS), place);
    }
    commit_copies();
    place = place + 1 == UNITS ? 0 : place + 1;
    if constexpr (PW > 1) {
      if (--left) continue;
      // The part has ended: as merge does, in the same order.
      left = rounds;
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const float best = fmaxf(total_top[j], part.top[j]), shift = best == -INFINITY ? 0.0f : best;
        const float keep = power(total_top[j] - shift), w = power(part.top[j] - shift);
        total_mass[j] = __fmaf_rn(w, whole_mass(part.mass[j]), total_mass[j] * keep);
#pragma unroll
        for (int t = 0; t < DT; t++) {
#pragma unroll
          for (int i = j * 2; i < j * 2 + 2; i++) {
            total[t][i] = __fmaf_rn(w, part.sums[t][i], total[t][i] * keep), part.sums[t][i] = 0;
          }
        }
        total_top[j] = best, part.top[j] = -INFINITY, part.mass[j] = 0;
      }
    }
  }
  if constexpr (PW == 1) {
    part.mass[0] = whole_mass(part.mass[0]), part.mass[1] = whole_mass(part.mass[1]);
  }

#if __CUDA_ARCH__ >= 900
  if constexpr (CLUSTER) asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
  if constexpr (ALONE) __syncthreads();  // the units have been read
#pragma unroll
  for (int j = 0; j < 2; j++) {
    const int row = tile * 16 + g + j * 8;
    const float2 end = PW == 1 ? make_float2(part.top[j], part.mass[j]) : make_float2(total_top[j], total_mass[j]);
    const auto four_of = [&](int t) {
      const float(&low)[4] = PW == 1 ? part.sums[t] : total[PW == 1 ? 0 : t];
      const float(&high)[4] = PW == 1 ? part.sums[t + 1] : total[PW == 1 ? 0 : t + 1];
      return make_float4(low[j * 2], low[j * 2 + 1], high[j * 2], high[j * 2 + 1]);
    };
    if constexpr (CLUSTER) {
#if __CUDA_ARCH__ >= 900
      const uint32_t rank = row / share;
      const uint32_t there = in_block(arrival, rank);
      const uint32_t to = in_block(shared_address(inbox + (slot_of_parts * share + row % share) * STRIDE), rank);
#pragma unroll
      for (int t = 0; t < DT; t += 2) send(to + column_of(t, q) * 4, four_of(t), there);
      if (q == 0) send(to + D * 4, end, there);
#endif
    } else {
      const size_t block = first_index / group_rows * p.kv_heads + kv_head;
      float* to = ALONE ? inbox + (slot_of_parts * share + row) * STRIDE
                        : p.partial + ((block * (PARTS / PW) + slot_of_parts) * group_rows + row) * STRIDE;
#pragma unroll
      for (int t = 0; t < DT; t += 2) *reinterpret_cast<float4*>(to + column_of(t, q)) = four_of(t);
      if (q == 0) *reinterpret_cast<float2*>(to + D) = end;
    }
  }
  if constexpr (CLUSTER || ALONE) {
#if __CUDA_ARCH__ >= 900
    if constexpr (CLUSTER) await_arrival(arrival);
#endif
    if constexpr (ALONE) __syncthreads();
    for (int e = threadIdx.x; e < share * (D / 4); e += blockDim.x) {
      const int row = e / (D / 4), d = e % (D / 4) * 4;
      const auto from = [&](int i) { return inbox + (i * share + row) * STRIDE; };
      merge<D, PW>(p, from, kv_head, first_index + blockIdx.x * share + row, d);
    }
  }
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
    merge<D, 1>(p, from, blockIdx.y, blockIdx.z * group_rows + row, d);
  }
}

}  // namespace cinnabar

// kernels/src/cuda/attend.rs spells these names.
#define ATTEND(D, MANY_THREADS)                                                                                     \
  extern "C" __global__ void __launch_bounds__(192) attend_d##D(const __grid_constant__ cinnabar::Attend p) {       \
    cinnabar::attend<D, 8, 1, cinnabar::units(D), true>(p);                                                         \
  }                                                                                                                 \
  extern "C" __global__ void __launch_bounds__(192) attend_16_d##D(const __grid_constant__ cinnabar::Attend p) {    \
    cinnabar::attend<D, 16, 1, cinnabar::units(D), true>(p);                                                        \
  }                                                                                                                 \
  extern "C" __global__ void __launch_bounds__(192) attend_parts_d##D(const __grid_constant__ cinnabar::Attend p) { \
    cinnabar::attend<D, 8, 1, cinnabar::units(D), false>(p);                                                        \
  }                                                                                                                 \
  extern "C" __global__ void __launch_bounds__(192)                                                                 \
      attend_merge_d##D(const __grid_constant__ cinnabar::Attend p, uint32_t tiles) {                               \
    cinnabar::merge_all<D>(p, tiles);                                                                               \
  }                                                                                                                 \
  extern "C" __global__ void __launch_bounds__(MANY_THREADS)                                                        \
      attend_many_d##D(const __grid_constant__ cinnabar::Attend p) {                                                \
    cinnabar::attend<D, 1, 4, cinnabar::many_units(D), false>(p);                                                   \
  }
ATTEND(64, 512)
ATTEND(128, 256)
