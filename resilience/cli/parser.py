"""Arguments of the command line and its help texts.

A wrong argument is answered in one line with the nearest command, option or choice.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from resilience._validation import did_you_mean
from resilience.cli import simulate_options
from resilience.cli.output import ExitCode

__all__ = ["build_parser"]

_INVALID_CHOICE = re.compile(
    r"argument (?P<argument>.+): invalid choice: (?P<value>.+) \(choose from (?P<choices>.+)\)"
)
_OPTION = re.compile(r"--[a-z]+")

_EXAMPLES = """\
examples:
  resilience demo                        break a real server for 12 s and watch
  resilience demo --json > demo.json     the same as one document
  resilience call https://example.org/   one request, attempt by attempt
  resilience explain httpx.ReadTimeout   the category of a failure, what follows
  resilience explain status 503
  resilience circuits shop.main          the circuits of an application
  resilience fleet isolate payments --fleet redis://cache:6379/0
  resilience codes shop.errors           the error codes of an application
  resilience doctor shop.main            what its clients do by themselves
  resilience lint shop.main              mistakes in stacks of policies
  resilience check resilience.toml       what a configuration means
  resilience report traceback.txt        explain a traceback that was saved
  resilience schema report               the JSON Schema of such a report
  resilience simulate shop.main:search   what an outage would do to a function
  resilience run script.py --timeout 5   execute a script within limits

exit codes:
  0    it worked
  1    it was tried and failed: no answer, or an error status
  2    usage error, or an optional library is missing
  130  ended by Ctrl-C
"""

_CALL_EXAMPLES = """\
examples:
  resilience call https://example.org/health
  resilience call https://example.org/ --attempts 5 --timeout 2 --json
  resilience call https://example.org/jobs --method POST -H 'Accept: text/html'

Header values, user names, passwords and the values in a query are never
printed. A method that may not be sent twice (POST, PATCH, ...) is tried once
unless --attempts says otherwise. Redirects are not followed.

exit codes: 0 status 2xx or 3xx, 1 no answer or an error status, 2 not a URL
or a wrong option, 130 Ctrl-C
"""

_EXPLAIN_EXAMPLES = """\
examples:
  resilience explain httpx.ReadTimeout         an exception class
  resilience explain ConnectionResetError
  resilience explain 503 Service Unavailable   an HTTP status
  resilience explain grpc UNAVAILABLE
  resilience explain ECONNRESET                an error of the system
  resilience explain SQLITE_BUSY               a code of a database: 40P01,
                                               ORA-00060, 'mysql 1213'
  resilience explain CircuitOpenError          an error of the toolkit
  resilience explain --list                    the libraries that are known
  resilience explain 'sqlite3.OperationalError: database is locked'
                                               the last line of a traceback

exit codes: 0 known, 2 not known
"""

_CIRCUITS_EXAMPLES = """\
examples:
  resilience circuits shop.main          a module, of this directory first
  resilience circuits shop.main:app      the same, in the form that servers take
  resilience circuits shop.main:charge   those of a function, class or pipeline
  resilience circuits shop.main --json

The application is imported, which runs its modules; nothing of it is called.
The states are those of this fresh process. For those of a running service,
ask its admin application, or the store of its fleet:

  resilience circuits --url https://shop.example/resilience --watch
  resilience circuits --fleet redis://cache:6379/0
  resilience circuits --fleet redis://cache:6379/0 --name shop --watch

exit codes: 0 imported, 1 it raised while it was imported, 2 no such module,
130 Ctrl-C
"""

_FLEET_EXAMPLES = """\
examples:
  resilience fleet isolate payments --fleet redis://cache:6379/0 --until 600 --why 'the bank asks for it'
  resilience fleet isolate hosts --key eu.example.org --fleet redis://cache:6379/0
  resilience fleet release payments --fleet redis://cache:6379/0

isolate: all processes reject its calls. shadow: they reject none, but record.
release: they go on from the state that the fleet has. Processes that start
later follow, too. What was done, by whom and why is in `resilience circuits
--fleet URL` and in the event fleet.commanded of each process.

exit codes: 0 done, 1 the store cannot be asked, 2 a wrong option, 130 Ctrl-C
"""

_CODES_EXAMPLES = """\
examples:
  resilience codes                                     those of the toolkit
  resilience codes shop.errors                         of an application
  resilience codes shop.errors --check docs/errors.md  check a table of them
  resilience codes shop.errors --prefix SHOP --json

