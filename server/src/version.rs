//! What `--version` says: which build this is and what it will run on.

use std::sync::LazyLock;

/// Version, build and device, over several lines.
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        format!(
            "{}\ncommit:  {}\ntarget:  {}\nprofile: {}\ndevice:  cpu ({}), {threads} hardware threads",
            env!("CARGO_PKG_VERSION"),
            option_env!("CINNABAR_COMMIT").unwrap_or("unknown"),
            env!("CINNABAR_TARGET"),
            env!("CINNABAR_PROFILE"),
            cinnabar_engine::cpu_level(),
        )
    });
    &LONG
}
