//! Finds wildcard arms in core: `_ => …`, and `_` or `..` as a whole element of a tuple pattern.
//!
//! A wildcard arm swallows the variant that somebody adds next year, so the compiler cannot ask
//! what it should do. Clippy sees `_` where the match is on one enum, but not inside a tuple.
//!
//! A text check, so it knows patterns and not types: an arm on an integer or a text needs an escape.

use crate::findings::Finding;
use crate::tokens::{Kind, Token, closer, opens, starts_with};

const MESSAGE: &str = "a wildcard arm hides the next variant: name the variants, nest the matches, \
     or add an escape to xtask/src/rules.rs if the value is no enum of ours";

/// Returns the wildcard arms of every `match` in `tokens`, which are those of the file `path`.
pub(crate) fn find(path: &str, tokens: &[Token<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].is("match")
            && let Some(open) = body_of_match(tokens, at)
        {
            for pattern in patterns(tokens, open) {
                if let Some(line) = wildcard(pattern) {
                    findings.push(Finding::new(path, line, MESSAGE));
                }
            }
        }
    }
    findings
}

/// Returns the index of the `{` that opens the arms of the `match` at `at`.
fn body_of_match(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut next = at + 1;
    while next < tokens.len() {
        let token = &tokens[next];
        // `match { … } {` and `match unsafe { … } {`: the first block is the value.
        let is_value = next == at + 1 || tokens[next - 1].is("unsafe");
        if token.is("{") && !is_value {
            return Some(next);
        }
        // Not a match after all, but a word in a macro's input.
        if token.is(";") || token.is("}") {
            return None;
        }
        next = if opens(token) { closer(tokens, next) + 1 } else { next + 1 };
    }
    None
}

/// Returns the pattern of each arm between the `{` at `open` and its end, without the guards.
fn patterns<'a, 'b>(tokens: &'a [Token<'b>], open: usize) -> Vec<&'a [Token<'b>]> {
    let end = closer(tokens, open);
    let mut found = Vec::new();
    let mut at = open + 1;
    while at < end {
        while starts_with(tokens, at, &["#", "["]) {
            at = closer(tokens, at + 1) + 1;
        }
        let start = at;
        let mut pattern_end = None;
        while at < end && !starts_with(tokens, at, &["=", ">"]) {
            if tokens[at].is("if") {
                pattern_end.get_or_insert(at);
            }
            at = if opens(&tokens[at]) { closer(tokens, at) + 1 } else { at + 1 };
        }
        if at >= end {
            break;
        }
        found.push(&tokens[start..pattern_end.unwrap_or(at)]);
        at = after_arm(tokens, at + 2, end);
    }
    found
}

