"""The datasets zoo ships."""

from __future__ import annotations

from typing import Any

from zoo import hookimpl
from zoo.builtin.datasets._published import cifar10, cifar100, fashion_mnist, mnist
from zoo.builtin.datasets._sklearn import digits


@hookimpl
def register_datasets(register: Any) -> None:
    for dataset in (mnist, fashion_mnist, cifar10, cifar100, digits):
        register(dataset)
