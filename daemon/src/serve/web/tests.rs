//! Who gets in, and for how long.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_core::ports::Clock;
use candor_core::time::{Monotonic, Now, Timestamp};
use tempfile::TempDir;

use super::{LoggedIn, Web, WebRefusal};

/// A clock that goes as far as it is told.
struct Hand(Mutex<u64>);

impl Hand {
    fn advance_ms(&self, ms: u64) {
        *self.0.lock().unwrap() += ms;
    }
}

impl Clock for Hand {
    fn now(&self) -> Now {
        let ms = *self.0.lock().unwrap();
        let wall = Timestamp::from_millisecond(1_700_000_000_000 + i64::try_from(ms).unwrap());
        Now { wall: wall.unwrap(), monotonic: Monotonic::from_ms(ms) }
    }
}

fn web() -> (Web, Arc<Hand>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let hand = Arc::new(Hand(Mutex::new(0)));
    let web = at(&folder, &hand);
    (web, hand, folder)
}

fn at(folder: &TempDir, hand: &Arc<Hand>) -> Web {
    Web::open(folder.path().join("logins.json"), Arc::clone(hand) as Arc<dyn Clock>, None)
}

/// Logs in with a new code. Returns the page's token and the cookie.
fn log_in(web: &Web) -> (String, String) {
    let (code, _until) = web.code().unwrap();
    let LoggedIn { page, cookie, .. } = web.log_in(code.reveal(), &[]).unwrap();
    (page.reveal().to_owned(), cookie.reveal().to_owned())
}

#[test]
fn a_page_needs_its_token_and_its_cookie_and_no_others() {
    let (web, _hand, _folder) = web();
    let (page, cookie) = log_in(&web);
    let (other_page, other_cookie) = log_in(&web);
    assert!(web.access(&page, &[&cookie]).is_some());
    assert!(web.access(&page, &["nonsense", &cookie]).is_some());
    assert!(web.access(&page, &[]).is_none());
    assert!(web.access(&page, &[&other_cookie]).is_none());
    assert!(web.access(&other_page, &[&cookie]).is_none());
    assert!(web.access(&cookie, &[&page]).is_none());
    assert!(web.access("", &[&cookie]).is_none());
}

#[test]
fn a_code_is_worth_nothing_after_a_minute() {
    let (web, hand, _folder) = web();
    let (code, _until) = web.code().unwrap();
    hand.advance_ms(59_999);
    let (late, _until) = web.code().unwrap();
    assert!(web.log_in(code.reveal(), &[]).is_ok());
    hand.advance_ms(60_000);
    assert!(matches!(web.log_in(late.reveal(), &[]), Err(WebRefusal::WrongCode)));
    assert!(matches!(web.log_in("", &[]), Err(WebRefusal::WrongCode)));
}

#[test]
fn a_code_that_comes_twice_ends_the_login_that_it_was_used_for_and_no_other() {
    let (web, _hand, _folder) = web();
    let (other_page, other_cookie) = log_in(&web);
    let (code, _until) = web.code().unwrap();
    let first = web.log_in(code.reveal(), &[]).unwrap();
    let (page, cookie) = (first.page, first.cookie);
    let access = web.access(page.reveal(), &[cookie.reveal()]).unwrap();
    assert!(matches!(web.log_in(code.reveal(), &[]), Err(WebRefusal::WrongCode)));
    assert!(access.ended.is_cancelled());
    assert!(web.access(page.reveal(), &[cookie.reveal()]).is_none());
    assert!(web.access(&other_page, &[&other_cookie]).is_some());
}

#[test]
fn tabs_of_one_browser_share_a_login() {
    let (web, _hand, _folder) = web();
    let (page, cookie) = log_in(&web);
    let (code, _until) = web.code().unwrap();
    let second = web.log_in(code.reveal(), &["nonsense", &cookie]).unwrap();
    // It is told anew, so that the browser keeps it as long as the login lasts.
    assert_eq!(second.cookie.reveal(), cookie);
    let one = web.access(&page, &[&cookie]).unwrap();
    let other = web.access(second.page.reveal(), &[&cookie]).unwrap();
    assert!(Arc::ptr_eq(&one, &other));
}

#[test]
fn a_login_has_an_end() {
    let (web, hand, _folder) = web();
    let (page, cookie) = log_in(&web);
    hand.advance_ms(30 * 24 * 3_600_000 - 1);
    assert!(web.access(&page, &[&cookie]).is_some());
    hand.advance_ms(1);
    assert!(web.access(&page, &[&cookie]).is_none());
}

