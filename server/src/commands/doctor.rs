//! `cinnabar doctor`: what keeps suggestions from coming, and what to do about it.

use std::fmt::Write;
use std::path::Path;

use cinnabar_engine::{Device, Hardware, LoadOptions};
use serde::Serialize;
use serde_json::json;

use super::{model, start_engine};
use crate::cli::Global;
use crate::privacy::IGNORE_FILE;
use crate::settings::sources::Setup;
use crate::settings::{self, Layers, Settings};
use crate::{model_path, stats, terminal};

mod editors;

/// Looks at this machine as a server would that is started in this folder.
///
/// The exit code is 1 when something is broken: no suggestion would come.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    state: State,
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Suggestions come, but not as well as they could.
    Weak,
    /// None come.
    Broken,
}

impl Finding {
    fn good(about: &'static str, found: impl Into<String>) -> Self {
        Finding { about, state: State::Good, found: found.into(), advice: None }
    }

    fn weak(about: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Finding { about, state: State::Weak, found: found.into(), advice: Some(advice.into()) }
    }

    fn broken(about: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Finding { about, state: State::Broken, found: found.into(), advice: Some(advice.into()) }
    }
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let folder = Path::new(".");
    let setup = Setup::of_this_user(global.settings());
    let (layers, problems) = setup.layers(&[folder.to_owned()]);
    let settings = layers.resolve();
    let mut findings = vec![program(), processor()];
    findings.extend(engine(&settings, global));
    findings.extend(problems.iter().filter_map(|(source, problems)| {
        let told = problems.message(*source)?;
        Some(Finding::weak("settings", told, "`cinnabar settings` shows what each may be"))
    }));
    findings.push(given(&layers, &settings));
    findings.push(ignored(folder));
    findings.push(counts());
    findings.extend(editors::findings());
    let text = if args.json { format!("{:#}\n", json!({ "findings": findings })) } else { page(&findings) };
    terminal::print(&text)?;
    let broken = findings.iter().filter(|finding| finding.state == State::Broken).count();
    anyhow::ensure!(broken == 0, "no suggestion would come: {broken} of the above");
    Ok(())
}

fn page(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { about, state, found, advice } in findings {
        let mark = match state {
            State::Good => "ok",
            State::Weak => "note",
            State::Broken => "BROKEN",
        };
        let mut lines = found.trim_end().lines();
        let _ = writeln!(text, "{mark:<7} {about:<10} {}", lines.next().unwrap_or_default());
        lines.for_each(|line| text.push_str(&format!("{:19}{line}\n", "")));
        if let Some(advice) = advice {
            let _ = writeln!(text, "{:19}-> {advice}", "");
        }
    }
    text
}

fn program() -> Finding {
    let commit = option_env!("CINNABAR_COMMIT").unwrap_or("unknown");
    let found = format!(
        "{} ({commit}), {}, {}",
        env!("CARGO_PKG_VERSION"),
        env!("CINNABAR_TARGET"),
        env!("CINNABAR_PROFILE")
    );
    if env!("CINNABAR_PROFILE") == "release" {
        return Finding::good("program", found);
    }
    Finding::weak(
        "program",
        found,
        "build with --release: everything but the model's kernels is slow like this",
    )
}

fn processor() -> Finding {
    let level = cinnabar_engine::cpu_level();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let found = format!("{level}, {threads} hardware threads");
    if level == "reference" {
        return Finding::weak(
            "processor",
            found,
            "the kernels want AVX2 or NEON; without them a GPU or patience",
        );
    }
    Finding::good("processor", found)
}

/// The model and where it runs, with a completion as the trial.
fn engine(settings: &Settings, global: &Global) -> Vec<Finding> {
    let model = match model_path::find(settings.model.as_deref()) {
        Ok(model) => model,
        Err(error) => {
            let advice =
                "install a model as the README says, or name one with --model or the setting `model`";
            return vec![Finding::broken("model", error.to_string(), advice)];
        }
    };
    let mut findings = Vec::new();
    match model::files(&model) {
        Ok(files) => {
            let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
            let found = format!("{} ({} files, {:.1} MB)", model.display(), files.len(), bytes as f64 / 1e6);
            findings.push(Finding::good("model", found));
        }
        Err(error) => findings.push(Finding::broken("model", format!("{error:#}"), "make it readable")),
    }
    let Settings { device, weights, threads, .. } = *settings;
    let exact = global.exact;
    let options = LoadOptions { model, device, weights, threads, exact, ..LoadOptions::default() };
    let ready = match start_engine(options.clone()) {
        Ok(ready) => ready,
        Err(error) => {
            let advice =
                "a damaged model is copied anew; a device that cannot be used is left with --device auto";
            findings.push(Finding::broken("engine", format!("{error:#}"), advice));
            return findings;
        }
    };
    let found = format!("{device}: {}, loaded in {}", ready.device, model::milliseconds(ready.loaded));
    findings.push(Finding::good("engine", found));
    if device == Device::Auto && ready.hardware == Hardware::Processor {
        // `auto` has asked for it and gone on; here the reason is of interest.
        let gpu = cinnabar_engine::load_model(&LoadOptions { device: Device::Cuda(0), ..options });
        findings.push(match gpu {
            Ok(_) => Finding::good("gpu", "can be used"),
            Err(error) => Finding::good("gpu", format!("none is used: {error}")),
        });
    }
    findings.push(match model::trial(&ready.engine) {
        Ok(completion) => {
            let timings = completion.timings;
            let [tokenize, prefill, denoise] =
                [timings.tokenize, timings.prefill, timings.denoise].map(model::milliseconds);
            let found = format!(
                "`return ` is completed with {:?}: tokenize {tokenize}, prefill {prefill}, denoise {denoise}",
                completion.text
            );
            Finding::good("trial", found)
        }
        Err(error) => Finding::broken("trial", format!("{error:#}"), "run `cinnabar model check -vv`"),
    });
    findings
}

fn given(layers: &Layers, settings: &Settings) -> Finding {
    let origins = layers.origins();
    let mut found = String::new();
    for key in settings::keys() {
        if let Some((value, source)) = origins.get(key.name) {
            let _ = writeln!(found, "{} = {value} from {source}", key.name);
        }
    }
    if found.is_empty() {
        found.push_str("all as built in; an editor may say more");
    }
    if !settings.enable {
        return Finding::broken("settings", found, "nothing is suggested while `enable` is false");
    }
    Finding::good("settings", found)
}

fn ignored(folder: &Path) -> Finding {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let files = folder.ancestors().map(|folder| folder.join(IGNORE_FILE)).filter(|file| file.is_file());
    let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
    let own = if files.is_empty() { format!("no {IGNORE_FILE}") } else { files.join(", ") };
    Finding::good("not read", format!("what may hold secrets, by its name; {own}"))
}

fn counts() -> Finding {
    let Some(file) = stats::default_file() else {
        return Finding::weak("counts", "no home directory", "nothing is counted without one");
    };
    match stats::read(&file) {
        Ok(counted) => {
            Finding::good("counts", format!("{} ({} suggestions)", file.display(), counted.total().offered))
        }
        Err(error) => Finding::weak(
            "counts",
            format!("{}: {error}", file.display()),
            "nothing is counted; `cinnabar stats --reset` begins anew",
        ),
    }
}
