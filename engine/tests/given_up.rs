//! A prefill that is given up half way leaves nothing behind that a later request could take for cached.

use cinnabar_engine::config::Config;
use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_engine::{CancelToken, Control, Device, EngineError, Infill, Local, load_model};

use crate::support::{goldens, options, tokenizer};

/// A device whose first prefill is cancelled while it runs: it has computed other rows than those asked for by then.
struct Interrupted {
    model: Box<dyn Model>,
    cancel: Option<CancelToken>,
}

impl Model for Interrupted {
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
        let Some(cancel) = self.cancel.take() else { return self.model.prefill(slot, at, ids, head, stop) };
        cancel.cancel();
        self.model.forward(slot, at, &vec![7; ids.len()], Attention::Causal, Head::None)?;
        Ok(!stop())
    }
}

#[test]
fn a_prefill_given_up_counts_nothing_as_cached() {
    let golden = &goldens()[0];
    let mut request = golden.request();
    request.max_tokens = 12;
    let cancel = CancelToken::default();
    let model =
        Interrupted { model: load_model(&options(Device::Cpu)).unwrap(), cancel: Some(cancel.clone()) };
    let mut infill = Local::new(Box::new(model), tokenizer());
    let cancelled = infill.infill(&request, &mut Control::new(cancel, None, None));
    assert!(matches!(cancelled, Err(EngineError::Cancelled)), "{cancelled:?}");
    let after = infill.infill(&request, &mut Control::unbounded()).unwrap();
    let mut fresh = Local::new(load_model(&options(Device::Cpu)).unwrap(), tokenizer());
    let expected = fresh.infill(&request, &mut Control::unbounded()).unwrap();
    assert_eq!((after.counts.reused, &after.text), (0, &expected.text));
}
