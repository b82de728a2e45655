# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the arithmetic in stats.py."""

import pytest

import stats


def test_median_leaves_out_what_was_not_measured():
    assert stats.median([3, None, 1, 2]) == 2
    assert stats.median([1, 2]) == 1.5
    assert stats.median([None, None]) is None
    assert stats.median([]) is None


def test_ratio_is_none_only_where_it_says_nothing():
    assert stats.ratio(4, 1) == 0.25
    assert stats.ratio(4, 0) == 0
    assert stats.ratio(0, 0) == 1
    assert stats.ratio(0, 3) is None
    assert stats.ratio(None, 3) is None
    assert stats.ratio(3, None) is None
    assert stats.ratio(-1, 3) is None
    assert stats.ratio(1, -3) is None


def test_rate_survives_no_operations():
    assert stats.rate(10, 4) == 2.5
    assert stats.rate(10, 0) is None


def test_slope_drops_the_fixed_cost():
    assert stats.slope([(1000, 5000 + 7 * 1000), (4000, 5000 + 7 * 4000)]) == pytest.approx(7)
    assert stats.slope([(1, 2), (1, 3)]) is None
    assert stats.slope([(1, 2)]) is None


def test_slope_uses_every_point():
    assert stats.slope([(0, 0), (0, 2), (10, 20), (10, 22)]) == pytest.approx(2)
    assert stats.slope([(0, 0), (10, 10), (20, 40)]) == pytest.approx(2)


def test_compare_gives_ratio_of_medians_and_spread_of_pairs():
    pairs = [({"kicks": 10}, {"kicks": 5}),
             ({"kicks": 20}, {"kicks": 8}),
             ({"kicks": 40}, {"kicks": 30})]
    row, = stats.compare(pairs)
    assert row == stats.Row("kicks", 20, 8, 0.4, 0.4, 0.75, 3)


def test_compare_keeps_order_and_one_sided_metrics():
    pairs = [({"a": 1, "b": 2}, {"a": 2, "c": 3}), ({"a": 1, "b": 2}, {"a": 2, "c": 3})]
    rows = {row.metric: row for row in stats.compare(pairs)}
    assert list(rows) == ["a", "b", "c"]
    assert rows["b"] == stats.Row("b", 2, None, None, None, None, 0)
    assert rows["c"] == stats.Row("c", None, 3, None, None, None, 0)


def test_compare_counts_only_pairs_that_have_a_ratio():
    row, = stats.compare([({"irqs": 0}, {"irqs": 2}), ({"irqs": 4}, {"irqs": 2})])
    assert (row.intree, row.ours, row.low, row.high, row.pairs) == (2, 2, 0.5, 0.5, 1)


@pytest.mark.parametrize("value, text", [
    (None, "-"), (0, "0"), (1, "1"), (0.12345, "0.123"), (0.001234, "0.00123"),
    (12.3456, "12.35"), (999.96, "1000"), (1234, "1,234"), (123456, "123,500"),
    (1234567.8, "1,235,000"), (-2.5, "-2.5"), (0.0999, "0.0999")])
def test_number_keeps_few_digits(value, text):
    assert stats.number(value) == text


def test_markdown_is_a_table_with_one_line_for_each_row():
    rows = [stats.Row("kicks/op", 0.5, 0.25, 0.5, 0.4, 0.6, 5),
            stats.Row("only in ours", None, 3, None, None, None, 0)]
    lines = stats.markdown(rows).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == \
        ["kicks/op", "0.500", "0.250", "0.500", "0.400..0.600"]
    assert [cell.strip() for cell in lines[3].strip("|").split("|")] == \
        ["only in ours", "-", "3", "-", "-"]
