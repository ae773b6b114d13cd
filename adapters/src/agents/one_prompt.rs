//! Readers of programs that read one prompt to the end of their input and then do one turn.

use candor_core::agent::{AgentSpec, View};
use serde::de::DeserializeOwned;

use super::{Item, Owed, Place, Reader, line, reading};

/// It is the only thing that such a program is sent.
const PROMPT_KEY: u64 = 0;

/// What is known of such a program, whichever it is.
pub(super) struct Heard {
    prompt: String,
    /// Whether it has said anything that could be understood, and so has its prompt.
    is_heard: bool,
    pub(super) view: View,
}

impl Heard {
    pub(super) fn new(spec: &AgentSpec) -> Self {
        let mut view = View::default();
        view.learned.agent_session.clone_from(&spec.agent_session);
        Self { prompt: spec.prompt.clone(), is_heard: false, view }
    }
}

/// What such programs differ in.
pub(super) trait OnePrompt: Send + Sync {
    /// A line of its output.
    type Line: DeserializeOwned;

    /// What it says on standard error when it does not even begin, and the word for it.
    const SIGNS: &'static [(&'static str, &'static str)];

    /// Returns what is known of it.
    fn heard(&self) -> &Heard;

    /// Returns what is known of it, to be changed.
    fn heard_mut(&mut self) -> &mut Heard;

    /// Takes a line of a known kind. Says whether it was one.
    fn take(&mut self, place: Place, said: Self::Line, items: &mut Vec<Item>) -> bool;

    /// Takes note that it has ended, before what it has reported is final.
    fn ended(&mut self, _stderr: &str) {}

    /// Returns what is still held back: see [`Reader::rest`].
    fn rest(&mut self) -> Option<Item> {
        None
    }
}

impl<P: OnePrompt> Reader for P {
    fn line(&mut self, place: Place, bytes: &[u8], items: &mut Vec<Item>) {
        if line::is_blank(bytes) {
            return;
        }
        let is_known = reading::parse(bytes).is_some_and(|said| self.take(place, said, items));
        if is_known {
            self.heard_mut().is_heard = true;
        } else {
            reading::count_unknown(&mut self.heard_mut().view);
        }
    }

    fn oversized_line(&mut self, _place: Place) {
        reading::count_unknown(&mut self.heard_mut().view);
    }

    fn end(&mut self, stderr: &str) {
        let heard = self.heard_mut();
        if !heard.is_heard && heard.view.report.is_none() {
            heard.view.report = reading::failure_told(stderr, P::SIGNS);
        }
        self.ended(stderr);
        let heard = self.heard_mut();
        heard.is_heard = true;
        heard.view.report_is_final = true;
    }

    fn rest(&mut self) -> Option<Item> {
        OnePrompt::rest(self)
    }

    fn view(&self) -> &View {
        &self.heard().view
    }

    /// The prompt, until it was heard of.
    fn owed(&self) -> Vec<Owed> {
        let Heard { prompt, is_heard, .. } = self.heard();
        if *is_heard {
            return Vec::new();
        }
        vec![Owed { key: PROMPT_KEY, bytes: prompt.as_bytes().to_vec(), is_last: true }]
    }
}
