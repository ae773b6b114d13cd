//! What it takes to understand a file of an agent's lines, as JSON in nanoseconds: for `cargo xtask
//! bench`, which judges it. The words are the agent's name, the file, and how often it is read.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candor_adapters::agents::{Listener, by_name};
use candor_core::agent::{AgentSpec, Permissions, View};
use candor_core::bytes::ByteString;
use serde_json::json;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 * 1024;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [agent, file, rounds] = words.as_slice() else { return ExitCode::FAILURE };
    match measure(agent, Path::new(file), rounds.parse().unwrap_or(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(agent: &str, file: &Path, rounds: usize) -> io::Result<()> {
    let mut figures = json!({"read_ns": []});
    for _ in 0..rounds {
        let begin = Instant::now();
        let (view, items) = read(agent, file)?;
        let ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(all) = figures["read_ns"].as_array_mut() {
            all.push(ns.into());
        }
        figures["items"] = items.into();
        figures["turns"] = view.learned.turns.into();
        figures["unknown"] = view.learned.lines_unknown.into();
    }
    writeln!(io::stdout(), "{figures}")
}

/// Reads the file as a daemon does, and throws the conversation away.
fn read(agent: &str, file: &Path) -> io::Result<(View, usize)> {
    let agent = by_name(agent).ok_or_else(|| io::Error::other("there is no such agent"))?;
    let folder = ByteString::try_from("/").map_err(io::Error::other)?;
    let mut listener = Listener::new(agent.reader(&spec(agent.name()), &folder));
    let mut file = File::open(file)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut items, mut count) = (Vec::new(), 0);
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        listener.take(&chunk[..length], &mut items);
        count += items.len();
        items.clear();
    }
    listener.end("", &mut items);
    Ok((listener.view().clone(), count + items.len()))
}

fn spec(kind: &str) -> AgentSpec {
    AgentSpec {
        kind: kind.to_owned(),
        prompt: "x".to_owned(),
        is_interactive: true,
        resumes: None,
        forks: false,
        agent_session: None,
        model: None,
        permission_mode: None,
        max_turns: None,
        arguments: Vec::new(),
        permissions: Permissions::default(),
    }
}
