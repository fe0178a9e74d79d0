//! The connection: reads messages, lets the service answer them, writes what there is to write.
//!
//! This stands in for tower-lsp's own transport, which ends at the first malformed message, answers four requests
//! at a time (cancellations and edits included), and waits for the end of input after `exit`. Here each message is
//! handled up to its first await before the next one is read, so edits and requests take effect in their order;
//! what has to wait then waits on its own, however much of it there is.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tower_lsp::jsonrpc::{Error, Id, Request, Response};
use tower_service::Service;

use crate::client::{Client, Outgoing};
use crate::frames::{self, Frames, Malformed};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client said `exit`. `in_order`: after `shutdown`.
    Exit {
        /// `shutdown` came before.
        in_order: bool,
    },
    /// The input ended.
    EndOfInput,
    /// The process that started the server is gone.
    ParentGone,
}

/// Bytes read at once.
const READ: usize = 64 * 1024;
/// For what is still to be written when the connection ends, to a client that may not read any more.
const LAST_WRITES: Duration = Duration::from_millis(300);

/// Serves a connection until it ends. `gone` resolves when the client's process is gone.
pub(crate) async fn serve<S>(
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    mut service: S,
    client: Client,
    outbox: UnboundedReceiver<Outgoing>,
    gone: impl Future<Output = ()>,
) -> Ended
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Future<Output = Result<Option<Response>, S::Error>> + Send + Unpin + 'static,
    S::Error: Send + 'static,
{
    // A client that writes and does not read must not stop the reading here.
    let writer = tokio::spawn(write(output, outbox));
    let ended = read(input, &mut service, &client, gone).await;
    client.send(Outgoing::End);
    let _ = tokio::time::timeout(LAST_WRITES, writer).await;
    ended
}

async fn read<S>(
    mut input: impl AsyncRead + Unpin,
    service: &mut S,
    client: &Client,
    gone: impl Future<Output = ()>,
) -> Ended
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Future<Output = Result<Option<Response>, S::Error>> + Send + Unpin + 'static,
    S::Error: Send + 'static,
{
    let mut frames = Frames::default();
    let mut waiting = JoinSet::new();
    let mut shut_down = false;
    tokio::pin!(gone);
    loop {
        while let Some(message) = frames.next() {
            let request = match message.map(classify) {
                Ok(Message::Request(request)) => request,
                Ok(Message::Response(response)) => {
                    client.replied(response);
                    continue;
                }
                Ok(Message::Neither(id)) => {
                    client.send(Outgoing::Response(Response::from_error(id, Error::invalid_request())));
                    continue;
                }
                Err(Malformed(why)) => {
                    tracing::warn!(why, "a malformed message");
                    client.send(Outgoing::Response(Response::from_error(Id::Null, Error::parse_error())));
                    continue;
                }
            };
            match request.method() {
                "exit" => return Ended::Exit { in_order: shut_down },
                "shutdown" => shut_down = true,
                _ => {}
            }
            let id = request.id().cloned();
            match begin(service, request).await {
                // The router is silent about methods that it may ignore, but not if they are requests.
                Begun::Done(response) => reply(client, response.or_else(|| id.map(no_such_method))),
                Begun::Panicked => reply(client, id.map(internal_error)),
                Begun::Waits(answer) => {
                    waiting.spawn(async move { answer.await.ok().flatten() });
                }
            }
        }
        tokio::select! {
            read = input.read_buf(reserve(frames.buffer())) => match read {
                Ok(0) => return Ended::EndOfInput,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "reading failed");
                    return Ended::EndOfInput;
                }
            },
            Some(answer) = waiting.join_next() => reply(client, answer.unwrap_or_default()),
            () = &mut gone => return Ended::ParentGone,
        }
    }
}

fn reserve(buffer: &mut Vec<u8>) -> &mut Vec<u8> {
    buffer.reserve(READ);
    buffer
}

enum Begun<F> {
    Done(Option<Response>),
    Waits(F),
    /// The handler has a bug. Its message is lost, the server lives.
    Panicked,
}

/// Runs a message's handler up to its first await.
async fn begin<S>(service: &mut S, request: Request) -> Begun<S::Future>
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Future<Output = Result<Option<Response>, S::Error>> + Unpin,
{
    let mut answer = None;
    let mut request = Some(request);
    let polled = poll_fn(|context| {
        let started = catch_unwind(AssertUnwindSafe(|| {
            let answer =
                answer.get_or_insert_with(|| service.call(request.take().expect("because polled once")));
            std::pin::Pin::new(answer).poll(context)
        }));
        Poll::Ready(started)
    })
    .await;
    match (polled, answer) {
        (Ok(Poll::Ready(response)), _) => Begun::Done(response.ok().flatten()),
        (Ok(Poll::Pending), Some(answer)) => Begun::Waits(answer),
        (Ok(Poll::Pending), None) | (Err(_), _) => Begun::Panicked,
    }
}

enum Message {
    Request(Request),
    Response(Response),
    /// Neither, with the id it has.
    Neither(Id),
}

fn classify(mut message: Value) -> Message {
    // Some clients write that there are no parameters; tower-lsp refuses `shutdown` with them.
    if let Some(members) = message.as_object_mut()
        && members.get("params").is_some_and(Value::is_null)
    {
        members.remove("params");
    }
    let id = message.get("id").and_then(|id| serde_json::from_value(id.clone()).ok()).unwrap_or(Id::Null);
    let read = if message.get("method").is_some() {
        serde_json::from_value(message).map(Message::Request)
    } else {
        serde_json::from_value(message).map(Message::Response)
    };
    read.unwrap_or(Message::Neither(id))
}

fn reply(client: &Client, response: Option<Response>) {
    if let Some(response) = response {
        client.send(Outgoing::Response(response));
    }
}

fn no_such_method(id: Id) -> Response {
    Response::from_error(id, Error::method_not_found())
}

fn internal_error(id: Id) -> Response {
    Response::from_error(id, Error::internal_error())
}

async fn write(mut output: impl AsyncWrite + Unpin, mut outbox: UnboundedReceiver<Outgoing>) {
    while let Some(message) = outbox.recv().await {
        let frame = match &message {
            Outgoing::Request(request) => frames::encode(request),
            Outgoing::Response(response) => frames::encode(response),
            Outgoing::End => return,
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "a message cannot be encoded");
                continue;
            }
        };
        let written = async {
            output.write_all(&frame).await?;
            output.flush().await
        };
        if let Err(error) = written.await {
            // The input's end follows; until then there is nobody to write to.
            tracing::warn!(%error, "writing failed");
            return;
        }
    }
}
