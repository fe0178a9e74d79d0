// The projections of project.cu for many rows: prefill. Operands, epilogues and results are the same, bit for bit.
//
// Split: a block has WM*MT weight tiles and WN*NT*8 rows, a warp MT tiles and NT*8 rows of them over the whole K. A run
// of chunks is summed from zero and then added to the runs before it, as the warps of project.cu are.
// Traffic: w once for every WN*NT*8 rows, x once for every WM*MT tiles, both through shared memory, STAGES chunks ahead.
// Blocks of the same weights follow each other, so that large ones come from device memory once.
#include "project.cu"

namespace cinnabar {

// Chunks in flight, also in kernels/src/cuda/project.rs.
constexpr int WIDE_STAGES = 6;

template <int EPI, int MT, int NT, int WM, int WN, bool FP8>
__device__ __forceinline__ void wide(const Project& p) {
  constexpr bool NORM = EPI != ADD;
  constexpr int STAGES = WIDE_STAGES, TILES = WM * MT, GROUPS = WN * NT, THREADS = WM * WN * 32;
  constexpr int PART = UNIT<FP8>, SLOT = TILES * PART + GROUPS * 32;  // uint4s of a chunk: weights, then rows
  extern __shared__ uint4 shared[];               // (STAGES, SLOT)
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4;
  const int wm = warp % WM, wn = warp / WM;
  const int tile0 = blockIdx.y * TILES, row0 = blockIdx.x * GROUPS * 8;
  const int chunks = p.k / 32, last_tile = p.tiles - 1;

  constexpr int WEIGHTS = (TILES * PART + THREADS - 1) / THREADS, ROWS = GROUPS * 32 / THREADS;  // uint4s that a thread copies
  static_assert(ROWS * THREADS == GROUPS * 32, "threads copy alike");
  uint32_t weights[WEIGHTS], inputs[ROWS];  // where from, of chunk 0
#pragma unroll
  for (int j = 0; j < WEIGHTS; j++) {
    const int i = threadIdx.x + j * THREADS;
    weights[j] = min(tile0 + i / PART, last_tile) * chunks * PART + i % PART;
  }
#pragma unroll
  for (int j = 0; j < ROWS; j++) {
    const int i = threadIdx.x + j * THREADS;
    inputs[j] = (row0 + i / 4) * (p.k / 8) + i % 4;
  }
  const uint32_t slots = shared_address(shared + threadIdx.x);
  const auto copy_weights = [&](int chunk, int place) {
    if (chunk >= chunks) return;
    const uint32_t to = slots + place * SLOT * 16;
    const uint4* from = p.w + chunk * PART;
#pragma unroll
    for (int j = 0; j < WEIGHTS; j++) {
      if (WEIGHTS * THREADS > TILES * PART && threadIdx.x + j * THREADS >= TILES * PART) break;
      copy_async(to + j * THREADS * 16, from + weights[j]);
    }
  };
  const auto copy_rows = [&](int chunk, int place) {
    if (chunk >= chunks) return;
    const uint32_t to = slots + (place * SLOT + TILES * PART) * 16;
    const uint4* from = reinterpret_cast<const uint4*>(p.x) + chunk * 4;
#pragma unroll
    for (int j = 0; j < ROWS; j++) copy_async(to + j * THREADS * 16, from + inputs[j]);
  };

#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) copy_weights(s, s);
  // The state is final since the embedding has begun (step.cu, embed).
  uint32_t at = 0, rows = 0, slot = 0;
  if constexpr (EPI == QKV) {
    at = __ldcg(&p.state->at), rows = __ldcg(&p.state->rows), slot = __ldcg(&p.state->slot);
  }
  await_previous();
  release_next();
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    copy_rows(s, s);
    commit_copies();
  }

