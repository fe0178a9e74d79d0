//! The resident engine: one thread owns the model, one slot per document feeds it, the newest request wins.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::completion::Completion;
use crate::control::{CancelToken, Control, Watch};
use crate::error::EngineError;
use crate::infill::Infill;
use crate::model::Hardware;
use crate::request::{DocumentId, Prompt, Request};

/// Where the engine stands.
#[derive(Debug, Clone)]
pub enum Status {
    /// The model is being loaded; requests wait.
    Loading,
    /// Requests are answered: what runs where, for people, and what it computes on.
    Ready(String, Hardware),
    /// Requests are refused with this error.
    Down(EngineError),
}

/// Makes the infiller, on the engine's thread; called again after a crash.
pub type Load = Box<dyn FnMut() -> Result<Box<dyn Infill>, EngineError> + Send>;

/// Crashes after which the model is loaded again. One is an accident, more are a bug worth showing.
const RESTARTS: usize = 1;

/// Handle on the engine thread. Dropping it cancels what runs and joins the thread.
pub struct Engine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when a job arrives or the engine closes.
    wake: Condvar,
    on_status: Box<dyn Fn(&Status) + Send + Sync>,
}

struct Queue {
    /// Oldest first, at most one per document.
    waiting: VecDeque<Job>,
    /// What to do when nothing waits; the newest alone counts.
    background: Option<Background>,
    running: Option<Running>,
    status: Status,
    closed: bool,
}

/// What the thread is at.
struct Running {
    document: DocumentId,
    cancel: CancelToken,
    /// It gives way to everything.
    background: bool,
}

/// Work that nobody waits for yet.
enum Background {
    /// Bring a session up to date.
    Prepare(DocumentId, Prompt),
    /// Answer what will probably be asked.
    Ahead(Request, Box<dyn FnOnce(Completion) + Send>),
}

impl Background {
    fn document(&self) -> DocumentId {
        match self {
            Background::Prepare(document, _) => *document,
            Background::Ahead(request, _) => request.document,
        }
    }
}

/// What the thread does next.
enum Work {
    Answer(Job),
    Background(Background, CancelToken),
}

struct Job {
    request: Request,
    cancel: CancelToken,
    watch: Option<Watch>,
    submitted: Instant,
    answer: oneshot::Sender<Result<Completion, EngineError>>,
}

