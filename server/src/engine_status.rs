//! What the user sees of the engine: progress while it loads, one message when it is down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cinnabar_engine::Status;
use tower_lsp::lsp_types::notification::Progress;
use tower_lsp::lsp_types::request::WorkDoneProgressCreate;
use tower_lsp::lsp_types::{
    MessageType, NumberOrString, ProgressParams, ProgressParamsValue, WorkDoneProgress,
    WorkDoneProgressBegin, WorkDoneProgressCreateParams, WorkDoneProgressEnd,
};

use crate::client::Client;

/// Follows the engine's status and the client's readiness to hear of it.
pub(crate) struct EngineStatus {
    client: Client,
    /// Taken by the engine's thread and by handlers, for a few assignments; messages are queued under it, so that
    /// their order is the order of what they tell.
    inner: Mutex<Inner>,
}

struct Inner {
    /// The client takes messages (after `initialized`).
    listening: bool,
    /// The client shows progress.
    shows_progress: bool,
    now: Status,
    /// The user was told that the engine is down.
    told: bool,
    bar: Bar,
    n_bars: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Bar {
    None,
    /// The client was asked for it and has not answered.
    Asked,
    Shown,
    /// The client did not want it.
    Refused,
}

impl EngineStatus {
    pub(crate) fn new(client: Client) -> Self {
        let inner = Inner {
            listening: false,
            shows_progress: false,
            now: Status::Loading,
            told: false,
            bar: Bar::None,
            n_bars: 0,
        };
        EngineStatus { client, inner: Mutex::new(inner) }
    }

    /// The engine's status changed.
    pub(crate) fn changed(self: &Arc<Self>, now: &Status) {
        match now {
            Status::Loading => tracing::info!("loading the model"),
            Status::Ready(what, _) => tracing::info!(what, "ready"),
            Status::Down(error) => tracing::error!(%error, "the engine is down"),
        }
        let mut inner = self.lock();
        inner.now = now.clone();
        self.show(&mut inner);
    }

    /// The client takes messages from now on.
    pub(crate) fn client_listens(self: &Arc<Self>, shows_progress: bool) {
        let mut inner = self.lock();
        inner.listening = true;
        inner.shows_progress = shows_progress;
        self.show(&mut inner);
    }

    /// The client answered whether it shows a progress bar.
    fn bar_answered(self: &Arc<Self>, granted: bool) {
        let mut inner = self.lock();
        inner.bar = if granted { Bar::None } else { Bar::Refused };
        if granted && matches!(inner.now, Status::Loading) {
            inner.bar = Bar::Shown;
            self.progress(
                inner.n_bars,
                WorkDoneProgress::Begin(WorkDoneProgressBegin {
                    title: "Cinnabar: loading the model".into(),
                    cancellable: Some(false),
                    message: None,
                    percentage: None,
                }),
            );
        }
    }

    /// Brings what the user sees up to date.
    fn show(self: &Arc<Self>, inner: &mut Inner) {
        if !inner.listening {
            return;
        }
        match (&inner.now, inner.bar) {
            (Status::Loading, Bar::None) if inner.shows_progress => {
                inner.bar = Bar::Asked;
                inner.n_bars += 1;
                let status = Arc::clone(self);
                let params = WorkDoneProgressCreateParams { token: token(inner.n_bars) };
                self.client.request::<WorkDoneProgressCreate>(params, move |reply| {
                    status.bar_answered(reply.is_ok());
                });
            }
            (Status::Ready(what, _), Bar::Shown) => self.end_bar(inner.n_bars, what.clone()),
            (Status::Down(_), Bar::Shown) => self.end_bar(inner.n_bars, "failed".into()),
            _ => {}
        }
        if inner.bar == Bar::Shown && !matches!(inner.now, Status::Loading) {
            inner.bar = Bar::None;
        }
        if let Status::Down(error) = &inner.now
            && !std::mem::replace(&mut inner.told, true)
        {
            self.client.show(MessageType::ERROR, format!("Cinnabar cannot complete: {error}"));
        }
    }

    fn end_bar(&self, n: u32, message: String) {
        self.progress(n, WorkDoneProgress::End(WorkDoneProgressEnd { message: Some(message) }));
    }

    fn progress(&self, n: u32, step: WorkDoneProgress) {
        let value = ProgressParamsValue::WorkDone(step);
        self.client.notify::<Progress>(ProgressParams { token: token(n), value });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token(n: u32) -> NumberOrString {
    NumberOrString::String(format!("cinnabar/loading/{n}"))
}
