"""The command: ``python -m benchmarks.mutants --sample 300 --seed 7``.

It works in a copy of the tree. There it runs all tests once, to know which of them execute a line, and then those that
execute the mutated line against each mutant, the nearest first, until one fails.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.mutants.coverage_map import CoverageMap, environment, record
from benchmarks.mutants.mutations import Mutation, read
from benchmarks.mutants.trials import Selection, Trials, Verdict, nearest

ROOT: Final = Path(__file__).parent.parent.parent
_SOURCES: Final = ["resilience/policies", "resilience/_runtime"]
_TREE: Final = "MUTANTS_TREE"
"""The variable of the environment that names the copy of the tree, inside the process that works in it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 0 if enough mutants are killed, 1 if not, 2 for wrong arguments."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        chosen = _sample(ROOT, options)
        print("\n".join(f"{number:4} {mutation}" for number, mutation in enumerate(chosen, 1)))
        return 0
    if sys.version_info < (3, 12):
        parser.error(
            "sys.monitoring came with Python 3.12: uv run --isolated --python 3.13 python -m benchmarks.mutants"
        )
    if _TREE in os.environ:
        return _try_in(Path(os.environ[_TREE]), options)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder).resolve() / "tree"
        _copy(tree)
        command = [sys.executable, "-m", "benchmarks.mutants", *(sys.argv[1:] if arguments is None else arguments)]
        variables = environment(tree) | {_TREE: str(tree)}
        return subprocess.run(command, cwd=tree, env=variables, check=False).returncode  # noqa: S603


def _copy(tree: Path) -> None:
    """Copy the files as they are into *tree*, but for those that git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    for path in filter(None, listed.split("\0")):
        if (ROOT / path).is_file():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, tree / path)


def _sample(tree: Path, options: argparse.Namespace) -> list[Mutation]:
    every = list(read(tree, options.source or _SOURCES))
    return random.Random(options.seed).sample(every, min(options.sample, len(every)))


def _try_in(tree: Path, options: argparse.Namespace) -> int:
    """Try the sample in *tree*, the current folder, which is a copy."""
    sources = options.source or _SOURCES
    chosen = _sample(tree, options)
    folder = Path(options.map).resolve() if options.map else tree.parent / "map"
    if not folder.exists():
        print("recording which tests execute which lines", flush=True)
        record(tree, folder, options.tests, sources)
    coverage_map = CoverageMap(folder)
    trials = Trials(tree)
    verdicts: list[tuple[Mutation, Verdict]] = []
    for number, mutation in enumerate(chosen, 1):
        verdict = _try(trials, coverage_map, mutation)
        verdicts.append((mutation, verdict))
        print(f"{number:4} {_line(mutation, verdict)}", flush=True)
    killers = dict.fromkeys(verdict.by for _, verdict in verdicts if "::" in verdict.by)
    sound = trials.run(Selection.of(killers, coverage_map.seconds))
    print("\n".join(_summary(verdicts, options.seed)))
    if sound.killed:
        print(f"worth nothing: without any mistake, too, this test fails: {sound.by}")
    if options.json:
        rows = [mutation._asdict() | verdict._asdict() for mutation, verdict in verdicts]
        Path(options.json).write_text(json.dumps({"seed": options.seed, "mutants": rows}, indent=1), "utf-8")
    return int(sound.killed or _share(verdicts) < options.at_least)


def _try(trials: Trials, coverage_map: CoverageMap, mutation: Mutation) -> Verdict:
    """Run the nearest tests against the mutant, and all others that execute it if it survives these."""
    spent = tests = 0.0
    verdict = Verdict(killed=False, by="", tests=0, seconds=0.0)
    with trials.mistake(mutation):
        for selection in nearest(coverage_map, mutation):
            verdict = trials.run(selection)
            spent, tests = spent + verdict.seconds, tests + verdict.tests
            if verdict.killed:
                break
    return verdict._replace(seconds=round(spent, 1), tests=int(tests))


def _line(mutation: Mutation, verdict: Verdict) -> str:
    end = f"killed by {verdict.by}" if verdict.killed else f"SURVIVED {verdict.tests} tests"
    return f"{mutation}\n       {end} ({verdict.seconds:.1f} s)"


def _share(verdicts: Sequence[tuple[Mutation, Verdict]]) -> float:
    return 100 * sum(verdict.killed for _, verdict in verdicts) / len(verdicts)


def _summary(verdicts: Sequence[tuple[Mutation, Verdict]], seed: int) -> Iterator[str]:
    """Yield the lines of the report."""
    made = collections.Counter(mutation.operator for mutation, _ in verdicts)
    killed = collections.Counter(mutation.operator for mutation, verdict in verdicts if verdict.killed)
    yield ""
    for operator, number in made.most_common():
        yield f"{operator:24} {killed[operator]:4} of {number:4} killed"
    yield f"{'all':24} {killed.total():4} of {made.total():4} killed: {_share(verdicts):.1f} % (seed {seed})"
    yield ""
    yield from (f"survived: {mutation}" for mutation, verdict in verdicts if not verdict.killed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutants",
        description="Make small mistakes in a copy of the package, and see whether the tests notice.",
    )
    parser.add_argument("--sample", type=int, default=300, help="how many mutants; 300 unless given")
    parser.add_argument("--seed", type=int, default=7, help="which sample; 7 unless given")
    parser.add_argument("--source", action="append", metavar="PATH", help=f"repeatable; {' and '.join(_SOURCES)}")
    parser.add_argument("--tests", nargs="*", default=[], metavar="PATH", help="all that pytest finds unless given")
    parser.add_argument("--map", metavar="FOLDER", help="where the coverage is kept: written, or read if it exists")
    parser.add_argument("--json", metavar="FILE", help="write the mutants and their ends into this file")
    parser.add_argument("--at-least", type=float, default=93.0, metavar="PERCENT", help="to kill; 93 unless given")
    parser.add_argument("--list", action="store_true", help="the mutants, and do nothing else")
    return parser


if __name__ == "__main__":
    sys.exit(main())
