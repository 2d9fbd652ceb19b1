"""Files with mistakes in them: each is refused by name with nothing applied, or means what it says."""

from __future__ import annotations

import pathlib
import random
import tomllib

import pytest

from resilience.config import ConfigurationError, Policies

FILE = """\
[policies.base]
retry = {on = ["timeout", "network"], attempts = 3, max_delay = "5s", jitter = "full", max_attempts = {timeout = 2}}
circuit = {failure_rate = 0.5, window = 20, reset_timeout = "30s", success_threshold = 2}
timeout = 2.0
deadline = "10s"

[policies.catalogue]
base = "base"
timeout = {limit = "400ms", mode = "thread"}
bulkhead = {limit = 10, max_queue = 5, order = "newest"}
rate_limit = {rate = "500/min", burst = 20}
fallback = {default = [], on = "transient"}
throttle = {k = 2.0, window = 30}

[[routes]]
match = "GET catalogue.internal/items/*"
policy = "catalogue"

[categories.rate_limit]
cost = 3
"""
VALUES = ["0", "-1", "true", '"x"', "[]", "{}", "1e999", "nan", '"5 parsecs"', '""', "[1]", "999999999999999999999"]


def mutated(chance: random.Random) -> str:
    """The file with one or two mistakes: a letter, a key, a value, a line or a table that is another one, or gone."""
    lines = FILE.splitlines()
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(lines))
        line = lines[at]
        kind = chance.choice(["letter", "gone", "value", "twice", "swap"])
        if kind == "letter" and line:
            place = chance.randrange(len(line))
            lines[at] = line[:place] + chance.choice("abcxyz_.=[]{}\"',0 ") + line[place + 1 :]
        elif kind == "gone":
            lines[at] = ""
        elif kind == "value" and "=" in line:
            parts = line.split("= ")
            which = chance.randrange(1, len(parts))
            rest = parts[which].partition(",")
            parts[which] = chance.choice(VALUES) + "".join(rest[1:])
            lines[at] = "= ".join(parts)
        elif kind == "twice":
            lines.insert(at, line)
        else:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


def check(file: pathlib.Path, numbers: range) -> None:
    file.write_text(FILE)
    policies = Policies.load(file, environment={})
    made: list[int] = []

    @policies["catalogue"]
    def call() -> str:
        made.append(1)
        return "answer"

    refused = 0
    try:
        for number in numbers:
            text = mutated(random.Random(number))
            before = policies.options(), str(policies["catalogue"])
            file.write_text(text)
            try:
                policies.reload()
            except ConfigurationError as error:
                refused += 1
                assert (policies.options(), str(policies["catalogue"])) == before, text
                assert str(file.name) in str(error) or "policies." in str(error), text
            else:
                tomllib.loads(text)
                file.write_text(FILE)
                policies.reload()
            if number % 50 == 0:
                assert call() == "answer"
    finally:
        policies.close()
    assert refused > len(numbers) / 3


def test_a_file_with_a_mistake_is_refused_by_name_and_changes_nothing(tmp_path: pathlib.Path):
    check(tmp_path / "resilience.toml", range(200))


@pytest.mark.slow  # about a minute
@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_files_with_mistakes(tmp_path: pathlib.Path, part: int):
    check(tmp_path / "resilience.toml", range(part * 2_500, (part + 1) * 2_500))
