"""What a Python says about itself: python -m firstwords.slurm.probe."""

import json
import platform
from typing import Any


def look() -> dict[str, Any]:
    import torch

    from firstwords import __version__

    return {
        "python": platform.python_version(),
        "firstwords": __version__,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "gpus": torch.cuda.device_count(),
        "kind": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
    }


if __name__ == "__main__":
    print(json.dumps(look()))