The table is Markdown; a row that counts has a code in one cell and the name
of its class in the next.

exit codes: 0 nothing wrong, 1 --check has found something or a module raised,
2 no such module, prefix or file
"""

_DOCTOR_EXAMPLES = """\
examples:
  resilience doctor shop.main          all clients of a module, and those that its guarded functions use
  resilience doctor shop.main:client   this client
  resilience doctor shop.main:answer   the clients that this function uses, and how its retries multiply
  resilience doctor shop.main --json

The application is imported, which runs its modules; nothing of it is called, and nothing is sent.

exit codes: 0 no problem, 1 a problem: retries that multiply, a missing time limit; 2 no such module or attribute
"""

_LINT_EXAMPLES = """\
examples:
  resilience lint shop.main          all that is guarded in a module; the current directory is searched first
  resilience lint shop.main:search   the stack of this function, class or pipeline
  resilience lint shop.main --json

The application is imported, which runs its modules; nothing of it is called.

exit codes: 0 nothing wrong, 1 a rule is broken or it raised while it was imported, 2 no such module, 130 Ctrl-C
"""

_CHECK_EXAMPLES = """\
examples:
  resilience check resilience.toml               stacks, worst cases, mistakes
  resilience check resilience.toml shop.main     those of an application, too
  resilience check resilience.toml --json
  resilience check resilience.toml --github      errors beside the file
  resilience check --schema > resilience.schema.json

The environment counts: RESILIENCE__POLICIES__CATALOGUE__TIMEOUT=2 is seen.

exit codes: 0 nothing wrong, 1 the configuration is invalid or a rule is
broken, 2 usage error or no such module, 130 Ctrl-C
"""

_RUN_EXAMPLES = """\
examples:
  resilience run script.py
  resilience run script.py --timeout 5 --memory 256MB --level permissive
  resilience run script.py --allow statistics --allow csv
  echo 'print(1 / 0)' | resilience run - --json

What the script prints streams; with --json it goes to stderr, and stdout is
the document. The script has no stdin, an empty directory of its own, and an
empty environment. The levels: strict (math, json, datetime, random), moderate
(pure computation, files to read), permissive (anything the limits allow).
They are guard rails for code that means well, not a security boundary.

exit codes: 0 it ended well, 1 its output could not be written, 2 usage error,
130 Ctrl-C; else by category: 10 syntax_error, 11 runtime_error,
12 import_error, 13 security_error, 14 timeout_error, 15 memory_error,
16 internal, 17 configuration, 18 any other
"""

_REPORT_EXAMPLES = """\
examples:
  resilience report traceback.txt              why it failed, and what to do
  python shop.py 2>&1 | resilience report -    from a pipe
  resilience report service.log --level 1      the summary, one line
  resilience report traceback.txt --json
  resilience report traceback.txt --llm 500    for a model, in 500 tokens

The last traceback in the text is explained, whatever stands around it: a log,
colours, a notebook. Files that it names are not read. Passwords, tokens and
home directories are not shown.

exit codes: 0 explained, 2 no such file, or no traceback in it
"""

_SCHEMA_EXAMPLES = """\
examples:
  resilience schema report             what `resilience report --json` prints
  resilience schema report --level 1   the same, at this level only

exit codes: 0 printed, 2 there is no schema of that name
"""

_DEMO_EXAMPLES = """\
Six phases: the server is healthy, slow, answers 503 with Retry-After, resets
its connections, is killed, comes back. Every call is made twice at the same
moment: protected by fallback > retry > circuit breaker > time limit, and
bare. Both go to a server in a process of its own on the loopback interface;
nothing leaves the machine.

  resilience demo --web                  the same on the admin page, in turns
                                         until Ctrl-C: its URL is printed

