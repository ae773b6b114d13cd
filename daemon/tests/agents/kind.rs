//! The agents, and how each is made to speak with the mock and with nobody else.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use candor_harness::programs::fake_agent;
use serde_json::json;

use crate::mock;
use crate::suite::program_folder;

/// An agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Claude,
    Codex,
    Gemini,
    Opencode,
    /// The harness's own, which speaks as Claude Code does.
    Replayed,
}

/// The programs that agents run.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A key that opens nothing.
const KEY: &str = "sk-fake-key-of-a-test";

/// Codex asks only whom it is told to, and tries twice.
const CODEX: &str = r#"
model = "mock-model"
model_provider = "mock"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.mock]
name = "mock"
base_url = "URL"
env_key = "MOCK_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"#;

impl Kind {
    /// Returns the word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claude | Self::Replayed => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
        }
    }

    /// Whether it speaks the protocol of Claude Code, by which it can be talked to.
    pub(crate) const fn is_claude(self) -> bool {
        matches!(self, Self::Claude | Self::Replayed)
    }

    /// Says what is missing for it, if anything is.
    pub(crate) fn needs(self) -> Option<&'static str> {
        if self == Self::Replayed {
            return None;
        }
        program_folder(self).err().or_else(mock::want)
    }

    /// Returns the options with which it may use its tools without asking.
    pub(crate) const fn trusted(self) -> &'static [&'static str] {
        match self {
            Self::Claude | Self::Replayed => &["--allow", "Bash"],
            Self::Codex => &["--permission-mode", "danger-full-access"],
            Self::Gemini => &["--permission-mode", "yolo", "--model", "gemini-2.5-flash"],
            Self::Opencode => &["--permission-mode", "auto"],
        }
    }

    /// Returns the options with which it may not run a command that changes something.
    pub(crate) const fn distrusted(self) -> &'static [&'static str] {
        match self {
            Self::Claude | Self::Replayed => &["--deny", "Bash"],
            Self::Codex => &["--permission-mode", "read-only"],
            Self::Gemini => &["--permission-mode", "default", "--model", "gemini-2.5-flash"],
            // It runs what nobody has forbidden; what it would ask about it denies by itself.
            Self::Opencode => &["--env", r#"OPENCODE_PERMISSION={"bash":"ask"}"#],
        }
    }

    /// Makes a home for it in `user` and returns its environment: with no network but the mock at `url`, and
    /// without what it does in the background.
    pub(crate) fn settle(self, user: &Path, config: &Path, url: &str) -> Vec<(String, OsString)> {
        let folder = self.place_program(user);
        let mut path = folder.into_os_string();
        path.push(":");
        path.push(SYSTEM_PATH);
        let text = |name: &str, value: &str| (name.to_owned(), OsString::from(value));
        let mut environment = vec![("PATH".to_owned(), path), ("HOME".to_owned(), user.into())];
        match self {
            Self::Replayed => {
                let sessions = user.join("sessions");
                fs::create_dir(&sessions).unwrap();
                environment.push(("FAKE_CLAUDE_SESSIONS".to_owned(), sessions.into()));
            }
            Self::Claude => {
                let settings = [
                    ("ANTHROPIC_API_KEY", KEY),
                    ("ANTHROPIC_BASE_URL", url),
                    ("CLAUDE_CODE_MAX_RETRIES", "1"),
                    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
                    ("DISABLE_AUTOUPDATER", "1"),
                    ("DISABLE_TELEMETRY", "1"),
                    ("DISABLE_ERROR_REPORTING", "1"),
                ];
                environment.extend(settings.map(|(name, value)| text(name, value)));
            }
            Self::Codex => {
                write(&user.join(".codex/config.toml"), &CODEX.replace("URL", url));
                environment.push(text("MOCK_API_KEY", KEY));
            }
            Self::Gemini => {
                let settings = json!({
                    "security": {"auth": {"selectedType": "gemini-api-key"}},
                    "privacy": {"usageStatisticsEnabled": false},
                    "telemetry": {"enabled": false},
                    "general": {"enableAutoUpdate": false, "maxAttempts": 2},
                });
                write(&user.join(".gemini/settings.json"), &settings.to_string());
                environment.push(text("GEMINI_API_KEY", KEY));
                environment.push(text("GOOGLE_GEMINI_BASE_URL", url));
            }
            Self::Opencode => {
                let provider = json!({
                    "npm": "@ai-sdk/openai-compatible", "name": "mock",
                    "options": {"baseURL": url, "apiKey": KEY},
                    "models": {"mock-model": {"name": "mock"}},
                });
                let settings = json!({
                    "autoupdate": false, "share": "disabled", "model": "mock/mock-model",
                    "small_model": "mock/mock-model", "provider": {"mock": provider},
                });
                write(&config.join("opencode/opencode.json"), &settings.to_string());
                let settings = [
                    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                    ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
                    ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
                    ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
                    // It would fetch a plugin of its own.
                    ("npm_config_offline", "true"),
                ];
                environment.extend(settings.map(|(name, value)| text(name, value)));
            }
        }
        environment
    }

    /// Returns the folder in which its program is.
    fn place_program(self, user: &Path) -> PathBuf {
        if self != Self::Replayed {
            return program_folder(self).unwrap();
        }
        let folder = user.join("bin");
        fs::create_dir_all(&folder).unwrap();
        symlink(fake_agent(), folder.join(self.name())).unwrap();
        folder
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
