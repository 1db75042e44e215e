"""Ray Tune with OptunaSearch and Ray's MLflow logger, as Ray documents them. Each trial has its own actor."""

from pathlib import Path

import optuna
import ray
from fixed_trials import BATCH_SIZE, EPOCHS, FILTERS, Report
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch


def train(config):
    import keras
    from fixed_trials import build, load_data

    data, validation = load_data()
    model = build(FILTERS[config["filters"]])
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tune.report({**logs, "parameters": model.count_params()})
    )
    model.fit(
        *data, batch_size=BATCH_SIZE, epochs=EPOCHS, validation_data=validation, callbacks=[report], verbose=0
    )


numbers = list(range(len(FILTERS)))
ray.init(include_dashboard=False, log_to_driver=False)
results = tune.Tuner(
    train,
    tune_config=tune.TuneConfig(
        search_alg=OptunaSearch(
            {"filters": optuna.distributions.CategoricalDistribution(numbers)},
            metric="val_accuracy",
            mode="max",
            sampler=optuna.samplers.GridSampler({"filters": numbers}, seed=0),
        ),
        num_samples=len(FILTERS),
    ),
    run_config=tune.RunConfig(
        name="ray_tune",
        storage_path=str(Path("ray").resolve()),
        callbacks=[MLflowLoggerCallback(tracking_uri="sqlite:///mlflow.db", experiment_name="ray_tune")],
        verbose=0,
    ),
).fit()
report = Report()
for result in results:
    report.add(
        FILTERS[result.config["filters"]],
        result.metrics["parameters"],
        float(result.metrics_dataframe["val_accuracy"].max()),
    )
report.write()
