// The language-model head: final norm, product with the vocabulary, and of every row only what decoding needs.
//
// | operand | shape, type                 | layout                                                                  |
// |---------|-----------------------------|-------------------------------------------------------------------------|
// | x       | (R, K) 16-bit, INPUT_SCALE  | rows head_from .. head_from + head_rows of the pass are used            |
// | gain    | (K) f32                     | of the final norm; not folded, the weights are the embedding as well    |
// | w       | (vocabulary, K) 16-bit      | tiles as in project.cu                                                  |
// |         | or e4m3                     | half of that                                                            |
// | scales  | (vocabulary) f32, with e4m3 | padded to whole tiles                                                   |
// | best    | (R', blocks) of Best        | of each block's share of the vocabulary: maximum, its id, sum of exp    |
// | logits  | (R', vocabulary) f32         | only when asked for                                                     |
//
// R' is a multiple of NT*8: blockIdx.y is the group of NT*8 rows.
// Split: every warp streams its own weight tiles over the whole K, RING chunks ahead. The normed rows are in shared
// memory: all of K where that fits, else (SLICED) SLICE chunks of it at a time, from L2 once for every WARPS tiles, and
// the warps of a block go through K together. Sums over K run in one order whatever the number of rows and the kernel.
// Traffic: w once. No logits in memory unless a caller wants them.
#include "common.cuh"

