"""What a model is asked for a label, and what its answer comes to."""

from __future__ import annotations

import pytest

from headway.domain.feature_label import LONGEST_LABEL, label_messages, label_of, marked_text


def test_tokens_that_fire_are_marked_together() -> None:
    tokens = ["In", " the", " salt", " sea", ".\n", "Then"]
    assert marked_text(tokens, [0, 0.1, 2.0, 4.0, 0, 0]) == "In the<< salt sea>>. Then"
    assert marked_text(["a", "b"], [0, 0]) == "ab"


def test_examples_are_numbered_and_the_lens_is_told_where_there_is_one() -> None:
    system, user = label_messages([(["a"], [1.0]), (["b", "c"], [1.0, 0.0])], [" sea"])
    assert system["role"] == "system"
    assert user["content"] == "1. <<a>>\n2. <<b>>c\nTokens it makes more likely: ' sea'"
    assert "more likely" not in label_messages([(["a"], [1.0])], [])[1]["content"]


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("river words", "river words"),
        ('"river words."\n', "river words"),
        ("<think>rivers?\nseas?</think>\n\n**Label: river words**", "river words"),
        ("Sure:\nriver words", "river words"),
        ('Label: "river words."', "river words"),
        ("", None),
        ("<think>only thoughts</think>", None),
        ('"."', None),
        ("x" * 500, "x" * LONGEST_LABEL),
    ],
)
def test_label_is_the_last_line_without_ornament(answer: str, label: str | None) -> None:
    assert label_of(answer) == label
