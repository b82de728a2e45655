# SPDX-License-Identifier: GPL-2.0-only
"""What became of a driver that was lied to: a Result, from what guest/meet.py says and the console.

Nothing in here runs a guest; table.py does.
"""

import dataclasses
import json
import re

from . import lies

#: What a driver made of a lie; what they mean is in the header of the table.
OUTCOMES = ("hang", "panic", "BUG", "KASAN", "UBSAN", "WARN", "lockdep", "OOM", "wrong data",
            "counted", "ok", "dead")

#: What a driver may do.
GOOD = ("counted", "ok", "dead")

#: Lines of the console that are reports, and of what; the first that matches counts.
REPORTS = [(word, re.compile(pattern)) for word, pattern in (
    ("hang", r"blocked for more than|soft lockup|hard LOCKUP|rcu.*detected.*stall|"
             r"workqueue lockup|unregister_netdevice: waiting for"),
    ("KASAN", r"BUG: KASAN|KASAN: "), ("KASAN", r"BUG: KFENCE"),
    ("panic", r"Kernel panic"),
    ("OOM", r"invoked oom-killer|Out of memory"),
    ("lockdep", r"possible (circular|recursive) locking|inconsistent lock state|"
                r"suspicious RCU|lock held when returning|held lock freed|bad unlock balance|"
                r"[Nn]ested lock was not taken|possible irq lock inversion|"
                r"INFO: trying to register|INFO: possible"),
    ("BUG", r"kernel BUG at|\bOops\b|unable to handle|general protection|divide error|"
            r"invalid opcode|\bBUG: |Bad page|list_(add|del) corruption"),
    ("UBSAN", r"UBSAN: (?!.*enabled)"),
    ("WARN", r"WARNING: |refcount_t:|ODEBUG|DMA-API: (?!preallocated|debugging)|nobody cared|"
             r"Disabling IRQ|page allocation failure|sysfs: cannot create duplicate|"
             r"kobject.*tried to init"))]

#: The core's own warning, whoever the driver is: a device that is gone does not read as reset.
CORE = re.compile(r"^WARNING: (CPU: \d+ PID: \d+ at )?drivers/virtio/virtio\.c:\d+ .*"
                  r"\bvirtio_dev_remove\b")

#: What a step that did not end is called in the table.
STEPS = {"make": "making the device", "bind": "probe", "counters": "reading counters",
         "stats": "the simulated device", "unbind": "unbinding", "unplug": "unplug",
         "programs": "the end of its users", "rmmod": "unloading"}

#: Steps that no driver can make fail, but only last for ever: else the case was not run.
OURS = ("modprobe", "make", "first", "counters", "settle", "stats", "unplug", "programs")


@dataclasses.dataclass
class Result:
    """What one driver made of one case."""

    case: str
    driver: str
    outcome: str
    after: str = ""         #: works, partly, errors, silence, or "" if nobody could ask
    seen: list = dataclasses.field(default_factory=list)    #: reports, counters, messages
    untold: list = dataclasses.field(default_factory=list)  #: lies the driver gave no occasion for
    seconds: float = 0
    date: str = ""
    kernel: str = ""
    state: str = ""         #: digest of all that it depends on


def reports(console, gone=False):
    """[(word, line)] of the reports on a console; of a device that is GONE without the core's."""
    found = []
    for line in console.splitlines():
        line = re.sub(r"^\s*(<\d+>)?\[[ .\d]+\](\[[ \w]+\])?\s*", "", line).strip()
        if gone and CORE.search(line):
            continue
        for word, pattern in REPORTS:
            if pattern.search(line):
                found.append((word, line))
                break
    return found


def lines_of(text):
    """The JSON lines that the guest's program has written; the last may be half one."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def not_run(case, told):
    """Why what the guest's program TOLD is no run of the case, or None."""
    if not told:
        return "nothing happened"
    errors = [f"{line['error']}: {line['text']}" for line in told if line.get("error") in OURS]
    # Else a lie was never to be met, whatever comes of it.
    if not case.before and any(line.get("first") is False for line in told):
        errors.append("no data moved before the device lied")
    # The device has no such operation, queue or value.
    errors += [f"{line['error']}: {line['text']}" for line in told
               if line.get("error") in (*case.before, *case.lines) and "Errno 22" in line["text"]]
    return "; ".join(errors) or None


