#!/usr/bin/env python3
"""Writes languages.toml: Cinnabar beside the language servers that Helix starts anyway.

    editors/helix/languages.py [HX] > editors/helix/languages.toml

The languages are those whose syntax the server knows. A language's list of servers replaces the built-in one, so the
built-in ones are asked of the program HX ("hx").
"""

import re
import subprocess
import sys
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server/src/languages.rs"
# What Helix calls the protocol's languages, where the names differ; nothing: it has one name for several.
NAMES = {"typescriptreact": "tsx", "javascriptreact": "jsx", "shellscript": "bash", "bash": None, "sh": None}

HEAD = """\
# Cinnabar in Helix: append this to ~/.config/helix/languages.toml.
# Written by editors/helix/languages.py. A language needs its other servers named again; leave out what you do not use.

[language-server.cinnabar]
command = "cinnabar"
args = ["lsp"]
"""


def languages():
    rows = re.findall(r"^        ids: &\[(.*)\],$", SERVER.read_text(), re.MULTILINE)
    ids = [name for row in rows for name in re.findall(r'"(\w+)"', row)]
    return [name for name in (NAMES.get(name, name) for name in ids) if name]


def servers(hx, language):
    report = subprocess.run([hx, "--health", language], capture_output=True, text=True, check=True).stdout
    report = re.sub(r"\x1b\[[0-9;]*m", "", report)
    configured = report.split("Configured language servers:")[1].split("Configured debug adapter")[0]
    names = re.findall(r"^\s+\S\s+([\w-]+): ", configured, re.MULTILINE)
    return [name for name in names if name != "cinnabar"]


def main():
    hx = sys.argv[1] if len(sys.argv) > 1 else "hx"
    print(HEAD, end="")
    for language in languages():
        listed = [f'"{name}"' for name in servers(hx, language)]
        listed.append('{ name = "cinnabar", only-features = ["completion"] }')
        print(f'\n[[language]]\nname = "{language}"\nlanguage-servers = [{", ".join(listed)}]')


main()
