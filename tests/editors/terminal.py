"""A terminal of its own for one program: keys in, screen out."""

import os
import re
import shlex
import subprocess
import time

from neovim import wait_for


class Terminal:
    """A program in tmux."""

    def __init__(self, tmux, command, home, folder, columns=100, rows=24, path=None):
        self.tmux = [str(tmux), "-u", "-S", str(home / "tmux.socket"), "-f", "/dev/null"]
        environment = {"HOME": str(home), "LANG": "C.UTF-8", "PATH": path or os.environ["PATH"], "SHELL": "/bin/sh"}
        start = ["env", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)]
        self.run("new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(folder), shlex.join(start))
        self.run("set", "-s", "escape-time", "0")

    def run(self, *arguments):
        return subprocess.run([*self.tmux, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout

    def text(self, text):
        """Types a text as it is."""
        # A semicolon at the end would end tmux's command.
        self.run("send-keys", "-l", re.sub(";$", r"\;", text))

    def keys(self, *keys):
        """Presses keys, by tmux's names."""
        self.run("send-keys", *keys)

    def screen(self, colours=False):
        return self.run("capture-pane", "-p", *(["-e", "-N"] if colours else []))

    def sees(self, text, seconds=45):
        return wait_for(lambda: f"{text!r} in\n{self.screen()}", lambda: text in self.screen(), seconds)

    def sees_no(self, text, seconds=45):
        wait_for(lambda: f"end of {text!r} in\n{self.screen()}", lambda: text not in self.screen(), seconds)

    def stays(self, seconds, check):
        """Looks for a while whether something holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert check(self.screen()), self.screen()
            time.sleep(0.05)

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, timeout=60)
