"""The entry of a trial's process."""

from __future__ import annotations

from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from zoo.process import enter_worker, exit_worker
from zoo.trial import TrialConfig


def run_trial_process(
    connection: Connection,
    config: Mapping[str, Any],
    cache: Path,
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    """Run one trial; events go out over `connection`, answers come in."""
    enter_worker(environment, folder / "output.log")
    from zoo.training.job import run_trial

    def answer() -> bool:
        return bool(connection.recv())

    run_trial(TrialConfig.from_json(config), cache, folder, connection.send, answer)
    exit_worker(connection)


def evaluation_process(
    connection: Connection, model: Path, cache: Path, digest: str, log: Path, environment: Mapping[str, str]
) -> None:
    """Score a saved model on the test split; one message, the metrics."""
    enter_worker(environment, log)
    from zoo.training.scoring import score_test_split

    connection.send(score_test_split(model, cache, digest))
    exit_worker(connection)
