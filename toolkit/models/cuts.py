"""Where any functional graph can be cut into a frozen prefix and a trained suffix, and the stages that follow from it.

A cut is a tensor that alone carries everything from the image to the output: every path goes through it (in the terms
of compilers, it dominates the output). Stages are blocks of layers between cuts, as people count them: a residual
block, an inverted bottleneck, a convolution of a plain chain with what follows it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import keras

MOST_STAGES = 20  # of a graph whose stages are not listed by hand


@dataclass(frozen=True)
class _Part:
    """What lies between two cuts, or several such parts in a row."""

    end: str  # the operation whose output is the cut behind it
    key: str | None  # the block that its name tells; None: Keras named it
    kernels: int  # layers of convolutions and dense layers in it, apart from the gates of squeeze and excitation
    block: bool  # whether it is a block of its own, such as a residual one
    starts_depthwise: bool  # whether its first kernel is that of a depthwise convolution
    ends_depthwise: bool  # and its last one
    has_depthwise: bool  # and any

    def __add__(self, after: _Part) -> _Part:
        return _Part(
            after.end,
            after.key,
            self.kernels + after.kernels,
            self.block or after.block,
            self.starts_depthwise if self.kernels else after.starts_depthwise,
            after.ends_depthwise if after.kernels else self.ends_depthwise,
            self.has_depthwise or after.has_depthwise,
        )


def find_cuts(model: keras.Model) -> list[str]:
    """The names of the operations of a flat graph after which one tensor alone carries everything, in the order of the
    graph; the output's is the last one. A layer that is used twice is no cut, and never on both sides of one."""
    return [end for end, _ in _segments(model)]


def find_stages(model: keras.Model, most: int = MOST_STAGES) -> tuple[str, ...]:
    """The cut of each unfreeze depth from 1 on, as names of operations: entry d - 1 is the last frozen one at depth d.
    Before the first one, all is trained. Where there are more stages than `most`, neighbours are joined."""
    ends = [part.end for part in _stages(_blocks(model))][:-1]  # nothing is frozen before the last one's end
    step = -(-(len(ends) + 1) // most)
    return tuple(ends[::-1][step - 1 :: step])


def _segments(model: keras.Model) -> Iterator[tuple[str, list[keras.Operation]]]:
    """The name of each cut's operation, with the operations behind the cut before it, itself the last one.

    In an order in which each operation comes after those that it reads, those before a cut come before it and the
    others after it: so it is a cut if nothing that was computed before it is read after it.
    """
    # Keras has no public list of the nodes of a graph, and a layer that is used twice has two of them.
    by_depth = model._functional._nodes_by_depth if isinstance(model, keras.Sequential) else model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    last_use = {id(tensor): n for n, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in model.outputs}
    last_call = {id(node.operation): n for n, node in enumerate(nodes)}
    calls = Counter(id(node.operation) for node in nodes)
    reach = 0  # the last node that reads anything which was computed before the node at hand
    inside: list[keras.Operation] = []
    for n, node in enumerate(nodes):
        reach = max(reach, last_call[id(node.operation)])
        if not node.is_input:
            inside.append(node.operation)
            if len(node.output_tensors) == 1 and reach <= n and calls[id(node.operation)] == 1:
                yield node.operation.name, inside
                inside = []
        reach = max([reach, *(last_use.get(id(tensor), n) for tensor in node.output_tensors)])


def _blocks(model: keras.Model) -> list[_Part]:
    """The parts between cuts, joined where names say that they are one block, or where one has no kernel."""
    parts: list[_Part] = []
    for _, operations in _segments(model):
        if len(operations) == 1 and isinstance(operations[0], keras.layers.ZeroPadding2D):
            continue  # it belongs to the convolution behind it
        part = _part(operations)
        if parts and part.key is None and not part.kernels:
            parts[-1] += replace(part, key=parts[-1].key)
        elif parts and part.key is not None and part.key == parts[-1].key:
            parts[-1] += part
        else:
            parts.append(part)
    joined: list[_Part] = []
    for part in parts:
        if joined and (not part.kernels or not joined[-1].kernels):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _part(operations: Sequence[keras.Operation]) -> _Part:
    end = operations[-1]
    layers = [one for one in operations if isinstance(one, keras.Layer)]
    gate = len(operations) > 1 and type(end).__name__ == "Multiply"
    kernels = 0 if gate else sum(_kernels(layer) > 0 for layer in layers)
    block = (bool(kernels) and len(operations) > 1) or any(_kernels(layer) > 1 for layer in layers if not gate)
    depthwise = bool(kernels) and isinstance(layers[-1], (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D))
    return _Part(end.name, _key(end), kernels, block, depthwise, depthwise, depthwise)


def _kernels(layer: keras.Layer) -> int:
    """The arrays of weights of a layer that multiply its input."""
    if isinstance(layer, (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)):
        return 1  # one convolution in two factors
    return sum(len(weight.shape) > 1 for weight in layer.weights)


def _stages(blocks: Sequence[_Part]) -> list[_Part]:
    """Blocks joined to stages, each with two kernels or more, or one residual block; in a plain chain of convolutions,
    each of them is a stage. What is left at the end belongs to the last one."""
    blocks = _with_pointwise(blocks)
    if not any(one.block or one.kernels > 1 for one in blocks):
        return list(blocks)
    stages = list(blocks[:1])
    for one in blocks[1:]:
        if _goes_on(stages[-1], one):
            stages[-1] += one
        else:
            stages.append(one)
    if len(stages) > 1 and not (stages[-1].block or stages[-1].kernels > 1):
        stages[-2:] = [stages[-2] + stages[-1]]
    return stages


def _goes_on(stage: _Part, after: _Part) -> bool:
    """Whether what comes after belongs to the same stage: it has a single kernel, or it is the widening convolution
    before a depthwise one."""
    return not stage.block and (stage.kernels < 2 or (after.starts_depthwise and not stage.has_depthwise))


def _with_pointwise(blocks: Sequence[_Part]) -> list[_Part]:
    """Each depthwise convolution with the block behind it."""
    joined: list[_Part] = []
    for one in blocks:
        if joined and joined[-1].ends_depthwise:
            joined[-1] += one
        else:
            joined.append(one)
    return joined


def _key(operation: keras.Operation) -> str | None:
    """The block that an operation's name tells, the name up to its last word with a digit: "block_3" of
    "block_3_project_BN", "conv2_block1" of "conv2_block1_out", "" of "top_conv"; None if Keras named it."""
    stem = re.sub(r"_\d+$", "", operation.name)
    if stem == automatic_name(operation):
        return None
    words = re.split(r"[_/.-]", operation.name)
    last = max((n for n, word in enumerate(words) if re.search(r"\d", word)), default=-1)
    return "_".join(words[: last + 1])


def automatic_name(operation: keras.Operation) -> str:
    """The name that Keras gives an unnamed operation, without its number: Conv2D -> conv2d, ReLU -> re_lu."""
    name = re.sub(r"\W+", "", type(operation).__name__)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
