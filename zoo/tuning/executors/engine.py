"""The choice of an executor."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import StudyError, did_you_mean

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Engine:
    """The executor that the user asked for.

    Args:
        address: a Ray cluster; None for `$RAY_ADDRESS`, or else a new cluster on this machine.
        cpus_per_trial, gpus_per_trial: needs of a trial on a node of a cluster. With None for GPUs, a trial
            takes one GPU if the cluster has any.
    """

    name: str = "local"
    address: str | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise StudyError(f"--engine: unknown engine '{self.name}'. {did_you_mean(self.name, ENGINES)}")
        options = {
            "--address": self.address,
            "--cpus-per-trial": self.cpus_per_trial,
            "--gpus-per-trial": self.gpus_per_trial,
        }
        given = [option for option, value in options.items() if value is not None]
        if given and self.name != "ray":
            raise StudyError(
                f"{given[0]} needs --engine ray, but the engine is {self.name}; add --engine ray"
            )
        if self.cpus_per_trial is not None and self.cpus_per_trial <= 0:
            raise StudyError(f"--cpus-per-trial: expected a number > 0, got {self.cpus_per_trial:g}")
        if self.gpus_per_trial is not None and not 0 <= self.gpus_per_trial <= 1:
            raise StudyError(
                f"--gpus-per-trial: expected a number from 0 to 1, got {self.gpus_per_trial:g}; "
                "a trial trains on one GPU"
            )
