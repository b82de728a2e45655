# SPDX-License-Identifier: GPL-2.0-only
"""The arithmetic of the pair runner: pure functions, no guest, no files.

A run is a dict of metrics, name to number. A pair is (in-tree run, our run), taken one after
the other in the same guest. Counts of events are compared as rates, so a run that did more
operations is not punished for it.
"""

import collections
import math
import statistics

#: One line of the result. Any field but the name is None where it cannot be had.
Row = collections.namedtuple("Row", "metric intree ours ratio low high pairs")


def median(values):
    """The median of what is a number in VALUES, None if nothing is."""
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def ratio(base, value):
    """VALUE / BASE. None where that says nothing: nothing measured, nothing to compare with, a
    difference or slope that noise made negative.

    Zero against zero is no change: 1.
    """
    if base is None or value is None:
        return None
    if base == value == 0:
        return 1.0
    return value / base if base > 0 and value >= 0 else None


def rate(count, operations):
    """COUNT per operation, None if there was no operation."""
    return count / operations if operations else None


def slope(points):
    """The least-squares slope through POINTS (x, y): what one more x costs.

    Fixed costs, such as starting the program that does the operations, fall out.
    None if all x are the same.
    """
    n = len(points)
    if n < 2:
        return None
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    square = sum((x - mean_x) ** 2 for x, _ in points)
    if not square:
        return None
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / square


def compare(pairs):
    """PAIRS of runs to rows, one for each metric, in the order in which runs name them.

    intree and ours are medians, ratio is the ratio of the medians, low and high are the
    smallest and the largest ratio of a pair, pairs is the number of pairs with a ratio.
    """
    names = {}
    for pair in pairs:
        for run in pair:
            names.update(dict.fromkeys(run))

    rows = []
    for name in names:
        base = [intree.get(name) for intree, _ in pairs]
        test = [ours.get(name) for _, ours in pairs]
        ratios = [r for r in map(ratio, base, test) if r is not None]
        rows.append(Row(name, median(base), median(test), ratio(median(base), median(test)),
                        min(ratios, default=None), max(ratios, default=None), len(ratios)))
    return rows


def number(value):
    """VALUE in at most four significant digits, thousands apart, for a table."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        digits = max(0, len(str(int(abs(value)))) - 4)
        return f"{round(value / 10 ** digits) * 10 ** digits:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if abs(value) < 1 \
        else f"{value:.4g}"


def markdown(rows, intree="in-tree", ours="ours"):
    """ROWS as a Markdown table."""
    head = ["metric", f"{intree}, median", f"{ours}, median", "ratio", "ratio by pair"]
    table = [head]
    for row in rows:
        spread = "-" if row.low is None else f"{row.low:.3f}..{row.high:.3f}"
        table.append([row.metric, number(row.intree), number(row.ours),
                      "-" if row.ratio is None else f"{row.ratio:.3f}", spread])

    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    lines = []
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(lines)
