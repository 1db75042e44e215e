"""KerasTuner's Hyperband until the target or the time limit. It keeps checkpoints."""

import keras_tuner
from target_space import BATCH_SIZE, EPOCHS, FILTERS, OPTIMIZERS, SEED, build, load_data, stop_at_target

train, validation = load_data()


def hypermodel(hp):
    return build(
        FILTERS[hp.Choice("filters", list(range(len(FILTERS))))],
        hp.Float("dropout", 0.0, 0.5),
        hp.Choice("optimizer", list(OPTIMIZERS)),
        hp.Float("learning_rate", 3e-4, 1e-2, sampling="log"),
    )


tuner = keras_tuner.Hyperband(
    hypermodel,
    objective="val_accuracy",
    max_epochs=EPOCHS,
    hyperband_iterations=100,  # more than the time allows
    seed=SEED,
    directory=".",
    project_name="tuner",
)
settings = {"batch_size": BATCH_SIZE, "validation_data": validation, "verbose": 0}
tuner.search(*train, **settings, callbacks=[stop_at_target()])
