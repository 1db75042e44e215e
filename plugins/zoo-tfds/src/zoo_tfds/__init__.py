"""Image classification datasets of TensorFlow Datasets, for zoo."""

from __future__ import annotations

from typing import Any

from zoo import Dataset, hookimpl, reads, variant

from zoo_tfds._folders import files


@hookimpl
def register_datasets(register: Any) -> None:
    for dataset in (tfds, *NAMED):
        register(dataset)


@reads(files)
def tfds(*, builder: str, image_size: int | None = None, data_dir: str | None = None) -> Dataset:
    """Any image classification dataset of TensorFlow Datasets that was prepared on this machine.

    This function does not download: `tfds build kmnist` downloads and prepares a dataset once.

    Args:
        builder: name in TensorFlow Datasets, with the configuration if there are several: `kmnist`,
            `eurosat/rgb`.
        image_size: scale every image to a square of this side, pixels; required if sizes differ.
        data_dir: folder of the prepared datasets; `$TFDS_DATA_DIR` or `~/tensorflow_datasets` by default.

    Raises:
        ZooError: the dataset is not prepared (the message has the command that prepares it), does not
            exist, or does not consist of images with one label each.
    """
    from zoo_tfds._reading import read

    return read(builder, image_size, data_dir)


NAMED = (
    variant(
        tfds,
        "kmnist",
        "Cursive Japanese characters of 28×28 pixels, ten classes, 60,000 and 10,000 (Clanuwat et al. 2018).",
        builder="kmnist",
    ),
    variant(
        tfds,
        "svhn",
        "House numbers in street views, 32×32×3 pixels, ten digits, 73,257 and 26,032 (Netzer et al. 2011).",
        builder="svhn_cropped",
    ),
    variant(
        tfds,
        "eurosat",
        "Land use seen by the satellite Sentinel-2, 64×64×3 pixels, ten classes, 27,000 (Helber et al. 2017).",
        builder="eurosat/rgb",
    ),
)
