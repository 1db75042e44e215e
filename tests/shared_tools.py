"""Stand-ins and environments that tests of several folders share."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from zoo.tuning.display import NoDisplay

# The beginnings of variables that change the behaviour of zoo, Keras or MLflow.
_SETTINGS = ("ZOO_", "MLFLOW_", "KERAS_", "PYTHONPATH", "COLUMNS", "FORCE_COLOR", "CLICOLOR", "TERM")

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


def zoo_script() -> str | None:
    """Return the path of the installed command `zoo`."""
    return shutil.which("zoo", path=str(Path(sys.executable).parent)) or shutil.which("zoo")
