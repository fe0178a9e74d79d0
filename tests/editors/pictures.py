"""Pictures of suggestions in real editors, as SVG: what the terminal shows, cell by cell.

    CINNABAR_BIN=target/release/cinnabar python tests/editors/pictures.py

Writes those of the guides of Neovim and Helix. Needs the editors of install-editors.sh.
"""

import html
import os
import re
import tempfile
import time
from pathlib import Path

from conftest import EDITORS
from neovim import PLUGIN, REPOSITORY
from terminal import Terminal
from test_helix import Helix

WIDTH, HEIGHT, COLUMNS, ROWS = 8.4, 19, 84, 16
INK = "#d8dadb"
BASIC = "#1d1f21 #cc6666 #b5bd68 #f0c674 #81a2be #b294bb #8abeb7 #c5c8c6".split()
BRIGHT = "#717577 #d54e53 #b9ca4a #e7c547 #7aa6da #c397d8 #70c0b1 #eaeaea".split()
SAMPLE, LINE = REPOSITORY / "tests/data/samples/worker_pool.go", 41


def palette(n):
    if n < 16:
        return (BASIC + BRIGHT)[n]
    if n >= 232:
        return "#" + f"{8 + 10 * (n - 232):02x}" * 3
    steps = (0, 95, 135, 175, 215, 255)
    return "#" + "".join(f"{steps[(n - 16) // unit % 6]:02x}" for unit in (36, 6, 1))


class Pen:
    """The attributes of the cells that follow."""

    def __init__(self, page):
        self.page = page
        self.reset()

    def reset(self):
        self.ink = self.paper = None
        self.bold = self.italic = self.underline = self.reverse = self.dim = False

    def colours(self):
        ink, paper = self.ink or INK, self.paper or self.page
        return (paper, ink) if self.reverse else (ink, paper)

    def change(self, codes):
        codes = [int(code or 0) for code in re.split("[;:]", codes)] or [0]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code in (1, 2, 3, 4, 7):
                setattr(self, {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}[code], True)
            elif code in (22, 23, 24, 27):
                setattr(self, {22: "bold", 23: "italic", 24: "underline", 27: "reverse"}[code], False)
            elif code in (38, 48):
                kind = codes.pop(0)
                colour = palette(codes.pop(0)) if kind == 5 else "#" + "".join(f"{codes.pop(0):02x}" for _ in range(3))
                setattr(self, "ink" if code == 38 else "paper", colour)
            elif code in (39, 49):
                setattr(self, "ink" if code == 39 else "paper", None)
            elif 30 <= code % 60 <= 37 or 40 <= code % 60 <= 47:
                bright, base = divmod(code, 60)
                setattr(self, "ink" if base < 40 else "paper", (BRIGHT if bright else BASIC)[base % 10])


def svg(screen, page):
    """A screen with its escape sequences as a picture; `page` is the colour of what has none."""
    width, height = round(COLUMNS * WIDTH) + 20, ROWS * HEIGHT + 20
    shapes, texts = [], []
    for row, line in enumerate(screen.splitlines()[:ROWS]):
        pen, column = Pen(page), 0
        for part in re.split(r"(\x1b\[[\d;:]*m)", line):
            if part.startswith("\x1b"):
                pen.change(part[2:-1])
            elif part:
                ink, paper = pen.colours()
                x, y, wide = 10 + column * WIDTH, 10 + row * HEIGHT, len(part) * WIDTH
                if paper != page:
                    shapes.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{HEIGHT}" fill="{paper}"/>')
                style = (' font-weight="bold"' if pen.bold else "") + (' font-style="italic"' if pen.italic else "")
                if part.strip():
                    texts.append(
                        f'<text x="{x:.1f}" y="{y + 14}" fill="{ink}" textLength="{wide:.1f}"{style} '
                        f'xml:space="preserve">{html.escape(part)}</text>'
                    )
                column += len(part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{page}"/>\n'
        '<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14">\n'
        + "\n".join(shapes + texts)
        + "\n</g>\n</svg>\n"
    )


def neovim(folder, program):
    home = folder / "neovim"
    home.mkdir()
    (home / "init.lua").write_text(
        f"vim.opt.runtimepath:prepend({str(PLUGIN)!r})\n"
        "vim.o.number, vim.o.termguicolors, vim.o.ruler, vim.o.cmdheight = true, true, false, 1\n"
        "vim.o.statusline = \" %f %m %= %{v:lua.require'cinnabar'.statusline()} \"\n"
        f"require('cinnabar').setup {{ path = {str(program)!r}, settings = {{ deadlineMs = 30000 }} }}\n"
    )
    file = home / SAMPLE.name
    file.write_bytes(SAMPLE.read_bytes())
    # The loader that starts the packaged Neovims cannot start their terminal interface.
    command = [EDITORS / "nvim-0.11", "--clean", "-n", "-u", home / "init.lua", f"+{LINE}", file]
    terminal = Terminal(EDITORS / "tmux", command, home, home, COLUMNS, ROWS)
    try:
        terminal.sees("cinnabar: ready", 60)
        terminal.text("zzA")
        terminal.keys("BSpace")
        terminal.text("n")
        terminal.sees("cinnabar: ready", 60)
        time.sleep(2)
        terminal.sees("cinnabar: ready", 60)
        return terminal.screen(colours=True)
    finally:
        terminal.close()


def helix(folder, program):
    home = folder / "helix"
    home.mkdir()
    file = home / SAMPLE.name
    file.write_bytes(SAMPLE.read_bytes())
    terminal = Helix(file, home, program, ["lsp"], "deadlineMs = 30000", (COLUMNS, ROWS))
    try:
        terminal.text(f"{LINE}ggzzA")
        terminal.keys("C-x")
        terminal.sees(" text", 60)
        terminal.keys("Tab")
        time.sleep(1)
        return terminal.screen(colours=True)
    finally:
        terminal.close()


def main():
    program = Path(os.environ.get("CINNABAR_BIN", REPOSITORY / "target/release/cinnabar")).resolve()
    # The pages have the editors' own background, which cells at the ends of lines lack.
    pictures = [("neovim/media/ghost-text.svg", neovim, "#14161b"), ("helix/media/menu.svg", helix, "#3b224c")]
    with tempfile.TemporaryDirectory() as folder:
        for name, draw, page in pictures:
            picture = REPOSITORY / "editors" / name
            picture.parent.mkdir(exist_ok=True)
            picture.write_text(svg(draw(Path(folder), program), page))
            print(picture)


main()
