"""The child's side of a trial: build, compile, fit, evaluate. Knows neither studies nor Optuna nor MLflow.

Importing this is light; Keras comes with the first function called.
"""

from zoo.training.fit import fit, max_epochs, training_space

__all__ = ["fit", "max_epochs", "training_space"]
