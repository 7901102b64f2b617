"""Which web pages and hosts a server without an API key trusts.

Any page that a user visits can send requests to a server on the user's machine: with a POST that
needs no permission of the server (CSRF), or through a name of its own that it points at the
server's address (DNS rebinding). Browsers tell the origin of the page and the name that was used,
and a page can forge neither. With an API key these checks are unnecessary, because such a page does
not know the key.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from firstwords.common.errors import UserError
from firstwords.serve.errors import ApiError

DEFAULT_PORTS = {"http": 80, "https": 443}
# Names that only a local network or this machine can resolve. `host.docker.internal` is one.
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal")


def parse_origin(text: str) -> str:
    """Return an origin as browsers send it: lower case, without the default port or a slash at the
    end. "*" stands for all origins. Raises UserError if the text is no origin."""
    if text == "*":
        return text
    hint = "give scheme, host and port, such as http://localhost:5173, or '*' for every page"
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"--cors-origin {text} is not an origin ({error})", hint) from None
    if not parts.scheme or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UserError(f"--cors-origin {text} is not an origin", hint)
    name = f"[{host}]" if ":" in host else host
    suffix = "" if port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{name}{suffix}"


class OriginGuard:
    """Refuses requests that a foreign page may have sent without the user's knowledge."""

    def __init__(self, origins: Iterable[str], host: str) -> None:
        self._origins = frozenset(origins)
        hosts = {urlsplit(origin).hostname for origin in self._origins if origin != "*"}
        self._hosts = {host.lower(), socket.gethostname().lower(), *hosts}

    def check(self, method: str, host: str, origin: str) -> None:
        """Check the headers Host and Origin ("" if missing). Raises ApiError."""
        if not self._is_trusted_host(host):
            raise ApiError(
                403,
                f"this server does not know the host {host}; start it with --api-key, or with "
                "--cors-origin and the address of the page",
                code="host_not_allowed",
            )
        same_origin = origin.lower().partition("://")[2] == host.lower()
        if method in ("GET", "OPTIONS") or not origin or same_origin:
            return
        if "*" not in self._origins and origin not in self._origins:
            raise ApiError(
                403,
                f"pages of {origin} may not use this server; start it with --cors-origin {origin}",
                code="origin_not_allowed",
            )

    def _is_trusted_host(self, host: str) -> bool:
        """Whether no foreign DNS server can have directed the browser here: the host is an IP
        address, a private name, or named by the user."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._hosts or "." not in name or name.endswith(PRIVATE_SUFFIXES):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
