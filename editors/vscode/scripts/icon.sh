#!/usr/bin/env bash
# Draws media/icon.png from media/icon.svg; the gallery takes no SVG.
set -euo pipefail
cd "$(dirname "$0")/../media"
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --disable-background-networking --user-data-dir="$profile" \
    --hide-scrollbars --window-size=256,256 --default-background-color=00000000 --screenshot="$PWD/icon.png" \
    "file://$PWD/icon.svg"
