"""The check that a request does not come from a page of another site.

A page of another site can make a browser send requests to this machine. The browser sets two headers, which
the page cannot change:

- `Origin` is the site of the page. It must be the address to which the request goes.
- `Host` is the name to which the request goes. If the server listens only on the loopback interface, `Host`
  must be a name of this interface. Otherwise a site whose name resolves to 127.0.0.1 (DNS rebinding) would
  have the right `Origin`.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from zoo.serving._posted import RequestError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


def is_loopback(host: str) -> bool:
    """Return True if only this machine can connect to the address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def allowed_names(host: str) -> frozenset[str]:
    """Return the names that `Host` may have if the server listens on `host`; an empty set allows any."""
    return frozenset({host.lower(), *_LOOPBACK_NAMES}) if is_loopback(host) else frozenset()


def check_source(headers: Headers, names: frozenset[str]) -> None:
    """Raise RequestError if the request comes from a page of another site.

    Args:
        names: the result of `allowed_names`.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    if names and _parts(f"//{host}").hostname not in names:
        raise RequestError(
            f"the host '{host}' is not a name of this machine; expected one of {', '.join(sorted(names))}.",
            403,
        )
    if origin is not None and _parts(origin).netloc.lower() != host.lower():
        raise RequestError(f"requests from other sites are refused; this one is from '{origin}'.", 403)


def _parts(address: str) -> SplitResult:
    """Return the parts of an address; empty parts if it is invalid."""
    with suppress(ValueError):
        return urlsplit(address)
    return urlsplit("")
