//! A receiver of webhooks, by hand: it takes what comes, and the test says what it answers.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Calls, Sender, channel};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Listens on the loopback interface until it is dropped, and a moment longer.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    calls: Calls<Call>,
}

/// A request that waits for its answer.
pub(super) struct Call {
    pub(super) path: String,
    /// By names in small letters.
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
    stream: TcpStream,
}

impl Receiver {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || read(stream, &sender));
            }
        });
        Self { address, calls }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits for the next request.
    pub(super) fn call(&self) -> Call {
        self.calls.recv().unwrap()
    }

    /// Says whether nothing has come.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.try_recv().is_err()
    }

    /// Takes the next delivery, and returns what it says.
    pub(super) fn take(&self) -> Value {
        self.call().accept()
    }
}

fn read(stream: TcpStream, sender: &Sender<Call>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    // Whoever does not listen any more has seen enough.
    sender.send(Call { path, headers, body, stream: reader.into_inner() }).ok()
}

impl Call {
    pub(super) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Answers with a status, and further lines of the head.
    pub(super) fn answer(mut self, status: u16, lines: &str) {
        let head = format!("HTTP/1.1 {status} x\r\n{lines}content-length: 0\r\n\r\n");
        // A daemon that was killed does not wait for it.
        let _gone = self.stream.write_all(head.as_bytes());
    }

    /// Takes it, and returns what it says.
    pub(super) fn accept(self) -> Value {
        let json = self.json();
        self.answer(204, "");
        json
    }

    /// Checks its signature by what RFC 2104 and the specification of Standard Webhooks say.
    #[track_caller]
    pub(super) fn assert_signed(&self, secret: &str) {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        assert!((24..=64).contains(&key.len()));
        let signed = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        let padded = |pad: u8| {
            let mut block = [pad; 64];
            block.iter_mut().zip(&key).for_each(|(byte, key)| *byte ^= key);
            Sha256::new_with_prefix(block)
        };
        let inner = padded(0x36).chain_update(signed).finalize();
        let expected = padded(0x5c).chain_update(inner).finalize();
        let signature = format!("v1,{}", STANDARD.encode(expected));
        assert_eq!(self.headers["webhook-signature"], signature);
    }
}
