//! The way to the client: notifications and requests that never wait, from any thread.
//!
//! tower-lsp's own client is asynchronous and bounded, so a handler that tells the user something would have to
//! await, and messages are handled in order only up to the first await.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tower_lsp::jsonrpc::{self, Id, Request, Response};
use tower_lsp::lsp_types::notification::{Notification, ShowMessage};
use tower_lsp::lsp_types::request::Request as RequestKind;
use tower_lsp::lsp_types::{MessageType, ShowMessageParams};

/// A message on its way out.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Request(Request),
    Response(Response),
    /// Nothing comes after this.
    End,
}

type OnReply = Box<dyn FnOnce(jsonrpc::Result<Value>) + Send>;

/// A handle on the client. Clones share one queue.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    /// Unbounded: a client that does not read must not stop the server from reading.
    outbox: UnboundedSender<Outgoing>,
    waiting: Mutex<HashMap<i64, OnReply>>,
    n_requests: AtomicI64,
    /// What the user was told. Bounded by the kinds of problems that there are.
    told: Mutex<HashSet<String>>,
}

impl Client {
    /// A client and the queue of what is sent to it.
    pub(crate) fn new() -> (Self, UnboundedReceiver<Outgoing>) {
        let (outbox, sent) = mpsc::unbounded_channel();
        let waiting = Mutex::new(HashMap::new());
        (
            Client(Arc::new(Shared {
                outbox,
                waiting,
                n_requests: AtomicI64::new(0),
                told: Mutex::default(),
            })),
            sent,
        )
    }

    /// Sends a notification.
    pub(crate) fn notify<N: Notification>(&self, params: N::Params) {
        if let Some(params) = to_value::<N::Params>(N::METHOD, params) {
            self.send(Outgoing::Request(Request::build(N::METHOD).params(params).finish()));
        }
    }

    /// Sends a request; `on_reply` is called with the client's answer, while messages are being read.
    pub(crate) fn request<R: RequestKind>(
        &self,
        params: R::Params,
        on_reply: impl FnOnce(jsonrpc::Result<Value>) + Send + 'static,
    ) {
        let Some(params) = to_value::<R::Params>(R::METHOD, params) else { return };
        let id = self.0.n_requests.fetch_add(1, Ordering::Relaxed);
        self.waiting().insert(id, Box::new(on_reply));
        self.send(Outgoing::Request(Request::build(R::METHOD).params(params).id(id).finish()));
    }

    /// Shows the user a message, the first time only: who was told of a problem is not told again.
    pub(crate) fn show(&self, typ: MessageType, message: String) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.insert(message.clone()) {
            return;
        }
        self.notify::<ShowMessage>(ShowMessageParams { typ, message });
    }

    /// Hands the client's answer to whom it belongs.
    pub(crate) fn replied(&self, response: Response) {
        let (id, result) = response.into_parts();
        let waiting = if let Id::Number(id) = id { self.waiting().remove(&id) } else { None };
        match waiting {
            Some(on_reply) => on_reply(result),
            None => tracing::warn!(%id, "an answer to nothing that was asked"),
        }
    }

    pub(crate) fn send(&self, message: Outgoing) {
        // The queue's end is dropped when the connection is over.
        let _ = self.0.outbox.send(message);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<i64, OnReply>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_value<P: serde::Serialize>(method: &str, params: P) -> Option<Value> {
    serde_json::to_value(params).inspect_err(|error| tracing::error!(method, %error, "cannot be sent")).ok()
}
