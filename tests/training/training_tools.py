"""Shared by the tests of zoo.training."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

FAULTY = Path(__file__).parents[1] / "plugins" / "zoo-faulty" / "src" / "zoo_faulty" / "__init__.py"


def line_of(path, text):
    """Return the number of the line of a file that contains `text`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return 1 + next(index for index, line in enumerate(lines) if text in line)


# Layers in the configuration of a model: one of Keras, and one of the plugin zoo-gained.
FLAT = {"module": "keras.layers", "class_name": "Flatten", "config": {}, "registered_name": None}
GAIN = {
    "module": "zoo_gained.layers",
    "class_name": "Gain",
    "config": {"activation": {"module": "zoo_gained.functions", "class_name": "function", "config": "bent"}},
    "registered_name": "zoo-gained>Gain",
}
KERAS_VERSION = "3.13.2"


def keras_file(path, *layers, **members):
    """Write a `.keras` file of a model for images of 8 × 6 pixels with these layers, without weights."""
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 8, 6, 1]}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [first, *layers]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": KERAS_VERSION}))
        for name, text in members.items():
            archive.writestr(name.replace("_json", ".json"), text)
    return path
