//! A launch, from the side of the daemon: start a shim, and order the launch from it.
//!
//! | killed after | what the next daemon finds |
//! |---|---|
//! | the folder is made, the shim started | no start: never ran. The shim gets no order, and leaves |
//! | the intent is shown | the same, since it removes the intent under the lock |
//! | the order is given | the shim goes on by itself: up, or ended, or never ran |

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use candor_core::ports::Launch;
use candor_core::verdict::SpawnStage;
use rustix::io::Errno;
use rustix::process::Pid;
use uuid::Uuid;

use super::frame::FromShim;
use super::link::Connection;
use super::place::{Intent, Place};
use super::request;
use super::spawner::ShimProgram;
use crate::process::open_files::give_back;
use crate::process::plan::{Plan, Refusal};
use crate::process::platform::ExitWatch;
use crate::process::quota::OutputQuota;

/// What people see of a shim in a list of processes, in place of its file.
const NAME: &str = "candor-shim";

/// One launch to make.
pub(super) struct Order {
    pub(super) place: Place,
    pub(super) sessions: PathBuf,
    pub(super) program: ShimProgram,
    pub(super) wants_cgroup: bool,
    pub(super) quota: Option<OutputQuota>,
    pub(super) plan: Plan,
}

/// A shim that waits for its order.
struct Started {
    socket: UnixStream,
    order: Vec<u8>,
    place: Place,
}

/// Launches, and returns the connection with the shim whose process is up.
///
/// Dropped at any moment, the launch comes to nothing or goes on without us: `attach` tells.
///
/// # Errors
///
/// The answer, where there is no process that is known to be up.
pub(super) async fn launch(order: Order) -> Result<(Place, Connection), Launch> {
    let started = tokio::task::spawn_blocking(move || start(order));
    let Started { socket, order, place } = match started.await {
        Ok(started) => started?,
        Err(_) => return Err(Launch::Unknown),
    };
    match deliver(socket, &order).await {
        Ok((FromShim::Up, connection)) => Ok((place, connection)),
        Ok((FromShim::Refused(refusal), _)) => Err(refusal.into()),
        // It has left without a word. Whoever asks learns why that is.
        Ok((FromShim::Ended(_) | FromShim::Delivered { .. } | FromShim::Taken { .. }, _))
        | Err(_) => Err(Launch::Unknown),
    }
}

async fn deliver(socket: UnixStream, order: &[u8]) -> io::Result<(FromShim, Connection)> {
    let mut connection = Connection::over(socket)?;
    connection.send_all(order).await?;
    let answer = connection.next().await?;
    Ok((answer, connection))
}

/// Claims the session and starts its shim. It may block for as long as the disk does.
fn start(order: Order) -> Result<Started, Launch> {
    let Order { place, sessions, program, wants_cgroup, quota, plan } = order;
    let nonce = Uuid::now_v7();
    let order = request::encode(place.session(), nonce, &sessions, wants_cgroup, quota, &plan);
    let Some(order) = order else {
        return Err(Refusal::new(SpawnStage::Exec, Errno::TOOBIG).into());
    };
    match place.claim() {
        Ok(true) => {
            crate::failpoint!(LaunchClaimed, place.session());
        }
        // Somebody has launched it before, or died in the attempt. What became of that, the files
        // tell.
        Ok(false) => return Err(Launch::Unknown),
        Err(error) => return Err(Refusal::at(SpawnStage::Prepare)(error).into()),
    }
    match start_claimed(&place, nonce, &program) {
        Ok(socket) => Ok(Started { socket, order, place }),
        Err(refusal) => {
            // A shim that was started gets no order, and has made nothing.
            drop(place.discard());
            drop(fs::remove_dir(place.folder()));
            Err(refusal.into())
        }
    }
}

fn start_claimed(place: &Place, nonce: Uuid, program: &ShimProgram) -> Result<UnixStream, Refusal> {
    let prepare = Refusal::at(SpawnStage::Prepare);
    // First the shim: it gets ready while the disk is waited for.
    let socket = start_shim(place, program).map_err(Refusal::at(SpawnStage::Fork))?;
    place.intend(&Intent { session: place.session(), nonce }).map_err(&prepare)?;
    place.sync().map_err(&prepare)?;
    Ok(socket)
}

/// Starts a shim, and returns the socket to order the launch by. Dropped without an order, the shim
/// leaves.
fn start_shim(place: &Place, program: &ShimProgram) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(&program.path);
    command.arg0(NAME).args(&program.arguments).arg(place.session().to_string());
    command.env_clear().stdin(Stdio::from(OwnedFd::from(theirs)));
    command.stdout(File::open("/dev/null")?).stderr(File::open("/dev/null")?);
    let mut shim = command.spawn()?;
    // The command has the other end of the socket, and the shim must be the only one.
    drop(command);
    match get_ready(&shim) {
        Ok(watch) => {
            tokio::spawn(reaped(watch));
            Ok(ours)
        }
        Err(error) => {
            drop(ours);
            drop(shim.wait());
            Err(error)
        }
    }
}

/// Watches a shim, which has no order yet and so does nothing, and gives it what its session must
/// have.
fn get_ready(shim: &Child) -> io::Result<ExitWatch> {
    let pid = Pid::from_child(shim);
    give_back(pid)?;
    ExitWatch::of(pid)
}

/// Waits until a shim has ended, and takes it off the list of processes.
async fn reaped(watch: ExitWatch) {
    watch.ended().await;
    // By the handle: somebody else may have reaped it, and its number be another's.
    watch.reap();
}
