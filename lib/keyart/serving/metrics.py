"""What the service counts, for Prometheus: its own registry, so that two services in one process do not meet."""

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class Metrics:
    """Names begin with keyart_; no label holds a member, a title or an artwork."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "keyart_requests", "Requests by path and status", ("path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "keyart_request_seconds", "Time to answer", ("path",), buckets=SECONDS, registry=self.registry
        )
        requests, seconds = self.requests, self.seconds
        self._of = lru_cache(1024)(lambda path, status: (requests.labels(path, status), seconds.labels(path)))
        self.answers = Counter("keyart_answers", "Titles answered, by level", ("level",), registry=self.registry)
        self.exposures = Counter("keyart_exposures", "Exposures logged", registry=self.registry)
        self.switches = Counter("keyart_policy_switches", "Policies that took another's place", registry=self.registry)
        self.failures = Counter(
            "keyart_policy_failures", "Bundles that were pointed to and could not be opened", registry=self.registry
        )
        self.bundle = Gauge("keyart_policy", "The bundle served now is 1", ("bundle",), registry=self.registry)

    def passed(self, path: str, status: int, seconds: float) -> None:
        """Count a request; ``path`` is one of few."""
        requests, time = self._of(path, str(status))
        requests.inc()
        time.observe(seconds)

    def serves(self, bundle: str) -> None:
        """Say which bundle is served now."""
        self.bundle.clear()
        self.bundle.labels(bundle).set(1)

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self.registry)
