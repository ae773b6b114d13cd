//! One attempt: a connection of its own, a request, an answer.
//!
//! No proxy, no redirect, no cookie, no connection that is kept: what was checked is what is
//! connected to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::guard::{Reach, reach};
use super::target::Target;

/// How long an attempt may take, in milliseconds, from the first question for the name to the end of
/// the answer.
pub const ATTEMPT_MS_MAX: u64 = 15_000;

/// How long one of several addresses of a name may take to be connected to, in milliseconds.
const CONNECT_MS_MAX: u64 = 5_000;

/// Addresses of a name that are tried, at most.
const ADDRESSES_MAX: usize = 4;

/// Bytes of an answer's body that are read, at most. Nothing is made of them: a receiver that is not
/// read from may take its answer for lost.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What an answer said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks to be left alone, in seconds.
    pub retry_after_s: Option<u64>,
}

/// Why there was no answer. It may be otherwise another time.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The name stands for nothing.
    #[error("the name {host} cannot be resolved: {reason}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// The name leads where it may not.
    #[error(
        "{host} leads to {address}, in this machine or its network, where only --allow-local \
         delivers to"
    )]
    Refused {
        /// The name.
        host: String,
        /// One of its addresses.
        address: std::net::IpAddr,
    },
    /// Nobody is there.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// What the operating system said.
        reason: String,
    },
    /// The other end could not prove who it is.
    #[error("no secure connection: {0}")]
    Tls(String),
    /// It broke off, or is no HTTP.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// It took too long.
    #[error("there was no answer within {} s", ATTEMPT_MS_MAX / 1_000)]
    Late,
}

/// Delivers webhooks. Its clones share what they trust.
#[derive(Clone, Debug, Default)]
pub struct WebhookClient {
    trust: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl WebhookClient {
    /// Makes one attempt. `headers` are added to those of every request.
    ///
    /// Cancel safe: dropped, it may or may not have arrived.
    ///
    /// # Errors
    ///
    /// [`AttemptError`]. An answer that says no is none of them.
    pub async fn post(
        &self,
        target: &Target,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Answer, AttemptError> {
        let attempt = self.attempt(target, headers, body);
        let limit = Duration::from_millis(ATTEMPT_MS_MAX);
        timeout(limit, attempt).await.unwrap_or(Err(AttemptError::Late))
    }

    async fn attempt(
        &self,
        target: &Target,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Answer, AttemptError> {
        let mut request = Request::post(target.path.as_str())
            .header(header::HOST, &target.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("candor/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(broken)?;
        let stream = connect(target).await?;
        if !target.is_https {
            return exchange(stream, request).await;
        }
        let trust = self.trust.get_or_try_init(trust).await?;
        let tls = TlsConnector::from(Arc::clone(trust));
        let name = ServerName::try_from(target.host.clone()).map_err(tls_error)?;
        exchange(tls.connect(name, stream).await.map_err(tls_error)?, request).await
    }
}

/// Returns what is trusted: what the machine trusts.
async fn trust() -> Result<Arc<ClientConfig>, AttemptError> {
    let found = spawn_blocking(rustls_native_certs::load_native_certs).await.map_err(tls_error)?;
    let mut roots = RootCertStore::empty();
    let (added, _unreadable) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let missing = "this machine has no certificates of authorities: install ca-certificates";
        return Err(AttemptError::Tls(missing.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Connects to an address that was looked at, and to no other.
async fn connect(target: &Target) -> Result<TcpStream, AttemptError> {
    let addresses = resolve(target).await?;
    let mut failed = None;
    for address in addresses {
        let connecting = TcpStream::connect(address);
        let connected = timeout(Duration::from_millis(CONNECT_MS_MAX), connecting).await;
        let reason = match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "it does not answer".to_owned(),
        };
        failed = Some(AttemptError::Connect { address, reason });
    }
    Err(failed.unwrap_or_else(|| unresolved(target, "it has no address")))
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, AttemptError> {
    let found = lookup_host((target.host.as_str(), target.port)).await;
    let found = found.map_err(|error| unresolved(target, &error.to_string()))?;
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        match reach(address.ip()) {
            Reach::Public => allowed.push(address),
            Reach::Local if target.allow_local => allowed.push(address),
            Reach::Local | Reach::Never => refused = Some(address.ip()),
        }
    }
    allowed.truncate(ADDRESSES_MAX);
    match refused {
        Some(address) if allowed.is_empty() => {
            Err(AttemptError::Refused { host: target.host.clone(), address })
        }
        Some(_) | None => Ok(allowed),
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, AttemptError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with this attempt, however that ends.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let response: Response<Incoming> = sender.send_request(request).await.map_err(broken)?;
    let answer = Answer {
        status: response.status().as_u16(),
        retry_after_s: response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| retry_after_s(value.to_str().ok()?, SystemTime::now())),
    };
    // The status has come, and counts whatever becomes of the rest.
    let _rest = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok(answer)
}

/// Reads seconds, or a date.
///
/// Source: RFC 9110, section 10.2.3.
fn retry_after_s(value: &str, now: SystemTime) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let now = jiff::Timestamp::try_from(now).ok()?;
    u64::try_from(at.as_second() - now.as_second()).ok()
}

fn unresolved(target: &Target, reason: &str) -> AttemptError {
    AttemptError::Name { host: target.host.clone(), reason: reason.to_owned() }
}

fn broken(error: impl std::fmt::Display) -> AttemptError {
    AttemptError::Broken(error.to_string())
}

fn tls_error(error: impl std::fmt::Display) -> AttemptError {
    AttemptError::Tls(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::retry_after_s;

    #[test]
    fn a_wish_to_be_left_alone_is_read_in_both_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after_s(value, now), expected, "{value:?}");
        }
    }
}
