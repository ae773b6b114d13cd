//! Every change of a session as a span, by OTLP over HTTP, to whoever collects them.
//!
//! A session is a trace, whose id is the session's. A change is a span that lasted as long as its
//! commit took. They are sent in batches, beside everything else: where nobody takes them they are
//! dropped, and nothing waits for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_adapters::sqlite::{CommitWatch, SqliteStore};
use candor_core::event::Seq;
use candor_core::ports::{Change, CommitError, StoredSession};
use candor_core::status::Status;
use candor_core::verdict::Verdict;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};

use super::metrics::Metrics;

/// Spans that wait to be sent, at most. Further ones are dropped.
const QUEUE_SPANS_MAX: usize = 2_048;

/// Spans that are sent at one time, at most.
const BATCH_SPANS_MAX: usize = 512;

/// How long spans wait for others before they are sent, in milliseconds.
const BATCH_MS: u64 = 1_000;

/// How long sending may take, in milliseconds.
const EXPORT_MS_MAX: u64 = 5_000;

/// How long a daemon that leaves waits until the last are sent, in milliseconds.
const LEAVE_MS_MAX: u64 = 1_000;

/// Bytes of an answer that are read, at most.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where all spans are sent below the endpoint. Source: the OTLP specification, 1.5.
const PATH: &str = "/v1/traces";

/// Has commits counted, and sends spans of them where somebody wants that.
pub(super) struct Telemetry(Option<Arc<Tracing>>);

impl Telemetry {
    /// Begins to count, and to send to an endpoint. Where that cannot be, the log tells.
    pub(super) fn begin(
        store: &SqliteStore,
        metrics: &Arc<Metrics>,
        endpoint: Option<&str>,
    ) -> Self {
        let tracing = endpoint.and_then(|endpoint| {
            let started = Tracing::start(endpoint, Arc::clone(metrics));
            started.inspect_err(|error| tracing::warn!(%error, endpoint, "no spans are sent")).ok()
        });
        match &tracing {
            Some(tracing) => store.watch(Arc::clone(tracing) as Arc<dyn CommitWatch>),
            None => store.watch(Arc::clone(metrics) as Arc<dyn CommitWatch>),
        }
        Self(tracing)
    }

    /// Sends what waits, and no more.
    pub(super) async fn finish(self) {
        let Some(tracing) = self.0 else { return };
        let provider = tracing.provider.clone();
        let limit = Duration::from_millis(LEAVE_MS_MAX);
        let finishing = spawn_blocking(move || provider.shutdown_with_timeout(limit));
        if let Ok(Err(error)) = finishing.await {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Makes spans of commits, and has them counted as well.
#[derive(Debug)]
struct Tracing {
    metrics: Arc<Metrics>,
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Tracing {
    /// Begins to send to an endpoint such as `http://localhost:4318`.
    fn start(endpoint: &str, metrics: Arc<Metrics>) -> Result<Arc<Self>, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(PlainClient { runtime: Handle::current() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .with_timeout(Duration::from_millis(EXPORT_MS_MAX))
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(BATCH_SPANS_MAX)
            .with_scheduled_delay(Duration::from_millis(BATCH_MS))
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty()
            .with_service_name("candor")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("candor");
        Ok(Arc::new(Self { metrics, provider, tracer }))
    }

    fn trace(&self, change: &Change, took: Duration, seq: Seq) {
        let event = &change.event;
        let name = match event.from == Some(event.to) {
            true => "session changed",
            false => name_of(event.to),
        };
        let now = SystemTime::now();
        let mut attributes = vec![
            KeyValue::new("candor.session", event.session.to_string()),
            KeyValue::new("candor.seq", integer(seq.number())),
            KeyValue::new("candor.revision", integer(event.revision.number())),
            KeyValue::new("candor.from", event.from.map_or("none", Status::as_str)),
            KeyValue::new("candor.to", event.to.as_str()),
            KeyValue::new("candor.cause", event.cause.as_str()),
            KeyValue::new("candor.by", event.by.to_string()),
        ];
        if let Some(outcome) = event.verdict.map(Verdict::outcome) {
            attributes.push(KeyValue::new("candor.outcome", outcome));
        }
        let id = event.session.as_uuid().as_u128();
        // What all changes of a session are below has the end of its id.
        let session = SpanContext::new(
            TraceId::from(id),
            SpanId::from((id & u128::from(u64::MAX)) as u64),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let mut span = self
            .tracer
            .span_builder(name)
            .with_start_time(now.checked_sub(took).unwrap_or(now))
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &Context::new().with_remote_span_context(session));
        span.end_with_timestamp(now);
    }
}

const fn name_of(status: Status) -> &'static str {
    match status {
        Status::Queued => "session queued",
        Status::Starting => "session starting",
        Status::Running => "session running",
        Status::WaitingInput => "session waiting_input",
        Status::Completing => "session completing",
        Status::Completed => "session completed",
        Status::Failed => "session failed",
        Status::Lost => "session lost",
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl CommitWatch for Tracing {
    fn answered(&self, change: &Change, took: Duration, answer: &Result<Seq, CommitError>) {
        self.metrics.answered(change, took, answer);
        if let Ok(seq) = answer {
            self.trace(change, took, *seq);
        }
    }

    fn loaded(&self, stored: &StoredSession) {
        self.metrics.loaded(stored);
    }
}

/// Sends to a collector: over plain HTTP, each request on a connection of its own. It is asked from a
/// thread that has no runtime.
#[derive(Debug)]
struct PlainClient {
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for PlainClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(async move {
            let limit = Duration::from_millis(EXPORT_MS_MAX);
            tokio::time::timeout(limit, send(request)).await
        });
        sent.await??
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let authority = request.uri().authority().ok_or("the endpoint names no host")?.clone();
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host().trim_matches(['[', ']']), port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with this request, however that ends.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(hyper::header::HOST, authority.as_str().parse()?);
    parts.uri = parts.uri.path().parse()?;
    let request = Request::from_parts(parts, Full::new(body));
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
