//! What keys do.

use super::asked::Asked;
use super::output::Output;
use super::state::{Action, Effect, Link, Screen, State};

/// A key, as far as the page has use for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C.
    Break,
    Character(char),
}

/// Characters of a word to look for, at most.
const FILTER_CHARACTERS_MAX: usize = 200;

/// Lines of the terminal that no list has: the head, the names of columns, and the foot.
pub(super) const FRAME_LINES: u16 = 3;

impl State {
    pub(super) fn press(&mut self, key: Key) -> Option<Effect> {
        if key == Key::Break {
            return Some(Effect::Quit);
        }
        match &self.screen {
            Screen::List => self.press_in_list(key),
            Screen::Filter => self.press_in_filter(key),
            Screen::ConfirmKill(id) => {
                let id = id.clone();
                self.screen = Screen::List;
                (key == Key::Character('y')).then(|| self.order(&id, Action::Kill))?
            }
            Screen::Output(_) => self.press_in_output(key),
            Screen::Request(_) => self.press_in_request(key),
            Screen::Help => {
                self.screen = Screen::List;
                None
            }
        }
    }

    fn press_in_list(&mut self, key: Key) -> Option<Effect> {
        self.notice = None;
        let page = isize::try_from(self.page()).unwrap_or(isize::MAX);
        match key {
            Key::Character('q') => return Some(Effect::Quit),
            Key::Character('?' | 'h') => self.screen = Screen::Help,
            Key::Character('/') => self.screen = Screen::Filter,
            Key::Escape => self.filter.clear(),
            Key::Up | Key::Character('k') => self.select_by(-1),
            Key::Down | Key::Character('j') => self.select_by(1),
            Key::PageUp => self.select_by(-page),
            Key::PageDown => self.select_by(page),
            Key::Home | Key::Character('g') => self.select_by(isize::MIN),
            Key::End | Key::Character('G') => self.select_by(isize::MAX),
            Key::Character('i') => return self.order_selected(Action::Interrupt),
            Key::Character('K') => {
                if let Some(id) = self.live_selected() {
                    self.screen = Screen::ConfirmKill(id);
                }
            }
            Key::Character('f') | Key::Enter => return self.follow_selected(),
            Key::Character('a' | 'd') => self.show_request(),
            Key::Backspace | Key::Break | Key::Character(_) => {}
        }
        self.keep_selection();
        None
    }

    fn press_in_filter(&mut self, key: Key) -> Option<Effect> {
        match key {
            Key::Enter => self.screen = Screen::List,
            Key::Escape => {
                self.filter.clear();
                self.screen = Screen::List;
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Character(character) if self.filter.chars().count() < FILTER_CHARACTERS_MAX => {
                self.filter.push(character);
            }
            Key::Up => self.select_by(-1),
            Key::Down => self.select_by(1),
            Key::PageUp | Key::PageDown | Key::Home | Key::End | Key::Break | Key::Character(_) => {
            }
        }
        self.keep_selection();
        None
    }

    fn press_in_output(&mut self, key: Key) -> Option<Effect> {
        let page = self.page_of_texts();
        let Screen::Output(output) = &mut self.screen else { return None };
        match key {
            Key::Character('q' | 'f') | Key::Escape => {
                self.screen = Screen::List;
                return Some(Effect::Unfollow);
            }
            Key::Up | Key::Character('k') => output.back(1, page),
            Key::PageUp | Key::Character('b') => output.back(page, page),
            Key::Home | Key::Character('g') => output.back(usize::MAX, page),
            Key::Down | Key::Character('j') => output.forth(1, page),
            Key::PageDown | Key::Character(' ') => output.forth(page, page),
            Key::End | Key::Character('G') => output.forth(usize::MAX, page),
            Key::Enter | Key::Backspace | Key::Break | Key::Character(_) => {}
        }
        None
    }

    fn press_in_request(&mut self, key: Key) -> Option<Effect> {
        let (page, columns) = (self.page_of_texts(), self.columns);
        let Screen::Request(asked) = &mut self.screen else { return None };
        let approved = match key {
            Key::Character('a') => true,
            Key::Character('d') => false,
            Key::Character('q') | Key::Escape => {
                self.screen = Screen::List;
                return None;
            }
            Key::Up | Key::Character('k') => return asked.back(1, columns),
            Key::PageUp | Key::Character('b') => return asked.back(page, columns),
            Key::Down | Key::Character('j') => return asked.forth(1, page, columns),
            Key::PageDown | Key::Character(' ') => return asked.forth(page, page, columns),
            Key::Home | Key::Character('g') => return asked.back(usize::MAX, columns),
            Key::End | Key::Enter | Key::Backspace | Key::Break | Key::Character(_) => return None,
        };
        if approved && !asked.is_shown_whole(page, columns) {
            self.notice = Some("read it to its end first: space goes on".to_owned());
            return None;
        }
        let asked = asked.clone();
        self.screen = Screen::List;
        if self.is_down() {
            return None;
        }
        self.ask(&asked.session, if approved { Action::Approve } else { Action::Deny });
        let (number, digest) = (asked.request.number, asked.request.digest);
        Some(Effect::Answer { session: asked.session, number, digest, approved })
    }

    /// Returns how many lines of a text are shown, which has no names of columns.
    pub(super) fn page_of_texts(&self) -> usize {
        self.page() + 1
    }

    /// Returns how many lines of a list are shown.
    pub(super) fn page(&self) -> usize {
        usize::from(self.lines.saturating_sub(FRAME_LINES)).max(1)
    }

    fn select_by(&mut self, steps: isize) {
        let ids: Vec<&String> = self.shown().map(|row| &row.view.id).collect();
        let Some(last) = ids.len().checked_sub(1) else { return };
        let is_selected = |id: &&String| Some(*id) == self.selected.as_ref();
        let now = ids.iter().position(is_selected).unwrap_or(0);
        self.selected = Some(ids[now.saturating_add_signed(steps).min(last)].clone());
    }

    /// Returns the selected session if anything can be asked of it, and says else why not.
    fn live_selected(&mut self) -> Option<String> {
        if self.is_down() {
            return None;
        }
        let row = self.selected_row()?;
        if row.view.status.is_terminal() {
            self.notice = Some("the session has ended".to_owned());
            return None;
        }
        Some(row.view.id.clone())
    }

    fn is_down(&mut self) -> bool {
        let is_down = self.link != Link::Up;
        if is_down {
            self.notice = Some("there is no daemon to ask".to_owned());
        }
        is_down
    }

    fn order_selected(&mut self, action: Action) -> Option<Effect> {
        let id = self.live_selected()?;
        self.order(&id, action)
    }

    fn order(&mut self, id: &str, action: Action) -> Option<Effect> {
        if self.is_down() || !self.ask(id, action) {
            return None;
        }
        match action {
            Action::Kill => Some(Effect::Kill(id.to_owned())),
            Action::Interrupt => Some(Effect::Interrupt(id.to_owned())),
            // Answers go out from where the request is shown.
            Action::Approve | Action::Deny => None,
        }
    }

    fn follow_selected(&mut self) -> Option<Effect> {
        let session = self.selected.clone()?;
        self.generation += 1;
        let generation = self.generation;
        self.screen = Screen::Output(Output::new(session.clone(), generation));
        Some(Effect::Follow { session, generation })
    }

    fn show_request(&mut self) {
        let Some(id) = self.live_selected() else { return };
        let request = self.selected_row().and_then(|row| row.open_request().cloned());
        match request {
            Some(request) => self.screen = Screen::Request(Asked::new(id, request)),
            None => self.notice = Some("the session asks for nothing".to_owned()),
        }
    }
}
