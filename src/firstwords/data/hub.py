"""What a dataset of the Hugging Face hub holds, at a revision.

`huggingface_hub` is imported by what uses the network and nothing else, and not before it has been
told that there is nothing to be counted.
"""

import os
import time
from typing import NamedTuple

from firstwords.data import network
from firstwords.errors import UserError


class HubFile(NamedTuple):
    path: str
    bytes: int
    sha256: str


class Listing(NamedTuple):
    revision: str
    files: list[HubFile]


def listing(repository: str, revision: str | None) -> Listing:
    """The data files at a revision, by default the newest. Raises UserError."""
    failures = 0
    while True:
        try:
            return _ask(repository, revision)
        except network.Again as again:
            failures += 1
            if failures >= again.tries:
                raise network.unreachable(_page(repository), again) from None
            time.sleep(network.wait_of(again, failures, _page(repository)))


def be_discreet() -> None:
    """By default huggingface_hub asks its server for a list of programs that may have started it,
    to say which: three more seconds on a machine without internet. It reads this when imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def headers() -> dict[str, str]:
    """With the user's token, if there is one: the hub lets those who say who they are ask more."""
    be_discreet()
    from huggingface_hub.utils import build_hf_headers

    return build_hf_headers(library_name="firstwords")


def url(repository: str, revision: str, path: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(
        repository, path, repo_type="dataset", revision=revision, endpoint=_endpoint()
    )


def _ask(repository: str, revision: str | None) -> Listing:
    be_discreet()
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=_endpoint(), library_name="firstwords")
    try:
        info = api.dataset_info(
            repository, revision=revision, files_metadata=True, timeout=network.TIMEOUT
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in network.PASSING:
            wait = network.asked_wait(error.response.headers)
            raise network.Again(f"the server says {status}", wait) from None
        raise UserError(f"cannot fetch {_page(repository)}", network.refusal(status)) from None
    except httpx2.TransportError as error:
        why = str(error) or type(error).__name__
        raise network.Again(why, tries=network.TRIES_OFFLINE) from None
    except ConnectionError as error:  # huggingface_hub is told to stay offline
        raise network.unreachable(_page(repository), error) from None
    # All data files are large ones, of which the hub knows the SHA-256.
    large = ((file.rfilename, file.lfs) for file in info.siblings or [])
    files = [HubFile(path, lfs.size, lfs.sha256) for path, lfs in large if lfs]
    return Listing(str(info.sha), files)


def _endpoint() -> str:
    """The hub, or a mirror of it."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _page(repository: str) -> str:
    return f"{_endpoint()}/datasets/{repository}"
