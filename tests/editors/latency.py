"""From a key to ghost text on the screen, in every Neovim.

    python tests/editors/latency.py [--keys 50] [--program target/release/cinnabar]

Without a program, a server answers at once from a script: what is measured is the editor's and the client's share. With
one, the real model completes the same text over and over, so that all but the last token is in its cache.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from conftest import EDITORS, NEOVIMS
from neovim import Neovim, Script, wait_for

DRAWN = """vim.cmd.redraw()
return vim.fn.screenstring(vim.fn.screenrow(), vim.fn.screencol()):match '%S' ~= nil"""


def measure(name, drawn, keys, program):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        script = Script(folder)
        script.answers([{"after": "return ", "insert": "a + b"}])
        neovim = Neovim(EDITORS / name, folder / "home")
        neovim.guard.cancel()
        try:
            started = {"path": sys.executable, "args": script.arguments()}
            if program:
                started = {"path": str(program.resolve()), "settings": {"deadlineMs": 30000}}
            neovim.set_up(ghost_text=drawn, **started)
            (folder / "a.py").write_text("def add(a, b):\n    return\n")
            neovim.edit(folder / "a.py")
            neovim.is_in("ready")
            neovim.type("jA")
            return [one(neovim) for _ in range(keys)]
        finally:
            neovim.close()


def one(neovim):
    # Neovim's own timer and the request that it makes after the cursor moved are over.
    time.sleep(0.3)
    wait_for("an idle server", lambda: neovim.lua("return require('cinnabar').status().state") == "ready", 60)
    start = time.perf_counter()
    neovim.type(" ")
    while not neovim.lua(DRAWN):
        assert time.perf_counter() - start < 60, "no ghost text\n" + "\n".join(neovim.screen())
    took = time.perf_counter() - start
    neovim.type("<BS>")
    wait_for("the end of the ghost text", lambda: not neovim.lua(DRAWN))
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
