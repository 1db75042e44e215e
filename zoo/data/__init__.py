"""Datasets: the return value of a plugin, and its conversion to memory-mapped arrays for every trial."""

from zoo.data.arrays import to_images, to_labels
from zoo.data.dataset import SPLIT_WORDS, Dataset, Split
from zoo.data.decoding import ImageDecoder, height_and_width
from zoo.data.groups import hold_out_groups
from zoo.data.images import IMAGE_SUFFIXES, is_image, read_image
from zoo.data.reporting import progress
from zoo.data.sources import reads
from zoo.data.table_columns import natural_key
from zoo.data.tables import Table, read_tables
