#!/usr/bin/env bash
# Installs what the tests need and runs all of them. Needs a Rust toolchain; works in a fresh Debian or Ubuntu, and
# elsewhere when a C compiler and Python 3.10 with venv are there. All but system packages lands in target/.
set -euo pipefail
cd "$(dirname "$0")/.."

# A slow or broken connection to a registry is tried again before it is a failure.
export CARGO_NET_RETRY=5 CARGO_HTTP_TIMEOUT=60 PIP_RETRIES=5 PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'tests/run.sh: %s\n' "$*" >&2; exit 1; }

# Debian and Ubuntu packages, as root or with sudo.
install_packages() {
  say "installing $*"
  command -v apt-get >/dev/null || fail "please install what these packages hold: $*"
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

command -v cargo >/dev/null || fail "cargo is missing; install Rust from https://rustup.rs"
command -v cc >/dev/null || install_packages gcc libc6-dev
# Formatting is one of the tests.
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || fail "the rustfmt component is missing"

# The venv is made again when it is broken, for instance because Python was upgraded.
target=${CARGO_TARGET_DIR:-$PWD/target}
venv=$target/venv
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
  rm -rf "$venv"
  mkdir -p "$target"
  python3 -m venv "$venv" 2>/dev/null || { install_packages python3 python3-venv; rm -rf "$venv"; python3 -m venv "$venv"; }
fi
"$venv/bin/python" -m pip install --quiet --requirement tests/lsp/requirements.txt

# The recipe needs PyTorch. Debian and Ubuntu build it for processors, quick with OpenBLAS; PyPI's wheel brings gigabytes for GPUs.
with_torch=$target/venv-recipe
if ! "$with_torch/bin/python" -c 'import pip, torch' 2>/dev/null; then
  python=python3
  "$python" -c 'import torch' 2>/dev/null || python=/usr/bin/python3
  "$python" -c 'import torch, venv, ensurepip' 2>/dev/null || install_packages python3-torch libopenblas0-pthread python3-venv
  rm -rf "$with_torch"
  "$python" -m venv --system-site-packages "$with_torch"
fi
"$with_torch/bin/python" -m pip install --quiet --requirement model/recipe/requirements.txt --requirement tests/recipe/requirements.txt

say "cargo test"
cargo test --workspace --locked

export CINNABAR_BIN=$target/debug/cinnabar
say "pytest"
"$venv/bin/python" -m pytest tests/lsp

say "Neovim and Helix"
"$venv/bin/python" -m pip install --quiet --requirement tests/editors/requirements.txt
"$venv/bin/python" -m pytest tests/editors

say "VS Code"
tests/editors/vscode/run

say "the recipe, with a tiny model"
"$with_torch/bin/python" -m pytest tests/recipe
