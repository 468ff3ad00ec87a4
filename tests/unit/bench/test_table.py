"""The table: ratios by rounds, spreads, targets and their verdicts."""

from __future__ import annotations

import json

from bench.table import Row, as_json, lines, ratios, short, spread, target_lines, verdicts


def row(target: str = "", **values: list[float]) -> Row:
    """A row of memory beside the lean case."""
    return Row("memory", "connected", "MiB", "lean", values, target)


def test_ratio_is_of_figures_of_one_round() -> None:
    """What a busy round does to both leaves the ratio as it is."""
    assert ratios([10.0, 30.0], [5.0, 15.0]) == [2.0, 2.0]


def test_ratio_is_to_the_median_where_a_round_is_missing() -> None:
    """A round that was left out of one of them leaves no pairs."""
    assert ratios([10.0, 30.0], [5.0, 10.0, 50.0]) == [1.0, 3.0]


def test_there_is_no_ratio_to_nothing() -> None:
    """One that was not measured, or took nothing, has no multiples."""
    assert ratios([10.0], []) == []
    assert ratios([10.0], [0.0]) == []


def test_spread_is_the_median_between_the_extremes() -> None:
    """A single slow round moves the end, not the middle."""
    assert str(spread([3.0, 1.0, 9.0])) == "3 [1..9]"


def test_figures_have_three_digits_that_count() -> None:
    """Large ones have no fraction, and small ones keep theirs."""
    assert [short(one) for one in (0.01234, 1.234, 99.94, 123.4, 27904.2)] == [
        "0.0123",
        "1.23",
        "99.9",
        "123",
        "27,904",
    ]


def test_target_binds_the_agent_by_its_median_ratio() -> None:
    """Each part is judged by itself, for each agent, and for nobody else."""
    found = list(
        verdicts(
            row(
                "≤ 1.15 x lean, ≤ 1 x mqtt-io",
                agent=[11.0, 12.0, 20.0],
                lean=[10.0, 10.0, 10.0],
                **{"mqtt-io": [30.0, 30.0, 30.0]},
            )
        )
    )
    assert [(one.contestant, one.bound, one.figure, one.reached) for one in found] == [
        ("agent", "≤ 1.15 x lean", 1.2, False),
        ("agent", "≤ 1 x mqtt-io", 0.4, True),
    ]


def test_target_of_every_round_is_judged_by_the_worst() -> None:
    """One window above the bound is enough."""
    found = list(verdicts(row("≤ 10, every round ≤ 14", agent=[9.0, 9.0, 15.0])))
    assert [(one.figure, one.reached) for one in found] == [(9.0, True), (15.0, False)]


def test_target_of_a_peer_that_is_missing_is_not_judged() -> None:
    """It is neither reached nor missed."""
    assert not list(verdicts(row("≤ 1 x awsiotsdk", agent=[9.0])))


def test_agent_is_not_judged_by_its_ratio_to_itself() -> None:
    """Growth is of the larger cases."""
    found = verdicts(row("≤ 1.5 x agent with 0", **{"agent with 0": [5.0], "agent with 9": [6.0]}))
    assert [one.contestant for one in found] == ["agent with 9"]


def test_row_is_shown_with_a_line_for_each_contestant() -> None:
    """Name, unit, target and condition come first; who has no figure is there too."""
    shown = list(lines(row("≤ 2 x lean", agent=[12.0], lean=[10.0], bare=[])))
    assert shown == [
        "\nmemory, MiB; target ≤ 2 x lean",
        "  (connected)",
        "  agent  12 [12..12]                 1.2 [1.2..1.2] x lean",
        "  lean   10 [10..10]",
        "  bare   -",
    ]


def test_condition_is_not_told_twice_in_a_row() -> None:
    """Rows of one condition follow each other."""
    above, below = row(lean=[1.0]), row(lean=[2.0])
    assert list(lines(below, above)) == ["\nmemory, MiB", "  lean  2 [2..2]"]


def test_targets_are_told_reached_or_not() -> None:
    """At the end, in a line each."""
    rows = [row("≤ 1.1 x lean", agent=[12.0], lean=[10.0]), row("≤ 12", agent=[12.0])]
    assert list(target_lines(rows)) == [
        "  NOT reached  memory: agent 1.2, ≤ 1.1 x lean",
        "  reached      memory: agent 12, ≤ 12",
    ]


def test_json_has_every_figure() -> None:
    """Rounds, medians, ratios and verdicts, as a program reads them."""
    (found,) = json.loads(json.dumps(as_json([row("≤ 12", agent=[12.0], lean=[10.0])])))
    assert found["values"] == {"agent": [12.0], "lean": [10.0]}
    assert found["median"] == {"agent": 12.0, "lean": 10.0}
    assert found["ratio"] == {"agent": 1.2, "lean": 1.0}
    assert [one["reached"] for one in found["targets"]] == [True]


def test_target_without_whom_it_is_to_is_not_judged() -> None:
    """It is told as that, in words and in the file: neither reached nor missed."""
    lonely = row("≤ 2 x lean, ≤ 1 x mqtt-io", agent=[12.0], lean=[10.0])
    assert list(target_lines([lonely])) == [
        "  reached      memory: agent 1.2, ≤ 2 x lean",
        "  not judged   memory: ≤ 1 x mqtt-io",
    ]
    assert as_json([lonely])[0]["unjudged"] == ["≤ 1 x mqtt-io"]


def test_figure_just_above_its_bound_does_not_read_as_that() -> None:
    """Three digits would hide why it is not reached."""
    assert list(target_lines([row("≤ 1.15", agent=[1.1504])])) == [
        "  NOT reached  memory: agent 1.1504, ≤ 1.15"
    ]
