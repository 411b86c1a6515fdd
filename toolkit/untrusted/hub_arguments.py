"""What a stranger's file may give to the constructors of KerasHub: no number and no list makes one run for ever.

`toolkit.untrusted.extent` compares the size of a model with its file, but only after the constructor has made its
layers one by one, so many as the file says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from toolkit.errors import UnfreezeError

LARGEST = 1 << 16  # of a number: channels, pixels
DEEPEST = 512  # of the numbers of one argument that say how many layers follow each other, added up
LAYERS = 1 << 12  # of the product of those sums, which is more than the layers that are made
MOST = 1 << 12  # entries of one argument; MobileNetV5's longest has about a hundred
_DEPTH = re.compile(r"((?<!min_)depths?|num_(layers|blocks|repeats|stages|of_layers|experts)|layer_num)$")
_FACTORS = "depth_coefficients"  # end of a name: of EfficientNet, by which each stage's number of blocks is multiplied
_ROWS = "stackwise_stage_filters"  # of HGNetV2: three numbers of channels, blocks, layers of each, a kernel size


def check_arguments(arguments: Any, what: object) -> None:
    """Raises UnfreezeError if no model of images has such arguments. `what`: has them, for the message. Objects inside,
    which have a class of their own, are not looked at."""
    layers = 1.0
    for name, value in arguments.items() if isinstance(arguments, dict) else ():
        leaves = list(islice(_leaves(value), MOST + 1))
        if len(leaves) > MOST:
            raise UnfreezeError(f"{what} has more than {MOST:,} values of {name[:80]!a}; it was not loaded")
        numbers = [one for one in leaves if isinstance(one, (int, float))]
        for number in numbers:
            if not abs(number) <= LARGEST:  # NaN is not, either
                raise UnfreezeError(f"{what} has the number {f'{number:,}'[:40]}; it was not loaded")
        depth = _layers(str(name), value, [abs(one) for one in numbers])
        layers *= max(depth, 1)
        if depth > DEEPEST or layers > LAYERS:
            raise UnfreezeError(
                f"{what} has {name[:80]!a}, which asks for {max(depth, layers):,.0f} layers; it was not loaded"
            )


def _layers(name: str, value: Any, numbers: list[float]) -> float:
    """How many layers follow each other by this argument alone; 0 if it is not about that."""
    if name.endswith(_FACTORS):
        return max(numbers, default=0)
    if name != _ROWS:
        return sum(numbers) if _DEPTH.search(name) else 0
    rows = [row[3:5] for row in value if isinstance(row, (list, tuple))] if isinstance(value, (list, tuple)) else []
    return sum(math.prod(abs(one) for one in row if isinstance(one, (int, float))) for row in rows)


def _leaves(value: Any) -> Iterator[Any]:
    """What is in lists and dicts, and each list itself, which counts although it may be empty."""
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict) and "class_name" in entry:
            continue
        if isinstance(entry, (dict, list, tuple)):
            waiting += entry.values() if isinstance(entry, dict) else entry
        yield entry
