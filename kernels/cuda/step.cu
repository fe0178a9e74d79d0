// What stands between two passes: the state, the embedding, the picks, and the decisions of draft and verify.
//
//   feed    the state (State) and the round (Round), from mapped host memory               1 block
//   embed   x (R, K) f32 and its bf16 copy: rows of the embedding, tiles as in project.cu   R blocks
//   pick    bests of the head's blocks -> a pick a row, published to mapped host memory     1 block, a warp a row
//   draft   the same, then the drafted tokens become the rows of the causal pass            1 block
//   verify  the same, then acceptance and the next round's rows                             1 block
//
// Traffic: a few KiB; these kernels cost their launch.
#include "common.cuh"

namespace cinnabar {

// How a span is filled, mirrored by kernels/src/cuda/state.rs.
struct Round {
  uint32_t block;       // rows of a draft
  uint32_t mask, end;   // ids
  uint32_t max_tokens;  // tokens to settle at most
  uint32_t max_lines;   // line breaks at which the span ends, 0: no limit
  uint32_t context;     // positions of the model
  Pick known;           // token after the stream
};

constexpr int MAX_SETTLED = 4096;  // also in kernels/src/cuda/state.rs
enum Finish : uint32_t { RUNNING, END, MAX_TOKENS, MAX_LINES, FULL, STOPPED };

// Of a span, in device memory.
struct Span {
  uint32_t settled;  // tokens of text
  uint32_t cached;   // tokens whose keys and values are final
  uint32_t lines, rounds, finish;
};

// In mapped host memory: the host writes `stop`, the device everything else; `ticket` last.
struct Board {
  uint32_t stop;
  uint32_t ticket;
  uint32_t finish;
  uint32_t settled;  // tokens of the span
  uint32_t cached;   // tokens of the span whose keys and values are final
  uint32_t rounds;
  uint32_t unused[2];
  Pick picks[MAX_SETTLED];  // of a pass: by row; of a span: known token, then what was accepted
};

// Mirrored by kernels/src/cuda/step.rs.
struct Step {
  State* state;
  Round* round;
  Span* span;
  Board* board;          // mapped
  const State* feed;     // mapped
  const Round* feed_round;
  const Best* best;      // (rows, blocks)
  const uint8_t* classes;  // per token: 128: not text, ends the span; low bits: line breaks
  uint32_t blocks;
  uint32_t fresh;        // feed: 1 starts a span
};

struct Embed {
  const State* state;
  const uint4* w;
  float* x;
  __nv_bfloat16* x16;
  uint32_t k, vocab;
};

__device__ __forceinline__ void publish(Board* board, uint32_t ticket) {
  __threadfence_system();
  *reinterpret_cast<volatile uint32_t*>(&board->ticket) = ticket;
}

// Rows of a draft: the known token, the rest masked.
__device__ __forceinline__ void lay_draft(State* s, const Round& r, uint32_t known) {
  s->rows = r.block, s->causal = 0, s->head_from = 1, s->head_rows = r.block - 1;
  s->ids[0] = known;
  for (uint32_t i = 1; i < r.block; i++) s->ids[i] = r.mask;
}

// Adds a token for good; the reason if the span ends with or before it.
__device__ __forceinline__ uint32_t settle(Span& span, const Round& r, const uint8_t* classes, uint32_t token) {
  const uint32_t c = classes[token];
  if (c & 128) return END;
  span.settled++;
  span.lines += c;
  if (r.max_lines && span.lines >= r.max_lines) return MAX_LINES;
  if (span.settled >= r.max_tokens) return MAX_TOKENS;
  return RUNNING;
}

// Why no further pass may start.
__device__ __forceinline__ uint32_t check(const State* s, const Round& r, const Board* board) {
  if (*reinterpret_cast<const volatile uint32_t*>(&board->stop)) return STOPPED;
  return s->at + r.block > r.context ? FULL : RUNNING;
}

// Picks of up to 64 rows into shared memory.
__device__ __forceinline__ void reduce(const Step& p, Pick* picks) {
  const int lane = threadIdx.x % 32, rows = min(__ldcg(&p.state->head_rows), 64u);
  for (int row = threadIdx.x / 32; row < rows; row += blockDim.x / 32) {
    const Best* from = p.best + (size_t)row * p.blocks;
    float maximum = -INFINITY;
    uint32_t token = ~0u;
    for (int i = lane; i < p.blocks; i += 32) {
      const float m = __ldcg(&from[i].maximum);
      const uint32_t t = __ldcg(&from[i].token);
      if (m > maximum || (m == maximum && t < token)) maximum = m, token = t;
    }
#pragma unroll
    for (int o = 16; o; o /= 2) {
      const float m = __shfl_xor_sync(~0u, maximum, o);
      const uint32_t t = __shfl_xor_sync(~0u, token, o);
      if (m > maximum || (m == maximum && t < token)) maximum = m, token = t;
    }
    float mass = 0;
    for (int i = lane; i < p.blocks; i += 32) {
      const float m = __ldcg(&from[i].mass);
      if (m > 0) mass += m * __expf(__ldcg(&from[i].maximum) - maximum);
    }
#pragma unroll
    for (int o = 16; o; o /= 2) mass += __shfl_xor_sync(~0u, mass, o);
    if (lane == 0) picks[row] = Pick{token, 1.0f / mass};
  }
  __syncthreads();
}

}  // namespace cinnabar

using namespace cinnabar;

