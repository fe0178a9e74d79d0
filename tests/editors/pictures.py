"""Pictures of suggestions in real editors and in a terminal, by the real program with the real model.

    python tests/editors/pictures.py [PICTURE...]     vscode, neovim, helix, watch; all of them if none is named

Writes those of the guides and of the README. Takes CINNABAR_BIN, else target/release/cinnabar. Needs the editors of
install-editors.sh; VS Code's picture is taken by vscode/run, which installs what it needs.
"""

import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import svg
from conftest import EDITORS
from neovim import PLUGIN, REPOSITORY, wait_for
from terminal import Terminal
from test_helix import Helix

COLUMNS, ROWS = 84, 16
SAMPLE, LINE = REPOSITORY / "tests/data/samples/lru_cache.py", 84
# The pages have the editors' own background, which cells at the ends of lines lack.
NEOVIM_PAGE, HELIX_PAGE, TERMINAL_PAGE = "#14161b", "#3b224c", "#16181d"
# What the README says above the animation.
WATCH = "complete tests/data/samples/lru_cache.py:84:19 --watch --mode parallel --block 16 --threshold 0.9"
# The engine's steps are too fast to be looked at one by one.
STEP_S, END_S = 0.6, 3


def settled(terminal, shows):
    """The screen, once it shows something and has stopped changing."""
    seen = []

    def same():
        seen.append(terminal.screen(colours=True))
        return len(seen) > 40 and len(set(seen[-40:])) == 1 and shows(terminal.screen())

    wait_for(lambda: "a still picture of\n" + terminal.screen(), same, 120)
    return seen[-1]


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
        terminal.sees("cinnabar: ready", 120)
        terminal.text("zzA")
        terminal.keys("BSpace")
        terminal.text("n")
        shown = settled(terminal, lambda screen: re.search(r"return \S", screen) and "ready" in screen)
        return svg.still(shown, NEOVIM_PAGE, COLUMNS, ROWS)
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
        terminal.sees("INS")
        terminal.keys("C-x")
        terminal.sees(" text", 120)
        terminal.keys("Tab")
        return svg.still(settled(terminal, lambda screen: " text" in screen), HELIX_PAGE, COLUMNS, ROWS)
    finally:
        terminal.close()


def watch(_, program):
    """Each picture that the program draws on a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(REPOSITORY)
        os.environ |= {"TERM": "xterm-256color"}
        os.execv(program, [program, *WATCH.split()])
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    written = b""
    try:
        while part := os.read(terminal, 1 << 16):
            written += part
    except OSError:
        # The program has closed its side.
        pass
    assert os.waitpid(child, 0)[1] == 0, written.decode()
    drawn = re.findall(r"\x1b\[\?7l(?:\x1b\[\d+A\r\x1b\[J)?(.*?)\x1b\[\?7h", written.decode(), re.DOTALL)
    assert len(drawn) > 2, written.decode()
    pictures = [picture.replace("\r\n", "\n").expandtabs(4) for picture in drawn]
    # Two in a row may be the same: the last step and the end.
    pictures = [one for one, following in zip(pictures, [*pictures[1:], None]) if one != following]
    rows = max(len(picture.splitlines()) for picture in pictures)
    seconds = [STEP_S] * (len(pictures) - 1) + [END_S]
    return svg.moving(pictures, seconds, TERMINAL_PAGE, COLUMNS, rows)


def main():
    program = Path(os.environ.get("CINNABAR_BIN", REPOSITORY / "target/release/cinnabar")).resolve()
    drawn = {
        "neovim": (neovim, "editors/neovim/media/ghost-text.svg"),
        "helix": (helix, "editors/helix/media/menu.svg"),
        "watch": (watch, "server/media/watch.svg"),
    }
    wanted = sys.argv[1:] or ["vscode", *drawn]
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            if name == "vscode":
                script = REPOSITORY / "tests/editors/vscode/run"
                environment = os.environ | {"CINNABAR_BIN": str(program)}
                subprocess.run([script, "screenshot.mjs"], check=True, env=environment)
                continue
            draw, path = drawn[name]
            picture = REPOSITORY / path
            picture.parent.mkdir(exist_ok=True)
            picture.write_text(draw(Path(folder), program))
            print(picture)


if __name__ == "__main__":
    main()
