"""``xpo`` and ``python -m xpo``: one run, a sweep (``-m``), or a verb. No torch before a run starts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable

from xpo.errors import UserError, Waiting

EXIT_FAILED = 1
EXIT_REFUSED = 2  # bad input or a combination without meaning: nothing was run
EXIT_WAITING = 3  # the run goes on when a person has done what its message says


class Unread(Exception):
    """A run's output goes into a pipe that somebody closed."""

    def __str__(self) -> str:
        return "the run has stopped: what it prints goes into a pipe that was closed; send it to a file"


def main(argv: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 (a run failed), 2 (bad input) or 3 (a run waits)."""
    from xpo.sweep.argv import sweep_argv
    from xpo.verbs import VERBS, dispatch

    args = sweep_argv(list(sys.argv[1:] if argv is None else argv))
    if args and args[0] in VERBS:
        code = _guarded(lambda: dispatch(args[0], args[1:]))
    else:
        code = _guarded(lambda: _hydra(args))
    if code:
        sys.exit(code)


def _check_words(args: list[str]) -> None:
    """A bare word is a verb misspelt or in the wrong place; behind one of Hydra's flags it is its value."""
    from xpo.compose.errors import ConfigError, did_you_mean
    from xpo.verbs import VERBS

    for before, word in zip(["", *args], args, strict=False):
        of_a_flag = before.startswith("-") and before != "--multirun"
        if re.fullmatch(r"[A-Za-z]\w*", word) and not of_a_flag:
            raise ConfigError(
                f"{word!r} is no key=value, and no verb where it stands: {', '.join(VERBS)} go first, "
                f"without -m.{did_you_mean(word, VERBS)}"
            )


def _hydra(args: list[str]) -> int:
    import hydra
    from omegaconf import DictConfig

    from xpo.compose import build, compose_config
    from xpo.compose.hydra_glue import prepare_hydra
    from xpo.compose.paths import core_conf

    _check_words(args)
    prepare_hydra()
    single = not any(arg.startswith("-") for arg in args)
    if single:
        build(compose_config(args))  # a run that is refused leaves no folder behind
    mistakes: list[UserError | OSError | Unread] = []

    def job(config: DictConfig) -> dict[str, object] | None:
        from xpo.stages.job import run_job

        try:
            return run_job(config)
        except (UserError, OSError) as error:
            if not single:
                raise
            mistakes.append(
                Unread() if isinstance(error, BrokenPipeError) else error
            )  # Hydra would print the overrides first
            return None

    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions reach _guarded instead of being printed by Hydra
    sys.argv = [sys.argv[0], *args]
    hydra.main(config_path=str(core_conf()), config_name="config", version_base="1.3")(job)()
    if mistakes:
        raise mistakes[0]
    return 0


def _guarded(action: Callable[[], int | None]) -> int:
    """Run an action; a user's error becomes one message and exit code 2."""
    from hydra.errors import HydraException

    try:
        return action() or 0
    except Waiting as wanted:
        print(f"xpo: {wanted}", file=sys.stderr)
        return EXIT_WAITING
    except (UserError, HydraException) as error:
        print(f"xpo: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except Unread as error:
        sys.stdout = None
        print(f"xpo: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stdout = None
        return 0
    except OSError as error:
        print(f"xpo: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print("xpo: interrupted", file=sys.stderr)
        return 130
