//! The engine thread over scripted infillers: newest wins, cancellation, crashes, restart. No sleeps: scripts block on channels.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use cinnabar_engine::{
    Completion, Control, Counts, DocumentId, Engine, EngineError, Finish, Infill, Prompt, Request, Status,
    Timings,
};

/// Answers with the prefix; the prefixes `block`, `panic` and `fail` do what they say.
struct Script {
    /// Tells the test that a blocking request or a preparation has started.
    started: Sender<()>,
}

impl Script {
    fn block(&self, control: &Control) {
        self.started.send(()).unwrap();
        while control.stop().is_none() {
            std::thread::yield_now();
        }
    }
}

impl Infill for Script {
    fn describe(&self) -> String {
        "script".into()
    }

    fn infill(&mut self, request: &Request, control: &mut Control) -> Result<Completion, EngineError> {
        match request.prompt.prefix.as_str() {
            "panic" => panic!("scripted"),
            "fail" => return Err(EngineError::Failed("scripted".into())),
            "block" => {
                self.block(control);
                return Err(EngineError::Cancelled);
            }
            _ => {}
        }
        Ok(Completion {
            text: request.prompt.prefix.clone(),
            finish: Finish::End,
            mean_log_probability: 0.0,
            counts: Counts::default(),
            timings: Timings::default(),
        })
    }

    fn prepare(&mut self, _: DocumentId, prompt: &Prompt, control: &Control) -> Result<(), EngineError> {
        if prompt.prefix == "panic" {
            panic!("scripted");
        }
        self.block(control);
        Err(EngineError::Cancelled)
    }
}

/// An engine over scripts, the channel that tells when a request blocks, and the statuses seen.
fn engine() -> (Engine, Receiver<()>, Arc<Mutex<Vec<String>>>) {
    let (started, blocks) = channel();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let load = Box::new(move || Ok(Box::new(Script { started: started.clone() }) as Box<dyn Infill>));
    let engine = Engine::start(load, move |status| {
        statuses.lock().unwrap().push(match status {
            Status::Loading => "loading".into(),
            Status::Ready(what, _) => what.clone(),
            Status::Down(error) => error.to_string(),
        });
    });
    (engine, blocks, seen)
}

fn request(document: u64, prefix: &str) -> Request {
    Request::new(DocumentId(document), Prompt { prefix: prefix.into(), ..Prompt::default() })
}

fn text(answer: Result<Completion, EngineError>) -> String {
    answer.map_or_else(|error| error.to_string(), |completion| completion.text)
}

#[test]
fn answers_come_back() {
    let (engine, ..) = engine();
    assert_eq!(text(engine.submit(request(1, "a")).wait()), "a");
}

#[test]
fn a_newer_request_stops_the_older_one_of_its_document() {
    let (engine, blocks, _) = engine();
    let older = engine.submit(request(1, "block"));
    blocks.recv().unwrap();
    let newer = engine.submit(request(1, "b"));
    assert_eq!(text(older.wait()), "cancelled");
    assert_eq!(text(newer.wait()), "b");
}

#[test]
fn a_waiting_request_is_superseded_at_once_and_others_are_kept() {
    let (engine, blocks, _) = engine();
    let running = engine.submit(request(1, "block"));
    blocks.recv().unwrap();
    let waiting = engine.submit(request(2, "old"));
    let other = engine.submit(request(3, "other"));
    let newest = engine.submit(request(2, "new"));
    // Answered while the engine is still blocked.
    assert_eq!(text(waiting.wait()), "cancelled");
    drop(running);
    assert_eq!(text(other.wait()), "other");
    assert_eq!(text(newest.wait()), "new");
}

#[test]
fn dropping_a_ticket_or_cancelling_a_document_frees_the_engine() {
    let (engine, blocks, _) = engine();
    let ticket = engine.submit(request(1, "block"));
    blocks.recv().unwrap();
    drop(ticket);
    let next = engine.submit(request(2, "block"));
    blocks.recv().unwrap();
    engine.cancel(DocumentId(2));
    assert_eq!(text(next.wait()), "cancelled");
    assert_eq!(text(engine.submit(request(3, "c")).wait()), "c");
}

