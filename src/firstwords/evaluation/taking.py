"""A benchmark taken by a stage's model, with progress, whatever happens: training must not be lost
because an evaluation fails."""

import traceback
from typing import Any, NamedTuple

from firstwords import console
from firstwords.errors import Interrupted, UserError
from firstwords.evaluation.benchmark import Benchmark, Refused, Taker, score_of, summary
from firstwords.evaluation.data import Absent, EvalData
from firstwords.recipe import Stage


class Taken(NamedTuple):
    """The result, or why there is none, and a line for every item."""

    result: dict[str, Any]
    records: list[dict[str, Any]]


def take_benchmark(
    benchmark: Benchmark,
    taker: Taker,
    stage: Stage,
    data: EvalData,
    limit: int,
    asked: bool = False,
) -> Taken:
    """`limit` items of each category, 0 for all. Without data, where it is refused, or if it
    breaks, the result says so; raises UserError instead if the benchmark was `asked` for by name.
    """
    try:
        return _take(benchmark, taker, stage, data, limit)
    except Absent as error:
        if asked:
            mend = "fetch it with firstwords data fetch eval, or name a folder with --eval-data"
            raise UserError(
                f"no data for {benchmark.name}: {error} in {data.folder}", mend
            ) from None
        return Taken({"title": benchmark.title, "absent": str(error)}, [])
    except Refused as error:
        if asked:
            raise UserError(f"{benchmark.name} is refused", str(error)) from None
        console.warn(f"{benchmark.name} is left out: {error}")
        return Taken({"title": benchmark.title, "refused": str(error)}, [])
    except (Interrupted, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        if asked:
            raise
        console.warn(f"{benchmark.name} failed and is left out:\n{traceback.format_exc()}")
        return Taken({"title": benchmark.title, "error": f"{type(error).__name__}: {error}"}, [])


def _take(benchmark: Benchmark, taker: Taker, stage: Stage, data: EvalData, limit: int) -> Taken:
    categories = benchmark.categories(data, stage != "base", limit)
    total = sum(len(category.items) for category in categories.values())
    with console.progress(f"{benchmark.name} of {stage}", total, "items") as meter:
        found = taker.take(categories, meter.advance)
    scores = {name: score_of(category, found[name]) for name, category in categories.items()}
    records = [
        {"category": name, "right": record.right, **record.details}
        for name, of_category in found.items()
        for record in of_category
    ]
    result = summary(benchmark, scores)
    if missing := benchmark.absent(data):
        available, of = len(categories), len(categories) + len(missing)
        result["title"] = f"{benchmark.title} ({available} of {of} tasks)"
        result |= {"available": available, "of": of, "missing": missing}
    for count in ("empty", "broken_call"):
        if any(count in record for record in records):
            result[count] = sum(record[count] for record in records)
    return Taken(result, records)