impl Engine {
    /// Starts the thread, which loads the model and then serves. `on_status` is called on that thread at each
    /// change, without a lock held.
    pub fn start(load: Load, on_status: impl Fn(&Status) + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                background: None,
                running: None,
                status: Status::Loading,
                closed: false,
            }),
            wake: Condvar::new(),
            on_status: Box::new(on_status),
        });
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || worker.serve(load))
            .expect("the system can start one thread");
        Engine { shared, thread: Some(thread) }
    }

    /// Where the engine stands now.
    pub fn status(&self) -> Status {
        self.shared.lock().status.clone()
    }

    /// Hands a request to the engine. An older request of the same document is answered with
    /// [`EngineError::Cancelled`] at once if it waits, within one step if it runs.
    pub fn submit(&self, request: Request) -> Ticket {
        self.submit_job(request, None)
    }

    /// Like [`Engine::submit`]; `watch` receives the span after each step, on the engine's thread.
    pub fn submit_watched(&self, request: Request, watch: Watch) -> Ticket {
        self.submit_job(request, Some(watch))
    }

    fn submit_job(&self, request: Request, watch: Option<Watch>) -> Ticket {
        let (answer, receiver) = oneshot::channel();
        let cancel = CancelToken::default();
        let ticket = Ticket { receiver, _cancel: CancelOnDrop(cancel.clone()) };
        let job = Job { request, cancel, watch, submitted: Instant::now(), answer };
        if let Err(error) = job.request.validate() {
            job.reply(Err(error));
            return ticket;
        }
        let mut queue = self.shared.lock();
        if let Status::Down(error) = &queue.status {
            let error = error.clone();
            drop(queue);
            job.reply(Err(error));
            return ticket;
        }
        let document = job.request.document;
        if let Some(running) = &queue.running
            && (running.background || running.document == document)
        {
            running.cancel.cancel();
        }
        queue.background.take_if(|background| background.document() == document);
        let older = queue.waiting.iter().position(|j| j.request.document == document);
        let superseded = older.and_then(|at| queue.waiting.remove(at));
        queue.waiting.push_back(job);
        drop(queue);
        self.shared.wake.notify_one();
        if let Some(job) = superseded {
            job.reply(Err(EngineError::Cancelled));
        }
        ticket
    }

    /// Brings a document's session up to date while nothing else is to be done, so that the next request runs only its
    /// last tokens. Superseded by the next call, whatever its document, and interrupted by every request.
    pub fn prepare(&self, document: DocumentId, prompt: Prompt) {
        self.when_idle(Background::Prepare(document, prompt));
    }

    /// Answers a request that will probably come, while nothing else is to be done, and hands the answer to `then` on the
    /// engine's thread. Superseded and interrupted as [`Engine::prepare`]; then, and when it fails, `then` is not called.
    pub fn ahead(&self, request: Request, then: impl FnOnce(Completion) + Send + 'static) {
        if request.validate().is_ok() {
            self.when_idle(Background::Ahead(request, Box::new(then)));
        }
    }

    fn when_idle(&self, background: Background) {
        let mut queue = self.shared.lock();
        if let Some(running) = queue.running.as_ref().filter(|running| running.background) {
            running.cancel.cancel();
        }
        queue.background = Some(background);
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Cancels what waits or runs for a document.
    pub fn cancel(&self, document: DocumentId) {
        let mut queue = self.shared.lock();
        if let Some(running) = queue.running.as_ref().filter(|running| running.document == document) {
            running.cancel.cancel();
        }
        queue.background.take_if(|background| background.document() == document);
        let waiting = queue.waiting.iter().position(|j| j.request.document == document);
        let job = waiting.and_then(|at| queue.waiting.remove(at));
        drop(queue);
        if let Some(job) = job {
            job.reply(Err(EngineError::Cancelled));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let waiting = std::mem::take(&mut queue.waiting);
        if let Some(running) = &queue.running {
            running.cancel.cancel();
        }
        drop(queue);
        self.shared.wake.notify_one();
        for job in waiting {
            job.reply(Err(EngineError::Cancelled));
        }
        if let Some(thread) = self.thread.take() {
            // The thread catches panics of the model; one of its own has been printed already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A panic elsewhere never leaves the queue half changed: every critical section is a few assignments.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_status(&self, status: Status) {
        self.lock().status = status.clone();
        (self.on_status)(&status);
    }

    /// The engine thread: load, serve until closed; after a crash load again.
    fn serve(&self, mut load: Load) {
        let mut crashes = 0;
        loop {
            self.set_status(Status::Loading);
            let loaded = catch(&mut load).and_then(|loaded| loaded);
            let crash = match loaded {
                Ok(mut infill) => {
                    self.set_status(Status::Ready(infill.describe(), infill.hardware()));
                    match self.work(infill.as_mut()) {
                        Ok(()) => return,
                        Err(crash) => crash,
                    }
                }
                Err(error) => return self.go_down(error),
            };
            crashes += 1;
            if crashes > RESTARTS {
                return self.go_down(EngineError::NotRunning(format!("{crash}, {crashes} times")));
            }
        }
    }

    /// Works until the engine closes (`Ok`) or the model panics (`Err`).
    fn work(&self, infill: &mut dyn Infill) -> Result<(), EngineError> {
        while let Some(work) = self.next() {
            let done = match work {
                Work::Answer(job) => self.answer(job, infill),
                Work::Background(background, cancel) => self.idle(background, cancel, infill),
            };
            done?;
        }
        Ok(())
    }

    /// Does what nobody waits for. Cancelled or failed: the request that comes will do the work or report the error. An
    /// error is a panic of the model.
    fn idle(
        &self,
        background: Background,
        cancel: CancelToken,
        infill: &mut dyn Infill,
    ) -> Result<(), EngineError> {
        let mut control = Control::new(cancel, None, None);
        let done = catch(|| match &background {
            Background::Prepare(document, prompt) => {
                infill.prepare(*document, prompt, &control).map(|()| None)
            }
            Background::Ahead(request, _) => infill.infill(request, &mut control).map(Some),
        });
        self.lock().running = None;
        if let (Ok(Some(completion)), Background::Ahead(_, then)) = (done?, background) {
            then(completion);
        }
        Ok(())
    }

    /// Answers one job; an error is a panic of the model, reported in the answer as well.
    fn answer(&self, mut job: Job, infill: &mut dyn Infill) -> Result<(), EngineError> {
        let queued = job.submitted.elapsed();
        let deadline = job.request.deadline.map(|d: Duration| job.submitted + d);
        let mut control = Control::new(job.cancel.clone(), deadline, job.watch.take());
        let answer = match job.cancel.is_cancelled() {
            true => Ok(Err(EngineError::Cancelled)),
            false => catch(|| infill.infill(&job.request, &mut control)),
        };
        self.lock().running = None;
        let (answer, crash) = match answer {
            Ok(answer) => (answer, Ok(())),
            Err(crash) => (Err(crash.clone()), Err(crash)),
        };
        job.reply(answer.map(|mut completion| {
            completion.timings.queued = queued;
            completion
        }));
        crash
    }

    /// Waits for something to do and marks it as running; `None` when the engine closes.
    fn next(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.waiting.pop_front() {
                let (document, cancel) = (job.request.document, job.cancel.clone());
                queue.running = Some(Running { document, cancel, background: false });
                return Some(Work::Answer(job));
            }
            if let Some(background) = queue.background.take() {
                let (document, cancel) = (background.document(), CancelToken::default());
                queue.running = Some(Running { document, cancel: cancel.clone(), background: true });
                return Some(Work::Background(background, cancel));
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn go_down(&self, error: EngineError) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        self.set_status(Status::Down(error.clone()));
        for job in waiting {
            job.reply(Err(error.clone()));
        }
    }
}

impl Job {
    fn reply(self, result: Result<Completion, EngineError>) {
        // A dropped ticket means that nobody waits.
        let _ = self.answer.send(result);
    }
}

/// Runs the model's code; a panic becomes an error. What it leaves half done is dropped with the model.
fn catch<T>(f: impl FnOnce() -> T) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|s| s.to_string());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        EngineError::Failed(text.unwrap_or_else(|| "panic without a message".into()))
    })
}

/// The claim on an answer. Dropping it cancels the request.
pub struct Ticket {
    receiver: oneshot::Receiver<Result<Completion, EngineError>>,
    _cancel: CancelOnDrop,
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Ticket {
    /// Blocks until the answer is there.
    pub fn wait(self) -> Result<Completion, EngineError> {
        let Ticket { receiver, _cancel } = self;
        receiver.recv().unwrap_or(Err(EngineError::Cancelled))
    }
}

impl IntoFuture for Ticket {
    type Output = Result<Completion, EngineError>;
    type IntoFuture = Answer;

    fn into_future(self) -> Answer {
        Answer { receiver: self.receiver.into_future(), _cancel: self._cancel }
    }
}

/// A [`Ticket`] being awaited. Dropping it cancels the request.
pub struct Answer {
    receiver: oneshot::AsyncReceiver<Result<Completion, EngineError>>,
    _cancel: CancelOnDrop,
}

impl Future for Answer {
    type Output = Result<Completion, EngineError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context).map(|r| r.unwrap_or(Err(EngineError::Cancelled)))
    }
}
