"""Put the documents into the wheel, where `firstwords serve` and the labs find them.

An editable installation reads them in the checkout.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DOCUMENTS = ("docs", "mkdocs.yml", "README.md", "CONTRIBUTING.md", "Dockerfile", "firstwords.def")


class DocumentsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it builds."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            targets = {name: f"firstwords/documents/{name}" for name in DOCUMENTS}
            build_data["force_include"].update(targets)
