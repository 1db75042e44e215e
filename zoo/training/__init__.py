"""Training in a worker process: build, compile, fit, evaluate. It does not use studies, Optuna or MLflow.

Importing this package does not import Keras; the first call of a function does.
"""

from zoo.training.fit import STATED_ONLY, fit, max_epochs, training_space
