"""Using what a study trained: loading a model, or calling a function on it in a worker process.

loading.py   zoo.load_model
recorded.py  the model and dataset of a recorded run
"""

from zoo.models.loading import load_model