namespace cinnabar {

// Mirrored by kernels/src/cuda/head.rs.
struct Head {
  const uint4* w;
  const float* scales;  // of a token, for fp8
  const half16* x;
  const float* gain;
  const State* state;
  Best* best;
  float* logits;
  uint32_t k, vocab, bucket;  // bucket: rows of the pass, padding included
  float eps;  // for rows as they are kept
};

// The larger logit wins, the smaller id among equals.
__device__ __forceinline__ Best better(const Best& a, const Best& b) {
  const bool first = a.maximum > b.maximum || (a.maximum == b.maximum && a.token < b.token);
  const float most = first ? a.maximum : b.maximum, less = first ? b.maximum : a.maximum;
  const float mass = first ? a.mass : b.mass, added = first ? b.mass : a.mass;
  return Best{most, added > 0 ? mass + added * __expf(less - most) : mass, first ? a.token : b.token, 0};
}

// What another lane holds.
__device__ __forceinline__ Best beyond(const Best& b, int o) {
  return Best{__shfl_xor_sync(~0u, b.maximum, o), __shfl_xor_sync(~0u, b.mass, o), __shfl_xor_sync(~0u, b.token, o), 0};
}

// One more logit. Without a branch: lanes rarely agree on whether it is the largest.
__device__ __forceinline__ void see(Best& b, float logit, uint32_t token, bool counts) {
  const bool larger = counts && logit > b.maximum;
  const float e = __expf(-fabsf(logit - b.maximum));
  const float mass = counts ? b.mass + e : b.mass;
  b.mass = larger ? __fmaf_rn(b.mass, e, 1.0f) : mass;
  b.maximum = larger ? logit : b.maximum;
  b.token = larger ? token : b.token;
}

// Bytes of a row in shared memory: an odd multiple of 64, so that eight rows of 16-byte reads meet no bank twice.
__host__ __device__ __forceinline__ uint32_t row_bytes(uint32_t k) { return (k * 2 + 127) / 128 * 128 + 64; }

// Eight values of a normed row.
__device__ __forceinline__ uint4 normed(uint4 v, float scale, const float4& low, const float4& high) {
  const float gains[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
  uint32_t* half = &v.x;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const float2 f = unpack(half[j]);
    half[j] = pack(f.x * scale * gains[j * 2], f.y * scale * gains[j * 2 + 1]);
  }
  return v;
}

// Of a block, also in kernels/src/cuda/head.rs: warps, chunks that a warp has in flight, chunks of rows in a slice.
constexpr int WARPS = 8, SLICE = 16;
template <bool FP8>
constexpr int RING = FP8 ? 15 : 8;
static_assert(SLICE > RING<true> && SLICE > RING<false>, "a slice has arrived when the one before it is used up");

template <int NT, bool FP8, bool SLICED>
__device__ __forceinline__ void head(const Head& p) {
  constexpr int ROWS = (NT * 8 + WARPS - 1) / WARPS;  // that a warp norms
  // Rows (slices in flight, NT * 8, stride), rings (WARPS, RING, UNIT), gain (K).
  extern __shared__ __align__(16) unsigned char memory[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int g = lane / 4, q = lane % 4;
  const int chunks = p.k / 32, tiles = (p.vocab + 15) / 16;
  const int stride = row_bytes(SLICED ? SLICE * 32 : p.k), buffer = NT * 8 * stride;
  const int row0 = blockIdx.y * NT * 8;
  // Tiles of a warp are `step` apart, those of the first warp are the first: no block has two more than another.
  const int first = warp * gridDim.x + blockIdx.x, step = gridDim.x * WARPS;
  const int mine = first < tiles ? (tiles - first + step - 1) / step : 0;
  const int turns = !SLICED ? mine : blockIdx.x < tiles ? (tiles - blockIdx.x + step - 1) / step : 0;
  constexpr uint32_t CHUNK = UNIT<FP8> * 16;  // bytes
  const int rings = (SLICED ? 2 : 1) * buffer;
  float4* gain = reinterpret_cast<float4*>(memory + rings + WARPS * RING<FP8> * CHUNK);
  uint32_t base = shared_address(memory);
  settle_early(base);
  // Of the warp's ring, what the lane has of it: a chunk is asked for into the place of the one just used.
  uint32_t ring = base + rings + warp * RING<FP8> * CHUNK + lane * 16;
  settle_early(ring);
  uint32_t place = ring;
  const auto pass_on = [&] {
    place += CHUNK;
    if (place == ring + RING<FP8> * CHUNK) place = ring;
  };

  // Chunks still to be asked for, of all tiles and of this one; from there to the next tile.
  int to_ask = mine * chunks, to_ask_here = chunks;
  uint32_t jump = (step - 1) * chunks * UNIT<FP8>;
  settle_early(jump);
  const uint4* from = p.w + (size_t)first * chunks * UNIT<FP8> + lane;
  const auto ask = [&] {
    if (to_ask > 0) {
      copy_async(place, from);
      if constexpr (!FP8) copy_async(place + 32 * 16, from + 32);
      from += UNIT<FP8>, to_ask--;
      if (--to_ask_here == 0) to_ask_here = chunks, from += jump;
    }
    commit_copies();
  };

  release_next();
#pragma unroll 1
  for (int i = 0; i < RING<FP8>; i++) ask(), pass_on();
  for (int i = threadIdx.x; i < p.k / 4; i += WARPS * 32) {
    copy_async(base + rings + WARPS * RING<FP8> * CHUNK + i * 16, reinterpret_cast<const float4*>(p.gain) + i);
  }
  await_previous();
  const uint32_t head_from = __ldcg(&p.state->head_from), banned = __ldcg(&p.state->banned);

  // A warp copies and norms rows n*WARPS + warp; a lane touches what it has copied itself.
  const uint4* x[ROWS];
#pragma unroll
  for (int n = 0; n < ROWS; n++) {
    const int at = min(head_from + row0 + n * WARPS + warp, p.bucket - 1);
    x[n] = reinterpret_cast<const uint4*>(p.x) + (size_t)at * (p.k / 8);
  }
  const bool idle = NT * 8 < WARPS && warp >= NT * 8;  // no row for this warp
  const int own = warp * stride;
  // Columns from .. from + count (in units of eight) of the rows into a buffer.
  const auto copy_rows = [&](int to, int from, int count) {
    if (idle) return;
#pragma unroll 1
    for (int i = lane; i < count; i += 32) {
#pragma unroll
      for (int n = 0; n < ROWS; n++) copy_async(base + to + n * WARPS * stride + i * 16, x[n] + from + i);
    }
  };
  const auto norm_rows = [&](int to, int from, int count, const float (&scales)[ROWS]) {
    if (idle) return;
    for (int i = lane; i < count; i += 32) {
      const float4 low = gain[(from + i) * 2], high = gain[(from + i) * 2 + 1];
#pragma unroll
      for (int n = 0; n < ROWS; n++) {
        uint4* v = reinterpret_cast<uint4*>(memory + to + n * WARPS * stride) + i;
        *v = normed(*v, scales[n], low, high);
      }
    }
  };

  copy_rows(own, 0, SLICED ? min(SLICE, chunks) * 4 : chunks * 4);
  commit_copies();
  float scales[ROWS] = {};  // of the norm: the sum of squares, then one over the root of its mean
  if constexpr (SLICED) {
    constexpr int AHEAD = 16 / ROWS;  // loads side by side
    for (int i = lane; i < p.k / 8; i += AHEAD * 32) {
      uint4 v[AHEAD][ROWS] = {};
#pragma unroll
      for (int j = 0; j < AHEAD; j++) {
        if (i + j * 32 >= p.k / 8) break;
#pragma unroll
        for (int n = 0; n < ROWS; n++) v[j][n] = load_fresh(x[n] + i + j * 32);
      }
#pragma unroll
      for (int j = 0; j < AHEAD; j++) {
#pragma unroll
        for (int n = 0; n < ROWS; n++) scales[n] += sum_of_squares(v[j][n]);
      }
    }
  }
  await_copies<0>();
  __syncthreads();
  if (!SLICED && !idle) {
    for (int i = lane; i < p.k / 8; i += 32) {
#pragma unroll
      for (int n = 0; n < ROWS; n++) {
        scales[n] += sum_of_squares(reinterpret_cast<const uint4*>(memory + own + n * WARPS * stride)[i]);
      }
    }
  }
#pragma unroll
  for (int n = 0; n < ROWS; n++) {
#pragma unroll
    for (int o = 16; o; o /= 2) scales[n] += __shfl_xor_sync(~0u, scales[n], o);
    scales[n] = rsqrtf(scales[n] / p.k + p.eps);
  }
  if constexpr (!SLICED) {
    norm_rows(own, 0, chunks * 4, scales);
    __syncthreads();
  }

  // The lane's share: rows n*8 + 2q + {0, 1}.
  Best best[NT * 2];
#pragma unroll
  for (int i = 0; i < NT * 2; i++) best[i] = Best{-INFINITY, 0, ~0u, 0};
  int side = 0;
  for (int turn = 0, tile = first; turn < turns; turn++, tile += step) {
    float sums[NT][4] = {};
    float scale_low = 1, scale_high = 1;
    const bool has_tile = !SLICED || turn < mine;
    if (FP8 && has_tile) scale_low = p.scales[tile * 16 + g], scale_high = p.scales[tile * 16 + g + 8];
    uint32_t row = base + g * stride + q * 16;
#pragma unroll 2
    for (int chunk = 0; chunk < chunks; chunk++) {
      if (SLICED && chunk % SLICE == 0) {
        // The last slice of K may be too short for what follows it to have arrived.
        if (chunk == 0 && chunks % SLICE) await_copies<0>();
        norm_rows(own + side, chunk * 4, min(SLICE, chunks - chunk) * 4, scales);
        __syncthreads();  // the slice is there for everybody, and everybody has read the one before
        row = base + side + g * stride + q * 16;
        side = buffer - side;
        const int next = chunk + SLICE < chunks ? chunk + SLICE : 0;
        copy_rows(own + side, next * 4, min(SLICE, chunks - next) * 4);
      }
      await_copies<RING<FP8> - 1>();
      if (has_tile) {
        uint4 first_half, second_half;
        if constexpr (FP8) {
          expand(load_shared(place), first_half, second_half);
        } else {
          first_half = load_shared(place), second_half = load_shared(place + 32 * 16);
        }
#pragma unroll
        for (int n = 0; n < NT; n++) {
          mma_chunk(sums[n], first_half, second_half, load_shared(row + n * 8 * stride));
        }
      }
      row += 64;
      ask();
      pass_on();
    }
    if (!has_tile) continue;
    const uint32_t low_id = tile * 16 + g, high_id = low_id + 8;
    const bool low_counts = low_id < p.vocab && low_id != banned, high_counts = high_id < p.vocab && high_id != banned;
#pragma unroll
    for (int i = 0; i < NT * 2; i++) {
      const float low = sums[i / 2][i % 2] * scale_low, high = sums[i / 2][2 + i % 2] * scale_high;
      if (p.logits) {
        float* to = p.logits + (size_t)(row0 + i / 2 * 8 + q * 2 + i % 2) * p.vocab;
        if (low_id < p.vocab) to[low_id] = low;
        if (high_id < p.vocab) to[high_id] = high;
      }
      see(best[i], low, low_id, low_counts);
      see(best[i], high, high_id, high_counts);
    }
  }

  // Over the lanes of a row: of its rows a lane keeps that half which a bit of it names, and gives away the other.
  await_copies<0>();  // of SLICED: the rows of a turn that never comes
  __syncthreads();
  Best* all = reinterpret_cast<Best*>(memory);  // (WARPS, NT * 8)
  int row = 0;  // the lane's first, counted as `best` does
#pragma unroll
  for (int s = 0; s < 3; s++) {
    const int o = 4 << s, half = NT * 2 >> (s + 1);  // rows kept
    const bool upper = lane & o;
    if (upper) row += half;
#pragma unroll
    for (int i = 0; i < NT; i++) {
      if (i >= max(half, 1)) continue;
      const Best mine = upper && half ? best[half + i] : best[i], other = upper || !half ? best[i] : best[half + i];
      best[i] = better(mine, beyond(other, o));
    }
  }
#pragma unroll
  for (int i = 0; i < (NT * 2 + 7) / 8; i++) all[warp * NT * 8 + (row + i) / 2 * 8 + q * 2 + (row + i) % 2] = best[i];
  __syncthreads();
  // Over the warps.
#pragma unroll 1
  for (int r = warp; r < NT * 8; r += WARPS) {
    Best b = all[lane % WARPS * NT * 8 + r];
#pragma unroll
    for (int o = 1; o < WARPS; o *= 2) b = better(b, beyond(b, o));
    if (lane == 0) p.best[(size_t)(row0 + r) * gridDim.x + blockIdx.x] = b;
  }
}

}  // namespace cinnabar

// kernels/src/cuda/head.rs spells these names.
#define HEAD(NAME, NT, FP8, SLICED)                               \
  extern "C" __global__ void __launch_bounds__(cinnabar::WARPS * 32) \
      NAME##_n##NT(const __grid_constant__ cinnabar::Head p) {    \
    cinnabar::head<NT, FP8, SLICED>(p);                           \
  }
#define HEADS(NT)                       \
  HEAD(head, NT, false, false)          \
  HEAD(head_fp8, NT, true, false)       \
  HEAD(head_sliced, NT, false, true)    \
  HEAD(head_fp8_sliced, NT, true, true)
HEADS(1)
HEAD(head, 2, false, false)
HEAD(head_fp8, 2, true, false)
HEADS(4)
HEADS(8)
