"""Writes docs/commands.md: every command and option, from click's own help. `python docs/commands.py`

The page is committed; `tests/test_docs.py` compares it with what this makes now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

PAGE = Path(__file__).with_suffix(".md")
BY_HAND = re.compile(r"^(?P<text>.*?)\s*\[(?P<default>[^]]+)\]$", re.DOTALL)  # "Which formats.  [all]"
HEAD = """\
# Every command

*Made from the help texts by `docs/commands.py`; `unfreeze COMMAND --help` says the same. An option without a default
is off, or not given.*

"""


def page(group: click.Group) -> str:
    """The page in Markdown: the group, then a section for each command."""
    context = click.Context(group, info_name="unfreeze")
    sections = [_section(command, context) for command in _walk(group, context)]
    return HEAD + "\n".join([_body(context), *sections])


def _walk(group: click.Group, context: click.Context) -> Iterator[click.Command]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            yield command


def _section(command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=command.name, parent=parent)
    return f"## unfreeze {command.name}\n\n{_body(context)}"


def _body(context: click.Context) -> str:
    """Usage, help, options."""
    usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    options = [p for p in context.command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
    rows = [_row(option, context) for option in options if "--help" not in option.opts]
    table = "| option | default | what it does |\n|---|---|---|\n" + "".join(rows) if rows else ""
    return f"```text\n{usage}\n```\n\n{_prose(context.command.help or '')}\n\n{table}"


def _prose(text: str) -> str:
    """Each paragraph of a help text on one line."""
    paragraphs = (" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))
    return "\n\n".join(map(_escaped, paragraphs))


def _row(option: click.Option, context: click.Context) -> str:
    names = " ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    text, default = _default(option, context)
    if isinstance(option.type, click.Choice):
        text += " One of " + ", ".join(f"`{choice}`" for choice in option.type.choices) + "."
    return f"| {names}{_takes(option, context)} | {default} | {_cell(text)} |\n"


def _takes(option: click.Option, context: click.Context) -> str:
    """The kind of value, as in the help; the values of a choice are told in the text."""
    if option.is_flag or option.count or isinstance(option.type, click.Choice):
        return ""
    return " " + option.make_metavar(context).replace(" RANGE", "")


def _default(option: click.Option, context: click.Context) -> tuple[str, str]:
    """The help without its end in brackets, and the default: click's, or the one that stands in these brackets."""
    text, extra = option.help or "", option.get_help_extra(context)
    default = str(extra.get("default", "")).strip("()")
    if not default and (found := BY_HAND.match(text)):
        text, default = found["text"], found["default"]
    if option.secondary_opts and default:
        default = f"--{default}"
    if "range" in extra:
        text += f" Range: `{extra['range']}`."
    if "envvars" in extra:
        text += " Environment: " + ", ".join(f"`{name}`" for name in extra["envvars"]) + "."
    return text, "required" if "required" in extra else _cell(default.replace("`", ""))


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Help is plain text: what Markdown or HTML would read as markup stays as it is, but in code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]])", r"\\\1", part) for part in parts)


if __name__ == "__main__":
    from unfreeze.cli import cli

    PAGE.write_text(page(cli), encoding="utf-8")
