"""`w2s`: one file a group of verbs. Parse, call, print; everything a verb does can be called from Python."""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TextIO

from ..errors import InputError
from ..printable import one_line
from ..redaction import redacted
from .limits import refused
from .signals import INTERRUPTED, Ending


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 2 the user's input is wrong (one line, no traceback), 1 anything else.

    2 is also what the machine refuses: memory, open files, room on a disk. Nothing heavy is imported before this, so
    that Ctrl-C is caught (130) whenever it comes, and SIGTERM (143) and SIGHUP (129). Without `arguments` they are the
    process's own, which is then taken to end with the command.
    """
    # Closed by the shell (`>&-`): there is nobody to tell, but libraries expect a stream.
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):  # one that knows ASCII alone gets escapes for other letters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Read by torch when it is first loaded. Its threads otherwise spin while they wait for each other, which on a
    # machine with other work to do makes small models many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Else the tokenizers' own warning about forked processes stands between the lines of output.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # What joblib says, when it is loaded, where files may not be written; it does without.
    warnings.filterwarnings("ignore", message=".*joblib will operate in serial mode")
    words = list(sys.argv[1:] if arguments is None else arguments)
    ending = Ending(last=arguments is None)
    try:
        if "" in words:  # a path of no letters would be the folder that one stands in
            raise InputError("an argument is empty: is a variable of the shell unset?")
        with ending.heeded():
            code = _run(words)
        sys.exit(code)
    except KeyboardInterrupt:
        _tell("w2s: interrupted; what was finished is kept, and the same command goes on from there\n")
        sys.exit(ending.code)
    except InputError as error:
        _refuse(str(error))
    except BrokenPipeError:  # the reader of our output has gone: `w2s … | head`
        sys.stderr.close()
        sys.exit(1)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        line = refused(error)
        if line is None:
            raise
        _refuse(line)
    finally:
        if arguments is None:  # after typer, which sets one of its own
            sys.excepthook = _tell_fault


def _tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback without anything secret: what libraries raise may quote signed addresses and headers."""
    import traceback

    _tell(redacted("".join(traceback.format_exception(kind, error, trace))))


def _run(arguments: list[str]) -> int:
    import typer

    from .app import app

    usage: Any = typer.BadParameter.__base__  # typer gives this class no name of its own
    try:
        code = app(arguments, prog_name="w2s", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except usage as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return 2
        from .usage_errors import what_is_wrong

        raise InputError(what_is_wrong(error, arguments)) from error
    if code == INTERRUPTED:  # typer has caught it, and says nothing
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _refuse(message: str) -> NoReturn:
    """One line on stderr, without passwords and tokens, and exit code 2."""
    line = one_line(redacted(message))
    if not (sys.stderr.isatty() or os.environ.get("FORCE_COLOR")) or not _in_colour(line):
        _tell(f"w2s: {line}\n")
    sys.exit(2)


def _in_colour(line: str) -> bool:
    """Whether the line was written to stderr in colour, for which there may be too little memory, or too few files."""
    try:
        from rich.console import Console
        from rich.text import Text
    except (MemoryError, OSError, ImportError):
        return False
    Console(stderr=True).print(Text.assemble(("w2s: ", "bold red"), line), soft_wrap=True)
    return True


def _tell(line: str) -> None:
    """Write to stderr; where that cannot be done, as on a terminal that has gone, the exit code must tell it."""
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:
        sys.stderr = _nowhere()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
