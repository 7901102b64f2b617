"""`firstwords export`: write one stage of a run in a format that other tools open."""

from pathlib import Path
from typing import Literal

from firstwords.common import console, files
from firstwords.common.errors import UserError
from firstwords.export import model_card
from firstwords.inference.sampling import Sampling
from firstwords.model import hf_format
from firstwords.recipe import Stage
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run

ExportFormat = Literal["html", "hf", "gguf"]
DTYPES: dict[ExportFormat, tuple[str, ...]] = {  # the default comes first
    "html": ("int9", "f16"),
    "hf": ("f32", "f16"),
    "gguf": ("f32", "f16", "q8_0"),
}

# In Go's template language, for versions of Ollama that ignore the chat template in the GGUF.
MODELFILE = """FROM ./{file}
TEMPLATE \"\"\"{{{{- range .Messages }}}}<|im_start|>{{{{ .Role }}}}
{{{{ .Content }}}}<|im_end|>
{{{{ end }}}}<|im_start|>assistant
\"\"\"
PARAMETER stop <|im_end|>
PARAMETER stop <|endoftext|>
PARAMETER num_ctx {context}
PARAMETER temperature {temperature}
"""


def export(
    run: Run, stage: Stage | None, kind: ExportFormat, dtype: str | None, out: Path
) -> list[Path]:
    """Write the newest checkpoint of a stage to `out`, a file for html and else a directory;
    return the files written.

    Raises UserError if the format has no such dtype, or `out` is not what it should be.
    """
    dtype = dtype or DTYPES[kind][0]
    if dtype not in DTYPES[kind]:
        raise UserError(
            f"--dtype {dtype} is not available for {kind}", f"use {' or '.join(DTYPES[kind])}"
        )
    if kind == "html":
        return [_export_html(run, stage, dtype, out)]
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file", "name a directory")
    return _export_directory(run, stage, kind, dtype, out)


def _export_html(run: Run, stage: Stage | None, dtype: str, out: Path) -> Path:
    if out.is_dir():
        raise UserError(f"--out {out} is a directory", f"name a file, such as {out}/chat.html")
    if out.suffix not in (".html", ".htm"):
        raise UserError(f"--out {out} does not end in .html", f"name it {out.name}.html")
    from firstwords.export import html_file

    stage, checkpoint = run.newest_of(stage)
    model = hf_format.load_model(checkpoint.directory)
    html_file.write_html(out, run, stage, checkpoint, model, load_tokenizer(run), dtype)
    return out


def _export_directory(
    run: Run, stage: Stage | None, kind: ExportFormat, dtype: str, out: Path
) -> list[Path]:
    stage, checkpoint = run.newest_of(stage)
    out.mkdir(parents=True, exist_ok=True)
    name = f"{run.name}-{stage}"
    card = model_card.render_model_card(run, stage, checkpoint, kind, name, dtype)
    files.write_text(out / "README.md", card)
    model, tokenizer = hf_format.load_model(checkpoint.directory), load_tokenizer(run)
    if kind == "hf":
        import torch

        torch_dtype = {"f32": torch.float32, "f16": torch.float16}[dtype]
        return [out / "README.md", *hf_format.write_model(out, model, tokenizer, torch_dtype)]
    from firstwords.export import gguf_file

    path = out / f"{name}-{dtype}.gguf"
    with console.progress(f"writing {path.name}", 0, "") as meter:
        gguf_file.write_gguf(path, model, tokenizer, dtype, name)
        meter.advance(1)
    context = model.config.max_seq_len
    modelfile = MODELFILE.format(
        file=path.name, context=context, temperature=Sampling().temperature
    )
    files.write_text(out / "Modelfile", modelfile)
    return [out / "README.md", path, out / "Modelfile"]
