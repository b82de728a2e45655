# SPDX-License-Identifier: GPL-2.0-only
"""A document of pairs.py as Markdown for a person."""

import stats

#: Functions that cost less than this for an operation are left out of functions().
LEAST_INSTRUCTIONS = 0.5


def sides(document):
    """How the two columns are called."""
    if document["null"]:
        return "in-tree", "in-tree again"
    return "in-tree", "ours"


def heading(document):
    """One paragraph that says what was measured, with what, on what."""
    def load(values):
        return ", ".join(f"{value:.1f}" for value in values[:1])
    commit = (document["commit"] or "no commit")[:12] + (" and changes" if document["dirty"]
                                                         else "")
    settings = " ".join(document["parameters"])
    return (f"## {document['workload']} on {document['release']}: {document['modules']['intree']} "
            f"against {document['modules']['ours']}{' ' + settings if settings else ''}\n\n"
            f"{len(document['pairs'])} pairs, {document['cpus']} vCPU, "
            f"{document['seconds']:g} s a run; {commit}; {document['qemu']}; "
            f"{document['host_cpus']} host CPUs, load {load(document['load_before'])} before and "
            f"{load(document['load_after'])} after\n")


def markdown(document):
    """A table for each phase, with what one operation is above it."""
    operations = {phase["name"]: phase["operation"] for phase in document["phases"]}
    parts = [heading(document)]
    for phase, rows in document["table"].items():
        title = f"### {phase}, per {operations[phase]}" if phase in operations else f"### {phase}"
        command = document["commands"]["time and events"]["ours"].get(phase)
        parts.append(f"{title}\n")
        if command:
            parts.append(f"    {command}\n")
        parts.append(stats.markdown([stats.Row(**row) for row in rows], *sides(document)) + "\n")
    return "\n".join(parts)


def functions(document):
    """Median instructions by function for an operation, the most expensive first."""
    parts = []
    for phase in document["phases"]:
        name = phase["name"]
        pairs = [tuple(pair[side][name]["functions"] for side in ("intree", "ours"))
                 for pair in document.get("instructions", [])]
        rows = [row for row in stats.compare(pairs)
                if max(row.intree or 0, row.ours or 0) >= LEAST_INSTRUCTIONS]
        rows.sort(key=lambda row: -max(row.intree or 0, row.ours or 0))
        parts.append(f"### {name}: instructions per {phase['operation']}, by function\n")
        parts.append(stats.markdown(rows, *sides(document)) + "\n")
    return "\n".join(parts)
