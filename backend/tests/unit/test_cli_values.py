"""`key=value` arguments become the config that was meant."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.cli.values import parse_config, parse_value
from headway.errors import InvalidInputError

KEYS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the strategy
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_json_values_come_back_as_they_were(config: dict[str, object]) -> None:
    assert parse_config([f"{key}={json.dumps(value)}" for key, value in config.items()]) == config


@given(st.lists(KEYS, min_size=1, max_size=4), VALUES)
def test_dots_nest(path: list[str], value: object) -> None:
    config = parse_config([f"{'.'.join(path)}={json.dumps(value)}"])
    for key in path:
        config = config[key]
    assert config == value


@pytest.mark.parametrize("text", ["package:python-docs", "a=b", "-1e", "job:text/dataset", "", "[1,"])
def test_what_is_no_json_is_text(text: str) -> None:
    assert parse_value(text) == text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["k"], "k"),
        (["=3"], "=3"),
        (["a..b=3"], "a..b=3"),
        (["k=1", "k=2"], "config.k"),
        (["k=1", "k.x=2"], "config.k.x"),
        (["k.x=1", "k=2"], "config.k"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(arguments: list[str], named: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_config(arguments)
    assert [problem.field for problem in caught.value.problems] == [named]


def test_all_wrong_arguments_are_named_together() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_config(["a", "b", "c=1"])
    assert [problem.field for problem in caught.value.problems] == ["a", "b"]
