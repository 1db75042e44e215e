"""The architectures zoo ships: a network whose depth is searched, the textbooks' networks, pretrained bases.

`conv_net` is made to be searched. The others are networks that have a name because somebody published
their numbers: left alone, they are trained as they stand, and a study's table searches what it names.
"""

from __future__ import annotations

from typing import Any

from zoo import hookimpl
from zoo.builtin.architectures._conv_net import conv_net
from zoo.builtin.architectures._convolutional import CONVOLUTIONAL, typical_conv_net
from zoo.builtin.architectures._perceptrons import PERCEPTRONS, perceptron
from zoo.builtin.architectures._pretrained import pretrained

__all__ = ["conv_net", "perceptron", "pretrained", "register_architectures", "typical_conv_net"]


@hookimpl
def register_architectures(register: Any) -> None:
    for network in (conv_net, *PERCEPTRONS, *CONVOLUTIONAL, pretrained):
        register(network)
