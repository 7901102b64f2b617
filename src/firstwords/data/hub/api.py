"""Query the Hugging Face hub for the files of a dataset.

`huggingface_hub` is imported only by functions that use the network, after its telemetry was
disabled.
"""

import os
import time
from typing import NamedTuple

from firstwords.data.hub import network


class HubFile(NamedTuple):
    """A file of a dataset."""

    path: str
    bytes: int
    sha256: str


class DatasetListing(NamedTuple):
    """The data files of a dataset at a revision."""

    revision: str
    files: list[HubFile]


def list_dataset_files(repository: str, revision: str | None) -> DatasetListing:
    """Return the data files at a revision, by default the newest.

    Retries temporary failures. Raises UserError.
    """
    failures = 0
    while True:
        try:
            return _query(repository, revision)
        except network.RetryableError as error:
            failures += 1
            if failures >= error.max_attempts:
                raise network.unreachable(_page_url(repository), error) from None
            time.sleep(network.retry_delay(error, failures, _page_url(repository)))


def disable_telemetry() -> None:
    """Disable the telemetry of huggingface_hub, which reads this variable when imported.

    With telemetry it would also ask its server for a list of programs that may have started it,
    which takes three seconds on a machine without internet.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def request_headers() -> dict[str, str]:
    """Return HTTP headers with the user's token, if any: the hub allows it more requests."""
    disable_telemetry()
    from huggingface_hub.utils import build_hf_headers

    return build_hf_headers(library_name="firstwords")


def file_url(repository: str, revision: str, path: str) -> str:
    """Return the address of a file of a dataset."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(
        repository, path, repo_type="dataset", revision=revision, endpoint=_endpoint()
    )


def _query(repository: str, revision: str | None) -> DatasetListing:
    disable_telemetry()
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=_endpoint(), library_name="firstwords")
    try:
        info = api.dataset_info(
            repository, revision=revision, files_metadata=True, timeout=network.TIMEOUT_SECONDS
        )
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in network.TRANSIENT_STATUSES:
            delay = network.requested_delay(error.response.headers)
            raise network.RetryableError(f"the server returned {status}", delay) from None
        raise network.refused(_page_url(repository), status) from None
    except httpx2.TransportError as error:
        reason = str(error) or type(error).__name__
        raise network.RetryableError(reason, max_attempts=network.MAX_ATTEMPTS_OFFLINE) from None
    except ConnectionError as error:  # the user set HF_HUB_OFFLINE
        raise network.unreachable(_page_url(repository), error) from None
    # All data files are stored as large files (LFS), for which the hub knows the SHA-256.
    large = ((file.rfilename, file.lfs) for file in info.siblings or [])
    files = [HubFile(path, lfs.size, lfs.sha256) for path, lfs in large if lfs]
    return DatasetListing(str(info.sha), files)


def _endpoint() -> str:
    """Return the address of the hub or of the user's mirror."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _page_url(repository: str) -> str:
    return f"{_endpoint()}/datasets/{repository}"
