"""What /metrics tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Measures:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "firstwords_requests", "Requests", ["path", "status"], registry=self.registry
        )
        self.prompt_tokens = Counter(
            "firstwords_prompt_tokens", "Tokens of prompts", registry=self.registry
        )
        self.generated_tokens = Counter(
            "firstwords_generated_tokens", "Tokens generated", registry=self.registry
        )
        self.first_token = Histogram(
            "firstwords_first_token_seconds",
            "From a request to its first token",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.whole = Histogram(
            "firstwords_answer_seconds",
            "From a request to the end of its answer",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.busy = Gauge(
            "firstwords_busy", "Requests that run or wait", ["model"], registry=self.registry
        )


class Counted:
    """Middleware: counts answers by path and status."""

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                self.requests.labels(path, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, counted if scope["type"] == "http" else send)
