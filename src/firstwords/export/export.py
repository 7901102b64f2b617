"""`firstwords export`: one stage of a run, in the form that other tools open."""

from pathlib import Path
from typing import Literal

from firstwords import checkpoint, console, files
from firstwords.errors import UserError
from firstwords.export import model_card
from firstwords.recipe import Stage
from firstwords.run import Run
from firstwords.stages.common import load_tokenizer

Format = Literal["hf", "gguf"]
DTYPES: dict[Format, tuple[str, ...]] = {"hf": ("f32", "f16"), "gguf": ("f32", "f16", "q8_0")}

# Go's template language, which Ollama uses where it does not read the file's own template.
MODELFILE = """FROM ./{file}
TEMPLATE \"\"\"{{{{- range .Messages }}}}<|im_start|>{{{{ .Role }}}}
{{{{ .Content }}}}<|im_end|>
{{{{ end }}}}<|im_start|>assistant
\"\"\"
PARAMETER stop <|im_end|>
PARAMETER stop <|endoftext|>
PARAMETER num_ctx {context}
PARAMETER temperature 0.7
"""


def export(run: Run, stage: Stage | None, kind: Format, dtype: str, out: Path) -> list[Path]:
    """Write the newest checkpoint of a stage into `out`; return its files. Raises UserError."""
    if dtype not in DTYPES[kind]:
        raise UserError(f"--dtype {dtype}", f"{kind} takes {' or '.join(DTYPES[kind])}")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}", "it is a file; name a directory")
    chosen, found = run.newest_of(stage)
    out.mkdir(parents=True, exist_ok=True)
    name = f"{run.name}-{chosen}"
    files.write_text(out / "README.md", model_card.render(run, chosen, found, kind, name, dtype))
    model, tokenizer = checkpoint.load_model(found.directory), load_tokenizer(run)
    if kind == "hf":
        import torch

        precision = {"f32": torch.float32, "f16": torch.float16}[dtype]
        return [out / "README.md", *checkpoint.write_model(out, model, tokenizer, precision)]
    from firstwords.export import gguf_file

    path = out / f"{name}-{dtype}.gguf"
    with console.progress(f"writing {path.name}", 0, "") as meter:
        gguf_file.write(path, model, tokenizer, dtype, name)
        meter.advance(1)
    context = model.config.max_seq_len
    files.write_text(out / "Modelfile", MODELFILE.format(file=path.name, context=context))
    return [out / "README.md", path, out / "Modelfile"]
