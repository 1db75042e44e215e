"""The ranking that is kept up to date is the one of `zoo.study.rank`."""

from __future__ import annotations

import random

import pytest

from zoo.study import Objective, pareto_front, rank
from zoo.tuning.ranking import Ranking

ACCURACY, SIZE = Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")


@pytest.mark.parametrize("objectives", [[ACCURACY], [SIZE], [ACCURACY, SIZE], [SIZE, ACCURACY]])
def test_added_trials_are_ranked_as_all_at_once(objectives):
    draw = random.Random(1)
    rows = {number: tuple(draw.choice([1.0, 2.0, 3.0, 4.0]) for _ in objectives) for number in range(40)}
    numbers = draw.sample(sorted(rows), len(rows))
    ranking, values = Ranking({one: rows[one] for one in numbers[:9]}, objectives), {}
    for count, number in enumerate(numbers):
        values[number] = rows[number]
        if count < 9:
            continue
        ranking.add(number, rows[number])
        front = pareto_front(values, objectives)
        assert ranking.front() == front
        for best in (0, 3, 10):
            assert ranking.after(best) == rank(values, objectives)[max(best, len(front)) :]


def test_empty_ranking_has_no_front():
    assert (Ranking({}, [ACCURACY]).front(), Ranking({}, [ACCURACY]).after(5)) == ([], [])
