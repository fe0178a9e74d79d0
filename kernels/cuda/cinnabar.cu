// One translation unit, one module: see kernels/cuda/build.sh.
#include "attend.cu"
#include "head.cu"
#include "project.cu"
#include "step.cu"
#include "wide.cu"
