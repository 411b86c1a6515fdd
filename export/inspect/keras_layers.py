"""The configuration of a Keras model, as Keras 2 or 3 writes it in JSON -> its inputs, outputs and layers. No layer is
built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from export.inspect.model_file import End, Size, Step, cut, step
from toolkit.untrusted.allowed import RUNS_CODE

MODELS = ("Functional", "Model", "Sequential")
DEPTH = 64  # models within models
PASSED = ("InputLayer", "Resizing", "CenterCrop", "GaussianNoise", "Dropout", "Cast")  # as are Random... layers
OPERATIONS = {  # names of layers that Keras makes of arithmetic -> the step
    **{"TrueDivide": "divide", "Divide": "divide", "Subtract": "subtract", "Multiply": "multiply", "Add": "add"},
    **{"math.truediv": "divide", "math.divide": "divide", "math.subtract": "subtract", "math.multiply": "multiply"},
    **{"math.add": "add", "__operators__.add": "add"},
}


@dataclass(frozen=True)
class Layer:
    """A layer of a model, or a model in it."""

    kind: str  # the name of its class
    name: str
    config: dict[str, Any]
    built: Any  # the shape it was built for, of Keras 3
    calls: list[Any]  # how it is called, as it is stored
    sources: tuple[str, ...]  # names of the layers that it takes


@dataclass(frozen=True)
class KerasLayers:
    """What a configuration tells."""

    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    operators: dict[str, int]  # classes of layers, with how often each occurs
    names: tuple[str, ...]
    steps: tuple[Step, ...]
    last: str  # the activation, or the layer, that gives the only output
    normaliser: str | None  # a Normalization layer that comes first, whose numbers are among the weights
    policy: str  # of types: "float32", "mixed_float16"
    runs_code: tuple[str, ...]  # layers that run code of the file's author


def read_layers(config: Any) -> KerasLayers:
    """What the configuration of a model tells. Raises ValueError if it is none."""
    model = _layer(config)
    if model.kind not in MODELS and not isinstance(model.config.get("layers"), list):
        return _of_a_class(model)
    layers = list(_all_layers(model))
    kinds = Counter(cut(layer.kind, 60) for layer in layers if layer.kind not in MODELS)
    policies = Counter(_dtype(layer.config.get("dtype")) for layer in layers if layer.config.get("dtype"))
    first = list(_first_steps(model))
    named = first.pop() if first and isinstance(first[-1], str) else None
    return KerasLayers(
        inputs=tuple(_inputs(model)),
        outputs=tuple(_output(model, name) for name in _ends(model, "output_layers")),
        operators=dict(kinds.most_common()),
        names=(cut(model.name), *(cut(layer.name) for layer in layers)),
        steps=tuple(one for one in first if isinstance(one, Step)),
        last=_last(model),
        normaliser=named if isinstance(named, str) else None,
        policy=policies.most_common(1)[0][0] if policies else "float32",
        runs_code=tuple(cut(layer.kind, 60) for layer in layers if layer.kind in RUNS_CODE),
    )


def _of_a_class(model: Layer) -> KerasLayers:
    """Of a model that is a class of its author's: its layers are not in the file."""
    return KerasLayers((), (), {cut(model.kind, 60): 1}, (cut(model.name),), (), "", None, "float32", ())


def _layer(entry: Any) -> Layer:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise ValueError("its configuration describes no model")
    config = entry.get("config")
    if isinstance(config, list):  # a Sequential of an early Keras 2
        config = {"layers": config}
    config = config if isinstance(config, dict) else {}
    built = entry.get("build_config")
    calls = entry.get("inbound_nodes")
    calls = calls if isinstance(calls, list) else []
    shape = built.get("input_shape") if isinstance(built, dict) else None
    name = entry.get("name") or config.get("name") or ""
    return Layer(entry["class_name"], str(name), config, shape, calls, tuple(_references(calls)))


def _layers(model: Layer) -> list[Layer]:
    entries = model.config.get("layers")
    return [_layer(entry) for entry in entries] if isinstance(entries, list) else []


def _all_layers(model: Layer, depth: int = 0) -> Iterator[Layer]:
    if depth > DEPTH:
        raise ValueError(f"it has models within models more than {DEPTH} deep")
    for layer in _layers(model):
        yield layer
        yield from _all_layers(layer, depth + 1)


def _references(entry: Any, depth: int = 0) -> Iterator[str]:
    """The names of the layers that stored calls refer to, of Keras 2 (["name", 0, 0, {}]) and 3 (keras_history)."""
    if depth > DEPTH:
        return
    if isinstance(entry, list):
        if len(entry) >= 3 and isinstance(entry[0], str) and isinstance(entry[1], int):
            yield entry[0]
            return
        for one in entry:
            yield from _references(one, depth + 1)
    elif isinstance(entry, dict):
        history = entry.get("keras_history")
        if isinstance(history, list) and history and isinstance(history[0], str):
            yield history[0]
            return
        for one in entry.values():
            yield from _references(one, depth + 1)


def _ends(model: Layer, key: str) -> list[str]:
    """The names of a model's input or output layers."""
    layers = _layers(model)
    if model.kind == "Sequential" or key not in model.config:
        return [layers[0 if key == "input_layers" else -1].name] if layers else []
    return list(_references(model.config[key]))


def _inputs(model: Layer, depth: int = 0) -> Iterator[End]:
    by_name = {layer.name: layer for layer in _layers(model)}
    for name in _ends(model, "input_layers"):
        layer = by_name.get(name)
        if layer is None or depth > DEPTH:
            continue
        if _layers(layer):
            yield from _inputs(layer, depth + 1)
            continue
        shape = next((layer.config[key] for key in ("batch_shape", "batch_input_shape") if key in layer.config), None)
        shape = shape or layer.built or (model.built if model.kind == "Sequential" else None)
        dtype = layer.config.get("dtype") if layer.kind == "InputLayer" else "float32"
        yield End(cut(name), _dtype(dtype), _shape(shape))


