"""From a key to ghost text on the screen, in every Neovim.

    python tests/editors/latency.py [--keys 50] [--program target/release/cinnabar]

Each key contradicts what is suggested, so that the server has to answer, and is taken back. Without a program, a server
answers at once from a script: what is measured is the editor's and the client's share. With one, the real program has
answered the same text before.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from conftest import EDITORS, NEOVIMS
from neovim import Neovim, Script, wait_for

# What is on the screen right of the cursor, which stands at the end of its line.
DRAWN = """vim.cmd.redraw()
local cells = {}
for col = vim.fn.screencol(), vim.o.columns do
  cells[#cells + 1] = vim.fn.screenstring(vim.fn.screenrow(), col)
end
return (table.concat(cells):gsub('%s+$', ''))"""


def measure(name, drawn, keys, program):
    # The server counts as it ends, which may be later.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        script = Script(folder)
        script.answers([{"after": "return b", "insert": " + a"}, {"after": "return ", "insert": "a + b"}])
        neovim = Neovim(EDITORS / name, folder / "home")
        neovim.guard.cancel()
        try:
            started = {"path": sys.executable, "args": script.arguments()}
            if program:
                started = {"path": str(program.resolve()), "settings": {"deadlineMs": 30000}}
            neovim.set_up(ghost_text=drawn, **started)
            (folder / "a.py").write_text("def add(a, b):\n    return ")
            neovim.edit(folder / "a.py")
            neovim.is_in("ready")
            neovim.type("jA")
            suggested = wait_for("ghost text", lambda: neovim.lua(DRAWN), 120)
            key = "a" if suggested.startswith("b") else "b"
            # The first one is not from the cache.
            return [one(neovim, key, suggested) for _ in range(keys + 1)][1:]
        finally:
            neovim.close()


def one(neovim, key, suggested):
    wait_for("what was suggested", lambda: neovim.lua(DRAWN) == suggested, 60)
    # Neovim's own timer and the request that it makes after the cursor moved are over.
    time.sleep(0.3)
    wait_for("an idle server", lambda: neovim.lua("return require('cinnabar').status().state") == "ready", 60)
    start = time.perf_counter()
    neovim.type(key)
    while neovim.lua(DRAWN) in ("", suggested):
        assert time.perf_counter() - start < 60, "no ghost text\n" + "\n".join(neovim.screen())
    took = time.perf_counter() - start
    neovim.type("<BS>")
    return took * 1000


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keys", type=int, default=50)
    arguments.add_argument("--program", type=Path)
    given = arguments.parse_args()
    print(f"{'Neovim':<12}{'drawn by':<10}{'keys':>5}{'median ms':>11}{'p95 ms':>9}")
    for name, drawn in NEOVIMS:
        if (EDITORS / name).exists():
            took = sorted(measure(name, drawn, given.keys, given.program))
            p95 = took[int(0.95 * (len(took) - 1))]
            print(f"{name:<12}{drawn:<10}{len(took):>5}{statistics.median(took):>11.0f}{p95:>9.0f}", flush=True)


main()
