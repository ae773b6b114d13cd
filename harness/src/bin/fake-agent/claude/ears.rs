//! Everything that can happen to a replayed agent, in one queue.

use std::collections::VecDeque;
use std::io::{self, BufRead as _};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};

use crate::signals;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The user says something.
    Message(String),
    /// The user asks for something beside the conversation.
    Control { request: String, subtype: String },
    /// The user answers a request.
    Answer { request: String, is_allowed: bool, message: String },
    /// Standard input has ended.
    InputEnded,
    /// A line of standard input is no JSON.
    Nonsense(String),
    /// A signal came.
    Signal(i32),
    /// Something that was waited for has come to its end, and with what.
    Ended { token: u64, text: String, is_error: bool },
}

/// Listens to standard input, to signals, and to what was started.
#[derive(Debug)]
pub(crate) struct Ears {
    events: Receiver<Event>,
    sender: Sender<Event>,
    /// What was heard before anybody could make use of it.
    earlier: VecDeque<Event>,
    tokens: u64,
}

impl Ears {
    pub(crate) fn open() -> Result<Self, String> {
        let (sender, events) = mpsc::channel();
        let heard = sender.clone();
        signals::listen(&[SIGINT, SIGTERM, SIGHUP], move |signal| {
            drop(heard.send(Event::Signal(signal)));
        })?;
        let heard = sender.clone();
        thread::spawn(move || read_input(&heard));
        Ok(Self { events, sender, earlier: VecDeque::new(), tokens: 0 })
    }

    /// Waits for what happens next. A process that a test forgot leaves.
    pub(crate) fn next(&mut self) -> Event {
        self.next_within(signals::HANG_MAX).unwrap_or_else(|| signals::hang())
    }

    /// Waits for what happens next, for a while.
    pub(crate) fn next_within(&mut self, patience: Duration) -> Option<Event> {
        if let Some(event) = self.earlier.pop_front() {
            return Some(event);
        }
        // The queue cannot end: this holds one of its senders.
        self.events.recv_timeout(patience).ok()
    }

    /// Returns what has happened, if anything has.
    pub(crate) fn heard(&mut self) -> Option<Event> {
        self.earlier.pop_front().or_else(|| self.events.try_recv().ok())
    }

    /// Puts events back to the front, as they were.
    pub(crate) fn put_back(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.earlier.push_front(event);
        }
    }

    /// Does something on a thread of its own, and returns the token of its end.
    pub(crate) fn begin(
        &mut self,
        work: impl FnOnce() -> io::Result<(String, bool)> + Send + 'static,
    ) -> u64 {
        self.tokens += 1;
        let (token, sender) = (self.tokens, self.sender.clone());
        thread::spawn(move || {
            let (text, is_error) = work().unwrap_or_else(|error| (error.to_string(), true));
            // Whoever has left needs no answer.
            drop(sender.send(Event::Ended { token, text, is_error }));
        });
        token
    }
}

/// Tells every line of standard input. The last needs no end.
fn read_input(sender: &Sender<Event>) {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some(event) = event(&line) {
            drop(sender.send(event));
        }
        line.clear();
    }
    drop(sender.send(Event::InputEnded));
}

/// Returns what a line means. A type that nobody knows means nothing.
fn event(line: &[u8]) -> Option<Event> {
    let Ok(line) = serde_json::from_slice::<Value>(line) else {
        return Some(Event::Nonsense(String::from_utf8_lossy(line).trim().to_owned()));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match line["type"].as_str()? {
        "user" => Some(Event::Message(message(&line["message"]["content"]))),
        "control_request" => Some(Event::Control {
            request: text(&line["request_id"]),
            subtype: text(&line["request"]["subtype"]),
        }),
        "control_response" => {
            let response = &line["response"];
            Some(Event::Answer {
                request: text(&response["request_id"]),
                is_allowed: response["response"]["behavior"] == "allow",
                message: text(&response["response"]["message"]),
            })
        }
        _ => None,
    }
}

/// Returns the text of a message: it is one, or a list of parts.
fn message(content: &Value) -> String {
    let whole = content.as_str().map(str::to_owned);
    whole.unwrap_or_else(|| {
        let parts = content.as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
    })
}
