"""The header of a deadline: what is written into it, and what is read from any text at all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience.integrations.deadlines import DeadlineHeader

MILLISECONDS = DeadlineHeader("x-envoy-expected-rq-timeout-ms")
SECONDS = DeadlineHeader("x-time-left", "seconds")
GRPC = DeadlineHeader("grpc-timeout")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x-envoy-expected-rq-timeout-ms", "milliseconds"),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", "milliseconds"),
        ("x-left-millis", "milliseconds"),
        ("x-server-timeout-seconds", "seconds"),
        ("Grpc-Timeout", "grpc"),
    ],
)
def test_the_format_follows_from_a_name_that_says_it(name: str, expected: str):
    header = DeadlineHeader(name)
    assert (header.name, header.format) == (name.lower(), expected)


@pytest.mark.parametrize(
    ("header", "seconds", "text"),
    [
        (MILLISECONDS, 2.5, "2500"),
        (MILLISECONDS, 0.0009, "1"),  # 0 means no limit at all to some proxies
        (MILLISECONDS, 0.0, "1"),
        (MILLISECONDS, 1.9999, "1999"),  # never more than is left
        (MILLISECONDS, 1e12, "99999999"),
        (SECONDS, 2.5, "2.500"),
        (GRPC, 2.5, "2500m"),
        (GRPC, 1e12, "99999999m"),  # 8 digits, as gRPC has it
    ],
)
def test_what_is_written(header: DeadlineHeader, seconds: float, text: str):
    assert header.encode(seconds) == text


@pytest.mark.parametrize(
    ("header", "text", "seconds"),
    [
        (MILLISECONDS, "2500", 2.5),
        (MILLISECONDS, " 2500\t", 2.5),
        (MILLISECONDS, "12.5", 0.0125),
        (MILLISECONDS, "0", 0.0),
        (MILLISECONDS, "-1", 0.0),
        (MILLISECONDS, "-0", 0.0),
        (MILLISECONDS, "1500, 900", 0.9),
        (SECONDS, "2", 2.0),
        (SECONDS, "0.25", 0.25),
        (GRPC, "3S", 3.0),
        (GRPC, "1M", 60.0),
        (GRPC, "2H", 7200.0),
        (GRPC, "250m", 0.25),
        (GRPC, "50u", 5e-5),
        (GRPC, "0n", 0.0),
    ],
)
def test_what_is_read(header: DeadlineHeader, text: str, seconds: float):
    assert header.decode(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1e3",
        "0x10",
        "1_000",
        "٣",
        "²",
        "1500,",
        "1500, soon",
        "1500\n",
        "1500; q=1",
        "+5",
        "--5",
        "1.2.3",
        "9" * 19,
        "9" * 10_000,
        "1," * 40,
        "\x00",
    ],
)
@pytest.mark.parametrize("header", [MILLISECONDS, SECONDS, GRPC], ids=["milliseconds", "seconds", "grpc"])
def test_what_is_no_time_is_read_as_none(header: DeadlineHeader, text: str):
    assert header.decode(text) is None


@pytest.mark.parametrize("text", ["5", "5s", "5 S", "123456789m", "-5S", "S"])
def test_grpc_takes_its_own_format_alone(text: str):
    assert GRPC.decode(text) is None


@given(st.text(max_size=80))
def test_any_text_is_a_finite_time_of_0_or_more_or_none(text: str):
    for header in (MILLISECONDS, SECONDS, GRPC):
        seconds = header.decode(text)
        assert seconds is None or 0 <= seconds < math.inf


@given(st.floats(0, 99_999))
def test_what_is_read_is_what_was_written_less_a_millisecond_at_most(seconds: float):
    for header in (MILLISECONDS, SECONDS, GRPC):
        read = header.decode(header.encode(seconds))
        assert read is not None
        assert seconds - 0.001001 <= read <= max(seconds, 0.001) + 1e-9


def test_wrong_headers_fail_where_they_are_written():
    with pytest.raises(ValueError, match=r"format=None: give 'milliseconds', 'seconds' or 'grpc' for x-deadline"):
        DeadlineHeader("x-deadline")
    with pytest.raises(ValueError, match="name='x deadline': give the name of a header"):
        DeadlineHeader("x deadline")
    with pytest.raises(TypeError, match="name=5: give the name of a header, as text"):
        DeadlineHeader(5)
    with pytest.raises(ValueError, match="format='ms': give one of 'milliseconds', 'seconds', 'grpc'"):
        DeadlineHeader("x-deadline", "ms")


def test_headers_are_values():
    assert DeadlineHeader("grpc-timeout") == GRPC
    assert len({DeadlineHeader("grpc-timeout"), GRPC, SECONDS}) == 2
    assert repr(GRPC) == "DeadlineHeader('grpc-timeout', 'grpc')"
    assert DeadlineHeader.of(GRPC) is GRPC
    assert DeadlineHeader.of("grpc-timeout") == GRPC
