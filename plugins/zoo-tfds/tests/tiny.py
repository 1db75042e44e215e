"""A dataset for TensorFlow Datasets that can be prepared in seconds, without a network.

    python tiny.py FOLDER    prepares all configurations in FOLDER

Configurations: `digits` (8×8, three splits), `mixed` (images of two sizes), `pairs` (no label).
"""

import sys
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

CONFIGURATIONS = ("digits", "mixed", "pairs")
SPLITS = {"train": (0, 100), "validation": (100, 140), "test": (140, 200)}


class Tiny(tfds.core.GeneratorBasedBuilder):
    """scikit-learn's digits, as a dataset of TensorFlow Datasets."""

    VERSION = tfds.core.Version("1.10.0")
    BUILDER_CONFIGS: ClassVar = [tfds.core.BuilderConfig(name=name) for name in CONFIGURATIONS]

    def _info(self):
        image = tfds.features.Image(shape=(None, None, 1), dtype=np.uint8)
        label = tfds.features.ClassLabel(names=[f"a {digit}" for digit in range(10)])
        other = {"other": image} if self.builder_config.name == "pairs" else {"digit": label}
        keys = None if self.builder_config.name == "pairs" else ("picture", "digit")
        features = tfds.features.FeaturesDict({"picture": image, **other})
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=keys)

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(*bounds) for name, bounds in SPLITS.items()}

    def _generate_examples(self, start, end):
        images, labels = digits()
        for number in range(start, end):
            image = images[number]
            if self.builder_config.name == "mixed" and number % 2:
                image = np.pad(image, [(1, 1), (2, 2), (0, 0)])
            pairs = self.builder_config.name == "pairs"
            yield number, {"picture": image, **({"other": image} if pairs else {"digit": labels[number]})}


def digits():
    """Return images `(n, 8, 8, 1)`, uint8, and labels `(n,)`."""
    from sklearn.datasets import load_digits

    source = load_digits()
    return (source.images * (255 / 16)).round().astype("uint8")[..., None], source.target


def prepare(folder, *names, file_format="array_record"):
    tfds.disable_progress_bar()
    for name in names:
        Tiny(config=name, data_dir=folder, file_format=file_format).download_and_prepare()


if __name__ == "__main__":
    prepare(sys.argv[1], *CONFIGURATIONS)
