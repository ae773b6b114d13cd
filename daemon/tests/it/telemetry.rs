//! Spans: of every change one, at whoever collects them. And none where nobody has asked for that.

#[cfg(feature = "otel")]
use std::collections::BTreeSet;
#[cfg(feature = "otel")]
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
#[cfg(feature = "otel")]
use std::net::TcpListener;
#[cfg(not(feature = "otel"))]
use std::process::Command;

use crate::support::Place;

#[cfg(not(feature = "otel"))]
#[test]
fn a_program_without_spans_says_so_and_has_nothing_of_it() {
    let place = Place::new();
    place.configure("[otel]\nendpoint = \"http://127.0.0.1:4318\"\n");
    let said = place.run(["daemon", "start"]).expect(125);
    said.because(&["--features otel"]);
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--offline",
        "--locked",
        "-p",
        "candor",
        "-e",
        "normal",
        "--prefix",
        "none",
    ]);
    let tree = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("candor-adapters"), "{tree}");
    assert!(!tree.contains("opentelemetry") && !tree.contains("prost"), "{tree}");
}

#[cfg(feature = "otel")]
#[test]
fn every_change_is_a_span_of_its_sessions_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::new();
    let endpoint = collector.local_addr().unwrap();
    place.configure(&format!("[otel]\nendpoint = \"http://{endpoint}\"\n"));
    let id = place.launch(["sh", "-c", "exit 3"]);
    place.run(["wait", &id]).expect(3);
    let trace: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&id.replace('-', "")[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let mut names = BTreeSet::new();
    while names.len() < 3 {
        let body = take(&collector);
        let has = |words: &[u8]| body.windows(words.len()).any(|window| window == words);
        assert!(has(&trace) && has(b"candor.session") && has(id.as_bytes()));
        for name in ["session starting", "session running", "session failed"] {
            if has(name.as_bytes()) {
                names.insert(name);
            }
        }
        assert!(!names.contains("session failed") || has(b"exit_code"));
    }
    assert!(place.run(["ls"]).expect(0).stdout().contains("exit 3"));
}

/// Takes one request, and returns its body.
#[cfg(feature = "otel")]
fn take(collector: &TcpListener) -> Vec<u8> {
    let (stream, _) = collector.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if let Some(value) = line.strip_prefix("content-type: ") {
            assert_eq!(value.trim(), "application/x-protobuf");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    reader.into_inner().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    body
}

/// A collector that is not there holds nothing up.
#[cfg(feature = "otel")]
#[test]
fn nobody_has_to_collect_them() {
    let place = Place::new();
    place.configure("[otel]\nendpoint = \"http://127.0.0.1:1\"\n");
    place.run(["run", "--", "true"]).expect(0);
    place.run(["daemon", "stop"]).expect(0);
    place.run(["run", "--", "true"]).expect(0);
}
