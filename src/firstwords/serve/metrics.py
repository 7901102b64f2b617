"""The Prometheus metrics that /metrics returns."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds


class ServerMetrics:
    """The metrics of one server, in their own registry, so that two servers in one process do not
    share counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "firstwords_requests", "HTTP requests", ["path", "status"], registry=self.registry
        )
        self.prompt_tokens = Counter(
            "firstwords_prompt_tokens", "Prompt tokens", registry=self.registry
        )
        self.generated_tokens = Counter(
            "firstwords_generated_tokens", "Generated tokens", registry=self.registry
        )
        self.time_to_first_token = Histogram(
            "firstwords_time_to_first_token_seconds",
            "Seconds from a request to its first generated token",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.generation_time = Histogram(
            "firstwords_generation_seconds",
            "Seconds from a request to the end of its answer",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.active_requests = Gauge(
            "firstwords_active_requests",
            "Requests that are running or queued",
            ["model"],
            registry=self.registry,
        )


class RequestCounter:
    """ASGI middleware that counts responses by path and status."""

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                self.requests.labels(path, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, count_and_send if scope["type"] == "http" else send)
