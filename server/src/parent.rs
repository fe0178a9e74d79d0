//! The editor that started the server: when it is gone, so is the server.

/// True as long as the process lives, or if that cannot be known: then the end of input has to do.
pub(crate) fn lives(process: u32) -> bool {
    #[cfg(unix)]
    {
        let Some(process) = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw) else {
            return true;
        };
        // A process of another user is alive as well.
        rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH)
    }
    #[cfg(not(unix))]
    {
        let _ = process;
        true
    }
}
