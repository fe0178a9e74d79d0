//! The real infiller: tokeniser, sessions and a model in this process.

use std::time::Instant;

use crate::completion::{Completion, Counts, Timings};
use crate::control::Control;
use crate::decode::{Filled, Span};
use crate::error::EngineError;
use crate::infill::Infill;
use crate::model::{Hardware, Model};
use crate::pace::Pace;
use crate::request::{DocumentId, Prompt, Request};
use crate::sampler::{Pick, Sampler};
use crate::session::{Prefilled, Session, Sessions};
use crate::stream::{self, Stream};
use crate::tokenizer::Tokenizer;

/// A model with the sessions of the documents it completes.
pub struct Local {
    model: Box<dyn Model>,
    tokenizer: Tokenizer,
    sessions: Sessions,
    pace: Pace,
}

impl Local {
    /// An infiller without sessions.
    pub fn new(model: Box<dyn Model>, tokenizer: Tokenizer) -> Self {
        let sessions = Sessions::new(model.slots());
        Local { model, tokenizer, sessions, pace: Pace::default() }
    }

    /// The middle's text: lines after the last one asked for are cut, whole lines end with a line break.
    fn text(&self, tokens: &[Pick], request: &Request, whole_lines: bool) -> String {
        let ids: Vec<u32> = tokens.iter().map(|pick| pick.token).collect();
        let mut text = self.tokenizer.decode(&ids);
        // A limit or the deadline may cut a character; its first bytes are no text.
        text.truncate(text.trim_end_matches('\u{fffd}').len());
        if let Some(max) = request.max_lines
            && let Some((at, _)) = text.match_indices('\n').nth(max - 1)
        {
            text.truncate(at);
        }
        if whole_lines && !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// Brings a session up to date with a stream. Behind a blank, the first token is the one that the model would have said
/// with the blank in it, if it would have said one.
fn first(
    session: &mut Session,
    stream: &Stream,
    model: &mut dyn Model,
    tokenizer: &Tokenizer,
    sampler: &Sampler,
    control: &Control,
) -> Result<Prefilled, EngineError> {
    let Some(ids) = stream.before_blank() else {
        return session.prefill(&stream.ids, model, Some(sampler), control);
    };
    let before = session.prefill(ids, model, Some(sampler), control)?;
    let word = before.known.and_then(|pick| behind_blank(pick, tokenizer));
    let with = session.prefill(&stream.ids, model, Some(sampler).filter(|_| word.is_none()), control)?;
    Ok(Prefilled { known: word.or(with.known), ..before })
}

/// A token without the blank that it begins with; what it takes two tokens to say begins with the first.
fn behind_blank(pick: Pick, tokenizer: &Tokenizer) -> Option<Pick> {
    let text = tokenizer.decode(&[pick.token]);
    let word = text.strip_prefix(' ').filter(|word| !word.trim().is_empty())?;
    tokenizer.encode(word).first().map(|&token| Pick { token, ..pick })
}

impl Infill for Local {
    fn describe(&self) -> String {
        format!("{} on {}", self.model.config().name, self.model.device())
    }

    fn hardware(&self) -> Hardware {
        self.model.hardware()
    }

    fn infill(&mut self, request: &Request, control: &mut Control) -> Result<Completion, EngineError> {
        let clock = Instant::now();
        let stream = stream::build(&request.prompt, &self.tokenizer, self.model.config());
        let tokenize = clock.elapsed();

        let clock = Instant::now();
        let sampler = Sampler { sampling: request.sampling, banned: self.model.config().special.mask };
        let session = self.sessions.open(request.document);
        let prefilled = first(session, &stream, self.model.as_mut(), &self.tokenizer, &sampler, control)?;
        let prefill = clock.elapsed();

        let clock = Instant::now();
        let filled = match prefilled.known {
            Some(known) => {
                let (model, pace) = (self.model.as_mut(), &mut self.pace);
                Span::new(model, session, &self.tokenizer, &sampler, control, request, pace).fill(known)?
            }
            None => Filled::nothing(),
        };
        let denoise = clock.elapsed();

        let n = filled.tokens.len();
        let log_probability: f32 =
            filled.tokens.iter().map(|pick| pick.probability.max(f32::MIN_POSITIVE).ln()).sum();
        Ok(Completion {
            text: self.text(&filled.tokens, request, stream.whole_lines),
            finish: filled.finish,
            mean_log_probability: log_probability / n.max(1) as f32,
            counts: Counts {
                tokens: n,
                stream: stream.ids.len(),
                reused: prefilled.reused,
                forwards: filled.forwards,
                blocks: filled.blocks,
                block: filled.block,
                copies: filled.copies,
                pace: self.pace.estimates(),
            },
            timings: Timings { tokenize, prefill, denoise, ..Timings::default() },
        })
    }

    fn prepare(
        &mut self,
        document: DocumentId,
        prompt: &Prompt,
        control: &Control,
    ) -> Result<(), EngineError> {
        let stream = stream::build(prompt, &self.tokenizer, self.model.config());
        let session = self.sessions.open(document);
        session.prefill(&stream.ids, self.model.as_mut(), None, control).map(|_| ())
    }
}
