#!/usr/bin/env python3
"""How a server bears many at a time: streaming clients that all want an answer.

    firstwords serve --port 8000
    python benchmarks/load.py --url http://127.0.0.1:8000 --clients 64 --requests 640

Every request asks with a seed of its own, and every seed is asked twice: both answers must be the
same, or two requests were mixed up. Requests that are told to come back do so.
"""

import argparse
import asyncio
import json
import statistics
import time
from typing import Any, NamedTuple

import httpx
import psutil


class Answer(NamedTuple):
    seed: int
    text: str
    first: float  # seconds to the first token
    whole: float
    tokens: int


async def ask(client: httpx.AsyncClient, seed: int, tokens: int) -> Answer:
    body = {
        "messages": [{"role": "user", "content": f"Tell me a story about the number {seed}."}],
        "max_tokens": tokens,
        "temperature": 1.0,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started, first, text, count = time.monotonic(), 0.0, "", 0
    while True:
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code == 429:
                await asyncio.sleep(float(response.headers["retry-after"]))
                continue
            response.raise_for_status()
            done = False
            async for line in response.aiter_lines():
                if line == "data: [DONE]":
                    done = True
                elif line.startswith("data: "):
                    document = json.loads(line[6:])
                    count = (document.get("usage") or {}).get("completion_tokens", count)
                    said = "".join(c["delta"].get("content", "") for c in document["choices"])
                    first = first or (time.monotonic() - started if said else 0.0)
                    text += said
            if not done:
                raise RuntimeError(f"the answer to seed {seed} was cut off")
        return Answer(seed, text, first, time.monotonic() - started, count)


async def run(url: str, clients: int, requests: int, tokens: int) -> list[Answer]:
    waiting = [number // 2 for number in range(requests)]
    answers: list[Answer] = []

    async def one_client(client: httpx.AsyncClient) -> None:
        while waiting:
            answers.append(await ask(client, waiting.pop(), tokens))

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(*(one_client(client) for _ in range(clients)))
    return answers


def memory_of(port: int) -> float:
    """Megabytes of the process that listens there."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == "LISTEN" and connection.laddr.port == port and connection.pid:
            return float(psutil.Process(connection.pid).memory_info().rss / 1e6)
    return float("nan")


def figures(answers: list[Answer], seconds: float) -> dict[str, Any]:
    by_seed: dict[int, set[str]] = {}
    for answer in answers:
        by_seed.setdefault(answer.seed, set()).add(answer.text)
    first = sorted(answer.first for answer in answers)
    whole = sorted(answer.whole for answer in answers)
    return {
        "answers": len(answers),
        "mixed_up": sum(len(texts) > 1 for texts in by_seed.values()),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(sum(answer.tokens for answer in answers) / seconds),
        "first_token_median": round(statistics.median(first), 3),
        "first_token_99": round(first[int(0.99 * len(first))], 3),
        "answer_median": round(statistics.median(whole), 3),
        "answer_slowest": round(whole[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    port = httpx.URL(options.url).port or 80
    asyncio.run(run(options.url, 2, 8, options.tokens))
    before, started = memory_of(port), time.monotonic()
    answers = asyncio.run(run(options.url, options.clients, options.requests, options.tokens))
    result = figures(answers, time.monotonic() - started)
    print(json.dumps({**result, "memory_mb": [round(before), round(memory_of(port))]}, indent=2))


if __name__ == "__main__":
    main()
