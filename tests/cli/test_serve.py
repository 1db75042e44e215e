"""`zoo serve`: its options and errors; tests/serving has tests of the running server."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from zoo import serving
from zoo.cli import common, serve_command
from zoo.errors import ModelError


@pytest.fixture
def served(monkeypatch):
    """The calls of the functions that load and serve a model, with their arguments."""
    calls = {}

    def application(classifier, **arguments):
        calls["application"] = arguments
        return "application"

    def run(application, listener, on_ready):
        on_ready()

    monkeypatch.setattr(common, "load_classifier", lambda model, display: SimpleNamespace(name=model))
    monkeypatch.setattr(serving, "application", application)
    monkeypatch.setattr(serving, "run", run)
    return calls


def serve(*arguments):
    line = ["a_model", "--port", "0", *arguments]
    return CliRunner().invoke(serve_command.command, line, catch_exceptions=False, standalone_mode=False)


def test_loopback_has_no_warning(served):
    done = serve()
    address = served["application"]["address"]
    assert served["application"] == {"host": "127.0.0.1", "address": address, "max_request_mb": 20}
    assert done.stdout == f"{address}\n"
    assert done.stderr.splitlines() == [
        "loading the model …",
        "serving a_model; press Ctrl-C to stop",
        f"curl -F image=@photo.jpg {address}/invocations",
    ]


def test_other_host_is_a_warning(served):
    done = serve("--host", "0.0.0.0", "--max-request-mb", "3")
    assert served["application"]["max_request_mb"] == 3
    assert done.stderr.splitlines()[1] == (
        "warning: everyone who can reach 0.0.0.0 can use this model; "
        "zoo serve has no passwords and no encryption"
    )


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6_address_has_brackets(served):
    assert serve("--host", "::1").stdout.startswith("http://[::1]:")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_port_in_use_is_one_line(zoo_command, host):
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        run = zoo_command("serve", "model.keras", "--host", host, "--port", port)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        f"error: zoo cannot listen on {host}, port {port}: Address already in use; "
        "choose another --port or --host\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_impossible_host_is_one_line(zoo_command, host):
    run = zoo_command("serve", "model.keras", "--host", host, "--port", 0)
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
    assert run.stderr.startswith(f"error: zoo cannot listen on {host}, port 0: ")


@pytest.mark.parametrize("command", ["serve model.keras", "ui"])
@pytest.mark.parametrize("host", ["", " "])
def test_empty_host_is_refused(zoo_command, command, host):
    run = zoo_command(*command.split(), "--host", host)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(
        "error: invalid value for '--host': expected an address such as 127.0.0.1, got none; "
    )


def test_unknown_model_is_an_error(in_tmp):
    with pytest.raises(ModelError, match=r"^there is no model 'a_model': this folder has neither a study"):
        serve()


@pytest.mark.parametrize("option", ["--max-request-mb 0", "--port 65536", "--port x"])
def test_invalid_option_is_status_2(zoo_command, option):
    run = zoo_command("serve", "model.keras", *option.split())
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert f"invalid value for '{option.split()[0]}'" in run.stderr