def _output(model: Layer, name: str, depth: int = 0) -> End:
    """Of a layer: the number of classes is that of the nearest dense layer before it."""
    layers, named = _layers(model), name
    positions = {layer.name: number for number, layer in enumerate(layers)}
    by_name = {layer.name: layer for layer in layers}
    for _ in range(len(layers) + 1):
        layer = by_name.get(name)
        if layer is None or depth > DEPTH:
            break
        if _layers(layer):
            inner = _ends(layer, "output_layers")
            return _output(layer, inner[0], depth + 1) if inner else End(cut(named), "float32", None)
        units = layer.config.get("units")
        if layer.kind == "Dense" and isinstance(units, int):
            taken = _shape(layer.built)
            return End(cut(named), "float32", ((*taken[:-1], units) if taken else ("?", units)))
        if layer.kind not in ("Activation", "Softmax", "Dropout", "Rescaling"):
            break
        before = layers[positions[name] - 1].name if positions[name] else ""
        name = layer.sources[0] if layer.sources else before
    return End(cut(named), "float32", None)


def _last(model: Layer, depth: int = 0) -> str:
    """The activation of the only output; of a layer without one, its kind."""
    names = _ends(model, "output_layers")
    layer = next((layer for layer in _layers(model) if layer.name == names[0]), None) if len(names) == 1 else None
    if layer is None or depth > DEPTH:
        return ""
    if _layers(layer):
        return _last(layer, depth + 1)
    activation = layer.config.get("activation")
    activation = activation.get("config") if isinstance(activation, dict) else activation
    return cut(activation, 60) if isinstance(activation, str) and activation != "linear" else cut(layer.kind, 60)


def _first_steps(model: Layer, depth: int = 0) -> Iterator[Step | str]:
    """What happens to the only input before anything but augmentation does. Ends with the name of a Normalization
    layer whose numbers are not in the configuration."""
    layers = _layers(model)
    entries = _ends(model, "input_layers")
    if len(entries) != 1 or depth > DEPTH:
        return
    for layer in _path(model, layers, entries[0]):
        if _layers(layer):
            yield from _first_steps(layer, depth + 1)
            return
        made = list(_steps_of(layer))
        yield from (one for one in made if one is not None)
        if layer.kind == "Normalization" and not made:
            yield layer.name
            return
        if None in made or not (made or layer.kind in PASSED or layer.kind.startswith("Random")):
            return


def _path(model: Layer, layers: list[Layer], entry: str) -> Iterator[Layer]:
    """The layers from the input on, as long as nothing branches."""
    by_name = {layer.name: layer for layer in layers}
    if model.kind == "Sequential":
        yield from layers
        return
    users: dict[str, list[str]] = {}
    for layer in layers:
        for source in layer.sources:
            users.setdefault(source, []).append(layer.name)
    name = entry
    for _ in range(len(layers)):
        if name not in by_name:
            return
        yield by_name[name]
        following = users.get(name, [])
        if len(following) != 1:
            return
        name = following[0]


def _steps_of(layer: Layer) -> Iterator[Step | None]:
    """The steps of a layer; None for one whose numbers cannot be used, nothing for a layer of another kind."""
    config = layer.config
    if layer.kind == "Rescaling":
        yield _step("multiply", config.get("scale"))
        if config.get("offset") not in (None, 0):
            yield _step("add", config["offset"])
    elif layer.kind == "Normalization" and config.get("mean") is not None and config.get("variance") is not None:
        yield _step("subtract", config["mean"])
        deviation = _step("multiply", config["variance"])
        yield _step("divide", [number**0.5 for number in deviation.numbers if number >= 0]) if deviation else None
    else:
        kind = config.get("function") if layer.kind in ("TFOpLambda", "SlicingOpLambda") else layer.kind
        if isinstance(kind, str) and kind in OPERATIONS and len(layer.sources) == 1:
            yield _step(OPERATIONS[kind], _operand(layer.calls))


def _step(operation: str, values: Any) -> Step | None:
    try:
        return step(operation, values)
    except (TypeError, ValueError):
        return None


def _operand(calls: list[Any]) -> Any:
    """The number by which arithmetic is done on a tensor: in Keras 3 the second argument, in Keras 2 the keyword y."""
    call = calls[0] if calls else None
    if isinstance(call, dict) and isinstance(call.get("args"), list) and len(call["args"]) == 2:
        return call["args"][1]
    while isinstance(call, list) and call and isinstance(call[0], list):
        call = call[0]
    keywords = call[3] if isinstance(call, list) and len(call) > 3 else None
    return keywords.get("y") if isinstance(keywords, dict) else None


def _shape(stored: Any) -> tuple[Size, ...] | None:
    while isinstance(stored, list) and len(stored) == 1 and isinstance(stored[0], list):
        stored = stored[0]
    if not isinstance(stored, list) or len(stored) > 16:
        return None
    return tuple(size if isinstance(size, int) and not isinstance(size, bool) else "?" for size in stored)


def _dtype(stored: Any) -> str:
    """ "float32" of "float32", or of a policy that is stored as an object."""
    for _ in range(3):
        stored = stored.get("config", stored.get("name")) if isinstance(stored, dict) else stored
        stored = stored.get("name") if isinstance(stored, dict) and "name" in stored else stored
    return cut(stored, 40) if isinstance(stored, str) else "float32"