#[test]
fn an_error_is_an_answer() {
    let (engine, ..) = engine();
    assert_eq!(text(engine.submit(request(1, "fail")).wait()), "the engine failed: scripted");
    assert_eq!(text(engine.submit(request(1, "d")).wait()), "d");
}

#[test]
fn a_crash_is_survived_once() {
    let (engine, _, seen) = engine();
    assert_eq!(text(engine.submit(request(1, "panic")).wait()), "the engine failed: scripted");
    assert_eq!(text(engine.submit(request(1, "e")).wait()), "e");
    assert_eq!(text(engine.submit(request(1, "panic")).wait()), "the engine failed: scripted");
    let refused = text(engine.submit(request(1, "f")).wait());
    assert!(refused.contains("not running") && refused.contains("scripted"), "{refused}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..4], ["loading", "script", "loading", "script"]);
    assert!(seen[4].contains("2 times"), "{seen:?}");
}

/// A preparation blocks until it is interrupted: by a request of any document, by the next preparation, by cancelling.
#[test]
fn a_preparation_gives_way() {
    let (engine, blocks, _) = engine();
    let prompt = || Prompt { prefix: "p".into(), ..Prompt::default() };
    engine.prepare(DocumentId(1), prompt());
    blocks.recv().unwrap();
    assert_eq!(text(engine.submit(request(2, "a")).wait()), "a");
    engine.prepare(DocumentId(1), prompt());
    blocks.recv().unwrap();
    engine.prepare(DocumentId(1), prompt());
    blocks.recv().unwrap();
    engine.cancel(DocumentId(1));
    assert_eq!(text(engine.submit(request(1, "b")).wait()), "b");
}

/// What is worked out ahead reaches its receiver when nothing else was wanted meanwhile.
#[test]
fn work_ahead_is_done_when_idle_and_gives_way() {
    let (engine, blocks, _) = engine();
    let (then, answers) = channel();
    let ahead = |document, prefix: &str| {
        let then = then.clone();
        engine.ahead(request(document, prefix), move |completion| then.send(completion.text).unwrap());
    };
    ahead(1, "a");
    assert_eq!(answers.recv().unwrap(), "a");
    for asked in [1, 2] {
        ahead(1, "block");
        blocks.recv().unwrap();
        assert_eq!(text(engine.submit(request(asked, "b")).wait()), "b", "of any document");
    }
    ahead(1, "block");
    blocks.recv().unwrap();
    engine.cancel(DocumentId(1));
    ahead(1, "fail");
    ahead(2, "c");
    assert_eq!(answers.recv().unwrap(), "c", "neither what was interrupted nor what failed");
    ahead(1, "panic");
    assert_eq!(text(engine.submit(request(1, "d")).wait()), "d", "a crash is survived");
}

#[test]
fn a_crash_while_preparing_is_survived() {
    let (engine, ..) = engine();
    engine.prepare(DocumentId(1), Prompt { prefix: "panic".into(), ..Prompt::default() });
    assert_eq!(text(engine.submit(request(1, "c")).wait()), "c");
}

#[test]
fn a_failed_load_refuses_with_its_reason() {
    let load = Box::new(|| Err(EngineError::NotRunning("no model".into())));
    let engine = Engine::start(load, |_| ());
    assert!(text(engine.submit(request(1, "g")).wait()).contains("no model"));
}

#[test]
fn dropping_the_engine_answers_everyone() {
    let (engine, blocks, _) = engine();
    let running = engine.submit(request(1, "block"));
    blocks.recv().unwrap();
    let waiting = engine.submit(request(2, "h"));
    drop(engine);
    assert_eq!(text(running.wait()), "cancelled");
    assert_eq!(text(waiting.wait()), "cancelled");
}

#[test]
fn parameters_out_of_range_are_refused() {
    let (engine, ..) = engine();
    let mut bad = request(1, "i");
    bad.decoding.block = 7;
    assert_eq!(text(engine.submit(bad).wait()), "block must be 8, 16, 32 or 64, not 7");
    let mut bad = request(1, "i");
    bad.sampling.temperature = f32::NAN;
    assert!(text(engine.submit(bad).wait()).starts_with("temperature must be 0 to 5"));
    let mut bad = request(1, "i");
    bad.max_lines = Some(0);
    assert!(text(engine.submit(bad).wait()).starts_with("max_lines"));
}
