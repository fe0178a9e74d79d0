//! Writes counts beside the server's work: a slow disk holds nobody up, a full one costs a line in the log.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::Stats;
use crate::offers::Settled;

/// Takes what is to be counted; a thread of its own writes it.
pub(crate) struct Tally(Option<Sender<Message>>);

enum Message {
    Settled(Settled),
    /// Answered when all that came before is written, or cannot be.
    Flush(Sender<()>),
}

impl Tally {
    /// Counts into a file; without one, nowhere.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        let writer = file.and_then(|file| {
            let (sender, messages) = mpsc::channel();
            let thread = std::thread::Builder::new().name("stats".into());
            let started = thread.spawn(move || write(&file, &messages));
            started.map_err(|error| tracing::warn!(%error, "suggestions are not counted")).ok()?;
            Some(sender)
        });
        Tally(writer)
    }

    /// Counts what became of a suggestion.
    pub(crate) fn count(&self, settled: Settled) {
        self.send(Message::Settled(settled));
    }

    /// Waits until all is written, but not longer than this.
    pub(crate) fn flush(&self, at_most: Duration) {
        let (done, wait) = mpsc::channel();
        self.send(Message::Flush(done));
        let _ = wait.recv_timeout(at_most);
    }

    fn send(&self, message: Message) {
        if let Some(writer) = &self.0 {
            // The writer lives as long as this.
            let _ = writer.send(message);
        }
    }
}

fn write(file: &std::path::Path, messages: &Receiver<Message>) {
    // What could not be written waits for the next one.
    let mut new = Stats::new();
    let mut told = false;
    while let Ok(message) = messages.recv() {
        match message {
            Message::Settled(settled) => {
                new.count(&settled);
                match super::add(file, &new) {
                    Ok(()) => new = Stats::new(),
                    Err(error) if !std::mem::replace(&mut told, true) => {
                        tracing::warn!(file = %file.display(), %error, "suggestions are not counted for now");
                    }
                    Err(_) => {}
                }
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}
