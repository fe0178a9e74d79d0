"""The yardstick for engine/benches/cuda.rs: the same step (rows over a cached stream) in PyTorch, eager and as a CUDA graph.

    python3 tests/torch_step.py

Random bf16 weights of the same geometries; fused query-key-value and gate-up products, a static cache, PyTorch's
attention, arg max and its probability. Not needed by, and not shipped to, anybody who uses Cinnabar.
"""

import statistics
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit("skipped: PyTorch is not installed")
if not torch.cuda.is_available():
    sys.exit("skipped: PyTorch sees no GPU")

GEOMETRIES = {
    "135M": (49152, 576, 30, 9, 3, 64, 1536),
    "7B": (152064, 3584, 28, 28, 4, 128, 18944),
}


class Step:
    def __init__(self, vocab, hidden, layers, heads, kv_heads, dim, ffn, rows, at):
        def weight(n, k):
            return (torch.rand(n, k, device="cuda", dtype=torch.bfloat16) * 2 - 1) * (3 / k) ** 0.5

        self.sizes = (heads, kv_heads, dim, rows, at)
        width = (heads + 2 * kv_heads) * dim
        self.layers = [
            (weight(width, hidden), weight(hidden, heads * dim), weight(2 * ffn, hidden), weight(hidden, ffn))
            for _ in range(layers)
        ]
        self.embedding = weight(vocab, hidden)
        self.gain = torch.ones(hidden, device="cuda", dtype=torch.bfloat16)
        cache = (layers, 1, kv_heads, at + rows, dim)
        self.keys = torch.randn(cache, device="cuda", dtype=torch.bfloat16)
        self.values = torch.randn(cache, device="cuda", dtype=torch.bfloat16)
        angle = torch.arange(at, at + rows, device="cuda")[:, None] * 1e5 ** (
            -torch.arange(0, dim, 2, device="cuda") / dim
        )
        self.cos = torch.cat([angle.cos()] * 2, -1).bfloat16()
        self.sin = torch.cat([angle.sin()] * 2, -1).bfloat16()
        self.ids = torch.full((rows,), 16, device="cuda")

    def rotate(self, x):
        low, high = x.chunk(2, -1)
        return x * self.cos + torch.cat([-high, low], -1) * self.sin

    def __call__(self):
        heads, kv_heads, dim, rows, at = self.sizes
        x = F.embedding(self.ids, self.embedding)
        for layer, (qkv, output, gate_up, down) in enumerate(self.layers):
            h = F.linear(F.rms_norm(x, (x.shape[-1],), self.gain, 1e-5), qkv)
            q, k, v = h.view(1, rows, -1, dim).transpose(1, 2).split([heads, kv_heads, kv_heads], 1)
            keys, values = self.keys[layer], self.values[layer]
            keys[:, :, at:] = self.rotate(k)
            values[:, :, at:] = v
            a = F.scaled_dot_product_attention(self.rotate(q), keys, values, enable_gqa=True)
            x = x + F.linear(a.transpose(1, 2).reshape(rows, -1), output)
            gate, up = F.linear(F.rms_norm(x, (x.shape[-1],), self.gain, 1e-5), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        logits = F.linear(F.rms_norm(x, (x.shape[-1],), self.gain, 1e-5), self.embedding).float()
        top, token = logits.max(-1)
        return token, (top - logits.logsumexp(-1)).exp()


def median_ms(run, times=30):
    for _ in range(5):
        run()
    samples = []
    for _ in range(times):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        samples.append(start.elapsed_time(end))
    return statistics.median(samples)


@torch.inference_mode()
def main():
    print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}")
    print("| geometry | rows | stream | eager ms | graph ms |\n|---|---|---|---|---|")
    for name, sizes in GEOMETRIES.items():
        for rows, at in ((16, 1000), (32, 1000), (64, 1000)):
            step = Step(*sizes, rows, at)
            eager = median_ms(step)
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                step()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                step()
            print(f"| {name} | {rows} | {at} | {eager:.3f} | {median_ms(graph.replay):.3f} |", flush=True)
            del graph, step
            torch.cuda.empty_cache()


main()
