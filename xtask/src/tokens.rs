//! Cuts Rust source into tokens, so that the checks never mistake a comment or a text for code.
//!
//! Not a parser: it knows comments, literals, words and brackets, which is what the checks need,
//! and it never fails. What it cannot read, it passes on as single marks.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, a keyword, a number or a lifetime.
    Word,
    /// One character of punctuation.
    Mark,
    /// The content of a string literal, escapes as written, without the quotes.
    Text,
    /// A character or byte literal, content as for `Text`.
    Character,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// The line where it starts, from 1.
    pub(crate) line: usize,
    /// Whether it belongs to code that only tests compile.
    pub(crate) in_test: bool,
}

impl Token<'_> {
    /// Whether this is the word or mark `text`; a literal never is.
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }
}

/// Returns the tokens of `source`, those of test-only items marked as such.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { source, at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < source.len() {
        lexer.step();
    }
    mark_tests(&mut lexer.tokens);
    lexer.tokens
}

/// Whether `tokens[at..]` starts with exactly `words`, each a word or a mark.
pub(crate) fn starts_with(tokens: &[Token<'_>], at: usize, words: &[&str]) -> bool {
    tokens
        .get(at..at + words.len())
        .is_some_and(|slice| slice.iter().zip(words).all(|(token, word)| token.is(word)))
}

/// Returns the index of the bracket that closes the one at `open`, or the last index if none does.
pub(crate) fn closer(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind != Kind::Mark {
            continue;
        }
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

/// Whether the token opens a bracket.
pub(crate) fn opens(token: &Token<'_>) -> bool {
    token.kind == Kind::Mark && matches!(token.text, "(" | "[" | "{")
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn step(&mut self) {
        let rest = &self.source[self.at..];
        let Some(first) = rest.chars().next() else { return };
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment_bytes(rest));
        } else if let Some((prefix, hashes)) = raw_string_head(rest) {
            self.raw_string(prefix, hashes);
        } else if let Some(prefix) = quote_prefix(rest, '"') {
            self.quoted(prefix, '"', Kind::Text);
        } else if let Some(prefix) = quote_prefix(rest, '\'') {
            if prefix == 0 && is_lifetime(rest) {
                let bytes = 1 + word_bytes(&rest[1..]);
                self.push(Kind::Word, 0, bytes, bytes);
            } else {
                self.quoted(prefix, '\'', Kind::Character);
            }
        } else if is_word_character(first) {
            let bytes = word_bytes(rest);
            self.push(Kind::Word, 0, bytes, bytes);
        } else {
            let bytes = first.len_utf8();
            self.push(Kind::Mark, 0, bytes, bytes);
        }
    }

    fn skip(&mut self, bytes: usize) {
        let skipped = &self.source[self.at..self.at + bytes];
        self.line += skipped.matches('\n').count();
        self.at += bytes;
    }

    /// Pushes the bytes `from..to` of the rest as a token, and goes on after `bytes`.
    fn push(&mut self, kind: Kind, from: usize, to: usize, bytes: usize) {
        let text = &self.source[self.at + from..self.at + to];
        self.tokens.push(Token { kind, text, line: self.line, in_test: false });
        self.skip(bytes);
    }

    fn quoted(&mut self, prefix: usize, quote: char, kind: Kind) {
        let rest = &self.source[self.at..];
        let start = prefix + 1;
        let mut escaped = false;
        for (at, character) in rest[start..].char_indices() {
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if character == quote {
                self.push(kind, start, start + at, start + at + 1);
                return;
            }
        }
        self.push(kind, start, rest.len(), rest.len());
    }

    fn raw_string(&mut self, prefix: usize, hashes: usize) {
        let rest = &self.source[self.at..];
        let start = prefix + hashes + 1;
        let end_mark = format!("\"{}", "#".repeat(hashes));
        let length = rest[start..].find(&end_mark);
        let end = length.map_or(rest.len(), |length| start + length);
        let bytes = length.map_or(rest.len(), |length| start + length + end_mark.len());
        self.push(Kind::Text, start, end, bytes);
    }
}

