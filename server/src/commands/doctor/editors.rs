//! Which editors are here, and whether they are new enough.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Finding;

/// An editor that can show suggestions.
struct Editor {
    name: &'static str,
    programs: &'static [&'static str],
    /// Major and minor version that the client needs.
    least: (u32, u32),
}

const EDITORS: [Editor; 4] = [
    Editor { name: "VS Code", programs: &["code", "codium", "code-server"], least: (1, 91) },
    Editor { name: "Neovim", programs: &["nvim"], least: (0, 10) },
    Editor { name: "Helix", programs: &["hx", "helix"], least: (23, 10) },
    Editor { name: "Emacs", programs: &["emacs"], least: (29, 0) },
];

/// An editor that does not say its version by then is left alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// One for each editor that is found, or one that says that there is none.
pub(super) fn findings() -> Vec<Finding> {
    let found: Vec<Finding> = EDITORS.iter().filter_map(look).collect();
    if found.is_empty() {
        let advice = "that is fine if your editor lies elsewhere or runs on another machine";
        return vec![Finding::weak("editor", "none on PATH", advice)];
    }
    found
}

fn look(editor: &Editor) -> Option<Finding> {
    let program = editor.programs.iter().find_map(|name| on_path(name))?;
    let place = program.display();
    let Some(line) = first_line(&program) else {
        let advice = "start it by hand and see what it says";
        return Some(Finding::weak(
            "editor",
            format!("{}: {place} --version says nothing", editor.name),
            advice,
        ));
    };
    let found = format!("{}: {line} ({place})", editor.name);
    let (major, minor) = editor.least;
    Some(match version(&line) {
        Some(version) if version < editor.least => {
            Finding::weak("editor", found, &format!("{} {major}.{minor} or newer is needed", editor.name))
        }
        _ => Finding::good("editor", found),
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| endings.iter().map(move |ending| folder.join(format!("{name}{ending}"))))
        .find(|file| file.is_file())
}

/// What the program says first to `--version`, with an end to the waiting.
fn first_line(program: &std::path::Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let started = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// The first two numbers of a line, as in `NVIM v0.10.2` and `1.91.0`.
fn version(line: &str) -> Option<(u32, u32)> {
    let from = line.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = line[from..].split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_editors_say() {
        for (line, expected) in [
            ("NVIM v0.10.2", Some((0, 10))),
            ("1.91.0", Some((1, 91))),
            ("helix 25.07.1 (a05c151b)", Some((25, 7))),
            ("GNU Emacs 29.4", Some((29, 4))),
            ("nothing", None),
            ("7", None),
        ] {
            assert_eq!(version(line), expected, "{line}");
        }
    }
}
