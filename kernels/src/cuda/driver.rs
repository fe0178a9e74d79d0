//! The one path to the driver: device, module, stream, launches, graphs.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys;
use sys::{CUfunction_attribute_enum as FunctionAttribute, CUlaunchAttributeID_enum as LaunchAttribute};

/// Code for compute capability 9.0, PTX for 8.0 and up; made by `kernels/cuda/build.sh`.
const MODULE: &[u8] = include_bytes!("../../cuda/cinnabar.fatbin");
/// Oldest compute capability that the PTX runs on.
const OLDEST: (i32, i32) = (8, 0);

/// Why a GPU cannot be used, or what failed on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaError {
    /// The driver's library (`libcuda`) is not on this machine.
    NoDriver,
    /// There is no device of this index; the number of devices.
    NoDevice(usize),
    /// The device's compute capability is too low.
    TooOld(String),
    /// A call to the driver failed.
    Call {
        /// The function.
        call: &'static str,
        /// Its result, as the driver spells it.
        code: String,
    },
}

impl CudaError {
    /// True when the device's memory is used up.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, CudaError::Call { code, .. } if code == "CUDA_ERROR_OUT_OF_MEMORY")
    }

    /// True when the driver is older than the compiled kernels.
    pub fn is_old_driver(&self) -> bool {
        matches!(self, CudaError::Call { code, .. }
            if ["CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "CUDA_ERROR_NO_BINARY_FOR_GPU", "CUDA_ERROR_INVALID_IMAGE"]
                .contains(&code.as_str()))
    }
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CudaError::NoDriver => write!(f, "the NVIDIA driver (libcuda) was not found"),
            CudaError::NoDevice(0) => write!(f, "the driver sees no GPU"),
            CudaError::NoDevice(n) => write!(f, "there are only {n} GPUs, counted from 0"),
            CudaError::TooOld(name) => write!(f, "{name} is older than compute capability 8.0 (Ampere)"),
            CudaError::Call { call, code } => write!(f, "{call} failed: {code}"),
        }
    }
}

impl std::error::Error for CudaError {}

/// A device with the kernels loaded and one stream. Every call makes its context current on the calling thread.
pub struct Gpu {
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    module: sys::CUmodule,
    functions: Mutex<HashMap<String, Function>>,
    name: String,
    processors: u32,
    shared: u32,
    clusters: bool,
    large_clusters: bool,
}

#[derive(Clone, Copy)]
struct Function {
    handle: sys::CUfunction,
    shared: u32,
}

// SAFETY: the handles are the driver's, which is thread-safe; `enter` makes the context current before every use.
unsafe impl Send for Gpu {}
// SAFETY: as above; the table of functions is behind a lock.
unsafe impl Sync for Gpu {}

/// Version of the PTX that a module's code was made from, 10 times major plus minor.
fn ptx_version(module: sys::CUmodule) -> Result<i32, CudaError> {
    let (mut function, mut version) = (null_mut(), 0);
    // SAFETY: the module is loaded, the name ends with NUL, both outputs are valid for writes.
    unsafe {
        check("cuModuleGetFunction", sys::cuModuleGetFunction(&mut function, module, c"done".as_ptr()))?;
        let which = FunctionAttribute::CU_FUNC_ATTRIBUTE_PTX_VERSION;
        check("cuFuncGetAttribute", sys::cuFuncGetAttribute(&mut version, which, function))?;
    }
    Ok(version)
}

/// Grid, block and dynamic shared memory of a launch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) grid: [u32; 3],
    pub(super) threads: u32,
    pub(super) shared: u32,
    /// Blocks along x that form a cluster; 1 is none.
    pub(super) cluster: u32,
}

/// Turns a driver's result into ours.
pub(super) fn check(call: &'static str, result: sys::CUresult) -> Result<(), CudaError> {
    if result == sys::CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    Err(CudaError::Call { call, code: format!("{result:?}") })
}

