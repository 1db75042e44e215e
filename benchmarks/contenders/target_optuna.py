"""Optuna alone until the target or the time limit: TPE and successive halving, nothing is kept."""

import optuna
from optuna_integration import KerasPruningCallback
from target_space import (
    BATCH_SIZE,
    EPOCHS,
    FILTERS,
    OPTIMIZERS,
    SEED,
    build,
    load_data,
    stop_at_target,
)

train, validation = load_data()


def objective(trial: optuna.Trial) -> float:
    filters = FILTERS[trial.suggest_categorical("filters", range(len(FILTERS)))]
    model = build(
        filters,
        trial.suggest_float("dropout", 0.0, 0.5),
        trial.suggest_categorical("optimizer", OPTIMIZERS),
        trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
    )
    callbacks = [stop_at_target(), KerasPruningCallback(trial, "val_accuracy")]
    settings = {"batch_size": BATCH_SIZE, "epochs": EPOCHS, "validation_data": validation, "verbose": 0}
    return max(model.fit(*train, **settings, callbacks=callbacks).history["val_accuracy"])


study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=SEED),
    pruner=optuna.pruners.SuccessiveHalvingPruner(),
)
study.optimize(objective)
