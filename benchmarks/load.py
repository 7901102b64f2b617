#!/usr/bin/env python3
"""Load-test a server with many streaming clients.

    firstwords serve --port 8000
    python benchmarks/load.py --url http://127.0.0.1:8000 --clients 64 --requests 640

Every request has a seed, and every seed is used twice: both answers must be equal, or two requests
were mixed up. A request that gets 429 is sent again after the time that the server asks for.
"""

import argparse
import asyncio
import json
import statistics
import time
from typing import Any, NamedTuple

import httpx
import psutil


class TimedAnswer(NamedTuple):
    """A complete answer of the server and its times."""

    seed: int
    text: str
    first_token_seconds: float
    total_seconds: float
    tokens: int


async def request_answer(client: httpx.AsyncClient, seed: int, max_tokens: int) -> TimedAnswer:
    """Stream one answer. Raises RuntimeError if it is cut off."""
    body = {
        "messages": [{"role": "user", "content": f"Tell me a story about the number {seed}."}],
        "max_tokens": max_tokens,
        "temperature": 1.0,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    started, first, text, tokens = time.monotonic(), 0.0, "", 0
    while True:
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code == 429:
                await asyncio.sleep(float(response.headers["retry-after"]))
                continue
            response.raise_for_status()
            complete = False
            async for line in response.aiter_lines():
                if line == "data: [DONE]":
                    complete = True
                elif line.startswith("data: "):
                    chunk = json.loads(line[6:])
                    tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
                    delta = "".join(c["delta"].get("content", "") for c in chunk["choices"])
                    first = first or (time.monotonic() - started if delta else 0.0)
                    text += delta
            if not complete:
                raise RuntimeError(f"the answer to seed {seed} was cut off")
        return TimedAnswer(seed, text, first, time.monotonic() - started, tokens)


async def run_clients(url: str, clients: int, requests: int, max_tokens: int) -> list[TimedAnswer]:
    """Send all requests from so many clients, each with one request at a time."""
    seeds = [number // 2 for number in range(requests)]
    answers: list[TimedAnswer] = []

    async def run_client(client: httpx.AsyncClient) -> None:
        while seeds:
            answers.append(await request_answer(client, seeds.pop(), max_tokens))

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(*(run_client(client) for _ in range(clients)))
    return answers


def memory_megabytes(port: int) -> float:
    """Return the resident memory of the process that listens on a port."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == "LISTEN" and connection.laddr.port == port and connection.pid:
            return float(psutil.Process(connection.pid).memory_info().rss / 1e6)
    return float("nan")


def summarize(answers: list[TimedAnswer], seconds: float) -> dict[str, Any]:
    """Return throughput, latencies, and the number of seeds with two different answers."""
    texts_by_seed: dict[int, set[str]] = {}
    for answer in answers:
        texts_by_seed.setdefault(answer.seed, set()).add(answer.text)
    first = sorted(answer.first_token_seconds for answer in answers)
    total = sorted(answer.total_seconds for answer in answers)
    return {
        "answers": len(answers),
        "mixed_up": sum(len(texts) > 1 for texts in texts_by_seed.values()),
        "seconds": round(seconds, 1),
        "tokens_per_second": round(sum(answer.tokens for answer in answers) / seconds),
        "first_token_median": round(statistics.median(first), 3),
        "first_token_99": round(first[int(0.99 * len(first))], 3),
        "answer_median": round(statistics.median(total), 3),
        "answer_slowest": round(total[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--tokens", type=int, default=64, help="maximum tokens of an answer")
    options = parser.parse_args()
    port = httpx.URL(options.url).port or 80
    asyncio.run(run_clients(options.url, 2, 8, options.tokens))  # warm up
    memory, started = memory_megabytes(port), time.monotonic()
    answers = asyncio.run(
        run_clients(options.url, options.clients, options.requests, options.tokens)
    )
    result = summarize(answers, time.monotonic() - started)
    memory_mb = [round(memory), round(memory_megabytes(port))]
    print(json.dumps({**result, "memory_mb": memory_mb}, indent=2))


if __name__ == "__main__":
    main()
