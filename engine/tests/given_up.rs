//! A prefill that is given up half way leaves nothing behind that a later request could take for cached.

use cinnabar_engine::{CancelToken, Control, Device, EngineError, Infill, Local, load_model};

use crate::disturbed::Disturbed;
use crate::support::{goldens, options, tokenizer};

#[test]
fn a_prefill_given_up_counts_nothing_as_cached() {
    let golden = &goldens()[0];
    let mut request = golden.request();
    request.max_tokens = 12;
    let cancel = CancelToken::default();
    let cancelling = cancel.clone();
    let mut infill = Local::new(Disturbed::in_prefill(move || cancelling.cancel()), tokenizer());
    let cancelled = infill.infill(&request, &mut Control::new(cancel, None, None));
    assert!(matches!(cancelled, Err(EngineError::Cancelled)), "{cancelled:?}");
    let after = infill.infill(&request, &mut Control::unbounded()).unwrap();
    let mut fresh = Local::new(load_model(&options(Device::Cpu)).unwrap(), tokenizer());
    let expected = fresh.infill(&request, &mut Control::unbounded()).unwrap();
    assert_eq!((after.counts.reused, &after.text), (0, &expected.text));
}
