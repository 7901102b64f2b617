"""The report of a run: its sections in order, as Markdown, as an HTML page, and as data."""

from pathlib import Path
from typing import NamedTuple

from firstwords.common import console, disk, files
from firstwords.common.errors import UserError
from firstwords.common.markdown import paragraphs
from firstwords.report import answers, data_files, growth, html_page, plots
from firstwords.report.first_screen import render_first_screen
from firstwords.report.headline import Headline, make_headline, render_headline
from firstwords.report.sections import (
    evaluation,
    glossary,
    reinforcement,
    setup,
    tokenizer,
    training,
)
from firstwords.report.sections.evaluation import Evaluations
from firstwords.runs.run import Run


class Section(NamedTuple):
    """A section of the report: Markdown, then what only one of the documents shows."""

    title: str
    text: str
    plots: tuple[tuple[str, str], ...] = ()  # (caption, SVG)
    more_markdown: str = ""
    more_html: str = ""


class Report(NamedTuple):
    """What both documents show."""

    title: str
    headline: Headline
    curve: tuple[str, str]  # of the first screen
    sections: list[Section]


def publish(run: Run) -> str:
    """Write the report to the run's directory and to the current one, and return its location.

    Raises UserError if a stage is not evaluated, and OSError if neither can be written to.
    """
    evaluations = read_evaluations(run)
    report, figures = make_report(run, evaluations), data_files.list_figures(run, evaluations)
    documents = {
        "report.md": render_markdown(report),
        "report.html": render_html(report),
        "report.csv": data_files.render_csv(figures),
        "report.json": data_files.render_json(run, figures),
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


def read_evaluations(run: Run) -> Evaluations:
    """Return the evaluations of all stages. Raises UserError if one is missing."""
    evaluations: Evaluations = {
        stage: found for stage in run.recipe.stages if (found := run.read_evaluation(stage))
    }
    if missing := [stage for stage in run.recipe.stages if stage not in evaluations]:
        raise UserError(
            f"{run.evaluation(missing[0])} is missing",
            f"to evaluate again, run: firstwords report --run {run.name}",
        )
    return evaluations


def make_report(run: Run, evaluations: Evaluations) -> Report:
    """Return the report, with the sections that have something to show: results first."""
    curves = plots.render_curves(run, evaluations)
    sections = [
        *_answer_sections(run, evaluations),
        Section("Plan vs. actual", training.render_plan_vs_actual(run, evaluations)),
        Section("Training", training.render_losses(run), (curves["loss"], curves["norms"])),
        Section(
            "Reinforcement learning",
            reinforcement.render_reinforcement(run),
            (curves["rl"],) if "rl" in curves else (),
        ),
        Section("Held-out text", evaluation.render_held_out(run, evaluations), (curves["bits"],)),
        Section("Benchmarks", evaluation.render_benchmarks(evaluations)),
        Section("Time and memory", training.render_timings(run), (curves["speed"],)),
        Section("Model and recipe", setup.render_recipe(run)),
        Section("Parameters and FLOPs", setup.render_parameters(run)),
        Section("Tokenizer", tokenizer.render_tokenizer(run)),
        Section("Machine", setup.render_machine(run)),
        Section("Comparison with a GPU node", setup.render_gpu_comparison(run)),
        Section(
            "Glossary",
            "The terms of this report.",
            more_markdown=glossary.render_glossary(run, evaluations),
            more_html=glossary.render_folded_glossary(run, evaluations),
        ),
    ]
    return Report(
        title=f"Firstwords report: {run.name}",
        headline=make_headline(run, *list(evaluations.items())[-1]),
        curve=plots.render_small_curve(run),
        sections=[section for section in sections if section.text],
    )


def _answer_sections(run: Run, evaluations: Evaluations) -> list[Section]:
    """The sections on what the model says: exam, open prompts, samples during training."""
    tasks, sections = evaluation.last_evaluation(evaluations)["tasks"], []
    if exam := evaluation.render_exam(run, evaluations):
        sections.append(
            Section(
                "Exam",
                exam,
                (plots.render_exam_plot(evaluations),),
                more_markdown=paragraphs(
                    evaluation.render_criteria(tasks["exam"]),
                    evaluation.render_examples(run, "exam"),
                ),
                more_html=answers.render_answers(run, "exam", tasks["exam"]["categories"]),
            )
        )
    if babble := evaluation.render_babble(evaluations):
        sections.append(
            Section(
                "Answers to open prompts",
                babble,
                more_markdown=evaluation.render_examples(run, "babble"),
                more_html=answers.render_answers(run, "babble", tasks["babble"]["categories"]),
            )
        )
    if run.samples():
        sections.append(
            Section(
                "Samples during training",
                evaluation.SAMPLES_DESCRIPTION,
                more_markdown=evaluation.render_samples(run),
                more_html=growth.render_strip(run),
            )
        )
    return sections


def render_markdown(report: Report) -> str:
    """Return report.md. The plots are only in report.html."""
    parts = [f"# {report.title}", render_headline(report.headline)]
    for section in report.sections:
        parts += [f"## {section.title}", section.text, section.more_markdown]
        if section.plots:
            parts.append("*The plots of this section are in report.html.*")
    return "\n\n".join(part for part in parts if part) + "\n"


def render_html(report: Report) -> str:
    """Return report.html."""
    first = render_first_screen(report.title, report.headline, report.curve)
    sections = []
    for title, text, figures, _, more_html in report.sections:
        body = html_page.render_section(title, html_page.render_markdown(text), figures)
        sections.append((title, f"{body}\n{more_html}"))
    return html_page.render_page(report.title, first, sections)
