"""The datasets that zoo ships: published datasets, and one reader for each common format of image data."""

from __future__ import annotations

from typing import Any

from zoo import hookimpl
from zoo.builtin.datasets._arrays import array_images
from zoo.builtin.datasets._csv import csv_images
from zoo.builtin.datasets._folder import image_folder
from zoo.builtin.datasets._labelled import labelled_files
from zoo.builtin.datasets._matlab import notmnist
from zoo.builtin.datasets._parquet import parquet_images
from zoo.builtin.datasets._published import cifar10, cifar100, digits, fashion_mnist, mnist


@hookimpl
def register_datasets(register: Any) -> None:
    for published in (mnist, fashion_mnist, cifar10, cifar100, notmnist, digits):
        register(published)
    for own in (image_folder, labelled_files, csv_images, parquet_images, array_images):
        register(own)
