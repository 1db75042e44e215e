"""The plugins zoo ships. They import only what a stranger's plugin may import."""

MODULES = (
    "zoo.builtin.datasets",
    "zoo.builtin.architectures",
    "zoo.builtin.augmentations",
)