impl Gpu {
    /// Opens the device of this index and loads the kernels. Takes some 300 ms, nearly all of it the driver's.
    pub fn open(index: usize) -> Result<Arc<Self>, CudaError> {
        // SAFETY: looks for a library and opens it; no pointer is passed.
        if !unsafe { sys::is_culib_present() } {
            return Err(CudaError::NoDriver);
        }
        let mut count = 0;
        // SAFETY: `count` is valid for writes; cuInit comes first, as the driver asks.
        let (init, counted) = unsafe { (sys::cuInit(0), sys::cuDeviceGetCount(&mut count)) };
        if init == sys::CUresult::CUDA_ERROR_NO_DEVICE {
            return Err(CudaError::NoDevice(0));
        }
        check("cuInit", init)?;
        check("cuDeviceGetCount", counted)?;
        if index >= count as usize {
            return Err(CudaError::NoDevice(count as usize));
        }
        let (mut device, mut context, mut stream, mut module) = (0, null_mut(), null_mut(), null_mut());
        // SAFETY: outputs are valid for writes; the index was checked; the name's buffer has the length that is passed.
        let (name, major, minor, processors, shared) = unsafe {
            check("cuDeviceGet", sys::cuDeviceGet(&mut device, index as i32))?;
            let mut name = [0; 128];
            check("cuDeviceGetName", sys::cuDeviceGetName(name.as_mut_ptr(), name.len() as i32, device))?;
            let attribute = |which| {
                let mut value = 0;
                check("cuDeviceGetAttribute", sys::cuDeviceGetAttribute(&mut value, which, device))
                    .map(|()| value)
            };
            use sys::CUdevice_attribute_enum as A;
            (
                CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned(),
                attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
                attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
                attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            )
        };
        if (major, minor) < OLDEST {
            return Err(CudaError::TooOld(name));
        }
        // SAFETY: the context is the device's primary one, retained until drop; the module's bytes are static and a
        // whole fatbin, which carries its own length.
        unsafe {
            check("cuDevicePrimaryCtxRetain", sys::cuDevicePrimaryCtxRetain(&mut context, device))?;
            check("cuCtxSetCurrent", sys::cuCtxSetCurrent(context))?;
            check(
                "cuStreamCreate",
                sys::cuStreamCreate(&mut stream, sys::CUstream_flags_enum::CU_STREAM_NON_BLOCKING as u32),
            )?;
            check("cuModuleLoadData", sys::cuModuleLoadData(&mut module, MODULE.as_ptr().cast()))?;
        }
        // Code for 9.0 was loaded, not what a newer or older device makes of the PTX for 8.0.
        let clusters = major >= 9 && ptx_version(module)? >= 90;
        // Sixteen blocks are more than the programming model promises; Hopper has them.
        let large_clusters = clusters && major == 9;
        let functions = Mutex::default();
        let (processors, shared) = (processors as u32, shared as u32);
        Ok(Arc::new(Gpu {
            device,
            context,
            stream,
            module,
            functions,
            name,
            processors,
            shared,
            clusters,
            large_clusters,
        }))
    }

    /// The device's name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Streaming multiprocessors.
    pub fn processors(&self) -> u32 {
        self.processors
    }

    /// Bytes of shared memory that a block may have.
    pub fn shared(&self) -> u32 {
        self.shared
    }

    /// True when blocks may form clusters and kernels may start before their predecessor has ended (code for 9.0).
    pub fn clusters(&self) -> bool {
        self.clusters
    }

    /// True when a cluster may have 16 blocks.
    pub(super) fn large_clusters(&self) -> bool {
        self.large_clusters
    }

