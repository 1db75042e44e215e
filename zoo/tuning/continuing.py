"""Continuing an interrupted trial from its checkpoint, under the number of the trial that retries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from zoo.errors import RecordError
from zoo.files import temporary_path
from zoo.record import TrialDirectory
from zoo.trial import TrialConfig


@dataclass(frozen=True)
class PendingTrial:
    """A trial that is about to start.

    Args:
        earlier: numbers of earlier trials with the same values, the latest one first. If one of them was
            interrupted, the trial continues from its checkpoint.
    """

    number: int
    config: TrialConfig
    earlier: Sequence[int] = ()


def create_directory(
    trial: PendingTrial, directory_of: Callable[[int], TrialDirectory], report: Callable[[str], None]
) -> TrialConfig:
    """Create the directory of a trial that is about to start, and return the configuration to run.

    If an earlier attempt with the same configuration left checkpoints, the trial gets its checkpoints and its
    seed. The directory of an earlier attempt under the same number (as in `zoo confirm`) is replaced.
    """
    directory, config = directory_of(trial.number), trial.config
    attempts = [directory_of(number) for number in (trial.number, *trial.earlier)]
    earlier = next((one for one in attempts if one.checkpoints_dir.is_dir()), None)
    if earlier is None:
        directory.create(config.as_json())
        return config
    try:
        recorded = earlier.trial_config()
    except RecordError:  # the damaged configuration was reported at the start
        recorded = None
    if recorded is None or replace(config, seed=recorded.seed) != recorded:
        earlier.delete_checkpoints()
        report(
            f"trial {trial.number} starts anew: the checkpoints in {earlier.path} have another configuration"
        )
        directory.create(config.as_json())
        return config
    kept = temporary_path(earlier.path.parent)
    earlier.checkpoints_dir.rename(kept)
    try:
        directory.create(recorded.as_json())
    except OSError:  # such as a full disk
        earlier.path.mkdir(exist_ok=True)
        kept.rename(earlier.checkpoints_dir)
        raise
    kept.rename(directory.checkpoints_dir)
    return recorded
