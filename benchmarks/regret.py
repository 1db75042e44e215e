"""What several trials at once, or an excerpt of the trials, cost a sampler: regret on a table of results.

    python benchmarks/regret.py             simulate searches on the table, some minutes
    python benchmarks/regret.py --excerpt   compare TPE with all trials and with an excerpt, ten minutes
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

import numpy as np
import optuna
from measuring import main, print_progress, table

from zoo.tuning.bounded_tpe import BoundedTPE
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


# The Hartmann function of six variables (Dixon & Szegö 1978); its minimum is -3.32237.
HARTMANN_SCALE = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN_CENTRE = np.array(
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ]
)


def hartmann_regret(trial: optuna.Trial) -> float:
    x = np.array([trial.suggest_float(f"x{one}", 0.0, 1.0) for one in range(6)])
    exponents = (HARTMANN_SCALE * (x - HARTMANN_CENTRE) ** 2).sum(axis=1)
    return 3.32237 - float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-exponents))


def compare_excerpt(seeds: int, num_excerpt: int = 250) -> None:
    """Print the regret of TPE with all trials, and with an excerpt from trial `num_excerpt` on."""
    rows = read()
    highest = max(accuracy for accuracy, _ in rows.values())
    functions: dict[str, tuple[Callable[[optuna.Trial], float], int]] = {
        "Hartmann, 1,000 trials": (hartmann_regret, 1000),
        "table, 500 trials, points": (lambda trial: 100 * (highest - rows[_point(trial)][0]), 500),
    }
    options = {"multivariate": True, "group": True, "n_startup_trials": 10}
    lines = []
    for name, (function, trials) in functions.items():
        for title, limit in (("all trials", trials), (f"excerpt of {num_excerpt}", num_excerpt)):
            regrets = []
            for seed in range(seeds):
                study = optuna.create_study(sampler=BoundedTPE(limit, num_excerpt, seed=seed, **options))
                study.optimize(function, n_trials=trials)
                regrets.append(study.best_value)
            mean = f"{statistics.mean(regrets):.4f} ± {_error(regrets):.4f}"
            lines.append([name, title, f"{statistics.median(regrets):.4f}", mean])
            print_progress(", ".join(lines[-1]))
    print(table(["regret of", "TPE reads", "median", "mean ± standard error"], lines))


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="record the table again")
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="of each search (30)")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="searches of each kind (10)")
    parser.add_argument("--excerpt", action="store_true", help="compare TPE with an excerpt of the trials")
    options = parser.parse_args()
    if options.record:
        record()
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if options.excerpt:
        compare_excerpt(options.seeds)
        return
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
