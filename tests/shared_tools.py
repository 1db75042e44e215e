"""Stand-ins and environments that tests of several folders share."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.trial import PluginConfig, TrialConfig
from zoo.tuning.display import NoDisplay

# The beginnings of variables that change the behaviour of zoo, Keras or MLflow.
_SETTINGS = ("ZOO_", "MLFLOW_", "KERAS_", "PYTHONPATH", "COLUMNS", "FORCE_COLOR", "CLICOLOR", "TERM")

# A trial with the defaults of its components; tests `replace` what differs.
CONFIG = TrialConfig(
    dataset=PluginConfig("digits"),
    digest="d" * 64,
    validation={"fraction": 0.1, "seed": 0},
    architecture=PluginConfig("conv_net"),
    augmentation=PluginConfig("none"),
    training={},
    objective="val_accuracy",
    direction="maximize",
    seed=0,
)

PLUGIN_SECONDS = "240"  # only a plugin that would hang takes so long


class RecordingDisplay(NoDisplay):
    """Keeps the phases and problems that it is given."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.problems: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def problem(self, text: str) -> None:
        self.problems.append(text)


def ask(
    application: Any, method: str, target: str, headers: Mapping[str, str] = {}, body: bytes = b""
) -> tuple[int, dict[str, str], Any]:
    """Send a request to an ASGI application without a network; return status, headers, and text or JSON."""
    path, _, query = target.partition("?")
    fields = {"host": "127.0.0.1:8000", "content-length": str(len(body)), **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    half = len(body) // 2
    incoming = [{"type": "http.request", "body": body[:half], "more_body": True}]
    incoming.append({"type": "http.request", "body": body[half:], "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent).decode()
    return sent[0]["status"], received, json.loads(text) if text.startswith("{") else text


def requested_urls(browser: Any) -> list[str]:
    """Return the addresses that a Chromium has requested for pages since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith(("data:", "chrome:", "blob:"))]


def is_as_wide_as_window(browser: Any) -> bool:
    """Return True if the page that a Chromium shows needs no horizontal scrolling."""
    script = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    return bool(browser.execute_script(script))


def clean_environment(home: Path) -> dict[str, str]:
    """Return this process's environment without settings of zoo, Keras and MLflow, and without GPUs.

    Args:
        home: an empty folder; it is created if it does not exist.
    """
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    ours = {
        "COLUMNS": "200",
        "TERM": "xterm",
        "CUDA_VISIBLE_DEVICES": "-1",
        "ZOO_PLUGIN_SECONDS": PLUGIN_SECONDS,
    }
    return {**kept, **ours, "HOME": str(home)}


def run_python(
    *arguments: object, status: int | None = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a new interpreter with arguments such as `"-c", program`; return its output.

    Args:
        status: the exit status that it must have; None for any.
        options: of `subprocess.run`.
    """
    command = [sys.executable, *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False, **options}
    done: subprocess.CompletedProcess[str] = subprocess.run(command, **options)
    assert status in (None, done.returncode), done.stdout + done.stderr
    return done


def zoo_script() -> str | None:
    """Return the path of the installed command `zoo`."""
    return shutil.which("zoo", path=str(Path(sys.executable).parent)) or shutil.which("zoo")
