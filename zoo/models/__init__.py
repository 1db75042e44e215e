"""Using what a study trained: finding a model, loading it, predicting with it.

finding.py     find_model: a model by any of its names
loading.py     zoo.load_model
classifier.py  zoo.Classifier: a model with its class names
listing.py     zoo.list_models: the registered models
promoting.py   promote: a model becomes the champion of a registered model
formats.py     the formats of exported models
exporting.py   export_model: a model in another format, compared with the original
packing.py     pack_model, unpack_model: a model and all that is known about it in one file
recorded.py    the model and dataset of a recorded run
"""

from zoo.models.classifier import Classifier, Prediction, prediction_columns
from zoo.models.exporting import Exported, export_model
from zoo.models.finding import FoundModel, find_model
from zoo.models.listing import find_registered, list_models, model_facts
from zoo.models.loading import load_model
from zoo.models.packing import pack_model, unpack_model
from zoo.models.promoting import Promotion, promote
