"""The command line: the group of commands, and the exit code of each.

The commands are `unfreeze.commands`. Heavy packages are imported in the bodies of functions, so that `--help` and a
wrong path answer at once. Exit codes: 0 done; 1 it ran and the answer is no; 2 the call or its input is wrong; 3 a
fault of Unfreeze; 130 interrupted, 143 ended by SIGTERM.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import traceback
from difflib import get_close_matches

import click

from toolkit.errors import NoAnswerError, UnfreezeError, describe_os_error, disk_is_full, one_line
from toolkit.process.interrupt import Interrupted, leave, listen, own_temporary_folder
from unfreeze.commands.adopt import adopt
from unfreeze.commands.backbones import backbones
from unfreeze.commands.evaluate import evaluate
from unfreeze.commands.export import export
from unfreeze.commands.finish import begin, print_error
from unfreeze.commands.inspect import inspect
from unfreeze.commands.pick import pick
from unfreeze.commands.predict import predict
from unfreeze.commands.probe import probe
from unfreeze.commands.report import report
from unfreeze.commands.run import demo, run
from unfreeze.commands.scan import scan
from unfreeze.commands.tune_train import train, tune
from unfreeze.commands.verify import verify

ANYWHERE = ("--debug", "--quiet", "-q")  # may also come after the command


class Group(click.Group):
    """Lists commands in the order of work, and proposes the nearest one for an unknown command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as they were added; click would sort them

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = get_close_matches(name, self.list_commands(ctx), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"No such command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="unfreeze")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, results only.")
@click.pass_context
def cli(context: click.Context, quiet: bool) -> None:
    """Find how deep to unfreeze a pre-trained backbone for your images, export the best model as SavedModel, TFLite and
    ONNX, and prove that every file answers as the model does.

    DATA is a folder with a sub-folder per class, or with train/ and, if you have them, val/ and test/; or a CSV
    path,label[,split]. RUN is the folder for everything that a run makes.
    """
    from unfreeze.screen.terminal import Screen

    context.obj = context.with_resource(Screen(quiet=quiet))


WORK = run, demo, scan, probe, tune, train, adopt, evaluate, pick, export, verify, report, inspect, predict, backbones
for command in WORK:
    cli.add_command(command)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name that the terminal cannot show
    arguments = sys.argv[1:]
    own_temporary_folder()
    listen(lambda ended: _cut_short(ended, arguments))
    try:
        code = _main(arguments)
    except Interrupted as ended:  # a signal after the command ended
        code = _end(ended, arguments)
    leave(code)  # at once: TensorFlow would take seconds to free memory that the system frees anyway


def _main(arguments: list[str]) -> int:
    begin()
    arguments = _hoisted(arguments)
    try:
        return cli.main(arguments, prog_name="unfreeze", standalone_mode=False) or 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__cause__ or error  # click makes an Abort of it
        return _end(cause if isinstance(cause, Interrupted) else Interrupted(signal.SIGINT), arguments)
    except click.MissingParameter as error:
        path = error.ctx.command_path if error.ctx else "unfreeze"
        return _fail(f"{error.format_message().rstrip('.')}; `{path} --help` shows how it is called", 2, arguments)
    except click.ClickException as error:
        return _fail(error.format_message(), 2, arguments)
    except UnfreezeError as error:
        return _fail(str(error), 2, arguments)
    except NoAnswerError as error:
        return _fail(str(error), 1, arguments)
    except OSError as error:
        return _fail(describe_os_error(error), 2, arguments)
    except Exception as error:
        if disk_is_full(error):
            return _fail(describe_os_error(OSError(errno.ENOSPC, str(error))), 2, arguments)
        text = f"unexpected: {type(error).__name__}: {error} (--debug shows where; please report it)"
        return _fail(text, 3, arguments)


def _end(ended: Interrupted, arguments: list[str]) -> int:
    return _fail(f"{ended}; {_after_interrupt(arguments)}", ended.code, arguments)


def _cut_short(ended: Interrupted, arguments: list[str]) -> None:
    """Report the signal when the main thread does not return: on a new line below the progress bar, with the cursor
    shown."""
    click.echo("\x1b[?25h" if sys.stderr.isatty() else "", err=True)
    _end(ended, arguments)


def _after_interrupt(arguments: list[str]) -> str:
    """What happens if the same command is typed again."""
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    if name in ("run", "demo", "tune"):
        return "nothing that was finished is lost: type the same command to go on"
    return f"{name or 'the command'} starts over when it is typed again"


def _hoisted(arguments: list[str]) -> list[str]:
    """The arguments with the options of the whole program moved to the front, where click expects them."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    head = arguments[:end]
    return [a for a in head if a in ANYWHERE] + [a for a in head if a not in ANYWHERE] + arguments[end:]


def _fail(text: str, code: int, arguments: list[str]) -> int:
    """Print why there is no result: a line on standard error and, with --json, an object on standard output."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--debug" in options:
        traceback.print_exc()
    line = one_line(" ".join(text.split()))
    if "--json" in options:
        print_error(line, code)
    click.echo(f"error: {line}", err=True)
    return code