fn is_word_character(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn word_bytes(rest: &str) -> usize {
    rest.find(|character| !is_word_character(character)).unwrap_or(rest.len())
}

fn block_comment_bytes(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Returns the bytes of `r`, `br` or `cr` and the number of hashes, if a raw string starts here.
fn raw_string_head(rest: &str) -> Option<(usize, usize)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| rest.starts_with(prefix))?.len();
    let hashes = rest[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    rest[prefix + hashes..].starts_with('"').then_some((prefix, hashes))
}

/// Returns the bytes before the opening `quote`, if a quoted literal starts here.
fn quote_prefix(rest: &str, quote: char) -> Option<usize> {
    let prefix = usize::from(rest.starts_with(['b', 'c']));
    if rest[prefix..].starts_with(quote) {
        Some(prefix)
    } else {
        rest.starts_with(quote).then_some(0)
    }
}

/// Whether the `'` at the start opens a lifetime and not a character literal.
fn is_lifetime(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    let first = characters.next();
    let second = characters.next();
    first.is_some_and(is_word_character) && second != Some('\'')
}

/// Marks the tokens of every item behind `#[cfg(test)]` or `#[cfg(all(test, …))]`, or the whole
/// file behind `#![cfg(test)]`.
fn mark_tests(tokens: &mut [Token<'_>]) {
    let mut at = 0;
    while at < tokens.len() {
        if starts_with(tokens, at, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            tokens.iter_mut().for_each(|token| token.in_test = true);
            return;
        }
        let gated = starts_with(tokens, at, &["#", "[", "cfg", "(", "test", ")", "]"])
            || starts_with(tokens, at, &["#", "[", "cfg", "(", "all", "(", "test", ","]);
        if gated {
            let end = item_end(tokens, at);
            tokens[at..=end].iter_mut().for_each(|token| token.in_test = true);
            at = end;
        }
        at += 1;
    }
}

/// Returns the index of the last token of the item whose first attribute is at `at`.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while starts_with(tokens, at, &["#", "["]) {
        at = closer(tokens, at + 1) + 1;
    }
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is("{") {
            return closer(tokens, at);
        }
        if token.is(";") || token.is(",") {
            return at;
        }
        at = if opens(token) { closer(tokens, at) + 1 } else { at + 1 };
    }
    tokens.len() - 1
}

#[cfg(test)]
mod tests {
    use super::{Kind, starts_with, tokens};

    fn words(source: &str) -> Vec<&str> {
        tokens(source)
            .iter()
            .filter(|token| matches!(token.kind, Kind::Word | Kind::Mark))
            .map(|token| token.text)
            .collect()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let source = r##"a /* unsafe /* nested */ unsafe */ "unsafe \" {" b'{' r#"unsafe " {"# '"' z // unsafe"##;
        assert_eq!(words(source), ["a", "z"]);
    }

    #[test]
    fn a_lifetime_is_one_word_and_not_a_character() {
        assert_eq!(words("&'_ str, &'a T, '_'"), ["&", "'_", "str", ",", "&", "'a", "T", ","]);
    }

    #[test]
    fn a_raw_identifier_is_not_a_raw_string() {
        assert_eq!(words("r#type x"), ["r", "#", "type", "x"]);
    }

    #[test]
    fn lines_count_through_comments_and_texts() {
        let all = tokens("/* 1\n2 */ a \"3\n\" b");
        let lines: Vec<_> = all.iter().map(|token| token.line).collect();
        assert_eq!(lines, [2, 2, 3]);
    }

    #[test]
    fn only_what_tests_compile_is_marked() {
        let source = "fn shipped() {}\n#[cfg(test)]\n#[expect(x)]\nmod tests { fn inner() {} }\n\
                      #[cfg(not(test))] fn also_shipped() {}\n#[cfg(test)] use a::b; fn last() {}";
        let marked = |word| {
            let all = tokens(source);
            let token = all.iter().find(|token| token.is(word));
            token.is_some_and(|token| token.in_test)
        };
        assert!(marked("inner") && marked("use"));
        assert!(!marked("shipped") && !marked("also_shipped") && !marked("last"));
    }

    #[test]
    fn an_inner_attribute_marks_the_whole_file() {
        assert!(tokens("//! doc\n#![cfg(test)]\nfn a() {}").iter().all(|token| token.in_test));
    }

    #[test]
    fn a_literal_never_equals_a_word() {
        assert!(starts_with(&tokens("a . b"), 0, &["a", ".", "b"]));
        assert!(!starts_with(&tokens("\"a\" . b"), 0, &["a", ".", "b"]));
    }
}
