"""How many trials run at once: a given number, or as many as the cores, the GPUs and the memory allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from zoo.errors import StudyError, count_text
from zoo.machine import available_memory, size_text
from zoo.study import StudyDefinition

Jobs = int | str  # a number, or AUTO
AUTO = "auto"
_SMALLEST_TRIAL = 64 * 2**20  # bytes; a trial on 8x8 images and a CPU uses 79 MiB
_ENOUGH = 0.9  # of the highest throughput; with more trials at once, the sampler knows fewer results
# A trial grows after its second epoch, and zoo itself needs memory.
_MEMORY_SHARE = 0.9
_FEW_CORES = 3  # with so few, the speedup changes nothing


def parse_jobs(jobs: Jobs) -> Jobs:
    """Return a number >= 1, or AUTO; raise StudyError for another value."""
    if jobs == AUTO:
        return AUTO
    try:
        number = int(jobs)
    except ValueError:
        raise StudyError(f"--jobs: expected {AUTO} or an integer >= 1, got {jobs!r}") from None
    if number < 1:
        raise StudyError(f"--jobs: expected {AUTO} or an integer >= 1, got {number}")
    return number


def measures_latency(definition: StudyDefinition) -> bool:
    return "latency_ms" in [objective.metric for objective in definition.objectives]


def local_jobs(jobs: Jobs, definition: StudyDefinition) -> Jobs:
    """Return `jobs`, but 1 instead of AUTO if other trials would disturb a measured latency.

    Raise StudyError if the memory of this machine is too small even for the smallest trials.
    """
    if jobs == AUTO:
        return 1 if measures_latency(definition) else AUTO
    memory, number = available_memory(), int(jobs)
    if memory is not None and number > 1 and number * _SMALLEST_TRIAL > memory:
        raise StudyError(
            f"--jobs {number}: {number} trials at once need at least {size_text(number * _SMALLEST_TRIAL)} "
            f"of memory, {size_text(memory)} are available. Use at most "
            f"--jobs {max(1, memory // _SMALLEST_TRIAL)}, or --jobs {AUTO}."
        )
    return number


def useful_jobs(definition: StudyDefinition) -> float:
    """Return the largest number of trials at once at which the sampler still knows enough results."""
    is_blind = definition.search.sampler in ("random", "grid")
    return math.inf if is_blind else max(2, definition.search.trials // 4)


def choose_jobs(cores: int, speedup: float | None, most: float = math.inf) -> int:
    """Return the smallest number of trials at once with nearly the highest throughput, at least two.

    Args:
        cores: the available cores, divided equally between the trials.
        speedup: the measured speed of a training on all cores, relative to one core. Amdahl's law (1967)
            gives the speed on some cores. With None (unknown), a trial gets one core.
        most: the result is at most this number, which is at least two.
    """
    parts = {cores // part: part for part in range(1, cores + 1)}  # number of trials: cores of each
    rates = {
        jobs: jobs * _speed(part, cores, speedup) for jobs, part in sorted(parts.items()) if jobs <= most
    }
    enough = _ENOUGH * max(rates.values())
    return next(jobs for jobs, rate in rates.items() if rate >= enough and jobs >= min(2, cores))


def _speed(part: int, cores: int, speedup: float | None) -> float:
    """Return the speed on `part` of the cores, relative to one core."""
    if cores == 1 or speedup is None:
        return 1.0
    serial = (cores / max(speedup, 1.0) - 1) / (cores - 1)
    return 1 / (max(serial, 0.0) + (1 - max(serial, 0.0)) / part)


class Capacity:
    """The number of trials at once. With AUTO it follows the measurements; `note` gets the choice."""

    def __init__(
        self,
        jobs: Jobs,
        cores: int,
        gpus: Sequence[str],
        note: Callable[[str], None],
        warn: Callable[[str], None],
        most: float = math.inf,
    ) -> None:
        """Set the number to start with; `most` limits the number chosen on more than three cores."""
        self._is_auto = jobs == AUTO
        self._cores = cores
        self._num_gpus = len(gpus)
        self._note, self._warn = note, warn
        # True until a trial has measured the speedup. Until then, one trial runs at a time.
        self.needs_speedup = self._is_auto and not gpus and cores > _FEW_CORES
        self._most = most
        self._speedup: float | None = None
        self._wanted = int(jobs) if not self._is_auto else len(gpus) or choose_jobs(cores, None)
        self._by_memory: float = math.inf
        self._fitting = 0.0  # number of trials for which the memory is enough; 0 while that is unknown
        self._memory = 0  # bytes, the maximum of all trials so far
        self._reported = self._wanted if not self._is_auto or self._wanted == 1 else 0

    @property
    def jobs(self) -> int:
        """The number of trials at once, at least 1."""
        return 1 if self.needs_speedup else int(min(self._wanted, self._by_memory))

    @property
    def has_idle_cores(self) -> bool:
        """True if a trial that uses one core leaves others idle."""
        return not self.needs_speedup and self._cores // self.jobs > 1

    @property
    def has_room_for_another(self) -> bool:
        """True if there is memory for one more trial than `jobs`."""
        return self._fitting > self.jobs

    def use_speedup(self, speedup: float | None) -> None:
        """Choose the number from the speedup of all cores over one; None if it could not be measured."""
        self.needs_speedup, self._speedup = False, speedup
        self._wanted = choose_jobs(self._cores, speedup, self._most)

    def use_memory(self, memory: int, of_all: int, available: int | None) -> None:
        """Limit the number by the memory of one trial, of all running trials, and the available memory.

        A number that the user has given is not limited; if memory is too small, `warn` gets a line.

        Args:
            memory: the memory of one trial; 0 if unknown. All three are in bytes.
            available: None if it is unknown.
        """
        self._memory = max(self._memory, memory)
        total = 0 if available is None else available + of_all
        is_known = total > 0 and self._memory > 0
        fitting: float = max(1, int(_MEMORY_SHARE * total / self._memory)) if is_known else math.inf
        self._fitting = fitting if is_known else 0.0
        each = f"{size_text(self._memory)} of {size_text(total)}" if is_known else ""
        if self._is_auto:
            self._by_memory = fitting
            self._announce(each)
        elif fitting < self._reported:
            self._reported, count = int(fitting), count_text(self._wanted, "trial")
            self._warn(f"memory may run out: {count} at once, {each} each; use --jobs {fitting}")

    def _announce(self, memory: str) -> None:
        """Report the number of trials at once if it has changed."""
        jobs = self.jobs
        if jobs == self._reported or self.needs_speedup:
            return
        self._reported, reason = jobs, ""
        if jobs < self._wanted:
            reason = "memory for no more; "
        elif self._speedup is not None:
            reason = f"{self._speedup:.1f} x faster on {self._cores} cores than on 1; "
        share = "a GPU" if self._num_gpus else f"{self._cores // jobs} of {count_text(self._cores, 'core')}"
        each = f"{share} and {memory}" if memory else share
        self._note(f"{count_text(jobs, 'trial')} at once: {reason}{each} each")
