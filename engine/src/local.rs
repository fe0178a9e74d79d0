//! The real infiller: tokeniser, sessions and a model in this process.

use std::time::Instant;

use crate::completion::{Completion, Counts, Finish, Timings};
use crate::control::Control;
use crate::decode::{Filled, Span};
use crate::error::EngineError;
use crate::infill::Infill;
use crate::model::{Hardware, Model};
use crate::pace::Pace;
use crate::request::{DocumentId, Prompt, Request};
use crate::sampler::Sampler;
use crate::session::Sessions;
use crate::stem;
use crate::stream::{self, Stream};
use crate::tokenizer::Tokenizer;

/// A model with the sessions of the documents it completes.
pub struct Local {
    model: Box<dyn Model>,
    tokenizer: Tokenizer,
    sessions: Sessions,
    pace: Pace,
    /// The last prompt's stream: a request often has the prompt that its session has just been prepared for.
    last: Option<(Prompt, Stream)>,
}

impl Local {
    /// An infiller without sessions.
    pub fn new(model: Box<dyn Model>, tokenizer: Tokenizer) -> Self {
        let sessions = Sessions::new(model.slots());
        Local { model, tokenizer, sessions, pace: Pace::default(), last: None }
    }

    fn stream(&mut self, prompt: &Prompt) -> Stream {
        match &self.last {
            Some((last, stream)) if last == prompt => stream.clone(),
            _ => {
                let stream = stream::build(prompt, &self.tokenizer, self.model.config());
                self.last = Some((prompt.clone(), stream.clone()));
                stream
            }
        }
    }

    /// The middle's text behind the stem: lines after the last one asked for are cut, whole lines end with a line break.
    fn text(&self, filled: &Filled, request: &Request, stream: &Stream) -> String {
        let ids: Vec<u32> = filled.tokens.iter().map(|pick| pick.token).collect();
        let mut text = stem::shown(&self.tokenizer.decode(&ids), &stream.stem).to_owned();
        // A limit or the deadline may cut a character; its first bytes are no text.
        text.truncate(text.trim_end_matches('\u{fffd}').len());
        if let Some(max) = request.max_lines
            && let Some((at, _)) = text.match_indices('\n').nth(max - 1)
        {
            text.truncate(at);
        } else if filled.finish == Finish::Enough {
            // The break that ended it, and what its token holds of the next line.
            text.truncate(text.trim_end().len());
        }
        if stream.whole_lines && !text.is_empty() {
            text.push('\n');
        }
        text
    }
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
        let stream = self.stream(&request.prompt);
        let tokenize = clock.elapsed();

        let clock = Instant::now();
        let sampler = Sampler { sampling: request.sampling, banned: self.model.config().special.mask };
        let session = self.sessions.open(request.document);
        let prefilled = session.prefill(&stream.ids, self.model.as_mut(), control)?;
        let prefill = clock.elapsed();

        let clock = Instant::now();
        let filled = match prefilled.logits {
            Some(logits) => {
                let (model, pace) = (self.model.as_mut(), &mut self.pace);
                let span = Span::new(model, session, &self.tokenizer, &sampler, control, request, pace);
                span.fill(&stream.stem, &logits)?
            }
            None => Filled::nothing(),
        };
        let denoise = clock.elapsed();

        let n = filled.tokens.len();
        let log_probability: f32 =
            filled.tokens.iter().map(|pick| pick.probability.max(f32::MIN_POSITIVE).ln()).sum();
        Ok(Completion {
            text: self.text(&filled, request, &stream),
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
        let stream = self.stream(prompt);
        let session = self.sessions.open(document);
        session.prefill(&stream.ids, self.model.as_mut(), control).map(|_| ())
    }
}
