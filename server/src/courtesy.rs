//! The engine gives way: to the editor, and to what is compiled beside it.
//!
//! Linux gives each thread its own priority, so the threads that compute are put behind the others and the protocol's
//! are not. Elsewhere priorities belong to processes or are raised again by the system's own rules; there the threads of the
//! engine are as important as any, and the setting `threads` is what leaves cores free.

/// How much nicer the engine is: a third of the processor time of a program that wants all of it at the same time.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Puts the calling thread, and those that it starts from now on, behind other programs.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        // A process id of 0 is the calling thread here.
        let nicer = getpriority_process(None).and_then(|now| setpriority_process(None, now + NICER));
        if let Err(error) = nicer {
            tracing::warn!(%error, "the engine runs with the priority of the editor");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_thread_and_its_helpers_give_way_and_no_other() {
        let before = getpriority_process(None).unwrap();
        let engine = std::thread::spawn(|| {
            give_way();
            let helper = std::thread::spawn(|| getpriority_process(None).unwrap());
            (getpriority_process(None).unwrap(), helper.join().unwrap())
        });
        let nicer = (before + NICER).min(19);
        assert_eq!(engine.join().unwrap(), (nicer, nicer));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
