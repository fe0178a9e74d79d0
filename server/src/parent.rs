//! The editor that started the server: when it is gone, so is the server.

use std::time::Duration;

/// How often it is looked at where the system does not tell. The end of input usually comes first.
const EVERY: Duration = Duration::from_millis(500);

/// Resolves when a process is gone; never, if that cannot be known: then the end of input has to do.
pub(crate) async fn gone(process: u32) {
    #[cfg(target_os = "linux")]
    if let Some(()) = told_gone(process).await {
        return;
    }
    while lives(process) {
        tokio::time::sleep(EVERY).await;
    }
}

/// The same without a look at it now and then; `None` if the system does not tell.
#[cfg(target_os = "linux")]
async fn told_gone(process: u32) -> Option<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let process = Pid::from_raw(process.try_into().ok()?)?;
    let end = pidfd_open(process, PidfdFlags::empty()).ok()?;
    let (tell, told) = tokio::sync::oneshot::channel();
    // It waits as long as both live, and costs nothing.
    std::thread::spawn(move || {
        let ended = poll(&mut [PollFd::new(&end, PollFlags::IN)], None);
        let _ = tell.send(ended.ok().map(drop));
    });
    told.await.ok().flatten()
}

/// True as long as the process lives, or if that cannot be known.
fn lives(process: u32) -> bool {
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