    /// Free and total memory in bytes.
    pub fn memory(&self) -> Result<(usize, usize), CudaError> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: both outputs are valid for writes.
        check("cuMemGetInfo", unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) })?;
        Ok((free, total))
    }

    /// Makes the context current on this thread; a few nanoseconds when it is already.
    pub(super) fn enter(&self) -> Result<(), CudaError> {
        // SAFETY: the context lives as long as `self`.
        check("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    pub(super) fn stream(&self) -> sys::CUstream {
        self.stream
    }

    /// Waits for everything launched so far.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.enter()?;
        // SAFETY: the stream lives as long as `self`.
        check("cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(self.stream) })
    }

    /// True when everything launched so far has ended; an error if any of it failed.
    pub fn is_idle(&self) -> Result<bool, CudaError> {
        // SAFETY: the stream lives as long as `self`.
        match unsafe { sys::cuStreamQuery(self.stream) } {
            sys::CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            result => check("cuStreamQuery", result).map(|()| true),
        }
    }

    fn function(
        &self,
        name: &str,
        Shape { shared, cluster, .. }: Shape,
    ) -> Result<sys::CUfunction, CudaError> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = functions.get(name)
            && found.shared >= shared
        {
            return Ok(found.handle);
        }
        let mut handle = null_mut();
        let c_name = CString::new(name).expect("kernel names have no NUL");
        // SAFETY: the module is loaded, the name ends with NUL, the output is valid for writes.
        unsafe {
            check(
                "cuModuleGetFunction",
                sys::cuModuleGetFunction(&mut handle, self.module, c_name.as_ptr()),
            )?;
            // One split of the memory between cache and shared for all: kernels of different splits cannot be on a
            // multiprocessor together, and the next one is to start early.
            let which = FunctionAttribute::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
            check("cuFuncSetAttribute", sys::cuFuncSetAttribute(handle, which, 100))?;
            if shared > 48 << 10 {
                let which = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                check("cuFuncSetAttribute", sys::cuFuncSetAttribute(handle, which, shared as i32))?;
            }
            // More blocks than every device with clusters promises.
            if cluster > 8 {
                let which = FunctionAttribute::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED;
                check("cuFuncSetAttribute", sys::cuFuncSetAttribute(handle, which, 1))?;
            }
        }
        functions.insert(name.to_string(), Function { handle, shared: shared.max(48 << 10) });
        Ok(handle)
    }

    /// Enqueues a kernel. It may start when its predecessor allows it; kernels wait before they read.
    ///
    /// # Safety
    /// `params` must be the kernel's parameters in order and layout, and the memory they point to must be what the
    /// kernel reads and writes, alive until the stream has run it (for a captured launch: as long as the graph).
    pub(super) unsafe fn launch(
        &self,
        name: &str,
        shape: Shape,
        params: &mut [*mut c_void],
    ) -> Result<(), CudaError> {
        let function = self.function(name, shape)?;
        let mut attributes = [MaybeUninit::<sys::CUlaunchAttribute>::zeroed(); 2];
        let mut count = 0;
        if self.clusters {
            // SAFETY: a zeroed attribute is valid for every kind, and the union's field fits the id beside it.
            unsafe {
                let overlap = attributes[0].assume_init_mut();
                overlap.id = LaunchAttribute::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
                overlap.value.programmaticStreamSerializationAllowed = 1;
                count = 1;
                if shape.cluster > 1 {
                    let cluster = attributes[1].assume_init_mut();
                    cluster.id = LaunchAttribute::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
                    cluster.value.clusterDim.x = shape.cluster;
                    cluster.value.clusterDim.y = 1;
                    cluster.value.clusterDim.z = 1;
                    count = 2;
                }
            }
        }
        let launch = sys::CUlaunchConfig {
            gridDimX: shape.grid[0],
            gridDimY: shape.grid[1],
            gridDimZ: shape.grid[2],
            blockDimX: shape.threads,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: shape.shared,
            hStream: self.stream,
            attrs: attributes.as_mut_ptr().cast(),
            numAttrs: count,
        };
        // SAFETY: the configuration and its attributes outlive the call; the rest is the caller's promise.
        check("cuLaunchKernelEx", unsafe {
            sys::cuLaunchKernelEx(&launch, function, params.as_mut_ptr(), null_mut())
        })
    }

    /// Records what `launches` enqueues instead of running it. Every kernel in it must have been launched before, so
    /// that nothing is loaded or set meanwhile. The graph must not outlive the memory that its launches were given.
    pub fn capture(
        self: &Arc<Self>,
        launches: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<Graph, CudaError> {
        self.enter()?;
        let (mut graph, mut exec) = (null_mut(), null_mut());
        // SAFETY: the stream lives; a capture that begins is always ended, even when a launch fails.
        unsafe {
            let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
            check("cuStreamBeginCapture", sys::cuStreamBeginCapture_v2(self.stream, mode))?;
            let launched = launches();
            let ended = check("cuStreamEndCapture", sys::cuStreamEndCapture(self.stream, &mut graph));
            launched.and(ended)?;
            let instantiated =
                check("cuGraphInstantiate", sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0));
            sys::cuGraphDestroy(graph);
            instantiated?;
            check("cuGraphUpload", sys::cuGraphUpload(exec, self.stream))?;
        }
        Ok(Graph { gpu: self.clone(), exec })
    }

    /// Milliseconds on the device between the start and the end of what `work` enqueues.
    pub fn time(&self, work: impl FnOnce() -> Result<(), CudaError>) -> Result<f32, CudaError> {
        self.enter()?;
        let mut events = [null_mut(); 2];
        let mut milliseconds = 0.0;
        // SAFETY: events are created before and destroyed after their only use; outputs are valid for writes.
        unsafe {
            for event in &mut events {
                check("cuEventCreate", sys::cuEventCreate(event, 0))?;
            }
            check("cuEventRecord", sys::cuEventRecord(events[0], self.stream))?;
            work()?;
            check("cuEventRecord", sys::cuEventRecord(events[1], self.stream))?;
            check("cuEventSynchronize", sys::cuEventSynchronize(events[1]))?;
            let elapsed = sys::cuEventElapsedTime(&mut milliseconds, events[0], events[1]);
            check("cuEventElapsedTime", elapsed)?;
            for event in events {
                sys::cuEventDestroy_v2(event);
            }
        }
        Ok(milliseconds)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.enter().is_err() {
            return;
        }
        // SAFETY: nothing else holds the handles: buffers and graphs keep the device alive.
        unsafe {
            sys::cuStreamSynchronize(self.stream);
            sys::cuModuleUnload(self.module);
            sys::cuStreamDestroy_v2(self.stream);
            sys::cuDevicePrimaryCtxRelease_v2(self.device);
        }
    }
}

/// A recorded sequence of launches.
pub struct Graph {
    gpu: Arc<Gpu>,
    exec: sys::CUgraphExec,
}

// SAFETY: the driver allows any thread to use an executable graph, one at a time; launching takes `&self` of an owner
// that is itself not shared (`Graph` is not `Sync`).
unsafe impl Send for Graph {}

impl Graph {
    /// Enqueues the recorded launches, about 3 µs of this thread's time.
    pub fn launch(&self) -> Result<(), CudaError> {
        self.gpu.enter()?;
        // SAFETY: the executable graph and the stream live as long as `self`.
        check("cuGraphLaunch", unsafe { sys::cuGraphLaunch(self.exec, self.gpu.stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.gpu.enter().is_ok() {
            // SAFETY: the graph is not used any more; one that still runs is freed by the driver afterwards.
            unsafe { sys::cuGraphExecDestroy(self.exec) };
        }
    }
}

/// The address of a kernel parameter.
pub(super) fn param<T>(value: &mut T) -> *mut c_void {
    (value as *mut T).cast()
}
