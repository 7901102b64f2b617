"""The page of all runs and their comparison, over the API and in a real browser."""

from collections.abc import Callable
from typing import Any

import pytest
from factories import make_manifest, make_recipe, save_step, save_tokenizer

from firstwords.common import files
from firstwords.model.transformer import Transformer
from firstwords.runs import registry
from firstwords.runs.run import Run
from firstwords.serve.model_pool import ModelPool
from firstwords.tokenizer.bpe import Tokenizer

Serve = Callable[..., Any]
HTML = "<script>document.title='taken'</script>"


def records(right: int) -> list[dict[str, Any]]:
    """Records of an exam with two parts, the first `right` questions of each answered right."""
    return [
        {
            "category": part,
            "correct": number < right,
            "prompt": [{"role": "user", "content": f"{part} {number}?"}],
            "reference": "Yes.",
            "answer": HTML,
        }
        for part in ("sums", "facts")
        for number in range(100)
    ]


@pytest.fixture
def runs(home: Any, wide_model: Transformer, tiny_tokenizer: Tokenizer) -> list[Run]:
    """Three runs with a model each, the newest first."""
    found = []
    for number, (name, right) in enumerate((("apple", 40), ("plum", 60), ("fig", 41))):
        recipe = make_recipe(model=wide_model.config, seed=number).replace_stages(steps=2)
        with registry.lock_run(name) as directory:
            run = registry.create_run(directory, make_manifest(recipe))
        save_tokenizer(run, tiny_tokenizer)
        save_step(run, "sft", 2, tiny_tokenizer, seed=number)
        files.write_json_lines(run.records("sft", "exam"), records(right))
        found.insert(0, run)
    return found


@pytest.fixture
def server(serve: Serve, runs: list[Run]) -> Any:
    find = lambda: runs  # noqa: E731
    return serve(models=ModelPool(find, max_batch_size=2, max_queue=8), find_runs=find)


def test_runs_are_compared_by_name(server: Any, runs: list[Run]) -> None:
    get = server.client.get
    quick = get("/v1/compare", params={"runs": "apple,plum", "measure": False}).json()
    assert quick["verdicts"][0]["outcome"] == "better"
    assert "bits_per_byte" not in quick
    whole = get("/v1/compare", params={"runs": "apple,plum"}).json()
    assert len(whole["bits_per_byte"]["scores"]) == 2
    assert get("/v1/compare", params={"runs": "apple,plum"}).json() == whole
    files.write_json_lines(runs[1].records("sft", "exam"), records(10))  # of plum
    changed = get("/v1/compare", params={"runs": "apple,plum", "measure": False}).json()
    assert changed["verdicts"][0]["outcome"] == "worse"


@pytest.mark.parametrize(
    ("names", "status", "message"),
    [
        ("apple,pear", 404, "no run 'pear'"),
        ("apple", 400, "two different runs"),
        ("apple,apple", 400, "two different runs"),
        (",".join(["apple"] * 7), 400, "at most 6"),
    ],
)
def test_wrong_names_are_refused(server: Any, names: str, status: int, message: str) -> None:
    refused = server.client.get("/v1/compare", params={"runs": names})
    assert refused.status_code == status
    assert message in refused.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_runs_are_sorted_filtered_selected_and_compared(
    server: Any,
    check_accessibility: Callable[[Any], None],
    open_page: Callable[..., Any],
    scheme: str,
    width: int,
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{server.url}/runs/")
    names = page.locator("#runs tbody th")
    names.first.wait_for()
    assert names.all_inner_texts() == ["fig", "plum", "apple"]
    if width > 1000:
        page.get_by_role("button", name="Run", exact=True).click()
    else:
        page.get_by_label("Sort by").select_option("name")
    assert names.all_inner_texts() == ["apple", "fig", "plum"]
    page.get_by_label("Filter").fill("pl")
    assert names.all_inner_texts() == ["apple", "plum"]
    check_accessibility(page)

    compare = page.get_by_role("button", name="Compare")
    assert compare.is_disabled()
    page.get_by_label("Select apple").check()
    page.get_by_label("Select plum").check()
    compare.click()
    page.get_by_text("plum is better than apple by 20.0").wait_for()
    assert page.evaluate("document.activeElement.id") == "comparison-title"
    page.get_by_role("button", name="Ask").click()
    page.locator(".answers p").nth(1).wait_for()
    for number in (1, 0):
        page.locator(".answers [aria-busy]").nth(number).wait_for(state="detached")
    page.get_by_text("Bits per byte:").wait_for()  # measured after all else is shown
    assert page.title() == "apple and plum compared"  # what a model wrote is shown as text
    check_accessibility(page)

    page.go_back()
    names.first.wait_for()
    assert page.get_by_label("Select apple").is_checked()
