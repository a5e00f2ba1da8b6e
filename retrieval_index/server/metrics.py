"""Prometheus metrics of the server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["ServerMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class ServerMetrics:
    """Metrics of one server, in a separate registry, so that two servers in a process do not mix."""

    def __init__(self, num_waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "berrypick_requests", "Requests by path and status", ["path", "status"], registry=self.registry
        )
        self.queries = Counter("berrypick_queries", "Queries searched", registry=self.registry)
        self.seconds = Histogram(
            "berrypick_request_seconds", "Arrival to answer", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self.batch = Histogram(
            "berrypick_batch_queries", "Queries of one search", buckets=_SIZES, registry=self.registry
        )
        self.search = Histogram(
            "berrypick_search_seconds", "Time of one search", buckets=_SECONDS, registry=self.registry
        )
        waiting = Gauge("berrypick_waiting_queries", "Queries that wait for a search", registry=self.registry)
        waiting.set_function(num_waiting)

    def on_batch(self, queries: int, seconds: float) -> None:
        """Records one search."""
        self.queries.inc(queries)
        self.batch.observe(queries)
        self.search.observe(seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)
