//! Logging in over TCP, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a browser logs in.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct WebOpenView {
    /// The page's address, with a code behind `#` that is good for one login.
    pub(crate) url: String,
    /// Until when the code can be used.
    pub(crate) expires_at: String,
}

/// A browser logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    /// The code of [`WebOpenView::url`].
    pub(crate) code: String,
}

/// A browser is logged in. The other half of it is a cookie.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoginView {
    /// To be sent as `Authorization: Bearer` with every request.
    pub(crate) page_token: String,
    pub(crate) expires_at: String,
}

/// All logins have ended.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct LogoutView {
    /// How many there were.
    pub(crate) ended: usize,
}

/// A token for a script is asked for.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    pub(crate) name: String,
    /// Whether it may only look.
    #[serde(default)]
    pub(crate) read_only: bool,
}

/// A new token. Nobody will be told it again.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct NewTokenView {
    pub(crate) name: String,
    /// To be sent as `Authorization: Bearer` with every request.
    pub(crate) token: String,
    pub(crate) read_only: bool,
    /// Where the daemon listens.
    pub(crate) url: String,
}

/// A token that there is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct TokenView {
    pub(crate) name: String,
    pub(crate) read_only: bool,
    pub(crate) created_at: String,
}