  float total[MT][NT][4] = {}, sums[MT][NT][4] = {}, all_squares[NT] = {}, squares[NT] = {};
  int left = p.run, place = 0;  // chunks until this run ends; slot of the chunk
  for (int chunk = 0; chunk < chunks; chunk++) {
    await_copies<STAGES - 2>();
    __syncthreads();  // the chunk is there for everybody, and everybody has read the one before
    const int free = place == 0 ? STAGES - 1 : place - 1;
    copy_weights(chunk + STAGES - 1, free);
    copy_rows(chunk + STAGES - 1, free);
    commit_copies();
    const uint4* w = shared + place * SLOT + wm * MT * PART + lane;
    const uint4* from = shared + place * SLOT + TILES * PART + wn * NT * 32 + lane;
    place = place + 1 == STAGES ? 0 : place + 1;
    uint4 x[NT];
#pragma unroll
    for (int n = 0; n < NT; n++) x[n] = from[n * 32];
#pragma unroll
    for (int m = 0; m < MT; m++) {
      uint4 first, second;
      load_weights<FP8>(w + m * PART, first, second);
#pragma unroll
      for (int n = 0; n < NT; n++) mma_chunk(sums[m][n], first, second, x[n]);
    }
    if constexpr (NORM) {
      // The warps of the same rows share this.
#pragma unroll
      for (int n = 0; n < NT; n++) {
        if (n % WM == wm) squares[n] += sum_of_squares(x[n]);
      }
    }
    if (--left == 0 || chunk + 1 == chunks) {
      left = p.run;
#pragma unroll
      for (int n = 0; n < NT; n++) {
#pragma unroll
        for (int m = 0; m < MT; m++) {
#pragma unroll
          for (int i = 0; i < 4; i++) total[m][n][i] += sums[m][n][i], sums[m][n][i] = 0;
        }
        if (NORM && n % WM == wm) {
          float s = squares[n];
          s += __shfl_xor_sync(~0u, s, 1);
          s += __shfl_xor_sync(~0u, s, 2);
          all_squares[n] += s, squares[n] = 0;
        }
      }
    }
  }

  float* row_squares = reinterpret_cast<float*>(shared);  // (rows of the block)
  if constexpr (NORM) {
    __syncthreads();
#pragma unroll
    for (int n = 0; n < NT; n++) {
      if (n % WM == wm && q == 0) row_squares[(wn * NT + n) * 8 + g] = all_squares[n];
    }
    __syncthreads();
  }
  // All that the epilogue reads is asked for before anything is written.
  Beside beside[NT][MT];
#pragma unroll
  for (int n = 0; n < NT; n++) {
#pragma unroll
    for (int m = 0; m < MT; m++) {
      beside[n][m] = load_beside<EPI>(p, tile0 + wm * MT + m, g, row0 + (wn * NT + n) * 8 + q * 2, at);
    }
  }
#pragma unroll
  for (int n = 0; n < NT; n++) {
    const int row = row0 + (wn * NT + n) * 8 + q * 2;
    float a = 1, b = 1;
    if constexpr (NORM) {
      const float2 both = *reinterpret_cast<const float2*>(row_squares + row - row0);
      a = norm_scale(p, both.x), b = norm_scale(p, both.y);
    }
#pragma unroll
    for (int m = 0; m < MT; m++) {
      const int tile = tile0 + wm * MT + m;
      if (tile > last_tile) continue;
      float4 v = make_float4(total[m][n][0], total[m][n][1], total[m][n][2], total[m][n][3]);
      if constexpr (FP8) v = scaled_features(v, load_scales(p, tile, g));
      if constexpr (NORM) v = scaled(v, a, b);
      finish<EPI>(p, tile, g, row, v, at, rows, slot, beside[n][m]);
    }
  }
}

}  // namespace cinnabar

// kernels/src/cuda/project.rs spells these names.
#define WIDE(NAME, EPI, MT, NT, WM, WN)                                             \
  extern "C" __global__ void __launch_bounds__(WM * WN * 32)                        \
      NAME##_wide_##MT##NT##WM##WN(const __grid_constant__ cinnabar::Project p) {   \
    cinnabar::wide<cinnabar::EPI, MT, NT, WM, WN, false>(p);                        \
  }                                                                                 \
  extern "C" __global__ void __launch_bounds__(WM * WN * 32)                        \
      NAME##_fp8_wide_##MT##NT##WM##WN(const __grid_constant__ cinnabar::Project p) { \
    cinnabar::wide<cinnabar::EPI, MT, NT, WM, WN, true>(p);                         \
  }
#define WIDE_ALL(MT, NT, WM, WN)       \
  WIDE(qkv, QKV, MT, NT, WM, WN)       \
  WIDE(add, ADD, MT, NT, WM, WN)       \
  WIDE(swiglu, SWIGLU, MT, NT, WM, WN)
WIDE_ALL(3, 4, 1, 2)
WIDE_ALL(4, 4, 1, 4)
