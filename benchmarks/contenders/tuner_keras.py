"""KerasTuner's grid search over the same four. It keeps a checkpoint of every trial and no curves."""

import keras_tuner
from fixed_trials import BATCH_SIZE, EPOCHS, FILTERS, Report, build, load_data

train, validation = load_data()
parameters = {}  # filters -> weights in that network


def hypermodel(hp):
    filters = FILTERS[hp.Choice("filters", list(range(len(FILTERS))))]
    model = build(filters)
    parameters[filters] = model.count_params()
    return model


tuner = keras_tuner.GridSearch(
    hypermodel, objective="val_accuracy", max_trials=len(FILTERS), directory=".", project_name="tuner"
)
tuner.search(*train, batch_size=BATCH_SIZE, epochs=EPOCHS, validation_data=validation, verbose=0)
report = Report()
for trial in tuner.oracle.get_best_trials(len(FILTERS)):
    filters = FILTERS[trial.hyperparameters.get("filters")]
    report.add(filters, parameters[filters], trial.score)
report.write()
