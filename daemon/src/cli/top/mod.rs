//! `candor top`: all sessions on one screen, live.
//!
//! `state.rs` and `keys.rs` are a pure function of what the daemon told and what was typed; `view.rs`
//! draws what that knows; `wire.rs` speaks with the daemon. This file ties them to the terminal, and
//! gives that back as it was, however the page is left.

mod asked;
mod keys;
mod output;
mod state;
#[cfg(test)]
mod tests;
mod view;
mod wire;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use candor_core::time::Timestamp;
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::keys::Key;
use self::state::{Effect, Message, State};
use self::wire::Wire;
use super::{CliError, launcher};
use crate::exit_code;
use crate::home::Home;

/// Messages that wait for the page, at most. Who sends more waits.
const MESSAGES_MAX: usize = 1_024;

/// How often the screen is drawn while things change, at most, in milliseconds.
const DRAW_EACH_MS: u64 = 33;

/// How often times on the screen go on, in milliseconds.
const TICK_MS: u64 = 1_000;

/// Shows the page until somebody leaves it.
pub(super) async fn main() -> Result<u8, CliError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(CliError::Own(
            "the page needs a terminal: `candor ls` and `candor events` are for scripts".to_owned(),
        ));
    }
    let client = launcher::connect_or_start(&Home::find()?).await?;
    let mut leave = Leave::listen()?;
    let (sender, mut messages) = mpsc::channel(MESSAGES_MAX);
    let wire = Wire::start(client, sender);
    // Gives the terminal back when the program panics, too.
    let mut terminal = ratatui::try_init().map_err(CliError::Output)?;
    let shown = show(&mut terminal, &mut messages, wire, &mut leave).await;
    let restored = ratatui::try_restore();
    shown?;
    restored.map_err(CliError::Output)?;
    Ok(exit_code::SUCCESS)
}

async fn show(
    terminal: &mut ratatui::DefaultTerminal,
    messages: &mut mpsc::Receiver<Message>,
    mut wire: Wire,
    leave: &mut Leave,
) -> Result<(), CliError> {
    let size = terminal.size()?;
    let mut state = State::new(size.width, size.height);
    let mut keys = EventStream::new();
    let mut drawing = interval(Duration::from_millis(DRAW_EACH_MS));
    drawing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticking = interval(Duration::from_millis(TICK_MS));
    ticking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_drawn = false;
    loop {
        let message = tokio::select! {
            biased;
            () = leave.asked() => return Ok(()),
            _ = drawing.tick(), if !is_drawn => {
                terminal.draw(|frame| view::draw(frame, &state, Timestamp::now()))?;
                is_drawn = true;
                None
            }
            event = keys.next() => match event {
                Some(event) => message_of(event?),
                // The terminal is gone.
                None => return Ok(()),
            },
            message = messages.recv() => message,
            _ = ticking.tick() => {
                is_drawn = false;
                None
            }
        };
        let Some(message) = message else { continue };
        is_drawn = false;
        match state.update(message) {
            Some(Effect::Quit) => return Ok(()),
            Some(effect) => wire.act(effect),
            None => {}
        }
    }
}

/// Returns what an event of the terminal means, if anything.
fn message_of(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) => key_of(key).map(Message::Key),
        Event::Resize(columns, lines) => Some(Message::Resized(columns, lines)),
        _ => None,
    }
}

fn key_of(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if is_control => Key::Break,
        KeyCode::Char(_) if is_control => return None,
        KeyCode::Char(character) => Key::Character(character),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

/// The signals that ask the page to leave.
struct Leave([tokio::signal::unix::Signal; 3]);

impl Leave {
    fn listen() -> io::Result<Self> {
        let [terminate, hangup, interrupt] =
            [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
        Ok(Self([signal(terminate)?, signal(hangup)?, signal(interrupt)?]))
    }

    /// Waits for one. Cancel safe.
    async fn asked(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
