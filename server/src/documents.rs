//! All open buffers by URI.
//!
//! Handlers run one after the other, in the order in which messages are read, so the map needs no lock for order.
//! It is concurrent because other threads will read snapshots (context from other tabs) while the user types: an
//! entry is held for one edit or one rope clone, never across an await, and nobody holds two.

use std::sync::atomic::{AtomicU64, Ordering};

use cinnabar_engine::DocumentId;
use dashmap::DashMap;
use tower_lsp::lsp_types::Url;

use crate::document::Document;

/// All open buffers.
#[derive(Default)]
pub(crate) struct Documents {
    by_uri: DashMap<Url, Document>,
    n_opened: AtomicU64,
}

impl Documents {
    /// Opens a buffer; one that was open under this URI is replaced, and its request answered with nothing.
    pub(crate) fn open(&self, uri: Url, language: String, version: i32, text: &str) {
        let id = DocumentId(self.n_opened.fetch_add(1, Ordering::Relaxed));
        let document = Document::new(id, language, uri.path(), version, text);
        self.by_uri.insert(uri, document);
    }

    /// Changes a buffer; `None` if none is open under this URI.
    pub(crate) fn edit<T>(&self, uri: &Url, change: impl FnOnce(&mut Document) -> T) -> Option<T> {
        self.by_uri.get_mut(uri).map(|mut document| change(&mut document))
    }

    /// Forgets a buffer. Its request is answered with nothing. `None` if none is open under this URI.
    pub(crate) fn close(&self, uri: &Url) -> Option<DocumentId> {
        self.by_uri.remove(uri).map(|(_, document)| document.id())
    }
}