extern "C" __global__ void __launch_bounds__(160) feed(const __grid_constant__ Step p) {
  release_next();
  await_previous();
  // A thread reads across the bus once.
  const uint4* from = reinterpret_cast<const uint4*>(p.feed);
  uint4* to = reinterpret_cast<uint4*>(p.state);
  for (int i = threadIdx.x; i < sizeof(State) / 16; i += blockDim.x) to[i] = from[i];
  if (p.fresh) {
    __syncthreads();
    if (threadIdx.x == 0) {
      const Round r = *p.feed_round;
      *p.round = r;
      Span span = {};
      Board* board = p.board;
      board->picks[0] = r.known;
      span.finish = settle(span, r, p.classes, r.known.token);
      if (span.finish == RUNNING) span.finish = check(p.state, r, board);
      *p.span = span;
      lay_draft(p.state, r, r.known.token);
    }
  }
}

extern "C" __global__ void __launch_bounds__(128) embed(const __grid_constant__ Embed p) {
  // In this order: every later kernel of the pass starts after all that the pass depends on is final, so it may read
  // the state and the cached stream before its predecessor has ended.
  await_previous();
  release_next();
  const uint32_t row = blockIdx.x, id = min(__ldcg(&p.state->ids[row]), p.vocab - 1);
  const int chunks = p.k / 32;
  const uint4* from = p.w + (size_t)(id / 16) * chunks * 64 + id % 8 * 4;
  const bool upper = id % 16 >= 8;
  for (int i = threadIdx.x; i < p.k / 8; i += blockDim.x) {
    const uint4 first = from[i / 4 * 64 + i % 4], second = from[i / 4 * 64 + 32 + i % 4];
    const uint4 v = upper ? make_uint4(first.y, first.w, second.y, second.w)
                          : make_uint4(first.x, first.z, second.x, second.z);
    reinterpret_cast<uint4*>(p.x16 + (size_t)row * p.k)[i] = v;
    const float2 a = unpack(v.x), b = unpack(v.y), c = unpack(v.z), d = unpack(v.w);
    float4* to = reinterpret_cast<float4*>(p.x + (size_t)row * p.k) + i * 2;
    to[0] = make_float4(a.x, a.y, b.x, b.y);
    to[1] = make_float4(c.x, c.y, d.x, d.y);
  }
}

extern "C" __global__ void __launch_bounds__(1024) pick(const __grid_constant__ Step p) {
  __shared__ Pick picks[64];
  release_next();
  await_previous();
  reduce(p, picks);
  const int rows = min(__ldcg(&p.state->head_rows), 64u);
  if (threadIdx.x < rows) p.board->picks[threadIdx.x] = picks[threadIdx.x];
  __threadfence_system();
  __syncthreads();
  if (threadIdx.x == 0) publish(p.board, p.state->ticket);
}

// A pass whose result nobody reads still says that it has ended.
extern "C" __global__ void __launch_bounds__(32) done(const __grid_constant__ Step p) {
  release_next();
  await_previous();
  if (threadIdx.x == 0) publish(p.board, p.state->ticket);
}

extern "C" __global__ void __launch_bounds__(1024) draft(const __grid_constant__ Step p) {
  __shared__ Pick picks[64];
  release_next();
  await_previous();
  reduce(p, picks);
  if (threadIdx.x == 0) {
    State* s = p.state;
    const Round r = *p.round;
    uint32_t rows = 1;
    // Rows after the drafted end are fill, and the end itself need not be run.
    for (; rows < r.block && picks[rows - 1].token != r.end; rows++) s->ids[rows] = picks[rows - 1].token;
    s->rows = rows, s->causal = 1, s->head_from = 0, s->head_rows = rows;
  }
}

extern "C" __global__ void __launch_bounds__(1024) verify(const __grid_constant__ Step p) {
  __shared__ Pick picks[64];
  release_next();
  await_previous();
  reduce(p, picks);
  if (threadIdx.x == 0) {
    State* s = p.state;
    Board* board = p.board;
    const Round r = *p.round;
    Span span = *p.span;
    const uint32_t ticket = s->ticket;
    if (span.finish == RUNNING) {
      const uint32_t rows = s->rows;
      uint32_t accepted = 0;
      while (accepted + 1 < rows && picks[accepted].token == s->ids[accepted + 1]) accepted++;
      s->at += accepted + 1;
      span.rounds++;
      for (uint32_t i = 0; i <= accepted; i++) {
        const uint32_t to = span.cached + 1 + i;
        if (to < MAX_SETTLED) board->picks[to] = picks[i];
      }
      span.cached += accepted + 1;
      for (uint32_t i = 0; i <= accepted && span.finish == RUNNING; i++) {
        span.finish = settle(span, r, p.classes, picks[i].token);
      }
      if (span.finish == RUNNING) span.finish = check(s, r, board);
      lay_draft(s, r, picks[accepted].token);
    }
    *p.span = span;
    s->ticket = ticket + 1;
    board->finish = span.finish, board->settled = span.settled, board->cached = span.cached, board->rounds = span.rounds;
    publish(board, ticket);
  }
}

// Random weights of mean 0 for benches: a hash of the index, uniform in [-spread, spread].
extern "C" __global__ void __launch_bounds__(256) noise(__nv_bfloat16* out, uint64_t n, float spread, uint32_t seed) {
  for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n; i += (uint64_t)gridDim.x * blockDim.x) {
    uint32_t x = (uint32_t)i * 0x9e3779b9u + seed;
    x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu, x ^= x >> 16;
    out[i] = __float2bfloat16((x * (2.0f / 4294967296.0f) - 1.0f) * spread);
  }
}
