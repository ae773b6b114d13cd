//! The user's settings, in `candor/config.toml` of the XDG config folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use candor_adapters::process::OutputQuota;
use candor_core::stop::Graces;
use serde::{Deserialize, Deserializer, de};

use crate::byte_size::{default_quota, parse_quota};
use crate::{duration, home};

/// What can be set. An unknown key is an error, so that a misspelt one does not go unnoticed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// What `--grace` is when it is not given, such as `"10s,5s"`.
    #[serde(deserialize_with = "graces")]
    pub(crate) grace: Option<Graces>,
    /// What `--timeout` is when it is not given, such as `"2h"`, in milliseconds.
    #[serde(deserialize_with = "duration_ms")]
    pub(crate) timeout: Option<u64>,
    /// What the daemon keeps of each output of a session, such as `"1GiB"`; `"none"` keeps all.
    #[serde(deserialize_with = "quota")]
    pub(crate) output_quota: Option<OutputQuota>,
    /// The programs of agents that are not in the `PATH`, such as `claude = "/opt/claude/bin/claude"`.
    pub(crate) agents: BTreeMap<String, PathBuf>,
    /// How browsers reach it.
    pub(crate) web: WebConfig,
    /// Where spans are sent.
    pub(crate) otel: OtelConfig,
    /// What the daemon logs, such as `"info"` or `"debug"`.
    pub(crate) log: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grace: None,
            timeout: None,
            output_quota: default_quota(),
            agents: BTreeMap::new(),
            web: WebConfig::default(),
            otel: OtelConfig::default(),
            log: None,
        }
    }
}

/// What can be set of how browsers reach the daemon.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebConfig {
    /// Where it listens from its start, such as `"127.0.0.1:7077"`; port 0 takes that of last time.
    #[serde(deserialize_with = "loopback")]
    pub(crate) listen: Option<SocketAddr>,
}

/// What can be set of OpenTelemetry.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OtelConfig {
    /// Where a collector takes OTLP over HTTP, such as `"http://localhost:4318"`.
    #[serde(deserialize_with = "endpoint")]
    pub(crate) endpoint: Option<String>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the settings in {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the settings in {} are wrong; correct them:\n{source}", .path.display())]
    Wrong { path: PathBuf, source: Box<toml::de::Error> },
}

impl Config {
    /// Reads the settings; none at all are fine.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], whose sentence shows the line.
    pub(crate) fn read() -> Result<Self, ConfigError> {
        let Some(folder) = home::config_folder() else {
            return Ok(Self::default());
        };
        let path = folder.join("config.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        };
        toml::from_str(&text)
            .map_err(|source| ConfigError::Wrong { path, source: Box::new(source) })
    }
}

fn loopback<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    const OWN: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

    let text = String::deserialize(deserializer)?;
    match text.parse::<SocketAddr>() {
        Ok(at) if OWN.contains(&at.ip()) => Ok(Some(at)),
        Ok(_) | Err(_) => Err(de::Error::custom(format!(
            "{text:?} is not an address that Candor listens on: give 127.0.0.1 or [::1] with a port, \
             such as \"127.0.0.1:7077\", and reach it from elsewhere through `ssh -L`"
        ))),
    }
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if cfg!(feature = "otel") {
        return match text.starts_with("http://") {
            true => Ok(Some(text)),
            false => Err(de::Error::custom(format!(
                "{text:?} is no endpoint that spans are sent to: name a collector that takes OTLP over \
                 plain HTTP, such as \"http://localhost:4318\""
            ))),
        };
    }
    Err(de::Error::custom(
        "this candor sends no spans: build it with `cargo install --path daemon --features otel`, or \
         take `endpoint` out",
    ))
}

fn graces<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Graces>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse_graces(&text).map(Some).map_err(de::Error::custom)
}

fn quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OutputQuota>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_quota(&text).map_err(de::Error::custom)
}

fn duration_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse_ms(&text).map(Some).map_err(de::Error::custom)
}
