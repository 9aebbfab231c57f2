"""What Prometheus scrapes: how many requests and texts, how long, how much waits."""

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Figures of one server. They hold no text, and no label that a client may choose."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        """Begin to count.

        Args:
            waiting: gives the number of texts that are accepted and not yet answered.
        """
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "labelf_requests",
            "Requests that were answered.",
            ["path", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "labelf_request_seconds",
            "Seconds from the head of a request to its answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._texts = Counter(
            "labelf_texts", "Texts that each model classified.", ["model"], registry=self._registry
        )
        gauge = Gauge(
            "labelf_texts_waiting",
            "Texts that are accepted and not yet answered.",
            registry=self._registry,
        )
        gauge.set_function(waiting)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: of its route, with the names of parameters in the place of their values.
            status: of the answer.
            seconds: that it took.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def classified(self, models: Iterable[str], texts: int) -> None:
        """Count texts that some models classified."""
        for model in models:
            self._texts.labels(model).inc(texts)

    def render(self) -> bytes:
        """All of it in Prometheus' text format, version 1.0.0."""
        return generate_latest(self._registry)
