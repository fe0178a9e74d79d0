//! One file a command, and what they share: the engine, started and ready.

pub(crate) mod bench;
pub(crate) mod complete;
pub(crate) mod completions;
pub(crate) mod decoding;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod lsp;
pub(crate) mod model;
pub(crate) mod settings;
pub(crate) mod stats;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use cinnabar_engine::{Engine, Hardware, LoadOptions, Status};

/// An engine that has loaded its model.
pub(crate) struct Ready {
    pub(crate) engine: Engine,
    /// What runs where, for people.
    pub(crate) device: String,
    /// What it computes on.
    pub(crate) hardware: Hardware,
    /// Time the model took to load.
    pub(crate) loaded: Duration,
}

/// Starts the engine and waits until the model is there, so that a deadline counts from the question.
pub(crate) fn start_engine(options: LoadOptions) -> anyhow::Result<Ready> {
    let started = Instant::now();
    let (status, changes) = mpsc::channel();
    let load = Box::new(move || cinnabar_engine::load(&options));
    let engine = Engine::start(load, move |now| {
        // Nobody listens after the first answer.
        let _ = status.send(now.clone());
    });
    loop {
        match changes.recv()? {
            Status::Loading => {}
            Status::Ready(device, hardware) => {
                return Ok(Ready { engine, device, hardware, loaded: started.elapsed() });
            }
            Status::Down(error) => return Err(error.into()),
        }
    }
}
