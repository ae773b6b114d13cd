//! From nothing to a daemon that serves, and back.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_adapters::bus::BroadcastBus;
use candor_adapters::clock::SystemClock;
use candor_adapters::failpoint;
use candor_adapters::ids::UuidV7Source;
use candor_adapters::process::{Origins, OutputQuota, Outputs, keep_private, raise_open_files};
use candor_adapters::recorder::FileRecorder;
use candor_adapters::remains::Remains;
use candor_adapters::sqlite::conversations::Conversations;
use candor_adapters::sqlite::{OpenError, SqliteStore};
use candor_core::ports::{Clock, EventBus, IdSource, Recorder};
use candor_core::stop::Actor;
use candor_core::supervisor::Ports;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use super::agents::{Desks, TemporaryFolders, Versions};
use super::metrics::{MeteredBus, Metrics};
use super::registry::LIVE_SESSIONS_MAX;
use super::requests::Requests;
use super::scribe::{self, Scribe};
use super::shutdown::{Parting, Shutdown, Signals};
use super::spawner::Spawning;
use super::tail::Tail;
use super::telemetry::Telemetry;
use super::web::Web;
use super::{App, Refusal, Registry, Webhooks, backups, hooks, removal};
use crate::exit_code;
use crate::home::{Home, HomeError, LockError};
use crate::http;

/// A log of the daemon in the background that is larger than this, in bytes, is put aside at the
/// next start; one such older log is kept.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// Threads that run the daemon's tasks. It waits far more than it works.
const WORKERS: usize = 2;

/// How many read old events from the store at one time. It leaves connections to all other reads.
const REPLAYS_MAX: usize = 2;

/// How long leaving waits for what was read to be put down, in milliseconds.
const PUT_DOWN_MS_MAX: u64 = 2_000;

/// Why the daemon does not run, or runs no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("cannot listen at {}: {source}", .path.display())]
    Listen { path: PathBuf, source: io::Error },
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    #[error(
        "cannot read the live sessions: {source}; if {} is damaged, restore a copy of it, or move \
         it away to begin with an empty one", .database.display()
    )]
    Recovery { database: PathBuf, source: Refusal },
    #[error("another writer has changed the store: this daemon has stopped writing and left")]
    Usurped,
}

impl StartError {
    /// Returns the exit code that says it.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Lock(LockError::Taken { .. }) => exit_code::HOME_TAKEN,
            Self::Home(_)
            | Self::Lock(LockError::Home(_))
            | Self::Store(_)
            | Self::Listen { .. }
            | Self::Recovery { .. } => exit_code::HOME_UNUSABLE,
            Self::System(_) => exit_code::OWN_ERROR,
            Self::Usurped => exit_code::USURPED,
        }
    }
}

/// Where the daemon writes its log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ground {
    /// In front: on standard error.
    Front,
    /// In the background: into its file.
    Background,
}

/// What the user has set.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What is kept of each output of the sessions that are launched meanwhile.
    pub(crate) output_quota: Option<OutputQuota>,
    /// Where it listens for browsers from the beginning.
    pub(crate) web_address: Option<SocketAddr>,
    /// Where spans are sent.
    pub(crate) otel_endpoint: Option<String>,
}

/// Runs the daemon until it is asked to leave. `announce` is called once it serves.
///
/// # Errors
///
/// See [`StartError`].
pub(crate) fn run(
    home: &Home,
    ground: Ground,
    log_filter: &str,
    settings: Settings,
    announce: impl FnOnce(),
) -> Result<(), StartError> {
    home.prepare()?;
    let _lock = home.lock()?;
    start_log(home, ground, log_filter)?;
    if let Err(error) = keep_private() {
        tracing::warn!(%error, "other programs of this user can look into the daemon's memory");
    }
    if let Err(error) = raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays, and fewer sessions find room");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let result = runtime.block_on(serve(home, settings, announce));
    // A call that hangs in a dead file system must not hold the home: nothing is left to do for it.
    runtime.shutdown_background();
    result
}

