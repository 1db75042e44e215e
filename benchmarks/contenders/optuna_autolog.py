"""An Optuna study with its pruning callback and MLflow's autolog, as both document them."""

import mlflow
import optuna
from fixed_trials import BATCH_SIZE, EPOCHS, FILTERS, Report, build, load_data
from optuna_integration import KerasPruningCallback

mlflow.keras.autolog()  # one run per `fit`: parameters, curves, model
train, validation = load_data()
report = Report()


def objective(trial: optuna.Trial) -> float:
    filters = FILTERS[trial.suggest_categorical("filters", range(len(FILTERS)))]
    model = build(filters)
    history = model.fit(
        *train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        validation_data=validation,
        callbacks=[KerasPruningCallback(trial, "val_accuracy")],
        verbose=0,
    ).history
    best = max(history["val_accuracy"])
    report.add(filters, model.count_params(), best)
    return best


study = optuna.create_study(
    storage="sqlite:///optuna.db",
    direction="maximize",
    sampler=optuna.samplers.GridSampler({"filters": range(len(FILTERS))}, seed=0),
    pruner=optuna.pruners.NopPruner(),  # the callback runs after every epoch and never prunes
)
study.optimize(objective, n_trials=len(FILTERS))
report.write()
