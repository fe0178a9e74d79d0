//! The script in place of the model: each request comes to the test, which decides what becomes of it.

use std::sync::mpsc;

use cinnabar_engine::{
    Completion, Control, Counts, DocumentId, EngineError, Finish, Infill, Load, Prompt, Request, Stop,
    Timings,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::harness::HUNG;

/// Where the test meets the engine.
pub struct Stage {
    loads: UnboundedReceiver<Loading>,
    calls: UnboundedReceiver<Call>,
    prepared: UnboundedReceiver<Prompt>,
}

/// The model is to be loaded. Dropping this fails it.
pub struct Loading(mpsc::Sender<Result<(), EngineError>>);

/// A request that the engine runs. Dropping this fails it.
pub struct Call {
    pub request: Request,
    act: mpsc::Sender<Act>,
}

enum Act {
    Answer(String, f32),
    Panic,
    UntilStopped(mpsc::Sender<Stop>),
}

impl Stage {
    /// A stage and what loads it.
    pub fn new() -> (Self, Load) {
        let (ask_load, loads) = unbounded_channel();
        let (ask_call, calls) = unbounded_channel();
        let (show, prepared) = unbounded_channel();
        let load: Load = Box::new(move || {
            let (answer, answered) = mpsc::channel();
            let _ = ask_load.send(Loading(answer));
            let loaded = answered.recv().unwrap_or_else(|_| Err(EngineError::NotRunning("no stage".into())));
            loaded.map(|()| Box::new(Actor(ask_call.clone(), show.clone())) as Box<dyn Infill>)
        });
        (Stage { loads, calls, prepared }, load)
    }

    /// The next time the model is to be loaded.
    pub async fn load(&mut self) -> Loading {
        self.loads.recv().await.expect("the engine lives")
    }

    /// The next request that the engine runs.
    pub async fn call(&mut self) -> Call {
        let call = tokio::time::timeout(HUNG, self.calls.recv()).await.expect("a request for the engine");
        call.expect("the engine lives")
    }

    /// The next request that the engine runs, whenever it comes; `None` when the engine is gone. A model that is loaded
    /// again meanwhile loads.
    pub async fn any_call(&mut self) -> Option<Call> {
        loop {
            tokio::select! {
                Some(loading) = self.loads.recv() => loading.succeed(),
                call = self.calls.recv() => return call,
            }
        }
    }

    /// The next prompt that the engine prepares for.
    pub async fn prepared(&mut self) -> Prompt {
        self.prepared.recv().await.expect("the engine lives")
    }

    /// The next request is answered with a text.
    pub async fn answer(&mut self, text: &str) -> Request {
        let call = self.call().await;
        let request = call.request.clone();
        call.answer(text);
        request
    }
}

impl Loading {
    pub fn succeed(self) {
        self.0.send(Ok(())).unwrap();
    }

    pub fn fail(self, error: EngineError) {
        self.0.send(Err(error)).unwrap();
    }
}

impl Call {
    pub fn answer(self, text: &str) {
        self.answer_as_sure_as(0.0, text);
    }

    pub fn answer_as_sure_as(self, mean_log_probability: f32, text: &str) {
        self.act.send(Act::Answer(text.into(), mean_log_probability)).unwrap();
    }

    pub fn panic(self) {
        self.act.send(Act::Panic).unwrap();
    }

    /// Goes on until the engine is told to stop; says why.
    pub fn until_stopped(self) -> mpsc::Receiver<Stop> {
        let (say, said) = mpsc::channel();
        self.act.send(Act::UntilStopped(say)).unwrap();
        said
    }
}

struct Actor(UnboundedSender<Call>, UnboundedSender<Prompt>);

impl Infill for Actor {
    fn describe(&self) -> String {
        "a script".into()
    }

    fn infill(&mut self, request: &Request, control: &mut Control) -> Result<Completion, EngineError> {
        let (act, acts) = mpsc::channel();
        let _ = self.0.send(Call { request: request.clone(), act });
        match acts.recv() {
            Ok(Act::Answer(text, mean_log_probability)) => Ok(Completion {
                text,
                finish: Finish::End,
                mean_log_probability,
                counts: Counts::default(),
                timings: Timings::default(),
            }),
            Ok(Act::Panic) => panic!("as the script says"),
            Ok(Act::UntilStopped(say)) => loop {
                if let Some(stop) = control.stop() {
                    let _ = say.send(stop);
                    return Err(EngineError::Cancelled);
                }
                std::thread::yield_now();
            },
            Err(_) => Err(EngineError::Failed("the script dropped the call".into())),
        }
    }

    fn prepare(&mut self, _: DocumentId, prompt: &Prompt, _: &Control) -> Result<(), EngineError> {
        let _ = self.1.send(prompt.clone());
        Ok(())
    }
}
