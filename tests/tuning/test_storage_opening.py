"""Servers that do not answer when Optuna's storage is opened."""

from __future__ import annotations

import socket

import pytest

from zoo.errors import ZooError
from zoo.tuning import storage as module
from zoo.tuning.storage import open_storage


def test_server_that_accepts_and_never_answers_is_one_plain_line(monkeypatch, tmp_path):
    pytest.importorskip("psycopg")
    options = module._connection_options
    monkeypatch.setattr(module, "_connection_options", lambda url: {**options(url), "connect_timeout": 2})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me:Can@ry4711@127.0.0.1:{silent.getsockname()[1]}/db"
        with pytest.raises(ZooError) as refused:
            open_storage(url.replace("@r", "%40r"), tmp_path)
    assert str(refused.value).startswith("cannot open the Optuna storage postgresql://me:***@127.0.0.1:")
    assert "connection timeout expired" in str(refused.value)
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("sqlite:///optuna.db", {"timeout": 2}),
        ("mysql+pymysql://host/db", {"connect_timeout": 10}),
        ("postgresql+pg8000://host/db", {}),  # a driver with other names
    ],
)
def test_options_are_those_of_the_driver(url, options):
    assert module._connection_options(url) == options
