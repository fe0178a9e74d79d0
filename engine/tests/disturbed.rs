//! The shipped model on a device that something happens to while it runs.

use cinnabar_engine::config::Config;
use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_engine::{Device, EngineError, load_model};

use crate::support::options;

/// What happens.
type Event = Box<dyn FnOnce() + Send>;

/// Each event happens once.
pub(crate) struct Disturbed {
    model: Box<dyn Model>,
    prefill: Option<Event>,
    forward: Option<Event>,
}

impl Disturbed {
    /// `event` happens in the first prefill, which has computed other rows than those asked for by then.
    pub(crate) fn in_prefill(event: impl FnOnce() + Send + 'static) -> Box<dyn Model> {
        Self::with(Some(Box::new(event)), None)
    }

    /// `event` happens in the first pass that is none of the stream's.
    pub(crate) fn in_forward(event: impl FnOnce() + Send + 'static) -> Box<dyn Model> {
        Self::with(None, Some(Box::new(event)))
    }

    fn with(prefill: Option<Event>, forward: Option<Event>) -> Box<dyn Model> {
        Box::new(Disturbed { model: load_model(&options(Device::Cpu)).unwrap(), prefill, forward })
    }
}

impl Model for Disturbed {
    fn config(&self) -> &Config {
        self.model.config()
    }

    fn device(&self) -> String {
        self.model.device()
    }

    fn slots(&self) -> usize {
        self.model.slots()
    }

    fn max_rows(&self) -> usize {
        self.model.max_rows()
    }

    fn forward(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        attention: Attention,
        head: Head<'_>,
    ) -> Result<(), EngineError> {
        if let Some(event) = self.forward.take() {
            event();
        }
        self.model.forward(slot, at, ids, attention, head)
    }

    fn prefill(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        head: Head<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, EngineError> {
        let Some(event) = self.prefill.take() else { return self.model.prefill(slot, at, ids, head, stop) };
        event();
        self.model.forward(slot, at, &vec![7; ids.len()], Attention::Causal, Head::None)?;
        Ok(!stop())
    }
}
