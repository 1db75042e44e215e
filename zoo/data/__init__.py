"""Datasets: what a plugin returns, and how it becomes memory-mapped arrays for every trial."""

from zoo.data.dataset import Dataset, Split

__all__ = ["Dataset", "Split"]
