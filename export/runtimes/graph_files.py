"""A check of SavedModels from strangers before TensorFlow runs them, because a SavedModel is a program.

Operations that are known to read or write files, or to reach other processes, are refused. This is no guarantee:
TensorFlow itself says that models have to be treated as code. The model runs in a process of its own, but in no
sandbox: see docs/reliability.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

REACHES_OUT = re.compile(  # names of operations
    "File|Save|Restore|Checkpoint|Dataset|Iterator|Reader|Record|Summary|PyFunc|Print|Debug|Dump|Rpc|Remote|Session"
    "|Vocab|LoadAndRemap|Collective|ImportEvent|Worker|Server|Lmdb|Sql|Bigtable|^_?Send|^_?Recv|^_?Host(Send|Recv)"
)
STARTS = (
    "saved_model_main_op",
    "legacy_init_op",
)  # collections of what runs when a TensorFlow 1 model is loaded


def check_saved_model(path: Path) -> None:
    """Raises ValueError if a signature, or what loading runs, reads or writes files, or if a file in the folder lies
    elsewhere."""
    file = path / "saved_model.pb"
    if file.is_symlink() or not file.is_file():
        raise ValueError("its saved_model.pb is not a file")
    root = path.resolve()
    for inside in path.rglob("*"):
        if not inside.resolve().is_relative_to(root):
            raise ValueError(f"{str(inside.relative_to(path))[:80]!a} in it is a link that leads out of the folder")
    stat = file.stat()
    _check(file, stat.st_mtime_ns, stat.st_size)


@lru_cache(8)  # once for each version of a file, so that the check does not count in later load times
def _check(file: Path, changed: int, size: int) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    parsed = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in parsed.meta_graphs:
        for asset in graph.asset_file_def:
            if Path(asset.filename).name != asset.filename:
                raise ValueError(f"its asset {asset.filename[:80]!a} is not in its folder")
        found = sorted({operation for operation in _reached(graph) if REACHES_OUT.search(operation)})
        if found:
            raise ValueError(f"it runs {', '.join(found)[:100]}, which reads or writes more than the model")


def _reached(graph: Any) -> set[str]:
    """The operations that a signature, an object's function or the loading may run. Every SavedModel has functions
    that save and restore its variables: those are left out as long as nothing but the saver calls them."""
    names = [tensor.name for one in graph.signature_def.values() for tensor in one.outputs.values()]
    names += [
        name for key in STARTS if key in graph.collection_def for name in graph.collection_def[key].node_list.value
    ]
    called = list(graph.object_graph_def.concrete_functions)
    for node in graph.object_graph_def.nodes:
        called += [node.bare_concrete_function.concrete_function_name, *node.function.concrete_functions]
    return {node.op for node in reached_nodes(graph, names, called)}


def reached_nodes(graph: Any, names: Iterable[str], called: Iterable[str] = ()) -> Iterator[Any]:
    """The nodes of a MetaGraphDef that compute the tensors of these names or are in these functions, and all that they
    depend on or call. A function that is called twice counts once."""
    nodes = {node.name: node for node in graph.graph_def.node}
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    names, called = [*names], [*called]
    seen: set[str] = set()
    while names or called:
        if names:
            name = names.pop().lstrip("^").partition(":")[0]
            found = [nodes[name]] if name in nodes and f"node {name}" not in seen else []
            seen.add(f"node {name}")
            names += [entry for node in found for entry in node.input]
        else:
            name = called.pop()
            found = list(functions[name].node_def) if name in functions and f"call {name}" not in seen else []
            seen.add(f"call {name}")
        called += [one for node in found for one in _called(node)]
        yield from found


def _called(node: Any) -> list[str]:
    """The names of the functions that a node calls. The name of its operation is among them: it may be a function's."""
    lists = [value.list.func for value in node.attr.values()]
    return [node.op, *(value.func.name for value in node.attr.values()), *(one.name for many in lists for one in many)]
