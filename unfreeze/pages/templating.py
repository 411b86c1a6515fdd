"""The Jinja environment in which the page and the card are rendered."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from unfreeze.pages.sentences import escape_controls, percent, points, signed_points


def template_environment(*, autoescape: bool, **filters: Any) -> Environment:
    """An environment for the files in `templates/`, with `filters` beside those for numbers. A name that a template
    uses and was not given is an error."""
    environment = Environment(
        loader=PackageLoader("unfreeze.pages"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        finalize=escape_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "signed": signed_points, "points": points, "count": "{:,}".format}
    environment.filters |= filters
    return environment
