//! The next suggestion, before anybody asks: while one is on the screen the engine has nothing to do, so it works out what
//! would follow it. Accepting the one, or typing it to its end, then shows the other at once.

use std::sync::Arc;

use tower_lsp::lsp_types::Url;

use crate::document::Snapshot;
use crate::reuse::{self, answers::By};
use crate::scheduler;
use crate::selected::Selected;
use crate::site::Site;
use crate::state::State;
use crate::suggestion::Suggestion;

/// Lets the engine answer the question that will come when a suggestion for a document was accepted. It gives way to
/// whatever is asked.
pub(crate) fn work_ahead(state: &State, uri: &Url, suggestion: &Suggestion, snapshot: &Snapshot) {
    let Some(agreed) = state.agreed() else { return };
    let settings = agreed.settings();
    if !settings.next_suggestion {
        return;
    }
    let accepted = Selected { range: suggestion.range.clone(), text: suggestion.text.clone() };
    // The prompt needs no syntax.
    let (snapshot, offset) = accepted.taken(&Snapshot { syntax: None, ..snapshot.clone() });
    let site = Site::at(&snapshot.text, offset);
    let prompt = agreed.prompt(uri, &snapshot, &site);
    let mut request = scheduler::request(&settings, &snapshot, prompt, site.span);
    // Nobody waits.
    request.deadline = None;
    let key = state.answers().key(&request);
    if !state.answers().knows(key) {
        let answers = Arc::clone(&state.answers);
        agreed.engine.ahead(request, move |completion| {
            tracing::debug!(tokens = completion.counts.tokens, "worked ahead");
            reuse::answers::lock(&answers).keep(key, &completion, By::Ahead);
        });
    }
}
