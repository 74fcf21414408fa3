"""Run a command and turn how it ended into one of the exit codes."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from lockstep.exit_codes import ExitCode

_VALUES_BETWEEN_COLLECTIONS = 100_000


def collect_rarely() -> None:
    """Let memory be searched for cycles rarely in this process.

    A fleet is some million small values without cycles: the default of 700 would walk all of them again and again.
    """
    gc.set_threshold(_VALUES_BETWEEN_COLLECTIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `lockstep ARGUMENTS`; return the exit code (`sys.argv` when None).

    Problems of the input go to standard error, each with the line of the spec that it is about. An exception that
    nobody expected prints its traceback and counts as our bug.
    """
    from lockstep.cli import app  # noqa: PLC0415 - keeps a broken install's message short

    collect_rarely()
    try:
        result = app(
            args=list(arguments) if arguments is not None else None, prog_name="lockstep", standalone_mode=False
        )
    except typer.Exit as error:
        return error.exit_code
    except TyperException as error:
        print(f"lockstep: {error.format_message()}", file=sys.stderr)
        context = getattr(error, "ctx", None)
        print(f"Try '{context.command_path if context else 'lockstep'} --help'.", file=sys.stderr)
        return ExitCode.WRONG_USAGE
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return ExitCode.INVALID_INPUT
    except BrokenPipeError:
        return ExitCode.FINE
    except Exception as error:  # noqa: BLE001 - the outermost place decides between bad input and our bug
        return _unexpected(error)
    return result if isinstance(result, int) else ExitCode.FINE


def _unexpected(error: Exception) -> int:
    from components.derivation import SpecErrors  # noqa: PLC0415
    from components.stack_config import SettingsErrors  # noqa: PLC0415
    from lockstep.input_errors import InputError  # noqa: PLC0415

    if isinstance(error, SpecErrors):
        from lockstep.spec_lines import excerpt  # noqa: PLC0415

        for problem in error.problems:
            print("\n".join((str(problem), *excerpt(problem.spot))), file=sys.stderr)
        return _invalid(len(error.problems))
    if isinstance(error, SettingsErrors):
        print(error, file=sys.stderr)
        return _invalid(len(error.problems))
    if isinstance(error, InputError):
        print(error, file=sys.stderr)
        return ExitCode.INVALID_INPUT
    if isinstance(error, OSError):
        print(f"{error.filename or 'file'}: {error.strerror}. Fix: check the path and its rights.", file=sys.stderr)
        return ExitCode.INVALID_INPUT
    traceback.print_exception(error)
    print("This is a bug of Lockstep, not of your input. Please report the lines above.", file=sys.stderr)
    return ExitCode.OUR_BUG


def _invalid(count: int) -> int:
    print(f"{count} problem{'' if count == 1 else 's'}", file=sys.stderr)
    return ExitCode.INVALID_INPUT


if __name__ == "__main__":
    sys.exit(main())