/// Returns the index after the arm whose expression starts at `at`.
fn after_arm(tokens: &[Token<'_>], mut at: usize, end: usize) -> usize {
    if at < end && tokens[at].is("{") {
        let next = closer(tokens, at) + 1;
        return if next < end && tokens[next].is(",") { next + 1 } else { next };
    }
    while at < end {
        if tokens[at].is(",") {
            return at + 1;
        }
        at = if opens(&tokens[at]) {
            closer(tokens, at) + 1
        } else if starts_with(tokens, at, &[":", ":", "<"]) {
            after_generics(tokens, at + 2, end)
        } else {
            at + 1
        };
    }
    end
}

/// Returns the index after the `>` that closes the `<` at `at`: its commas do not end the arm.
fn after_generics(tokens: &[Token<'_>], mut at: usize, end: usize) -> usize {
    let mut depth = 0_usize;
    while at < end {
        if tokens[at].is("<") {
            depth += 1;
        } else if tokens[at].is(">") && !tokens[at - 1].is("-") {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
        at += 1;
    }
    end
}

/// Returns the line of the first wildcard in a pattern.
fn wildcard(pattern: &[Token<'_>]) -> Option<usize> {
    let mut parts = split(pattern, "|");
    parts.find_map(|part| match part {
        [only] if only.is("_") => Some(only.line),
        part => tuple_wildcard(part),
    })
}

/// Returns the line of the first wildcard in a tuple anywhere below `part`.
fn tuple_wildcard(part: &[Token<'_>]) -> Option<usize> {
    let mut at = 0;
    while at < part.len() {
        if !opens(&part[at]) {
            at += 1;
            continue;
        }
        let close = closer(part, at);
        let inside = &part[at + 1..close];
        // `Some(…)` and `path::<T>(…)` hold a payload; a bracket on its own is a tuple or a group.
        let names_a_type = at > 0
            && (part[at - 1].is(">") || part[at - 1].kind == Kind::Word && !part[at - 1].is("mut"));
        let bare = part[at].is("(") && !names_a_type;
        let found = if bare { bare_wildcard(inside) } else { tuple_wildcard(inside) };
        if found.is_some() {
            return found;
        }
        at = close + 1;
    }
    None
}

/// Returns the line of the first wildcard in the elements of a tuple or the parts of a group.
fn bare_wildcard(inside: &[Token<'_>]) -> Option<usize> {
    split(inside, ",").find_map(|element| match element {
        [first, second] if first.is(".") && second.is(".") => Some(first.line),
        element => wildcard(element),
    })
}

/// Splits at every `mark` that is in no bracket.
fn split<'a, 'b>(
    tokens: &'a [Token<'b>],
    mark: &'a str,
) -> impl Iterator<Item = &'a [Token<'b>]> + use<'a, 'b> {
    let mut rest = Some(tokens);
    std::iter::from_fn(move || {
        let all = rest?;
        let mut at = 0;
        while at < all.len() && !all[at].is(mark) {
            at = if opens(&all[at]) { closer(all, at) + 1 } else { at + 1 };
        }
        rest = all.get(at + 1..);
        Some(&all[..at.min(all.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::tokens::tokens;

    fn lines(source: &str) -> Vec<usize> {
        find("core/src/step.rs", &tokens(source)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn arms_that_name_everything_pass() {
        let source = "match (status, input) {
            (Status::Running { .. }, Input::Exited(_)) => done(),
            (Status::Ended(verdict), Input::Stop(Stop { by: _, .. })) if verdict => {}
            (Status::Queued, Input::Tick) | (Status::Starting, Input::Tick) => a.map(|_, b| b),
            (Status::Draft | Status::Lost, Input::Tick) => Vec::<(u8, _)>::new(),
            Some(_) => match inner { Ok(_) => 1, Err(_) => 2 },
        }";
        assert_eq!(lines(source), [0; 0]);
    }

    #[test]
    fn a_bare_wildcard_is_found_with_its_line() {
        assert_eq!(lines("match status {\n Status::Running => 1,\n _ => 2,\n}"), [3]);
        assert_eq!(lines("match status {\n A => {}\n B => { x }\n _ if late => {}\n}"), [4]);
        assert_eq!(lines("match status { A | _ => 2 }"), [1]);
    }

    #[test]
    fn a_wildcard_in_a_tuple_is_found_however_deep() {
        assert_eq!(lines("match (a, b) { (Status::Running, _) => 1 }"), [1]);
        assert_eq!(lines("match (a, b) { (Status::Running, A | _) => 1 }"), [1]);
        assert_eq!(lines("match (a, b) { (A, B) | (_, C) => 1 }"), [1]);
        assert_eq!(lines("match (a, b) { (Status::Running, ..) => 1 }"), [1]);
        assert_eq!(lines("match x { Some((Status::Running, _)) => 1 }"), [1]);
        assert_eq!(lines("match x { (A, (B, _)) => 1 }"), [1]);
        assert_eq!(lines("match x { Held { pair: (A, _) } => 1 }"), [1]);
        assert_eq!(lines("match x { &mut (A, _) => 1 }"), [1]);
    }

    #[test]
    fn a_match_inside_an_arm_and_a_block_as_value_are_seen() {
        assert_eq!(lines("match a {\n A => match b {\n _ => 1,\n },\n B => 2,\n}"), [3]);
        assert_eq!(lines("match { let (a, _) = p; a } {\n A => 1,\n _ => 2 }"), [3]);
    }

    #[test]
    fn what_is_no_arm_is_left_alone() {
        assert_eq!(
            lines("let (a, _) = pair; matches!(x, (A, _)); let f = |_| 1; // _ => 1"),
            [0; 0]
        );
    }
}
