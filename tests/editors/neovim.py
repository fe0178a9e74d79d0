"""Neovim as a child process: keys in, screen out."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pynvim

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN = REPOSITORY / "editors/neovim"
# Far more than a test takes: what is waited for comes late on a busy machine, and is told if it does not come at all.
LONGEST_S = 300


def wait_for(what, check, seconds=45.0):
    """The first true result of `check`, asked again until then."""
    end = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < end, f"after {seconds} s: no {what() if callable(what) else what}"
        time.sleep(0.005)
    return result


class Neovim:
    """One Neovim without the user's configuration, in a home of its own."""

    def __init__(self, program, home, environment=(), arguments=("--clean",)):
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        own = kept | {"HOME": str(home), "LANG": "C.UTF-8"} | dict(environment)
        start = [shutil.which("env"), "-i", *(f"{name}={value}" for name, value in own.items())]
        self.nvim = pynvim.attach("child", argv=[*start, str(program), "--embed", "--headless", "-n", *arguments])
        self.nvim.ui_attach(120, 24, rgb=True)
        # A Neovim that waits for the user, at a long message for instance, answers no requests.
        self.guard = threading.Timer(LONGEST_S, os.kill, (self.nvim.funcs.getpid(), signal.SIGKILL))
        self.guard.daemon = True
        self.guard.start()
        wait_for("end of the start", lambda: self.nvim.vvars["vim_did_enter"])

    def close(self):
        self.guard.cancel()
        try:
            self.nvim.command("qall!", async_=True)
        except OSError:
            pass
        self.nvim.close()

    def lua(self, code, *arguments):
        return self.nvim.exec_lua(code, *arguments)

    def set_up(self, **options):
        """What a user's configuration does."""
        self.nvim.command(f"set runtimepath^={PLUGIN}")
        self.nvim.command("runtime! plugin/cinnabar.lua")
        self.lua("require('cinnabar').setup(...)", options)

    def edit(self, path):
        self.nvim.command(f"edit {path}")

    def type(self, keys):
        self.nvim.input(keys)

    def screen(self):
        """The lines of the screen as they are drawn, ghost text included."""
        code = """vim.cmd.redraw()
            local rows = {}
            for row = 1, vim.o.lines do
              local cells = {}
              for col = 1, vim.o.columns do
                cells[col] = vim.fn.screenstring(row, col)
              end
              rows[row] = table.concat(cells)
            end
            return rows"""
        return [row.rstrip() for row in self.lua(code)]

    def lines(self):
        """The lines of the buffer."""
        return self.nvim.current.buffer[:]

    def sees(self, *rows):
        """Waits until these rows are on the screen, one below the other."""

        def shown():
            text = "\n".join(self.screen())
            return "\n".join(rows) + "\n" in text + "\n" and text

        return wait_for(lambda: f"{rows} in\n" + "\n".join(self.screen()), shown)

    def sees_no(self, text):
        """Waits until a text is off the screen."""
        wait_for(lambda: f"end of {text!r} in\n" + "\n".join(self.screen()), lambda: text not in "\n".join(self.screen()))

    def holds(self, *lines):
        """Waits until the buffer is this."""
        wait_for(lambda: f"{list(lines)}, but {self.lines()}", lambda: self.lines() == list(lines))

    def is_in(self, state):
        """Waits until Cinnabar is in a state."""
        now = "return require('cinnabar').status().state"
        wait_for(lambda: f"state {state!r}, but {self.lua(now)!r}", lambda: self.lua(now) == state, 120)

    def said(self):
        """What was shown as messages."""
        return self.nvim.api.exec2("messages", {"output": True})["output"]


class Script:
    """What the scripted server answers, and what it was sent."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.file, self.log = folder / "script.json", folder / "log.jsonl"
        self.answers([])

    def answers(self, rules, loading=False):
        written = self.file.with_suffix(".new")
        written.write_text(json.dumps({"rules": rules, "loading": loading}))
        written.replace(self.file)

    def arguments(self):
        return [str(Path(__file__).with_name("scripted_server.py")), str(self.file), str(self.log)]

    def entries(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def pids(self):
        return [entry["pid"] for entry in self.entries() if "pid" in entry]

    def received(self, method):
        return [entry for entry in self.entries() if entry.get("method") == method]
