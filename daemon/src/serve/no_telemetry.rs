//! Nobody is sent spans: this program is built without the feature `otel`.

use std::sync::Arc;

use candor_adapters::sqlite::{CommitWatch, SqliteStore};

use super::metrics::Metrics;

/// Has commits counted, and nothing more.
pub(super) struct Telemetry;

impl Telemetry {
    /// Begins to count. The settings have refused an endpoint.
    pub(super) fn begin(
        store: &SqliteStore,
        metrics: &Arc<Metrics>,
        _endpoint: Option<&str>,
    ) -> Self {
        store.watch(Arc::clone(metrics) as Arc<dyn CommitWatch>);
        Self
    }

    /// Does nothing: there is nothing to send.
    #[expect(clippy::unused_async, reason = "where there is something to send it is awaited")]
    pub(super) async fn finish(self) {}
}
