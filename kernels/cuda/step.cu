// What stands between two passes: the state, the embedding, the picks, and the decisions of draft and verify.
//
//   feed    the state (State), of a span also the round (Round), from mapped host memory    1 block
//   embed   x (R, K) f32 and its 16-bit copy: rows of the embedding, tiles as in project.cu R blocks
//   pick    bests of the head's blocks -> a pick a row, published to mapped host memory     1 block, a warp a row
//   turn    the same, then the rows of the next pass: drafted tokens become those of a      1 block
//           causal pass; after one, what was accepted is settled, and what comes next is
//           a masked block, or a copy of what followed the last tokens where they stood before
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
  uint32_t history;     // tokens before the known one, as the middle continues them
  uint32_t agreement;   // last tokens that must agree for a copy, 0: every block is drafted
  Pick known;           // token after the stream
};

// Also in kernels/src/cuda/state.rs.
constexpr int MAX_SETTLED = 4096, MAX_HISTORY = 4096;
// Longer agreements are not told apart, as in engine/src/decode/copied.rs.
constexpr uint32_t MAX_AGREEMENT = 8;
enum Finish : uint32_t { RUNNING, END, MAX_TOKENS, MAX_LINES, FULL, STOPPED };

// Of a span, in device memory.
struct Span {
  uint32_t settled;  // tokens of text
  uint32_t cached;   // tokens whose keys and values are final
  uint32_t lines, finish;
  uint32_t drafts;   // masked blocks that were denoised
  uint32_t rounds;   // drafts and copies that were verified
  uint32_t causal;   // 1: the next pass verifies
  uint32_t length;   // of the history
  uint32_t history[MAX_HISTORY + MAX_SETTLED];
};

// In mapped host memory: the host writes `stop`, the device everything else; `ticket` last.
struct Board {
  uint32_t stop;
  uint32_t ticket;
  uint32_t finish;
  uint32_t settled;  // tokens of the span
  uint32_t cached;   // tokens of the span whose keys and values are final
  uint32_t drafts, rounds, causal;  // as in Span
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
  const uint4* feed_history;
  const Best* best;      // (rows, blocks)
  const uint8_t* classes;  // per token: 128: not text, ends the span; low bits: line breaks
  uint32_t blocks;
  uint32_t fresh;        // feed: 1 starts a span
  uint32_t rows;         // feed: ids that the host has given, a multiple of 8
};

struct Embed {
  const State* state;
  const uint4* w;
  float* x;
  half16* x16;
  uint32_t k, vocab;
};

