"""Objectives and the Pareto front."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.study import Objective, objectives_text, pareto_front

ACCURACY, LOSS = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")
PARAMETERS = Objective("parameters", "minimize")


def test_objective_is_per_epoch_or_per_model():
    assert (ACCURACY.is_per_epoch, ACCURACY.result) == (True, "best_val_accuracy")
    assert (PARAMETERS.is_per_epoch, PARAMETERS.result) == (False, "parameters")


def test_loss_is_lower_for_better_values():
    assert (ACCURACY.best([0.1, 0.3, 0.2]), LOSS.best([0.1, 0.3, 0.2])) == (0.3, 0.1)
    assert ACCURACY.loss(0.3) < ACCURACY.loss(0.1)
    assert LOSS.loss(0.1) < LOSS.loss(0.3)


def test_objectives_text_has_directions_and_metrics():
    assert objectives_text([ACCURACY, PARAMETERS]) == "maximize val_accuracy, minimize parameters"


def test_front_is_sorted_by_the_first_objective():
    values = {0: (0.8, 100), 1: (0.9, 500), 2: (0.7, 50), 3: (0.8, 200), 4: (0.6, 50), 5: (0.9, 500)}
    assert pareto_front(values, [ACCURACY, PARAMETERS]) == [1, 5, 0, 2]
    assert pareto_front({n: v[::-1] for n, v in values.items()}, [PARAMETERS, ACCURACY]) == [2, 0, 1, 5]


def test_front_of_one_objective_is_the_best_trials():
    assert pareto_front({3: (0.5,), 1: (0.75,), 2: (0.75,)}, [ACCURACY]) == [1, 2]
    assert pareto_front({3: (0.5,), 1: (0.75,), 2: (0.75,)}, [LOSS]) == [3]
    assert pareto_front({}, [LOSS]) == []


FEW_VALUES = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # few, so that many are equal


@given(
    st.integers(1, 4).flatmap(
        lambda count: st.tuples(
            st.lists(st.tuples(*[FEW_VALUES] * count), max_size=30),
            st.lists(st.sampled_from(["maximize", "minimize"]), min_size=count, max_size=count),
        )
    )
)
def test_front_equals_definition_and_optuna(drawn):
    points, directions = drawn
    objectives = [Objective("val_loss", direction) for direction in directions]
    values = dict(enumerate(points))

    def beats(one, other):
        pairs = [(o.loss(a), o.loss(b)) for o, a, b in zip(objectives, one, other, strict=True)]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    front = pareto_front(values, objectives)
    assert set(front) == {n for n in values if not any(beats(other, values[n]) for other in points)}
    firsts = [objectives[0].loss(values[number][0]) for number in front]
    assert firsts == sorted(firsts)

    if len(directions) > 1:
        optuna = pytest.importorskip("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(directions=directions)
        study.add_trials([optuna.trial.create_trial(values=point) for point in points])
        assert {trial.number for trial in study.best_trials} == set(front)
