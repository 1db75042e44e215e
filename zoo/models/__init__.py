"""Trained models: finding, loading, using, listing, promoting, exporting and packing them.

finding.py      find_model: a model by any of its names
loading.py      zoo.load_model
classifier.py   zoo.Classifier: a model with its class names
listing.py      zoo.list_models: the registered models
promoting.py    promote: make a model the champion of a registered model
formats.py      the formats of exported models
exporting.py    export_model: write a model in another format, and compare the two
packing.py      pack_model, unpack_model: one file with a model and all facts about it
recorded.py     the model and the dataset of a recorded run
image_files.py  the image files that the arguments of a command name
"""

from zoo.models.classifier import Classifier, Prediction, prediction_columns
from zoo.models.exporting import Exported, export_model
from zoo.models.finding import FoundModel, find_model
from zoo.models.listing import find_registered, list_models, model_facts
from zoo.models.loading import load_model
from zoo.models.packing import pack_model, unpack_model
from zoo.models.promoting import Promotion, promote
