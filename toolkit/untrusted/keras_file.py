"""A Keras file that may come from a stranger -> keras.Model. No code in the file is run, and no other file is read.

Keras' safe mode refuses Python code in the file. But it lets a layer call any public function of Keras, and it reads as
much as the file declares. So the file, the layers and the weights are checked before Keras reads them.
"""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import UnfreezeError, short_reason
from toolkit.untrusted.archive import Stored, check_keras
from toolkit.untrusted.extent import check_inside, check_size
from toolkit.untrusted.single_precision import in_float32

if TYPE_CHECKING:
    import keras


def read_model(path: Path) -> keras.Model:
    """The model in a .keras file, not compiled; its layers compute in float32. Raises UnfreezeError if the file has no
    model, or one that is not safe to load."""
    import keras

    known = set(keras.saving.get_custom_objects())  # layers that the calling program itself registered
    stored = check_keras(path, known)
    try:
        check_size(lambda: _built(stored.config), stored.weights, path)
        model = _loaded(stored, path)
        _name(model)
        try:
            check_inside(model, path)
        except Exception as error:
            if isinstance(error, UnfreezeError) or not known:
                raise  # else it is ignored: a registered layer may be unable to run in a graph
        return model
    except UnfreezeError:
        raise
    except Exception as error:  # Keras raises every exception of its layers
        raise UnfreezeError(f"{path} cannot be loaded as a Keras model ({short_reason(error)})") from None


def _loaded(stored: Stored, path: Path) -> Any:
    import keras

    model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    config = in_float32(stored.config)
    if config == stored.config:
        return model
    single = _built(config)
    single.set_weights(model.get_weights())
    return single


def _built(config: dict[str, Any]) -> Any:
    import keras

    config = copy.deepcopy(config) | {"compile_config": None}  # Keras changes the config that it reads
    return keras.saving.deserialize_keras_object(config, safe_mode=True)


def _name(model: Any) -> None:
    """Give each layer a name that TensorFlow allows in graphs, which excludes blanks and umlauts; all are different."""
    layers = getattr(model, "_flatten_layers", lambda **_: ())(include_self=False)
    taken = {layer.name for layer in layers}
    for layer in layers:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", layer.name)
        name = name if name[:1].isalnum() else f"layer{name}"
        if name != layer.name:
            numbered = (f"{name}_{number}" for number in itertools.count(2))
            layer.name = next(one for one in itertools.chain((name,), numbered) if one not in taken)
            taken.add(layer.name)
