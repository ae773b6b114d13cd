//! Going on after the daemon was away: a session outlives its daemon, and so does the watching of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use candor_adapters::ids::UuidV7Source;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::{CliError, complain, launcher};
use crate::api::SessionView;
use crate::client::{Client, ClientError};
use crate::home::Home;

/// How often it is looked whether a daemon serves again, in milliseconds. It has no way to know who
/// waits for it.
const LOOK_EACH_MS: u64 = 50;

/// How often in a row a daemon that serves may break an answer off before that is told as an error.
const BROKEN_MAX: u32 = 20;

/// How often in a row a daemon may say that it leaves before that is told as an error: for a minute
/// and more, since it may first wait for what is under way.
const LEAVING_MAX: u32 = 1_200;

/// The daemon of a home, whichever has it by now.
pub(super) struct Reach {
    home: Home,
    client: Client,
    /// Held by the one who looks for a daemon, so that what is watched together starts one together.
    looking: Mutex<()>,
    has_told: AtomicBool,
}

impl Reach {
    /// Reaches the home's daemon, which is started when none runs.
    pub(super) async fn open() -> Result<Self, CliError> {
        let home = Home::find()?;
        let client = launcher::connect_or_start(&home).await?;
        Ok(Self { home, client, looking: Mutex::new(()), has_told: AtomicBool::new(false) })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Asks, and asks again when the daemon goes away meanwhile.
    ///
    /// `ask` is given whether it has got anything since it was asked the last time; it must go on
    /// from there, so that nothing comes twice.
    pub(super) async fn ask<T>(
        &self,
        mut ask: impl AsyncFnMut(&Client, &mut Progress) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let (mut broken, mut leaving) = (0, 0);
        loop {
            let mut progress = Progress::default();
            match ask(&self.client, &mut progress).await {
                Err(CliError::Client(error)) if error.is_leaving() && leaving < LEAVING_MAX => {
                    leaving += 1;
                }
                Err(CliError::Client(error))
                    if error.is_absence() && !error.is_leaving() && broken < BROKEN_MAX =>
                {
                    broken = if progress.0 { 0 } else { broken + 1 };
                }
                answer => return answer,
            }
            if self.await_daemon().await? == Wait::WasAway {
                (broken, leaving) = (0, 0);
            }
        }
    }

    /// Asks for a session, and asks again when the daemon went away before its answer was there: under
    /// one name, so that no second session comes of it. A daemon is started where none runs any more.
    pub(super) async fn create(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<SessionView, CliError> {
        let key = UuidV7Source.message_id().to_string();
        let mut broken = 0;
        loop {
            match self.client.create(path, &key, request).await {
                Err(error) if error.is_absence() && !error.is_leaving() && broken < BROKEN_MAX => {
                    broken += 1;
                    launcher::connect_or_start(&self.home).await?;
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// Reads something, of whichever daemon can be asked.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.ask(async |client, _| Ok(client.get(path).await?)).await
    }

    /// Returns when a daemon serves. One that was killed is started again; one that was stopped had
    /// somebody who wanted that.
    async fn await_daemon(&self) -> Result<Wait, CliError> {
        let mut wait = Wait::WasThere;
        loop {
            sleep(Duration::from_millis(LOOK_EACH_MS)).await;
            let _alone = self.looking.lock().await;
            match self.client.probe().await {
                Ok(()) => return Ok(wait),
                Err(ClientError::NoDaemon { was_killed: true, .. }) => {
                    launcher::connect_or_start(&self.home).await?;
                    return Ok(Wait::WasAway);
                }
                Err(ClientError::NoDaemon { was_killed: false, .. }) => {
                    wait = Wait::WasAway;
                    if !self.has_told.swap(true, Ordering::Relaxed) {
                        complain(
                            &"the daemon was stopped, and its sessions go on: this waits for \
                              `candor daemon start`",
                        );
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether an answer has given anything yet.
#[derive(Default)]
pub(super) struct Progress(bool);

impl Progress {
    pub(super) const fn made(&mut self) {
        self.0 = true;
    }
}

/// What it took to reach a daemon again.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Wait {
    WasThere,
    WasAway,
}
