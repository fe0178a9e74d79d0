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
// Split: the normed rows stay in shared memory, every warp streams its own weight tiles over the whole K, RING chunks
// ahead. Sums over K run in one order whatever the number of rows.
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
  Best r = first ? a : b;
  const Best& other = first ? b : a;
  if (other.mass > 0) r.mass += other.mass * __expf(other.maximum - r.maximum);
  return r;
}

// Bytes of a row in shared memory: an odd multiple of 64, so that eight rows of 16-byte reads meet no bank twice.
__host__ __device__ __forceinline__ uint32_t row_bytes(uint32_t k) { return (k * 2 + 127) / 128 * 128 + 64; }

constexpr int RING = 8;  // chunks that a warp has in flight, also in kernels/src/cuda/head.rs

template <int NT, bool FP8>
__device__ __forceinline__ void head(const Head& p) {
  extern __shared__ __align__(16) unsigned char rows[];  // (NT * 8, row_bytes), then the rings (warps, RING, UNIT)
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int g = lane / 4, q = lane % 4;
  const int chunks = p.k / 32, tiles = (p.vocab + 15) / 16, stride = row_bytes(p.k);
  const int row0 = blockIdx.y * NT * 8;
  const int first = blockIdx.x * warps + warp, step = gridDim.x * warps;
  const int mine = first < tiles ? (tiles - first + step - 1) / step : 0;  // tiles of this warp
  const int last = mine * chunks;
  uint4* ring = reinterpret_cast<uint4*>(rows + NT * 8 * stride) + warp * RING * UNIT<FP8> + lane;

  // The chunk to be asked for next.
  int asked = 0, asked_chunk = 0;
  const uint4* from = p.w + (size_t)first * chunks * UNIT<FP8> + lane;
  const auto ask = [&] {
    if (asked < last) {
      const uint32_t to = shared_address(ring + asked % RING * UNIT<FP8>);
      copy_async(to, from);
      if constexpr (!FP8) copy_async(to + 32 * 16, from + 32);
      from += UNIT<FP8>, asked++;
      if (++asked_chunk == chunks) asked_chunk = 0, from += (size_t)(step - 1) * chunks * UNIT<FP8>;
    }
    commit_copies();
  };

  release_next();
#pragma unroll
  for (int i = 0; i < RING; i++) ask();
  await_previous();
  const uint32_t head_from = __ldcg(&p.state->head_from), banned = __ldcg(&p.state->banned);

  // Final norm: a warp has NT rows (eight warps a block, also in kernels/src/cuda/head.rs), loaded side by side.
  float squares[NT] = {};
  for (int i = lane; i < p.k / 8; i += 32) {
    uint4 v[NT];
#pragma unroll
    for (int n = 0; n < NT; n++) {
      v[n] = load_fresh(p.x + (size_t)min(head_from + row0 + n * 8 + warp, p.bucket - 1) * p.k + i * 8);
    }
#pragma unroll
    for (int n = 0; n < NT; n++) {
      squares[n] += sum_of_squares(v[n]);
      reinterpret_cast<uint4*>(rows + (n * 8 + warp) * stride)[i] = v[n];
    }
  }
#pragma unroll
  for (int n = 0; n < NT; n++) {
#pragma unroll
    for (int o = 16; o; o /= 2) squares[n] += __shfl_xor_sync(~0u, squares[n], o);
    squares[n] = rsqrtf(squares[n] / p.k + p.eps);
  }
  for (int i = lane; i < p.k / 8; i += 32) {
    const float4 low = reinterpret_cast<const float4*>(p.gain)[i * 2];
    const float4 high = reinterpret_cast<const float4*>(p.gain)[i * 2 + 1];
    const float gains[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
    for (int n = 0; n < NT; n++) {
      uint4* to = reinterpret_cast<uint4*>(rows + (n * 8 + warp) * stride) + i;
      uint4 v = *to;
      uint32_t* half = &v.x;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float2 f = unpack(half[j]);
        half[j] = pack(f.x * squares[n] * gains[j * 2], f.y * squares[n] * gains[j * 2 + 1]);
      }
      *to = v;
    }
  }
  __syncthreads();

  // The lane's share: rows n*8 + 2q + {0, 1}.
  Best best[NT][2];
#pragma unroll
  for (int n = 0; n < NT; n++) best[n][0] = best[n][1] = Best{-INFINITY, 0, ~0u, 0};
  float sums[NT][4] = {};
  const unsigned char* row = rows + g * stride + q * 16;
  int chunk = 0, tile = first;
  float scale_low = 1, scale_high = 1;
  for (int done = 0; done < last; done++) {
    if (FP8 && chunk == 0) scale_low = p.scales[tile * 16 + g], scale_high = p.scales[tile * 16 + g + 8];
    await_copies<RING - 1>();
    uint4 first_half, second_half;
    load_weights<FP8>(ring + done % RING * UNIT<FP8>, first_half, second_half);
#pragma unroll
    for (int n = 0; n < NT; n++) {
      mma_chunk(sums[n], first_half, second_half, *reinterpret_cast<const uint4*>(row + n * 8 * stride + chunk * 64));
    }
    ask();
    if (++chunk < chunks) continue;
    chunk = 0;
#pragma unroll
    for (int n = 0; n < NT; n++) {
#pragma unroll
      for (int j = 0; j < 2; j++) {
        const uint32_t low_id = tile * 16 + g, high_id = low_id + 8;
        const float low = sums[n][j] * scale_low, high = sums[n][2 + j] * scale_high;
        if (p.logits) {
          float* to = p.logits + (size_t)(row0 + n * 8 + q * 2 + j) * p.vocab;
          if (low_id < p.vocab) to[low_id] = low;
          if (high_id < p.vocab) to[high_id] = high;
        }
        Best& b = best[n][j];
        if (low_id < p.vocab && low_id != banned) {
          if (low > b.maximum) {
            b.mass = b.mass * __expf(b.maximum - low) + 1, b.maximum = low, b.token = low_id;
          } else {
            b.mass += __expf(low - b.maximum);
          }
        }
        if (high_id < p.vocab && high_id != banned) {
          if (high > b.maximum) {
            b.mass = b.mass * __expf(b.maximum - high) + 1, b.maximum = high, b.token = high_id;
          } else {
            b.mass += __expf(high - b.maximum);
          }
        }
      }
      sums[n][0] = sums[n][1] = sums[n][2] = sums[n][3] = 0;
    }
    tile += step;
  }

  // Over the lanes of a row, then over the warps.
  __syncthreads();
  Best* all = reinterpret_cast<Best*>(rows);  // (warps, NT * 8)
#pragma unroll
  for (int n = 0; n < NT; n++) {
#pragma unroll
    for (int j = 0; j < 2; j++) {
      Best b = best[n][j];
#pragma unroll
      for (int o = 4; o < 32; o *= 2) {
        Best other;
        other.maximum = __shfl_xor_sync(~0u, b.maximum, o);
        other.mass = __shfl_xor_sync(~0u, b.mass, o);
        other.token = __shfl_xor_sync(~0u, b.token, o);
        b = better(b, other);
      }
      if (g == 0) all[warp * NT * 8 + n * 8 + q * 2 + j] = b;
    }
  }
  __syncthreads();
  for (int r = threadIdx.x; r < NT * 8; r += blockDim.x) {
    Best b = all[r];
    for (int i = 1; i < warps; i++) b = better(b, all[i * NT * 8 + r]);
    p.best[(size_t)(row0 + r) * gridDim.x + blockIdx.x] = b;
  }
}

}  // namespace cinnabar

#define HEAD(NT)                                                                                               \
  extern "C" __global__ void __launch_bounds__(256) head_n##NT(const __grid_constant__ cinnabar::Head p) {     \
    cinnabar::head<NT, false>(p);                                                                              \
  }                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) head_fp8_n##NT(const __grid_constant__ cinnabar::Head p) { \
    cinnabar::head<NT, true>(p);                                                                               \
  }
HEAD(1)
HEAD(2)
HEAD(4)
HEAD(8)
