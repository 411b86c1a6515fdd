"""The configuration of a Keras 3 model -> the same model, whose layers compute in float32.

Answers of a model in half precision depend on the processor, and differ from those of its own float32 files.
"""

from __future__ import annotations

import re
from typing import Any

OTHER = re.compile(r"(mixed_)?b?float16$|float64$")  # at the end of a dtype or the name of a policy
NAMES = ("dtype", "name", "source_name")  # where a config, or the policy in it, says its dtype


def in_float32(config: Any) -> Any:
    """A copy of a configuration in which every dtype and dtype policy of floats is float32. `config`: as JSON gives
    it."""
    if isinstance(config, list):
        return [in_float32(one) for one in config]
    if not isinstance(config, dict):
        return config
    changed = {key: in_float32(value) for key, value in config.items()}
    policy = str(changed.get("class_name")).endswith("DTypePolicy") and isinstance(changed.get("config"), dict)
    told = changed["config"] if policy else changed
    for key in NAMES if policy else NAMES[:1]:
        if isinstance(told.get(key), str):
            told[key] = OTHER.sub("float32", told[key])
    return changed
