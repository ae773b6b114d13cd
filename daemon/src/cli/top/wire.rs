//! Speaks with the daemon for the page: the stream of events, what is asked for, an output.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::state::{Effect, Message};
use crate::api::{
    AnswerRequest, ResetReason, ResetView, SessionEventView, SessionView, SnapshotView, StopAnswer,
    StopReply,
};
use crate::cli::terminal::TextFilter;
use crate::cli::{CliError, path_of};
use crate::client::{Client, Lines};

/// How often it is looked whether a daemon serves again, in milliseconds.
const LOOK_EACH_MS: u64 = 200;

/// Ended sessions on the page, at most. All are counted.
const ENDED_MAX: u32 = 1_000;

/// How far before its end an output is shown from, in bytes.
const OUTPUT_BYTES: u64 = 256 << 10;

/// The page's connections.
pub(super) struct Wire {
    client: Client,
    messages: Sender<Message>,
    watching: JoinHandle<()>,
    following: Option<JoinHandle<()>>,
}

impl Wire {
    /// Begins to watch.
    pub(super) fn start(client: Client, messages: Sender<Message>) -> Self {
        let watching = tokio::spawn(watch(client.clone(), messages.clone()));
        Self { client, messages, watching, following: None }
    }

    /// Does what is to be done. What comes of it is a message.
    pub(super) fn act(&mut self, effect: Effect) {
        let (client, messages) = (self.client.clone(), self.messages.clone());
        match effect {
            Effect::Interrupt(id) => drop(tokio::spawn(stop(client, messages, id, "interrupt"))),
            Effect::Kill(id) => drop(tokio::spawn(stop(client, messages, id, "kill"))),
            Effect::Answer { session, number, digest, approved } => {
                let answer = AnswerRequest { approved, digest, message: None };
                drop(tokio::spawn(async move {
                    let path = format!("{}/requests/{number}", path_of(&session));
                    let answered = client.post_json::<SessionView>(&path, &answer).await;
                    let note = answered.err().map(|error| error.to_string());
                    tell(&messages, Message::Acted { session, note }).await;
                }));
            }
            Effect::Follow { session, generation } => {
                self.unfollow();
                let following = follow(client, messages, session, generation);
                self.following = Some(tokio::spawn(following));
            }
            Effect::Unfollow => self.unfollow(),
            Effect::Quit => {}
        }
    }

    fn unfollow(&mut self) {
        if let Some(following) = self.following.take() {
            following.abort();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.watching.abort();
        self.unfollow();
    }
}

/// Tells the page something. Where there is no page any more, nobody needs to know.
async fn tell(messages: &Sender<Message>, message: Message) {
    let _page_is_gone = messages.send(message).await;
}

/// Tells the page what the daemon tells, from one daemon to the next.
async fn watch(client: Client, messages: Sender<Message>) {
    let mut after = None;
    while !messages.is_closed() {
        if let Err(error) = watch_one(&client, &messages, &mut after).await {
            tell(&messages, Message::Lost(error.to_string())).await;
        }
        sleep(Duration::from_millis(LOOK_EACH_MS)).await;
    }
}

/// Tells the page what one daemon tells. `after` is where one goes on at the next; `None` begins with
/// all that there is.
async fn watch_one(
    client: &Client,
    messages: &Sender<Message>,
    after: &mut Option<u64>,
) -> Result<(), CliError> {
    loop {
        let place = match *after {
            Some(place) => place,
            None => {
                let path = format!("/v1/snapshot?limit={ENDED_MAX}");
                let snapshot: SnapshotView = client.get(&path).await?;
                let place = snapshot.seq;
                tell(messages, Message::Snapshot(snapshot)).await;
                *after.insert(place)
            }
        };
        let path = format!("/v1/events?after={place}&follow=true&view=session");
        let mut lines = Lines::new(client.open(&path).await?);
        tell(messages, Message::Connected).await;
        while let Some(line) = lines.next().await? {
            match parsed(&line)? {
                Told::Event(event) => {
                    *after = Some(event.event.seq);
                    tell(messages, Message::Event(event)).await;
                }
                Told::Reset(reset) => {
                    // What is known may not be all: begin anew.
                    *after = None;
                    tell(messages, Message::Reset(reset)).await;
                    break;
                }
            }
        }
    }
}

enum Told {
    Event(Box<SessionEventView>),
    Reset(ResetReason),
}

fn parsed(line: &[u8]) -> Result<Told, CliError> {
    if let Ok(reset) = serde_json::from_slice::<ResetView>(line) {
        return Ok(Told::Reset(reset.reason));
    }
    let event = serde_json::from_slice(line)
        .map_err(|error| CliError::Own(format!("an event cannot be read: {error}")))?;
    Ok(Told::Event(Box::new(event)))
}

async fn stop(client: Client, messages: Sender<Message>, session: String, how: &str) {
    let path = format!("{}/{how}", path_of(&session));
    let note = match client.post::<StopReply>(&path).await {
        Ok(StopReply { answer: StopAnswer::Accepted, .. }) => None,
        Ok(StopReply { answer: StopAnswer::AlreadyEnded, .. }) => {
            Some("the session had ended already".to_owned())
        }
        Ok(StopReply { answer: StopAnswer::AlreadyStopping, already, .. }) => {
            Some(format!("it is stopping already: {}", already.unwrap_or_default()))
        }
        Err(error) => Some(error.to_string()),
    };
    tell(&messages, Message::Acted { session, note }).await;
}

/// Tells the page what a session prints, from shortly before the end that it has now.
async fn follow(client: Client, messages: Sender<Message>, session: String, generation: u64) {
    let mut filter = TextFilter::default();
    let mut offset = None;
    let reason = loop {
        match copy(&client, &messages, &session, generation, &mut filter, &mut offset).await {
            Ok(()) => break None,
            Err(CliError::Client(error)) if error.is_absence() => {
                sleep(Duration::from_millis(LOOK_EACH_MS)).await;
            }
            Err(error) => break Some(error.to_string()),
        }
    };
    tell(&messages, Message::OutputEnded { generation, reason }).await;
}

async fn copy(
    client: &Client,
    messages: &Sender<Message>,
    session: &str,
    generation: u64,
    filter: &mut TextFilter,
    offset: &mut Option<u64>,
) -> Result<(), CliError> {
    let path = format!("{}/output/stdout", path_of(session));
    let mut place = match *offset {
        Some(place) => place,
        None => {
            // Beyond every end, one is told where the end is.
            let end = client.open(&format!("{path}?offset={}", u64::MAX)).await?.offset();
            end.unwrap_or(0).saturating_sub(OUTPUT_BYTES)
        }
    };
    let mut pieces = client.open(&format!("{path}?offset={place}&follow=true")).await?;
    place = pieces.offset().unwrap_or(place);
    *offset = Some(place);
    while let Some(piece) = pieces.next().await? {
        place += piece.len() as u64;
        *offset = Some(place);
        tell(messages, Message::Printed { generation, text: filter.text_of(&piece) }).await;
    }
    Ok(())
}
