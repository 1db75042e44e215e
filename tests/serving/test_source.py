"""Requests of pages of other sites are refused."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from zoo.serving import is_loopback
from zoo.serving._posted import RequestError
from zoo.serving._source import allowed_names, check_source


def is_refused(host, origin, listens_on="127.0.0.1"):
    headers = {name: value for name, value in (("host", host), ("origin", origin)) if value is not None}
    try:
        check_source(Headers(headers), allowed_names(listens_on))
    except RequestError as error:
        return error.status == 403
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_loopback_is_recognised(host):
    assert is_loopback(host)
    assert not is_refused(f"[{host}]:8000" if ":" in host else f"{host}:8000", None, host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_other_addresses_are_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:9", "localhost", "[::1]:8000", "LocalHost:80"])
def test_names_of_this_machine_are_allowed(host):
    assert not is_refused(host, None)
    assert not is_refused(host, f"http://{host}")


@pytest.mark.parametrize(
    "host",
    ["evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example", "", None, "[::1", "0.0.0.0"],
)
def test_other_names_are_refused_on_loopback(host):
    """A site whose name leads to 127.0.0.1 has the same Origin and Host."""
    assert is_refused(host, None)
    assert is_refused(host, f"http://{host}")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost:3000",
        "http://127.0.0.1",
        "null",
        "",
        "http://[",
        "127.0.0.1:8000",
    ],
)
@pytest.mark.parametrize("listens_on", ["127.0.0.1", "0.0.0.0"])
def test_other_origin_is_refused(origin, listens_on):
    assert is_refused("127.0.0.1:8000", origin, listens_on)


def test_server_in_a_network_has_any_name():
    assert not is_refused("server.lan:8000", None, "0.0.0.0")
    assert not is_refused("server.lan:8000", "http://server.lan:8000", "0.0.0.0")
    assert is_refused("server.lan:8000", "http://other.lan:8000", "0.0.0.0")
