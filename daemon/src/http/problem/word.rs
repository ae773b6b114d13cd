//! The words that tell errors apart: one table, which the API's document is made of as well.

use axum::http::StatusCode;

/// Makes the table: a word, its status, its text on the wire, and what it means.
macro_rules! words {
    ($($name:ident: $status:ident, $text:literal, $meaning:literal;)*) => {
        /// The kind of an error that a client is told. Each has one status.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(in crate::http) enum Word {
            $(#[doc = $meaning] $name,)*
        }

        impl Word {
            /// All of them, as the document lists them.
            pub(in crate::http) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(in crate::http) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// Returns the stable word.
            pub(in crate::http) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns what it means, as a sentence.
            pub(in crate::http) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

words! {
    BadRequest: BAD_REQUEST, "bad_request",
        "What was asked for is wrong; the detail says what, and what to do.";
    NotFound: NOT_FOUND, "not_found", "There is no such address, session, request or output.";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method_not_allowed",
        "There is such an address, but not for this method; the header `Allow` lists those that there are.";
    AmbiguousId: CONFLICT, "ambiguous_id", "More than one session has an id that begins like this.";
    Removed: GONE, "removed", "The session was removed.";
    IdempotencyKeyReused: UNPROCESSABLE_ENTITY, "idempotency_key_reused",
        "Another request had the same `Idempotency-Key`.";
    TooLarge: PAYLOAD_TOO_LARGE, "too_large", "The body has more bytes than are taken.";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
        "The body is not of the content type that is read here.";
    Stopping: SERVICE_UNAVAILABLE, "stopping",
        "The daemon leaves. The next one can be asked the same.";
    LeavesSessions: CONFLICT, "leaves_sessions",
        "The daemon leaves without its sessions already, and cannot stop them any more.";
    TooManySessions: TOO_MANY_REQUESTS, "too_many_sessions",
        "As many sessions live as may at one time.";
    StoreUnavailable: INSUFFICIENT_STORAGE, "store_unavailable",
        "The store cannot be read or written now, and nothing was changed.";
    InDoubt: SERVICE_UNAVAILABLE, "in_doubt",
        "Nobody can say whether what was asked for is stored. What is asked next tells the truth.";
    Internal: INTERNAL_SERVER_ERROR, "internal", "A fault of the daemon's own.";
    Damaged: INTERNAL_SERVER_ERROR, "damaged",
        "The session's row is damaged; `candor doctor` says what to do.";
    Live: CONFLICT, "live", "The session has not ended, so that it cannot be removed.";
    Awaited: CONFLICT, "awaited",
        "Another session waits for this one, so that it cannot be removed.";
    FilesLeft: INTERNAL_SERVER_ERROR, "files_left",
        "The session is removed, and some of its files could not be.";
    NotDriven: CONFLICT, "not_driven", "This daemon does not have the session in hand.";
    RequestNotOpen: CONFLICT, "request_not_open",
        "The agent's request waits for no answer any more.";
    NotContinued: CONFLICT, "not_continued",
        "The session cannot be gone on with; the detail says why.";
    AlreadyContinued: CONFLICT, "already_continued",
        "Another live session goes on with it already.";
    NotToBeFinished: CONFLICT, "not_to_be_finished",
        "The session waits for no further message, so that it cannot be told that there is none.";
    EndDecided: CONFLICT, "end_decided", "The session's end is decided.";
    NoInput: CONFLICT, "no_input", "The session has no input that could be written to.";
    Ended: CONFLICT, "ended", "The session has ended.";
    InputClosed: CONFLICT, "input_closed", "The session's input was closed before.";
    InputFull: TOO_MANY_REQUESTS, "input_full",
        "The session has not read what it was sent before, and nothing of this was taken.";
    Misdirected: MISDIRECTED_REQUEST, "misdirected",
        "The request is not addressed to this machine by one of its own names.";
    ForeignOrigin: FORBIDDEN, "foreign_origin", "A page asks for this that is not Candor's own.";
    NotAuthorized: UNAUTHORIZED, "not_authorized",
        "There is no credential, or it is worth nothing any more: log in anew.";
    TooManyFailures: TOO_MANY_REQUESTS, "too_many_failures",
        "There were too many wrong credentials in this second.";
    HeadTooLarge: REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large",
        "The request's head has more bytes than are taken.";
    InsideASession: FORBIDDEN, "inside_a_session",
        "The request comes out of a session, and is more than a look or a stop of that session.";
    NoFileLeft: SERVICE_UNAVAILABLE, "no_file_left",
        "The daemon has no file left to look where the request comes from, and nothing was changed.";
    ReadOnly: FORBIDDEN, "read_only", "The token may only look.";
    SocketOnly: FORBIDDEN, "socket_only",
        "Credentials are handed out on the daemon's socket alone.";
    TooManyStreams: TOO_MANY_REQUESTS, "too_many_streams",
        "There are as many streams as there may be: of this login, or of all.";
    TokenExists: CONFLICT, "token_exists", "There is a token of this name.";
    TooManyTokens: TOO_MANY_REQUESTS, "too_many_tokens", "There are as many tokens as there may be.";
    HooksUnavailable: SERVICE_UNAVAILABLE, "hooks_unavailable",
        "The hooks cannot be read or written now, and nothing was changed.";
    TooManyHooks: CONFLICT, "too_many_hooks", "There are as many hooks as there may be.";
    CannotListen: SERVICE_UNAVAILABLE, "cannot_listen",
        "The daemon cannot listen for browsers; the detail says why.";
}

/// A set of words, as a number that types can bear.
pub(in crate::http) type Set = u128;

impl Word {
    /// Returns the type's address, which is what a client compares.
    pub(in crate::http) fn address(self) -> String {
        format!("urn:candor:problem:{}", self.as_str())
    }

    const fn bit(self) -> Set {
        1 << self as u32
    }

    pub(in crate::http) const fn is_in(self, set: Set) -> bool {
        set & self.bit() != 0
    }
}

/// Puts words together.
pub(in crate::http) const fn set(words: &[Word]) -> Set {
    let (mut set, mut next) = (0, 0);
    while next < words.len() {
        set |= words[next].bit();
        next += 1;
    }
    set
}

/// What anything can be answered before it is looked at, over TCP.
pub(in crate::http) const DOOR: Set = set(&[
    Word::Misdirected,
    Word::ForeignOrigin,
    Word::NotAuthorized,
    Word::TooManyFailures,
    Word::HeadTooLarge,
]);

/// What anything that looks into the store can be answered.
pub(in crate::http) const READ: Set =
    DOOR | set(&[Word::BadRequest, Word::Internal, Word::Damaged, Word::StoreUnavailable]);

/// What anything that names a session can be answered.
pub(in crate::http) const SESSION: Set =
    READ | set(&[Word::NotFound, Word::AmbiguousId, Word::Removed]);

/// What anything that changes something can be answered besides.
pub(in crate::http) const CHANGE: Set = set(&[
    Word::Stopping,
    Word::InDoubt,
    Word::InsideASession,
    Word::NoFileLeft,
    Word::ReadOnly,
    Word::UnsupportedMediaType,
]);

/// What anything with a body can be answered besides.
pub(in crate::http) const BODY: Set = set(&[Word::TooLarge, Word::UnsupportedMediaType]);