def untold(case, told):
    """Lines of the case that the device had no occasion to do.

    Rules of one kind and queue have their turn one after the other, as lies.py has it with
    skip=: the device counts by kind only, so of rules of two queues none is missed if one of
    them is done.
    """
    facts = {name: value for line in told for name, value in line.items()}
    if facts.get("declined"):
        return ["the driver does not take the feature"]
    stats = facts.get("stats")
    if not stats:
        return []
    failed = {line["error"] for line in told if "error" in line}
    found, turns = [], {}
    for line in (*case.before, *case.lines):
        if line.startswith("!"):
            continue
        words = line.split()
        done = int(stats.get(words[0], 0))
        if words[0] in lies.RULES:
            fields = dict(word.split("=", 1) for word in words[1:])
            turn = words[0], fields.get("queue")
            missed = done <= turns.get(turn, 0)
            turns[turn] = turns.get(turn, 0) + int(fields.get("count", 1))
        else:
            # The programs ask for statistics, too, and then the device is busy with that.
            missed = not done or line in failed and words[0] != "poll"
        line = line if len(line) <= 60 else line[:57] + "..."
        if missed and line not in found:
            found.append(line)
    return found


def reported(console, case, told, died, late):
    """{word: line} of what is not well, the first of each kind."""
    words = {}
    for word, line in reports(console, case.gone):
        words.setdefault(word, line)
    stuck = next((line for line in told if "stuck" in line), None)
    if stuck or late:
        name = stuck["stuck"] if stuck else late
        name = STEPS.get(name, "a command of the case" if name.startswith("!") else name)
        where = "; ".join(stuck.get("where", ())) if stuck else "the guest stands still"
        words["hang"] = f"{name} does not end" + (f" ({where})" if where else "")
    elif died and not words:
        words["panic"] = "the guest is gone"
    in_use = next((line["text"] for line in told if line.get("error") == "rmmod"), None)
    if in_use:
        words.setdefault("hang", f"the module cannot be unloaded: {in_use}")
    # What others send over a network or a port may be lost, and changed.
    if case.kind == "blk" and any(line.get("wrong_ever") for line in told):
        words.setdefault("wrong data", "a block was not read as it was written")
    return words


def judge(case, driver, told, console, died=False, late=None):
    """The Result: from the lines of meet.py and the console.

    DIED: the guest ended before its time. LATE: the step that it never came back from.
    """
    facts = {name: value for line in told for name, value in line.items()}
    result = Result(case.key, driver, "ok", untold=untold(case, told))
    if "works" in facts:
        result.after = ("partly" if facts["works"] and facts.get("waiting") else
                        "works" if facts["works"] else
                        "errors" if facts["errors"] else "silence")
    elif "refused" in facts:
        result.after = "refused"
    moves = result.after in ("works", "partly")
    counted = [f"{name}: {value}" for name, value in sorted(facts.get("counted", {}).items())]
    messages = list(facts.get("messages", []))
    if not moves:       # a removal under load is no news otherwise
        messages += facts.get("parting", [])
    counted += list(dict.fromkeys(map(masked, messages)))
    words = reported(console, case, told, died, late)
    bad = [word for word in OUTCOMES if word in words]
    if bad:
        result.outcome = bad[0]
        result.seen = [masked(words[word]) for word in bad]
    elif counted:
        result.outcome, result.seen = "counted", counted
    elif not moves:
        result.outcome = "dead"
    return result


def masked(line):
    """A message without what differs from one run to the next."""
    line = re.sub(r"\b(virtio|vport)\d+", r"\1N", line)
    line = re.sub(r", CPU#\d+: .*$| CPU: \d+ PID: \d+", "", line)
    return re.sub(r"(?<=\bsector )\d+|(?<=\bphys_seg )\d+|\b(?:0x)?[0-9a-f]{9,}\b", "...", line)
