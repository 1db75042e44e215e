"""What several trials at once cost a sampler: regret after 30 trials, on a recorded table of results.

    python benchmarks/regret.py             simulate searches on the table, some minutes
    python benchmarks/regret.py --record    record the table again: scikit-learn's networks on its digits

A simulated search asks for a trial whenever one of its jobs is free, and tells a result after the time that
the table has for it. Regret is the best accuracy of the table minus the best one found.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import itertools
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from measuring import main, print_progress, table

from zoo.tuning.samplers import make_sampler

TABLE = Path(__file__).parent / "regret_table.csv"
VALUES: dict[str, list[Any]] = {
    "units": [4, 8, 16, 32, 64, 128],
    "learning_rate": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "alpha": [1e-5, 1e-3, 1e-1, 1.0],
    "batch_size": [16, 64, 256],
    "activation": ["relu", "tanh"],
}
CATEGORICAL = ("activation",)
EPOCHS = 6
Point = tuple[int, ...]  # an index into each of VALUES
Row = tuple[float, float]  # accuracy on held-out images, seconds
MakeSampler = Callable[[int, int], optuna.samplers.BaseSampler]  # from seed and number of trials


def record() -> None:
    """Train a network for each combination, and write its accuracy and its seconds to the table."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    images, labels = load_digits(return_X_y=True)
    images, labels, train = images / 16, labels, len(labels) * 2 // 3
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*VALUES, "accuracy", "seconds"])
        for units, rate, alpha, size, activation in itertools.product(*VALUES.values()):
            settings = {"alpha": alpha, "batch_size": size, "activation": activation, "max_iter": EPOCHS}
            network = MLPClassifier((units,), learning_rate_init=rate, random_state=0, **settings)
            began = time.process_time()
            network.fit(images[:train], labels[:train])
            seconds = time.process_time() - began
            accuracy = network.score(images[train:], labels[train:])
            writer.writerow([units, rate, alpha, size, activation, f"{accuracy:.4f}", f"{seconds:.3f}"])


def read() -> dict[Point, Row]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [(float(row["accuracy"]), float(row["seconds"])) for row in csv.DictReader(file)]
    points = itertools.product(*(range(len(values)) for values in VALUES.values()))
    return dict(zip(points, rows, strict=True))


def search(rows: dict[Point, Row], sampler: optuna.samplers.BaseSampler, jobs: int, trials: int) -> float:
    """Return the best accuracy of `trials` trials, `jobs` of them at once."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    running: list[tuple[float, int, float]] = []  # end, number, accuracy
    now, started, best = 0.0, {}, 0.0
    while len(started) < trials or running:
        while len(started) < trials and len(running) < jobs:
            trial = study.ask()
            accuracy, seconds = rows[_point(trial)]
            started[trial.number] = trial
            heapq.heappush(running, (now + seconds, trial.number, accuracy))
        now, number, accuracy = heapq.heappop(running)
        study.tell(started[number], accuracy)
        best = max(best, accuracy)
    return best


def _point(trial: optuna.Trial) -> Point:
    return tuple(
        values.index(trial.suggest_categorical(name, values))
        if name in CATEGORICAL
        else trial.suggest_int(name, 0, len(values) - 1)
        for name, values in VALUES.items()
    )


def _without_liar(seed: int, trials: int) -> optuna.samplers.BaseSampler:
    sampler = make_sampler("tpe", seed, trials)
    sampler._constant_liar = False
    return sampler


SAMPLERS: dict[str, MakeSampler] = {
    "tpe": lambda seed, trials: make_sampler("tpe", seed, trials),
    "tpe without constant liar": _without_liar,
    "random": lambda seed, trials: make_sampler("random", seed, trials),
}


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="record the table again")
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="of each search (30)")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="searches of each kind (10)")
    options = parser.parse_args()
    if options.record:
        record()
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    rows, jobs = read(), (1, 2, 4, 8)
    highest = max(accuracy for accuracy, _ in rows.values())
    print(
        f"{len(rows)} points, the best has {highest:.4f}; {options.trials} trials, {options.seeds} seeds.\n"
    )
    lines = []
    for name, make in SAMPLERS.items():
        cells = [name]
        for count in jobs:
            seeds = range(options.seeds)
            regrets = [
                100 * (highest - search(rows, make(seed, options.trials), count, options.trials))
                for seed in seeds
            ]
            cells.append(f"{statistics.mean(regrets):.2f} ± {_error(regrets):.2f}")
            print_progress(f"{name}, {count} at once: {cells[-1]}")
        lines.append(cells)
    print(
        table(
            ["mean regret ± standard error, points of accuracy", *(f"{one} at once" for one in jobs)], lines
        )
    )


def _error(values: list[float]) -> float:
    """Return the standard error of the mean."""
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


if __name__ == "__main__":
    main(measure)