async fn serve(home: &Home, settings: Settings, announce: impl FnOnce()) -> Result<(), StartError> {
    let mut signals = Signals::catch()?;
    let store = SqliteStore::open(&home.database())?;
    let listener = listen(home)?;
    let conversations = Conversations::open(&home.conversations(), &home.set_aside())?;
    let (scribe, inbox) = Scribe::new(conversations.clone());
    let app = assemble(home, store.clone(), conversations, scribe, &settings);
    let telemetry = Telemetry::begin(&store, &app.metrics, settings.otel_endpoint.as_deref());
    let writing = tokio::spawn(scribe::run(Arc::clone(&app), inbox));
    failpoint!(RecoveryBegun);
    // Whoever connects before the live sessions have their tasks waits in the socket's queue.
    let began = Instant::now();
    let recovered = app
        .registry
        .recover()
        .await
        .map_err(|source| StartError::Recovery { database: home.database(), source })?;
    app.registry.reconciled().await;
    app.metrics.recovered(began.elapsed());
    backups::start(&app).await;
    let server = http::Server::start(listener, Arc::clone(&app));
    tracing::info!(recovered, pid = std::process::id(), "serving");
    tokio::spawn(Tail::run(Arc::clone(&app)));
    tokio::spawn(removal::sweep(Arc::clone(&app)));
    tokio::spawn(removal::sweep_folders(Arc::clone(&app)));
    tokio::spawn(removal::sweep_conversations(Arc::clone(&app)));
    tokio::spawn(hooks::run(Arc::clone(&app)));
    announce();
    let usurped = app.registry.usurped();
    tokio::select! {
        () = signals.next() => {
            // Nobody waits for an answer, and this wish is the least there is.
            let _holds = app.shutdown.ask(Actor::Daemon, Parting::LeavesSessions);
        }
        () = app.shutdown.asked() => {}
        () = usurped.cancelled() => {}
    }
    if !usurped.is_cancelled() {
        tokio::select! {
            () = app.shutdown.part(&app.registry, &mut signals) => {}
            () = usurped.cancelled() => {}
        }
    }
    app.shutdown.quiet().cancel();
    // Before anybody is refused, who would take this daemon for one that was killed. The lock is still
    // held, so that nobody else's socket is taken away.
    let _already_gone = fs::remove_file(home.socket());
    server.finish().await;
    if usurped.is_cancelled() {
        return Err(StartError::Usurped);
    }
    // Whatever is not put down by then is read again by the next daemon.
    let _late = tokio::time::timeout(Duration::from_millis(PUT_DOWN_MS_MAX), writing).await;
    if let Err(error) = app.conversations.close().await {
        tracing::warn!(%error, "the conversations were not closed cleanly");
    }
    if let Err(error) = app.webhooks.store.close().await {
        tracing::warn!(%error, "the hooks were not closed cleanly");
    }
    if let Err(error) = store.close().await {
        // Nothing is lost: the next start finds what was committed.
        tracing::warn!(%error, "the store was not closed cleanly");
    }
    telemetry.finish().await;
    let counters = store.counters();
    tracing::info!(changes = counters.changes, transactions = counters.transactions, "left");
    Ok(())
}

fn assemble(
    home: &Home,
    store: SqliteStore,
    conversations: Conversations,
    scribe: Scribe,
    settings: &Settings,
) -> Arc<App> {
    let metrics = Arc::new(Metrics::new());
    let bus: Arc<dyn EventBus> =
        Arc::new(MeteredBus::new(BroadcastBus::new(), Arc::clone(&metrics)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let started_at = clock.now().wall;
    let ids: Arc<dyn IdSource> = Arc::new(UuidV7Source);
    let recorder = Arc::new(FileRecorder::new(home.sessions()));
    let ports = Ports {
        repository: Arc::new(store.clone()),
        bus: Arc::clone(&bus),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        recorder: Arc::clone(&recorder) as Arc<dyn Recorder>,
    };
    let Spawning { spawner, outlives_daemon } =
        Spawning::of(home, !store.was_closed(), settings.output_quota);
    let outputs = Outputs::new(home.sessions());
    let folders = Arc::new(TemporaryFolders::new(home.temporary()));
    let desks = Desks {
        outputs: outputs.clone(),
        folders: Arc::clone(&folders),
        versions: Versions::default(),
        scribe: scribe.clone(),
    };
    let registry = Registry::new(ports, spawner, Some(desks), LIVE_SESSIONS_MAX);
    Arc::new(App {
        registry,
        requests: Requests::default(),
        store,
        conversations,
        scribe,
        metrics,
        webhooks: Webhooks::new(&home.hooks()),
        bus,
        outputs,
        folders,
        remains: Remains::new(home.sessions()),
        web: Web::open(home.logins(), Arc::clone(&clock), settings.web_address),
        origins: Origins::new(home.sessions()),
        clock,
        ids,
        recorder,
        home: home.folder().to_owned(),
        backups: home.backups(),
        started_at,
        shutdown: Shutdown::new(outlives_daemon),
        tail: Tail::new(),
        replays: Arc::new(Semaphore::new(REPLAYS_MAX)),
    })
}

/// Binds the socket. Its folder is private, so there is no moment when others could connect.
fn listen(home: &Home) -> Result<UnixListener, StartError> {
    let path = home.socket();
    let failed = |source| StartError::Listen { path: path.clone(), source };
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(&path);
    rustix::process::umask(before);
    listener.map_err(failed)
}

fn start_log(home: &Home, ground: Ground, log_filter: &str) -> Result<(), StartError> {
    let filter = tracing_subscriber::EnvFilter::try_new(log_filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match ground {
        Ground::Front => log.with_writer(io::stderr).init(),
        Ground::Background => {
            let path = home.log();
            let unwritable = |source| HomeError::Unwritable { path: path.clone(), source };
            let is_large = fs::metadata(&path).is_ok_and(|file| file.len() > LOG_BYTES_MAX);
            if is_large {
                fs::rename(&path, path.with_extension("log.old")).map_err(unwritable)?;
            }
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)
                .map_err(unwritable)?;
            writeln!(file).map_err(unwritable)?;
            log.with_ansi(false).with_writer(std::sync::Mutex::new(file)).init();
        }
    }
    Ok(())
}
