//! Tells the binary which build it is. Never fails: outside a checkout the commit is unknown.

use std::process::Command;

fn main() {
    for (name, variable) in [("CINNABAR_TARGET", "TARGET"), ("CINNABAR_PROFILE", "PROFILE")] {
        let value = std::env::var(variable).unwrap_or_else(|_| "unknown".into());
        println!("cargo::rustc-env={name}={value}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    // Unpacked inside another project's checkout, git would name that project's commit.
    if git(&["ls-files", "--error-unmatch", "build.rs"]).is_none() {
        return;
    }
    // The log of HEAD grows with each commit and checkout; naming a file that is missing would rebuild every time.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file])
            && std::path::Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo::rustc-env=CINNABAR_COMMIT={commit}");
    }
}

/// A line from git, or nothing when there is no git, no repository or no answer.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}
