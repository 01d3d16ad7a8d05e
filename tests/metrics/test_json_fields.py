"""JSON is compared field by field, with its types."""

import pytest

from tests.metrics.scores import score

FIELDS = [
    ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', 1.0),
    ('{"a": 1}', '{"a": 1, "b": 2}', 2 / 3),
    ('{"age": -3}', '{"age": 3}', 0.0),
    ('{"a": "3"}', '{"a": 3}', 0.0),
    ('{"a": true}', '{"a": 1}', 0.0),
    ('{"a": 3.0}', '{"a": 3}', 1.0),
    ('{"a": [1, 2]}', '{"a": [2, 1]}', 0.0),
    ('{"a": {"b": 1}}', '{"a": {"b": 1, "c": 1}}', 2 / 3),
    ("[]", "[]", 1.0),
    ('{"a": []}', '{"a": {}}', 0.0),
    ("{'a': 1}", '{"a": 1}', 0.0),
    ("[" * 100_000, "[]", 0.0),
]


@pytest.mark.parametrize(("prediction", "reference", "expected"), FIELDS, ids=range(len(FIELDS)))
def test_a_field_is_right_with_its_place_value_and_type(prediction: str, reference: str, expected: float) -> None:
    assert score("field_f1", prediction, reference) == pytest.approx(expected)


def test_a_reference_that_is_no_json_must_be_matched_as_text() -> None:
    assert (score("field_f1", "None", "none"), score("field_f1", "{}", "none")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"a": 1}', 1), ("3", 1), ("{'a': 1}", 0), ('{"a": NaN}', 0), ('{"a": 1, "a": 2}', 0), ("", 0), ("[1,]", 0)],
)
def test_only_strict_json_is_valid(text: str, expected: int) -> None:
    assert score("valid_json", text, "{}") == expected
