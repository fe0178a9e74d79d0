#!/usr/bin/env bash
# Compiles the kernels ahead of time: kernels/cuda/cinnabar.fatbin (code for 9.0, PTX for 9.0 and 8.0 and up).
#   kernels/cuda/build.sh           writes the file; needs nvcc 13.0 on the path
#   kernels/cuda/build.sh --check   fails if the committed file differs from what the sources give
set -euo pipefail
cd "$(dirname "$0")"
command -v nvcc >/dev/null || { echo "nvcc is not on the path: nothing was compiled"; [[ ${1-} == --check ]]; exit; }
version=$(nvcc --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
[[ $version == 13.0 ]] || { echo "nvcc $version found, 13.0 is what the committed file was made with" >&2; exit 1; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
nvcc -fatbin -O3 -std=c++17 --compress-mode=size \
  -gencode=arch=compute_90,code=[sm_90,compute_90] -gencode=arch=compute_80,code=compute_80 cinnabar.cu -o "$out/cinnabar.fatbin"
if [[ ${1-} == --check ]]; then
  cmp "$out/cinnabar.fatbin" cinnabar.fatbin && echo "kernels/cuda/cinnabar.fatbin is up to date"
else
  cp "$out/cinnabar.fatbin" cinnabar.fatbin
fi
