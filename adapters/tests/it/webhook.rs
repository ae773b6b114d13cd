//! One attempt to deliver, against receivers of every kind on the loopback interface.

use std::future::Future;
use std::net::SocketAddr;

use candor_adapters::webhook::{ANSWER_BYTES_MAX, Answer, AttemptError, Target, WebhookClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Takes one connection, and does with it what it is told.
async fn receiver<F: Future<Output = String> + Send + 'static>(
    answer: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream).await
    });
    (address, serving)
}

/// Reads a request whose body is `body`, and answers it.
async fn answer(mut stream: TcpStream, body: &'static str, answer: Vec<u8>) -> String {
    let mut request = Vec::new();
    while !request.ends_with(body.as_bytes()) {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "it ended early");
    }
    stream.write_all(&answer).await.unwrap();
    String::from_utf8(request).unwrap()
}

async fn post(url: &str, allow_local: bool) -> Result<Answer, AttemptError> {
    let target = Target::parse(url, allow_local).unwrap();
    let headers = [("webhook-id", "one".to_owned())];
    WebhookClient::default().post(&target, &headers, "{\"a\":1}".to_owned()).await
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    let (address, served) = receiver(|stream| {
        answer(stream, "{\"a\":1}", b"HTTP/1.1 503 x\r\nretry-after: 7\r\n\r\n".to_vec())
    })
    .await;
    let said = post(&format!("http://{address}/a/b?c=d"), true).await.unwrap();
    assert_eq!(said, Answer { status: 503, retry_after_s: Some(7) });
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{request}");
    for line in [
        format!("host: {address}"),
        "content-type: application/json".to_owned(),
        "content-length: 7".to_owned(),
        "webhook-id: one".to_owned(),
    ] {
        assert!(request.lines().any(|it| it == line), "{line} in {request}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/", elsewhere.local_addr().unwrap());
    let text = format!("HTTP/1.1 307 x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let (address, _served) =
        receiver(|stream| answer(stream, "{\"a\":1}", text.into_bytes())).await;
    let said = post(&format!("http://{address}/"), true).await.unwrap();
    assert_eq!(said.status, 307);
    let came = tokio::time::timeout(std::time::Duration::ZERO, elsewhere.accept()).await;
    assert!(came.is_err(), "somebody came");
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let (address, served) = receiver(|mut stream| async move {
        let head = b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let (mut written, chunk) = (0, [b"400\r\n".as_slice(), &[b'x'; 0x400], b"\r\n"].concat());
        let mut request = [0; 1024];
        let _some = stream.read(&mut request).await.unwrap();
        stream.write_all(&head).await.unwrap();
        // It breaks when nobody reads any more.
        while stream.write_all(&chunk).await.is_ok() {
            written += chunk.len();
        }
        written.to_string()
    })
    .await;
    let said = post(&format!("http://{address}/"), true).await.unwrap();
    assert_eq!(said.status, 200);
    // What lies in the buffers of both ends comes on top.
    let written: usize = served.await.unwrap().parse().unwrap();
    assert!(written < ANSWER_BYTES_MAX + (16 << 20), "{written}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_says_nothing_is_left() {
    let (address, served) = receiver(|mut stream| async move {
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        all
    })
    .await;
    let error = post(&format!("http://{address}/"), true).await.unwrap_err();
    assert!(matches!(error, AttemptError::Late), "{error}");
    assert!(served.await.unwrap().starts_with("POST / "));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_when_it_is_resolved() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = post(&format!("http://localhost:{port}/"), false).await.unwrap_err();
    assert!(matches!(error, AttemptError::Refused { .. }), "{error}");
    let came = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(came.is_err(), "somebody came");
}

#[tokio::test]
async fn whoever_cannot_prove_who_he_is_gets_nothing() {
    let (address, served) = receiver(|mut stream| async move {
        let mut hello = vec![0; 4096];
        let read = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 x\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&hello[..read]).into_owned()
    })
    .await;
    let error = post(&format!("https://{address}/secret"), true).await.unwrap_err();
    assert!(matches!(error, AttemptError::Tls(_)), "{error}");
    if !error.to_string().contains("ca-certificates") {
        assert!(!served.await.unwrap().contains("secret"));
    }
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = post(&format!("http://{address}/"), true).await.unwrap_err();
    assert!(matches!(error, AttemptError::Connect { .. }), "{error}");
}
