"""The report's sections in their order, as Markdown and as a page."""

from pathlib import Path
from typing import NamedTuple

from firstwords import console, files
from firstwords.recipe import STAGES
from firstwords.report import page, plots, results, setup, tokens, training, words
from firstwords.report.results import Evaluations
from firstwords.run import Run


class Section(NamedTuple):
    title: str
    text: str
    plots: tuple[tuple[str, str], ...] = ()  # words and SVG


def publish(run: Run) -> str:
    """Write the report into the run's directory and into the current one; return where it is.

    Raises FileNotFoundError where a stage has not been evaluated.
    """
    sections = report(run)
    written = {"report.md": markdown(run, sections), "report.html": html(run, sections)}
    for name, text in written.items():
        files.write_text(run.directory / name, text)
    try:
        for name, text in written.items():
            files.write_text(Path(name), text)
    except OSError as error:
        console.warn(f"the report could not be copied here ({error.strerror})")
        return str(run.directory / "report.html")
    return f"report.html and report.md (and {run.directory})"


def report(run: Run) -> list[Section]:
    """What is empty is left out."""
    evaluations: Evaluations = {stage: files.read_json(run.evaluation(stage)) for stage in STAGES}
    drawn = plots.plots(run, evaluations)
    exam = results.exam(run, evaluations)
    exam_plot = (("", plots.exam_plot(evaluations)),) if exam else ()
    sections = [
        Section("", setup.summary(run, evaluations)),
        Section("The plan, and what came", training.forecast(run, evaluations)),
        Section("Machine", setup.machine(run)),
        Section("Model and recipe", setup.recipe(run)),
        Section("Parameters and work", setup.parts(run)),
        Section("Tokenizer", tokens.tokenizer_page(run)),
        Section("Training", training.losses(run), (drawn["loss"], drawn["norms"])),
        Section("Evaluation", results.held_out(evaluations), (drawn["bits"],)),
        Section("Benchmarks", results.benchmarks(evaluations)),
        Section("Exam", exam, exam_plot),
        Section("Growth album", results.growth(run)),
        Section("Time and memory", training.timings(run), (drawn["speed"],)),
        Section("The same on a node of GPUs", setup.elsewhere(run)),
        Section("What the words mean", words.explained(run, evaluations)),
    ]
    return [section for section in sections if section.text]


def markdown(run: Run, sections: list[Section]) -> str:
    """Without the plots, which stand in report.html."""
    parts = [f"# Firstwords report: {run.name}"]
    for section in sections:
        parts += [f"## {section.title}"] * bool(section.title) + [section.text]
        if section.plots:
            parts.append("*The curves of this section are in report.html.*")
    return "\n\n".join(parts) + "\n"


def html(run: Run, sections: list[Section]) -> str:
    title = f"Firstwords report: {run.name}"
    body = [page.section(section.title or title, section.text, section.plots, section.title == "")
            for section in sections]  # fmt: skip
    return page.document(title, [s.title for s in sections if s.title], body)
