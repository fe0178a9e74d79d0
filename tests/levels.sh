#!/usr/bin/env bash
# The processor's kernels where instructions are missing: on emulated processors, and under valgrind, which has no AVX-512
# and looks at every load and store. Shows what each is found to have, and runs the kernels' tests on it. Then all of them run under
# AddressSanitizer, with every level of this processor, and on an emulated Arm processor with the levels `neon` and `i8mm`.
# Needs qemu-user and valgrind (Debian's packages of these names) and an x86-64 processor; takes some minutes. For Arm also
# gcc-aarch64-linux-gnu and `rustup target add aarch64-unknown-linux-gnu`; without these a line says that it was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in qemu-x86_64 valgrind; do
  command -v "$tool" >/dev/null || { echo "tests/levels.sh: $tool is missing" >&2; exit 1; }
done
cargo build --locked
cargo test --locked -p cinnabar-kernels --lib --no-run
target=${CARGO_TARGET_DIR:-$PWD/target}/debug
tests=$(ls -t "$target"/deps/cinnabar_kernels-* | grep -v '\.d$' | head -1)

# Every kernel, without the tests of all shapes: an emulator takes a hundred times as long.
chosen=(pairs rounding memory rope rms_norm cache the_largest a_block one_position of_equal gates_and queries_keys a_causal)

# on LEVEL COMMAND...: the program finds LEVEL when COMMAND runs it, and the tests of the kernels pass.
on() {
  local level=$1
  shift
  echo "== $*: expecting $level"
  "$@" "$target/cinnabar" --version 2> >(grep -v "TCG doesn't support" >&2) | grep -F "cpu ($level)"
  # The emulator tells at each start which features it does without.
  "$@" "$tests" "${chosen[@]}" --test-threads 1 2> >(grep -v "TCG doesn't support" >&2)
}

on reference qemu-x86_64 -cpu Nehalem
on avx2 qemu-x86_64 -cpu Haswell
on avx2 valgrind --quiet --error-exitcode=9

# Its runtime comes with every toolchain; the flag wants a nightly one, or this variable.
echo "== AddressSanitizer"
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=${target%/debug}/asan \
  cargo test --locked --target x86_64-unknown-linux-gnu -p cinnabar-kernels --lib

arm=aarch64-unknown-linux-gnu
echo "== qemu-aarch64 -cpu max"
if ! [ -d "$("${RUSTC:-rustc}" --print target-libdir --target $arm)" ] || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
  echo "skipped: the toolchain has no target $arm, or there is no aarch64-linux-gnu-gcc"
  exit
fi
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu max"
cargo test --locked --target $arm -p cinnabar-kernels --lib
