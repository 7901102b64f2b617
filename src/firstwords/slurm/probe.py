"""Print this Python's versions and GPUs as JSON: python -m firstwords.slurm.probe."""

import json
import platform
from typing import Any


def probe_environment() -> dict[str, Any]:
    """Return the versions of Python, Firstwords, torch and its CUDA, and the GPUs it sees."""
    import torch

    from firstwords import __version__

    return {
        "python": platform.python_version(),
        "firstwords": __version__,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "gpus": torch.cuda.device_count(),
        "gpu_name": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
    }


if __name__ == "__main__":
    print(json.dumps(probe_environment()))
