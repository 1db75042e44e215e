"""The baseline of the comparison: a loop over `fit` that keeps nothing, not even the models."""

from itertools import product

from fixed_trials import BATCH_SIZE, EPOCHS, FILTERS, RATES, Report, build, load_data

train, validation = load_data()
report = Report()
for filters, learning_rate in product(FILTERS, RATES):
    model = build(filters, learning_rate)
    history = model.fit(
        *train, batch_size=BATCH_SIZE, epochs=EPOCHS, validation_data=validation, verbose=0
    ).history
    report.add(filters, model.count_params(), max(history["val_accuracy"]))
report.write()