exit codes: 0 it ran, 1 the server could not be started, 2 a wrong option or a
library is missing, 130 Ctrl-C
"""


class _Parser(argparse.ArgumentParser):
    """Answers a wrong argument in one line, with what was probably meant; argparse prints the usage as well."""

    commands: Mapping[str, _Parser] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.suggest_on_error = False  # from 3.15 on argparse has a hint of its own, in other words

    def error(self, message: str) -> NoReturn:
        line = f"{self.prog}: {_INVALID_CHOICE.sub(_say_choices, message)}; see `{self.prog} --help`"
        self.exit(ExitCode.USAGE, line.replace("?; see", "? See") + "\n")

    def parse_args(self, args: Sequence[str] | None = None) -> argparse.Namespace:  # type: ignore[override]
        """Parse all of *args*; what is left over is refused by the parser of its command, which knows its options."""
        arguments, unknown = self.parse_known_args(args)
        if unknown:
            self.commands.get(arguments.command, self).refuse(unknown)
        return arguments

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        options = _OPTION.findall(self.format_usage())
        named = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
        self.error(f"unrecognized arguments: {' '.join(unknown)}{did_you_mean(named, options)}")


def _say_choices(found: re.Match[str]) -> str:
    """Rewrite argparse's message about an invalid choice: its list is long, and has no near match."""
    value, choices = found["value"].strip("'"), found["choices"].replace("'", "").split(", ")
    hint = did_you_mean(value, choices)
    if found["argument"] == "command" and hint:
        return f"there is no command {value!r}{hint}"
    return f"{found['argument']} {value!r} is not one of {', '.join(choices)}{hint}"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    from resilience import __version__

    parser = _Parser(
        prog="resilience",
        description="Keep calls working while what they depend on fails.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"resilience {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=_Parser)
    parser.commands = commands.choices

    demo = _command(commands, "demo", "break a real server; compare protected calls with bare ones", _DEMO_EXAMPLES)
    demo.add_argument(
        "--seconds", type=_number(3, 3600), help="duration of the demo (default: 12; of a round of --web: 60)"
    )
    demo.add_argument("--web", action="store_true", help="show it on the admin page in a browser, until Ctrl-C")
    demo.add_argument("--port", type=_port, default=0, help="with --web: the port of the page (default: a free one)")
    demo.add_argument(
        "--rate", type=_number(1, 1000), default=80.0, help="calls per second of each client (default: 80)"
    )
    demo.add_argument("--seed", type=int, default=1, help="the same seed gives the same arrivals (default: 1)")
    _add_shared_options(demo)

    call = _command(commands, "call", "make one real request; show it attempt by attempt", _CALL_EXAMPLES)
    call.add_argument("url", metavar="URL", help="http:// or https://")
    call.add_argument("--method", "-X", default="GET", help="default: GET")
    call.add_argument("--attempts", type=_attempts, help="maximum number of calls, the first one included (default: 3)")
    call.add_argument("--timeout", type=_number(0.001, 86400), default=5.0, help="seconds per attempt (default: 5)")
    call.add_argument("--header", "-H", action="append", default=[], metavar="NAME:VALUE", help="may be repeated")
    _add_shared_options(call)

    explain = _command(commands, "explain", "classify a failure given as text", _EXPLAIN_EXAMPLES)
    explain.add_argument("text", metavar="TEXT", nargs="*", help="several words are joined")
    explain.add_argument("--list", action="store_true", help="list the client libraries whose exceptions are known")
    explain.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    circuits = _command(
        commands, "circuits", "import an application; print the circuits it defines", _CIRCUITS_EXAMPLES
    )
    circuits.add_argument("application", metavar="MODULE[:ATTRIBUTE]", nargs="?", help="what to import")
    _add_fleet_options(circuits, required=False)
    circuits.add_argument("--url", metavar="URL", help="the admin application of a running service")
    circuits.add_argument("--token", help="with --url: its token (default: $RESILIENCE_ADMIN_TOKEN)")
    circuits.add_argument("--find", metavar="TEXT", default="", help="with --url: a part of the name or key")
    circuits.add_argument("--watch", action="store_true", help="with --fleet or --url: every second until Ctrl-C")
    circuits.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    doctor = _command(commands, "doctor", "find out what an application's clients do by themselves", _DOCTOR_EXAMPLES)
    doctor.add_argument("application", metavar="MODULE[:ATTRIBUTE]", help="what to import")
    doctor.add_argument("--strict", action="store_true", help="fail for warnings too")
    doctor.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    fleet = _command(commands, "fleet", "isolate or release a circuit in all processes of a fleet", _FLEET_EXAMPLES)
    fleet.add_argument("action", choices=["isolate", "shadow", "release"], help="what is to be done")
    fleet.add_argument("circuit", metavar="CIRCUIT", help="the name of the circuit")
    _add_fleet_options(fleet, required=True)
    fleet.add_argument("--key", help="the key of a circuit that has one for each")
    fleet.add_argument("--until", type=_number(0.001, 31_536_000), metavar="SECONDS", help="when it ends by itself")
    fleet.add_argument("--by", metavar="NAME", help="who does it (default: the user's name)")
    fleet.add_argument("--why", default="", metavar="REASON", help="the reason, for the audit")
    fleet.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    lint = _command(commands, "lint", "find mistakes in an application's stacks of policies", _LINT_EXAMPLES)
    lint.add_argument("application", metavar="MODULE[:ATTRIBUTE]", help="what to import")
    lint.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    check = _command(commands, "check", "check a configuration; print what it means", _CHECK_EXAMPLES)
    check.add_argument("file", metavar="FILE", nargs="?", help="a resilience.toml or pyproject.toml")
    check.add_argument("module", metavar="MODULE", nargs="?", help="an application to look at as well")
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    form.add_argument("--github", action="store_true", help="print errors as annotations of GitHub's runners")
    form.add_argument("--schema", action="store_true", help="print the JSON Schema of the file")

    script = _command(commands, "run", "execute a script within limits; explain how it failed", _RUN_EXAMPLES)
    script.add_argument("script", metavar="SCRIPT", help="a Python file; - is stdin")
    script.add_argument(
        "--timeout", type=_number(0.001, 86400), default=30.0, help="time limit in seconds (default: 30)"
    )
    script.add_argument(
        "--memory",
        default="auto",
        metavar="SIZE",
        help="memory limit (default: 100MB; 1GB where the level allows libraries)",
    )
    script.add_argument(
        "--level", choices=["strict", "moderate", "permissive"], default="strict", help="default: strict"
    )
    script.add_argument(
        "--allow", action="append", default=[], metavar="MODULE", help="allow an import; may be repeated"
    )
    script.add_argument("--directory", metavar="DIR", help="working directory (default: an empty one of its own)")
    script.add_argument("--trace", action="store_true", help="print each line number when it is first reached")
    script.add_argument("--detail", type=int, choices=[1, 2, 3, 4], default=3, help="detail of the report (default: 3)")
    script.add_argument("--json", action="store_true", help="print one JSON document on stdout")

    report = _command(commands, "report", "explain a traceback that was saved", _REPORT_EXAMPLES)
    report.add_argument("file", metavar="FILE", help="a text with a traceback in it; - is stdin")
    report.add_argument("--level", type=int, choices=[1, 2, 3, 4], default=3, help="detail of the report (default: 3)")
    report_form = report.add_mutually_exclusive_group()
    report_form.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    report_form.add_argument(
        "--llm", type=_tokens, nargs="?", const=2000, metavar="TOKENS", help="print it for a model, in at most TOKENS"
    )

    schema = _command(commands, "schema", "print the JSON Schema of a document", _SCHEMA_EXAMPLES)
    schema.add_argument("name", choices=["report"], help="report: what `resilience report --json` prints")
    schema.add_argument("--level", type=int, choices=[1, 2, 3, 4], help="schema of reports of this level only")
    schema.set_defaults(json=False)

    simulate = _command(
        commands, "simulate", "simulate a function in an outage, in virtual time", simulate_options.EXAMPLES
    )
    simulate_options.add_options(simulate)

    codes = _command(commands, "codes", "list the error codes, or check a table of them", _CODES_EXAMPLES)
    codes.add_argument(
        "modules", metavar="MODULE", nargs="*", help="module to import; without one: the toolkit's codes"
    )
    codes.add_argument("--prefix", help="only codes such as PREFIX-E001")
    codes.add_argument("--check", metavar="FILE", help="a Markdown file with a table of the codes")
    codes.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return parser


def _command(
    commands: argparse._SubParsersAction[_Parser],  # argparse has no public name for it
    name: str,
    what: str,
    epilog: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_fleet_options(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument("--fleet", required=required, metavar="URL", help="the fleet's server: redis://cache:6379/0")
    command.add_argument("--name", help="the fleet's name (default: that of the server's only fleet)")


def _add_shared_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio", help="default: asyncio")
    command.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _number(least: float, greatest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not least <= number <= greatest:  # false for nan too
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least:g} to {greatest:g}")
        return number

    return parse


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _attempts(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:5]) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return int(text)


def _tokens(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 50 <= int(text[:8]) <= 1_000_000):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of tokens from 50 to 1000000 (a file goes before --llm)"
        )
    return int(text)
