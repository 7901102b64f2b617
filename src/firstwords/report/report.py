"""The report of a run: its sections in order, written as Markdown and as an HTML page."""

from pathlib import Path
from typing import NamedTuple

from firstwords.common import console, disk, files
from firstwords.common.errors import UserError
from firstwords.recipe import STAGES
from firstwords.report import html_page, plots
from firstwords.report.sections import evaluation, glossary, setup, tokenizer, training
from firstwords.report.sections.evaluation import Evaluations
from firstwords.runs.run import Run


class Section(NamedTuple):
    """A section of the report: Markdown, and plots as (caption, SVG)."""

    title: str
    text: str
    plots: tuple[tuple[str, str], ...] = ()


def publish(run: Run) -> str:
    """Write the report to the run's directory and to the current one, and return its location.

    Raises UserError if a stage is not evaluated, and OSError if neither can be written to.
    """
    sections = make_sections(run)
    documents = {
        "report.md": render_markdown(run, sections),
        "report.html": render_html(run, sections),
    }
    in_run = disk.is_writable(run.directory)  # a read-only run is reported elsewhere
    if in_run:
        _write_documents(run.directory, documents)
    try:
        _write_documents(Path(), documents)
    except OSError as error:
        if not in_run:
            raise
        console.warn(f"cannot copy the report to the current directory ({error.strerror})")
        return str(run.directory / "report.html")
    return "report.html and report.md" + (f" (also in {run.directory})" if in_run else "")


def _write_documents(directory: Path, documents: dict[str, str]) -> None:
    for name, text in documents.items():
        files.write_text(directory / name, text)


def make_sections(run: Run) -> list[Section]:
    """Return the sections that have something to show."""
    evaluations: Evaluations = {
        stage: found for stage in STAGES if (found := run.read_evaluation(stage))
    }
    if missing := [stage for stage in STAGES if stage not in evaluations]:
        raise UserError(
            f"{run.evaluation(missing[0])} is missing",
            f"to evaluate again, run: firstwords report --run {run.name}",
        )
    curves = plots.render_curves(run, evaluations)
    exam = evaluation.render_exam(run, evaluations)
    exam_plot = (("", plots.render_exam_plot(evaluations)),) if exam else ()
    sections = [
        Section("", setup.render_summary(run, evaluations)),
        Section("Plan vs. actual", training.render_plan_vs_actual(run, evaluations)),
        Section("Machine", setup.render_machine(run)),
        Section("Model and recipe", setup.render_recipe(run)),
        Section("Parameters and FLOPs", setup.render_parameters(run)),
        Section("Tokenizer", tokenizer.render_tokenizer(run)),
        Section("Training", training.render_losses(run), (curves["loss"], curves["norms"])),
        Section("Evaluation", evaluation.render_held_out(evaluations), (curves["bits"],)),
        Section("Benchmarks", evaluation.render_benchmarks(evaluations)),
        Section("Exam", exam, exam_plot),
        Section("Answers to open prompts", evaluation.render_babble(run, evaluations)),
        Section("Samples during training", evaluation.render_samples(run)),
        Section("Time and memory", training.render_timings(run), (curves["speed"],)),
        Section("Comparison with a GPU node", setup.render_gpu_comparison(run)),
        Section("Glossary", glossary.render_glossary(run, evaluations)),
    ]
    return [section for section in sections if section.text]


def render_markdown(run: Run, sections: list[Section]) -> str:
    """Return report.md. The plots are only in report.html."""
    parts = [f"# Firstwords report: {run.name}"]
    for section in sections:
        parts += [f"## {section.title}"] * bool(section.title) + [section.text]
        if section.plots:
            parts.append("*The plots of this section are in report.html.*")
    return "\n\n".join(parts) + "\n"


def render_html(run: Run, sections: list[Section]) -> str:
    """Return report.html."""
    title = f"Firstwords report: {run.name}"
    rendered = [
        html_page.render_section(
            section.title or title, section.text, section.plots, is_first=section.title == ""
        )
        for section in sections
    ]
    titles = [section.title for section in sections if section.title]
    return html_page.render_page(title, titles, rendered)