#[test]
fn what_goes_on_by_a_login_ends_with_it() {
    const DAY_MS: u64 = 24 * 3_600_000;

    let (web, hand, _folder) = web();
    assert_eq!(web.end_expired(), Duration::from_secs(60), "there is none");
    let (page, cookie) = log_in(&web);
    hand.advance_ms(DAY_MS);
    let (later_page, later_cookie) = log_in(&web);
    let access = web.access(&page, &[&cookie]).unwrap();
    let later = web.access(&later_page, &[&later_cookie]).unwrap();
    hand.advance_ms(29 * DAY_MS - 250);
    assert_eq!(web.end_expired(), Duration::from_millis(250));
    assert!(!access.ended.is_cancelled());
    hand.advance_ms(250);
    assert_eq!(web.end_expired(), Duration::from_secs(60));
    assert!(access.ended.is_cancelled() && !later.ended.is_cancelled());
    assert!(web.access(&later_page, &[&later_cookie]).is_some());
}

#[test]
fn the_next_daemon_lets_the_same_in_and_only_hashes_are_kept() {
    let (web, hand, folder) = web();
    web.keep_port(4711).unwrap();
    let (page, cookie) = log_in(&web);
    let token = web.add_token("backup", true).unwrap();
    let kept = fs::read_to_string(folder.path().join("logins.json")).unwrap();
    for secret in [&page, &cookie, token.reveal(), &token.reveal()["candor_".len()..]] {
        assert!(!kept.contains(secret), "{kept}");
    }
    let next = at(&folder, &hand);
    assert_eq!(next.last_port(), Some(4711));
    assert!(!next.access(&page, &[&cookie]).unwrap().read_only);
    assert!(next.access(token.reveal(), &[]).unwrap().read_only);
    next.keep_port(4711).unwrap();
    assert!(next.access(&page, &[&cookie]).is_some());
    // Somebody else has the port: who knows what was shown to him.
    next.keep_port(4712).unwrap();
    assert!(next.access(&page, &[&cookie]).is_none());
    assert!(next.access(token.reveal(), &[]).is_some());
}

#[test]
fn what_is_taken_back_ends_at_once_and_stays_taken_back() {
    let (web, hand, folder) = web();
    let (page, cookie) = log_in(&web);
    let (code, _until) = web.code().unwrap();
    let token = web.add_token("script", false).unwrap();
    let (by_page, by_token) =
        (web.access(&page, &[&cookie]).unwrap(), web.access(token.reveal(), &[]).unwrap());
    assert_eq!(web.log_out().unwrap(), 1);
    assert!(by_page.ended.is_cancelled() && !by_token.ended.is_cancelled());
    assert!(web.log_in(code.reveal(), &[]).is_err(), "a code from before");
    web.remove_token("script").unwrap();
    assert!(by_token.ended.is_cancelled());
    assert!(matches!(web.remove_token("script"), Err(WebRefusal::NoSuchToken(_))));
    let next = at(&folder, &hand);
    assert!(next.access(&page, &[&cookie]).is_none() && next.access(token.reveal(), &[]).is_none());
    assert!(!next.is_wanted());
}

#[test]
fn what_cannot_be_kept_is_not_given_and_can_be_taken_back() {
    let (web, _hand, folder) = web();
    let (page, cookie) = log_in(&web);
    let (code, _until) = web.code().unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(web.log_in(code.reveal(), &[]), Err(WebRefusal::NotStored { .. })));
    assert!(matches!(web.add_token("a", false), Err(WebRefusal::NotStored { .. })));
    assert!(web.tokens().is_empty());
    assert!(matches!(web.log_out(), Err(WebRefusal::NotForgotten { .. })));
    assert!(web.access(&page, &[&cookie]).is_none());
}

#[test]
fn names_of_tokens_are_plain_and_there_are_not_too_many() {
    let (web, _hand, _folder) = web();
    let long = "a".repeat(65);
    for name in ["", "a b", "a\n", "\u{1b}[31m", "ä", "../a", &long] {
        assert!(matches!(web.add_token(name, false), Err(WebRefusal::BadName(_))), "{name:?}");
    }
    for number in 0..64 {
        web.add_token(&format!("t{number}"), false).unwrap();
    }
    assert!(matches!(web.add_token("t1", false), Err(WebRefusal::NameTaken(_))));
    assert!(matches!(web.add_token("more", false), Err(WebRefusal::TooManyTokens)));
    assert_eq!(web.tokens().len(), 64);
}

#[test]
fn logins_and_pages_have_a_limit_and_the_oldest_go() {
    let (web, _hand, _folder) = web();
    let (oldest, oldest_cookie) = log_in(&web);
    let (page, cookie) = log_in(&web);
    for _ in 0..15 {
        log_in(&web);
    }
    assert!(web.access(&oldest, &[&oldest_cookie]).is_none());
    assert!(web.access(&page, &[&cookie]).is_some());
    for _ in 0..16 {
        let (code, _until) = web.code().unwrap();
        web.log_in(code.reveal(), &[&cookie]).unwrap();
    }
    assert!(web.access(&page, &[&cookie]).is_none());
}
