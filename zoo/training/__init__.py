"""The worker's side of a trial: build, compile, fit, evaluate; without studies, Optuna or MLflow.

Importing this package does not import Keras; the first call of a function does.
"""

from zoo.training.fit import fit, max_epochs, training_space
