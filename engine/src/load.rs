//! From a model path and a device to a running infiller.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use cinnabar_kernels::Activations;
pub use cinnabar_kernels::cuda::pack::Format as WeightFormat;

use crate::config::Config;
use crate::cpu::{CpuModel, CpuOptions};
use crate::cuda::{CudaModel, CudaOptions};
use crate::error::EngineError;
use crate::gguf::Gguf;
use crate::infill::Infill;
use crate::local::Local;
use crate::model::Model;
use crate::reference::Reference;
use crate::tokenizer::Tokenizer;

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The fastest usable device; what was chosen is in [`Infill::describe`].
    #[default]
    Auto,
    /// This processor, with the fastest instructions it has.
    Cpu,
    /// This processor through candle in f32: slow, the yardstick for everything else.
    Reference,
    /// An NVIDIA GPU by its index.
    Cuda(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => out.write_str("auto"),
            Device::Cpu => out.write_str("cpu"),
            Device::Reference => out.write_str("reference"),
            Device::Cuda(n) => write!(out, "cuda:{n}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "reference" => Ok(Device::Reference),
            "cuda" => Ok(Device::Cuda(0)),
            _ => {
                text.strip_prefix("cuda:").and_then(|n| n.parse().ok()).map(Device::Cuda).ok_or_else(|| {
                    format!("unknown device {text:?}; use auto, cpu, reference, cuda or cuda:N")
                })
            }
        }
    }
}

/// What to load and where.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// A GGUF file, or the first shard of one. `tokenizer.json` stands beside it.
    pub model: PathBuf,
    /// Where it runs.
    pub device: Device,
    /// Threads of the CPU engine; `None` is one per physical core.
    pub threads: Option<usize>,
    /// Instruction level of the CPU engine, for comparisons; `None` is the best that the processor has.
    pub level: Option<String>,
    /// The CPU engine computes in f32 with the weights as they are, which is slower; otherwise it rounds rows to bytes and
    /// weights to seven bits.
    pub exact: bool,
    /// How a GPU keeps the weights; the CPU engines have one way.
    pub weights: WeightFormat,
}

/// Loads a model with its tokeniser. Takes as long as mapping and repacking the weights takes.
pub fn load(options: &LoadOptions) -> Result<Box<dyn Infill>, EngineError> {
    let gguf = Gguf::open(&options.model)?;
    let config = Config::from_gguf(&gguf)?;
    let (path, vocab) = (gguf.path().with_file_name("tokenizer.json"), config.vocab);
    // Reading the vocabulary takes a third of the time and one thread: the weights are packed meanwhile.
    let (tokenizer, model) = std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| Tokenizer::open(&path, vocab));
        let model = place(config, &gguf, options);
        (tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), model)
    });
    Ok(Box::new(Local::new(model?, tokenizer?)))
}

/// Loads a model alone, for benches and golden files.
pub fn load_model(options: &LoadOptions) -> Result<Box<dyn Model>, EngineError> {
    let gguf = Gguf::open(&options.model)?;
    place(Config::from_gguf(&gguf)?, &gguf, options)
}

fn place(config: Config, gguf: &Gguf, options: &LoadOptions) -> Result<Box<dyn Model>, EngineError> {
    let cuda = CudaOptions { weights: options.weights, ..CudaOptions::default() };
    match options.device {
        Device::Auto => match CudaModel::new(config.clone(), gguf, &cuda) {
            Ok(model) => Ok(Box::new(model)),
            Err(error) => {
                // Whoever leaves the choice to us, and wants fp8 where there is a GPU, is served here as well.
                tracing::info!(%error, "no GPU is used");
                let weights = WeightFormat::default();
                place(config, gguf, &LoadOptions { device: Device::Cpu, weights, ..options.clone() })
            }
        },
        Device::Cpu | Device::Reference if options.weights != WeightFormat::default() => {
            Err(EngineError::Device {
                device: options.device.to_string(),
                reason: format!("{} weights are for a GPU", options.weights),
                hint: "leave out --weights (the setting `weights`), or use --device cuda or auto".into(),
            })
        }
        Device::Cpu => {
            let cpu = CpuOptions {
                threads: options.threads,
                level: options.level.clone(),
                activations: if options.exact { Activations::F32 } else { Activations::Int8 },
            };
            Ok(Box::new(CpuModel::new(config, gguf, &cpu)?))
        }
        Device::Reference => Ok(Box::new(Reference::new(config, gguf)?)),
        Device::Cuda(index) => Ok(Box::new(CudaModel::new(config, gguf, &CudaOptions { index, ..cuda })?)),
    }
}

/// Instructions that the CPU engine uses on this machine, for people.
pub fn cpu_level() -> &'static str {
    cinnabar_kernels::Level::detect().name()
}
