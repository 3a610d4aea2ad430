import pytest

from zoo.errors import RecipeError
from zoo.source import parse, parse_scalar


def test_numbers_in_exponent_form_are_numbers_and_dates_and_switches_stay_text() -> None:
    data = parse("rate: 1e-5\nhalf: .5\nswitch: on\nday: 2024-05-10\nyes: true\nnone: null", "r.yaml").data
    assert data == {"rate": 1e-5, "half": 0.5, "switch": "on", "day": "2024-05-10", "yes": True, "none": None}


def test_every_key_remembers_its_line() -> None:
    source = parse("a: 1\nb:\n  - c: 2\n    d: 3\n", "r.yaml")
    assert source.where(("b", 0, "d")) == "r.yaml:4"
    assert source.where(("b", 0, "not written", "deeper")) == "r.yaml:3"
    assert source.where(("nowhere",)) == "r.yaml:1"


def test_all_repeated_keys_are_refused_at_once_with_both_lines() -> None:
    with pytest.raises(RecipeError) as caught:
        parse("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "r.yaml")
    assert [problem.where for problem in caught.value.problems] == ["r.yaml:4", "r.yaml:5"]
    assert "first at r.yaml:3" in caught.value.problems[0].what


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1\nb: 2", "r.yaml:2"), ("- a\n- b", "r.yaml:1"), ("a: &x {b: *x}", "r.yaml:1")]
)
def test_text_that_is_no_recipe_is_refused_with_its_line(text: str, line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.yaml")
    assert caught.value.problems[0].where == line


def test_merge_keys_are_refused_with_what_to_write_instead() -> None:
    with pytest.raises(RecipeError, match="extends"):
        parse("a: &a {x: 1}\nb:\n  <<: *a\n", "r.yaml")


def test_a_source_laid_over_another_merges_mappings_replaces_lists_and_removes_nulls() -> None:
    base = parse("a: {x: 1, y: 2}\nl: [1, 2]\nz: 1\n", "base.yaml")
    over = parse("a: {y: 3}\nl: [9]\nz: null\n", "over.yaml")
    merged = over.over(base)
    assert merged.data == {"a": {"x": 1, "y": 3}, "l": [9]}
    assert merged.where(("a", "x")) == "base.yaml:1"
    assert merged.where(("a", "y")) == "over.yaml:1"


def test_setting_a_value_reaches_into_lists_and_makes_missing_mappings() -> None:
    source = parse("a: [{x: 1}]", "r.yaml")
    assert source.having(("a", 0, "x"), 2, "--set").data == {"a": [{"x": 2}]}
    assert source.having(("b", "c"), 2, "--set").data == {"a": [{"x": 1}], "b": {"c": 2}}
    with pytest.raises(RecipeError, match="no index"):
        source.having(("a", 7, "x"), 2, "--set a.7.x=2")
    with pytest.raises(RecipeError, match="cannot be set inside"):
        source.having(("a", 0, "x", "y"), 2, "--set a.0.x.y=2")


def test_values_of_the_command_line_are_read_as_in_a_file() -> None:
    assert parse_scalar("1e-4") == 1e-4
    assert parse_scalar("[a, 2]") == ["a", 2]
    assert parse_scalar("owner/name@main") == "owner/name@main"
    assert parse_scalar("a: b: c") == "a: b: c"
