//! Runs Python that nobody has read: without a network, in processes that end with it, under limits of time, memory and
//! size, in a fresh folder with a clean environment. What it could still do is read and write the user's files.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Seconds of the processor.
const CPU_SECONDS: u64 = 10;
/// Time by the clock: a program that sleeps is ended, one on a machine with too much to do is not.
const DEADLINE: Duration = Duration::from_secs(300);
/// How often an ended program is looked for.
const POLL: Duration = Duration::from_millis(2);

/// How programs are kept apart from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Network and processes of their own, and limits.
    Namespaces,
    /// Limits alone.
    Limits,
}

/// A place to run programs in.
#[derive(Debug)]
pub(crate) struct Sandbox {
    isolation: Isolation,
    python: String,
}

/// What became of a program.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    /// What it said.
    pub(crate) stdout: String,
    /// Why it failed, if it did: the last line that it complained with.
    pub(crate) failure: Option<String>,
}

impl Sandbox {
    /// Looks for Python and for means to keep it apart, and tries them.
    pub(crate) fn new(isolation: Isolation) -> Result<Self> {
        if cfg!(not(target_os = "linux")) {
            bail!(
                "answers can be run on Linux only: it takes `unshare` and `prlimit` to keep them in bounds"
            );
        }
        // A launcher in the search path would not work in a clean environment: what it starts does.
        let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let python = asked.context("cannot start python3")?.stdout;
        let python = String::from_utf8(python)?.trim().to_string();
        let sandbox = Sandbox { isolation, python };
        let trial = sandbox.run("print(input())", "works").context("cannot start `prlimit` or `unshare`")?;
        match (trial.failure, isolation) {
            (None, _) if trial.stdout == "works\n" => Ok(sandbox),
            (failure, Isolation::Namespaces) => bail!(
                "programs cannot be kept off the network here ({}); if the machine may be trusted to whatever \
                 a model writes, say --allow-execution=unisolated",
                failure.unwrap_or_default()
            ),
            (failure, Isolation::Limits) => {
                bail!("programs cannot be run under limits here ({})", failure.unwrap_or_default())
            }
        }
    }

    /// Runs a program to its end, or to the end of its time.
    pub(crate) fn run(&self, program: &str, input: &str) -> Result<Ran> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("main.py"), program)?;
        fs::write(path("input"), input)?;
        let mut command = self.command(folder.path());
        command.stdin(File::open(path("input"))?);
        // Files, not pipes: their size is limited, and nobody has to empty them meanwhile.
        command.stdout(File::create(path("stdout"))?).stderr(File::create(path("stderr"))?);
        let status = wait(command.spawn()?)?;
        let read =
            |name: &str| fs::read(path(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let failure = match status {
            Some(status) if status.success() => None,
            Some(status) => Some(failure(status, &read("stderr")?)),
            None => Some("out of time".into()),
        };
        Ok(Ran { stdout: read("stdout")?, failure })
    }

    fn command(&self, folder: &Path) -> Command {
        let limits = [
            "prlimit",
            &format!("--cpu={CPU_SECONDS}"),
            "--as=2147483648",
            "--fsize=16777216",
            "--nofile=64",
            "--nproc=64",
            "--core=0",
        ]
        .map(String::from);
        // The first process of a namespace takes all others with it.
        let apart = ["unshare", "--user", "--map-current-user", "--net", "--pid", "--fork", "--kill-child"];
        let mut words: Vec<String> = match self.isolation {
            Isolation::Namespaces => apart.map(String::from).to_vec(),
            Isolation::Limits => Vec::new(),
        };
        words.extend(limits);
        let python = [&self.python, "-I", "-B", "-X", "utf8", "main.py"];
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(python).current_dir(folder).env_clear();
        command.env("HOME", folder).env("TMPDIR", folder).env("LANG", "C.UTF-8").stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}

/// The exit status; nothing if the deadline came first and the program was ended.
fn wait(mut child: Child) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if started.elapsed() < DEADLINE => std::thread::sleep(POLL),
            None => {
                #[cfg(unix)]
                let _ = rustix::process::kill_process_group(
                    rustix::process::Pid::from_child(&child),
                    rustix::process::Signal::KILL,
                );
                // Where there is no group, or it is gone already.
                let _ = child.kill();
                child.wait()?;
                return Ok(None);
            }
        }
    }
}

/// The last line of a complaint, else the exit status.
fn failure(status: ExitStatus, stderr: &str) -> String {
    match stderr.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => line.chars().take(200).collect(),
        None => status.to_string(),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// Where namespaces are not permitted, as in some containers, the limits are tried alone.
    fn sandbox() -> (Sandbox, bool) {
        match Sandbox::new(Isolation::Namespaces) {
            Ok(sandbox) => (sandbox, true),
            Err(_) => (Sandbox::new(Isolation::Limits).unwrap(), false),
        }
    }

    #[test]
    fn programs_run_in_bounds() {
        let (sandbox, apart) = sandbox();
        let cases = [
            // program, input, what it says, a word of its failure
            ("print(int(input()) + 1)", "41", "42\n", None),
            ("assert 1 == 2, 'no'", "", "", Some("AssertionError: no")),
            ("import sys; sys.exit(3)", "", "", Some("3")),
            ("x = bytearray(3 << 30)", "", "", Some("MemoryError")),
            ("open('f', 'wb').write(bytes(32 << 20))", "", "", Some("")),
            (
                "import os; print(sorted(os.environ) == ['HOME', 'LANG', 'PATH', 'TMPDIR'])",
                "",
                "True\n",
                None,
            ),
            (
                "import os; print(os.listdir() != [] and os.getcwd() == os.environ['HOME'])",
                "",
                "True\n",
                None,
            ),
        ];
        for (program, input, stdout, failure) in cases {
            let ran = sandbox.run(program, input).unwrap();
            assert_eq!(ran.stdout, stdout, "{program}: {ran:?}");
            match (&ran.failure, failure) {
                (None, None) => {}
                (Some(found), Some(word)) => assert!(found.contains(word), "{program}: {ran:?}"),
                _ => panic!("{program}: {ran:?}"),
            }
        }
        let network = "import socket; socket.create_connection(('127.0.0.1', 9), 5)";
        let failure = sandbox.run(network, "").unwrap().failure.unwrap();
        assert!(!apart || failure.contains("unreachable"), "{failure}");
    }
}
