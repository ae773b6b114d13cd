//! The other end of the failpoints: it sees every place that the daemon reaches, and holds it there,
//! and hears what the daemon answers meanwhile.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use candor_adapters::failpoint::Point;
use serde_json::Value;

/// How long the daemon may take from one place to the next. Only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the places tell the signal that wakes a stopped process, which follows on every other.
const CONTINUE: &str = "Continue";

/// The daemon has reached a place, and stands there until this is dropped.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) point: Point,
    /// The id, or `-` where a place is not one session's.
    pub(crate) session: String,
    /// What more there is to tell: of a signal, which.
    pub(crate) detail: String,
    _held: UnixStream,
}

impl Arrival {
    /// `None` where the daemon died before it could say where it is.
    fn read(stream: UnixStream) -> Option<Self> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).ok()?;
        let words: Vec<&str> = line.strip_suffix('\n')?.split(' ').collect();
        let [point, session, detail] = words.as_slice() else { panic!("{line:?}") };
        let point = Point::ALL.into_iter().find(|known| known.as_str() == *point).unwrap();
        let [session, detail] = [session, detail].map(|word| (*word).to_owned());
        (detail != CONTINUE).then_some(Self { point, session, detail, _held: stream })
    }
}

/// What happens while a daemon runs.
pub(crate) enum News {
    Arrival(Arrival),
    /// Somebody who asked for this was answered, or was cut off.
    Answer(String, Option<Value>),
}

/// Everything that happens to one daemon, in order.
pub(crate) struct Listener {
    sender: Sender<News>,
    news: Receiver<News>,
}

impl Listener {
    /// Listens for one daemon.
    pub(crate) fn at(path: &Path) -> Self {
        let socket = UnixListener::bind(path).unwrap();
        let (sender, news) = mpsc::channel();
        let arrivals = sender.clone();
        thread::spawn(move || {
            for stream in socket.incoming() {
                if let Some(arrival) = Arrival::read(stream.unwrap())
                    && arrivals.send(News::Arrival(arrival)).is_err()
                {
                    return;
                }
            }
        });
        Self { sender, news }
    }

    /// Asks for something beside everything else.
    pub(crate) fn ask(&self, asked: String, ask: impl FnOnce() -> Option<Value> + Send + 'static) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            // Where nobody listens any more, the test is over.
            drop(sender.send(News::Answer(asked, ask())));
        });
    }

    /// Waits for what happens next. `None` when nothing does.
    pub(crate) fn next(&self) -> Option<News> {
        self.news.recv_timeout(PATIENCE).ok()
    }

    /// Holds nothing any more.
    pub(crate) fn let_go(self) {
        thread::spawn(move || self.news.into_iter().for_each(drop));
    }
}