__device__ __forceinline__ void publish(Board* board, uint32_t ticket) {
  __threadfence_system();
  *reinterpret_cast<volatile uint32_t*>(&board->ticket) = ticket;
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

// Where most of the last tokens stood before, of several places the latest: agreement * 2^16 + index of what followed
// there; 0: nowhere. For all threads of the block.
__device__ __forceinline__ uint32_t find_copy(const uint32_t* ids, uint32_t length) {
  __shared__ uint32_t best;
  if (threadIdx.x == 0) best = 0;
  __syncthreads();
  uint32_t mine = 0;
  for (uint32_t at = threadIdx.x; at + 1 < length; at += blockDim.x) {
    uint32_t agreement = 0;
    while (agreement < MAX_AGREEMENT && agreement <= at && ids[at - agreement] == ids[length - 1 - agreement]) agreement++;
    if (agreement) mine = max(mine, agreement << 16 | (at + 1));
  }
  if (mine) atomicMax(&best, mine);
  __syncthreads();
  return best;
}

// The rows of the next round, whose known token is the last of the history. All threads of the block call it.
__device__ __forceinline__ void lay_round(State* s, Span* span, const Round& r) {
  const uint32_t length = span->length, copy = r.agreement ? find_copy(span->history, length) : 0;
  const uint32_t from = copy & 0xffff, wanted = r.max_tokens - span->settled;
  const bool copied = copy && copy >> 16 >= r.agreement && wanted > 1;
  const uint32_t rows = copied ? 1 + min(min(r.block, wanted) - 1, length - from) : r.block;
  for (uint32_t i = threadIdx.x; i < rows; i += blockDim.x) {
    s->ids[i] = i == 0 ? span->history[length - 1] : copied ? span->history[from + i - 1] : r.mask;
  }
  if (threadIdx.x == 0) {
    s->rows = rows, s->causal = copied, span->causal = copied;
    s->head_from = copied ? 0 : 1, s->head_rows = rows - s->head_from;
  }
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

extern "C" __global__ void __launch_bounds__(1024) feed(const __grid_constant__ Step p) {
  release_next();
  await_previous();
  // Only what the pass has: every pass waits for what is read across the bus.
  const uint4* from = reinterpret_cast<const uint4*>(p.feed);
  uint4* to = reinterpret_cast<uint4*>(p.state);
  for (int i = threadIdx.x; i < 2 + p.rows / 4; i += blockDim.x) to[i] = from[i];
  if (!p.fresh) return;
  const Round r = *p.feed_round;
  Span* span = p.span;
  for (uint32_t i = threadIdx.x; i < (r.history + 3) / 4; i += blockDim.x) {
    reinterpret_cast<uint4*>(span->history)[i] = p.feed_history[i];
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    Board* board = p.board;
    *p.round = r;
    board->picks[0] = r.known;
    span->history[r.history] = r.known.token, span->length = r.history + 1;
    span->settled = 0, span->cached = 0, span->lines = 0, span->drafts = 0, span->rounds = 0, span->causal = 0;
    span->finish = settle(*span, r, p.classes, r.known.token);
    if (span->finish == RUNNING) span->finish = check(p.state, r, board);
  }
  __syncthreads();
  if (span->finish == RUNNING) lay_round(p.state, span, r);
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
    const float2 a = unpack(v.x), b = unpack(v.y), c = unpack(v.z), d = unpack(v.w);
    const auto kept = [](float2 x) { return pack(x.x * INPUT_SCALE, x.y * INPUT_SCALE); };
    reinterpret_cast<uint4*>(p.x16 + (size_t)row * p.k)[i] = make_uint4(kept(a), kept(b), kept(c), kept(d));
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

// A pass whose result nobody reads still says that it has ended, and so does a piece of one: the next has the next number.
extern "C" __global__ void __launch_bounds__(32) done(const __grid_constant__ Step p) {
  release_next();
  await_previous();
  if (threadIdx.x == 0) {
    const uint32_t ticket = p.state->ticket;
    p.state->ticket = ticket + 1;
    publish(p.board, ticket);
  }
}

// The masked rows' picks become the rows of a causal pass.
__device__ __forceinline__ void take_draft(State* s, Span* span, const Round& r, const Pick* picks) {
  uint32_t rows = 1;
  // Rows after the drafted end are fill, and the end itself need not be run.
  for (; rows < r.block && picks[rows - 1].token != r.end; rows++) s->ids[rows] = picks[rows - 1].token;
  s->rows = rows, s->causal = 1, s->head_from = 0, s->head_rows = rows;
  span->drafts++, span->causal = 1;
}

// Keeps the rows that the causal picks agree with, and one token more.
__device__ __forceinline__ void accept(const Step& p, const Round& r, const Pick* picks) {
  State* s = p.state;
  Span* span = p.span;
  uint32_t accepted = 0;
  while (accepted + 1 < s->rows && picks[accepted].token == s->ids[accepted + 1]) accepted++;
  s->at += accepted + 1;
  span->rounds++;
  for (uint32_t i = 0; i <= accepted; i++) {
    const uint32_t to = span->cached + 1 + i;
    if (to < MAX_SETTLED) p.board->picks[to] = picks[i];
    span->history[span->length++] = picks[i].token;
  }
  span->cached += accepted + 1;
  for (uint32_t i = 0; i <= accepted && span->finish == RUNNING; i++) {
    span->finish = settle(*span, r, p.classes, picks[i].token);
  }
  if (span->finish == RUNNING) span->finish = check(s, r, p.board);
}

extern "C" __global__ void __launch_bounds__(1024) turn(const __grid_constant__ Step p) {
  __shared__ Pick picks[64];
  release_next();
  await_previous();
  reduce(p, picks);
  Span* span = p.span;
  const Round r = *p.round;
  const uint32_t ticket = p.state->ticket;
  const bool verified = span->causal, running = span->finish == RUNNING;
  __syncthreads();
  if (running) {
    if (threadIdx.x == 0) {
      if (verified) {
        accept(p, r, picks);
      } else {
        take_draft(p.state, span, r, picks);
      }
    }
    __syncthreads();
    if (verified && span->finish == RUNNING) lay_round(p.state, span, r);
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    Board* board = p.board;
    p.state->ticket = ticket + 1;
    board->finish = span->finish, board->settled = span->settled, board->cached = span->cached;
    board->drafts = span->drafts, board->rounds = span->rounds, board->causal = span->causal;
    publish(board, ticket);
  }
}

namespace cinnabar {
__device__ __forceinline__ uint32_t hash(uint32_t i, uint32_t seed) {
  uint32_t x = i * 0x9e3779b9u + seed;
  x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu;
  return x ^ x >> 16;
}
}  // namespace cinnabar

// Random weights of mean 0 for benches: a hash of the index, uniform in [-spread, spread].
extern "C" __global__ void __launch_bounds__(256) noise(half16* out, uint64_t n, float spread, uint32_t seed) {
  for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n; i += (uint64_t)gridDim.x * blockDim.x) {
    out[i] = narrow((hash((uint32_t)i, seed) * (2.0f / 4294967296.0f) - 1.0f) * spread);
  }
}

// The same in e4m3, four at a time: every code below 2, either sign. The root of their mean square is 0.6.
extern "C" __global__ void __launch_bounds__(256) noise_fp8(uint32_t* out, uint64_t n, uint32_t seed) {
  for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n; i += (uint64_t)gridDim.x * blockDim.x) {
    out[i] = hash((uint32_t)i, seed) & 0xbfbfbfbfu;
  }
}
