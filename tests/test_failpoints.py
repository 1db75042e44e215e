"""Failpoints: when they act, and the table of their names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from shared_tools import run_python

from zoo import failpoints
from zoo.failpoints import failpoint

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_visits():
    failpoints._visits.clear()


def test_failpoint_does_nothing_by_default(monkeypatch):
    monkeypatch.delenv("ZOO_FAILPOINTS", raising=False)
    failpoint("trial.asked")


def test_only_the_named_visit_fails(monkeypatch):
    monkeypatch.setenv("ZOO_FAILPOINTS", "a=kill,b=full@2")
    failpoint("b")
    with pytest.raises(OSError, match="No space left on device: 'failpoint b'"):
        failpoint("b")
    failpoint("b")


def test_with_a_folder_a_step_fails_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_FAILPOINTS", "b=full")
    monkeypatch.setenv("ZOO_FAILPOINTS_DIR", str(tmp_path))
    with pytest.raises(OSError, match="No space left"):
        failpoint("b")
    failpoints._visits.clear()  # as in another process
    failpoint("b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_unknown_action_is_an_error(monkeypatch):
    monkeypatch.setenv("ZOO_FAILPOINTS", "b=explode")
    with pytest.raises(ValueError, match="b=explode: expected kill, exit, full or hang"):
        failpoint("b")


@pytest.mark.parametrize(("action", "status"), [("kill", -9), ("exit", 3)])
def test_process_ends_at_once(action, status):
    code = "from zoo.failpoints import failpoint; failpoint('b'); print('went on')"
    environment = {**os.environ, "ZOO_FAILPOINTS": f"b={action}"}
    assert run_python("-c", code, status=status, env=environment).stdout == ""


def test_table_has_every_failpoint():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "zoo").rglob("*.py"))
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## Failpoints")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z]+\.[a-z_]+)`", table)
    used = re.findall(r'\bfailpoint\("([^"]+)"\)', source)
    assert sorted(named) == sorted(used)
