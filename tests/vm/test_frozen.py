# SPDX-License-Identifier: GPL-2.0-only
"""Guests that go on from a saved state, and what the table of lies says of drivers that are known.

On the debug kernel, for which both are made.
"""

import contextlib

import pytest

from vrhlab import frozen, host, judge, lies, simdev, table

pytestmark = [pytest.mark.own_guest, pytest.mark.parametrize("kernel", ["debug"], indirect=True)]


@pytest.fixture(scope="module")
def _kept():
    """What all tests of this file share, by name, until its key "stack" is closed."""
    with contextlib.ExitStack() as stack:
        yield {"stack": stack}


@pytest.fixture
def source(lab, _kept):
    """One state for all tests of this file, and one guest slot: they are short, a line is not."""
    if "source" not in _kept:
        built = lab.built
        _kept["stack"].enter_context(host.guest_slot())
        _kept["source"] = _kept["stack"].enter_context(frozen.Source(built, 640))
    return _kept["source"]


def test_guest_goes_on_and_knows_no_other(source):
    """It has not booted, has its modules and /share, and sees nothing of the one before."""
    for _ in range(2):
        machine = source.get()
        try:
            assert source.state, "the state could not be had, and the guest has booted"
            assert "Linux version" not in machine.console()
            machine.sh("test ! -e /tmp/mark && touch /tmp/mark && echo seen >/share/mark")
            assert (machine.share / "mark").read_text() == "seen\n"
            simdev.load(machine)
            assert "blk" in simdev.models(machine)
            # Clocks and timers go on, too.
            assert machine.run("sleep 2").seconds < 30
            machine.assert_healthy()
        finally:
            machine.stop()


@pytest.fixture
def met(source, tmp_path):
    """met(key, driver): the Result of a case, whose console is left in the test's directory."""
    def met(key, driver):
        case = next(case for case in lies.CASES if case.key == key)
        return table.meet_in_guest(case, driver, source, tmp_path)
    return met


@pytest.mark.parametrize("driver", ["in-tree", "ours"])
@pytest.mark.parametrize("kind", ["blk", "net", "console", "balloon"])
def test_honest_device_is_blamed_for_nothing(met, kind, driver):
    """What is counted without any lie would be counted in all cases."""
    result = met(f"{kind}/an-honest-device", driver)
    assert (result.outcome, result.after, result.untold) == ("ok", "works", []), result.seen


@pytest.mark.parametrize("key", [
    "blk/used-length-0-too-long-2-32-1", "blk/interrupts-early-late-in-storms",
    "net/num-buffers-0-3-65535", "net/command-answered-late", "console/names-of-any-bytes",
    "balloon/used-length-0-too-long-2-32-1"])
def test_lies_are_told(met, key):
    """Each line of the case has had its occasion."""
    result = met(key, "ours")
    assert result.outcome in judge.GOOD and result.untold == [], result


def test_hang_is_found(met):
    """The in-tree disk driver waits for a host that keeps requests for ever."""
    result = met("blk/held-for-ever-then-unplugged", "in-tree")
    assert result.outcome == "hang" and "unplug does not end (" in result.seen[0], result


def test_feature_that_is_declined_shows(met):
    """Our driver has no hash reports, and so no lie about them is told to it."""
    result = met("net/hash-types-and-values-of-nonsense", "ours")
    assert result.untold == ["the driver does not take the feature"]
    assert (result.outcome, result.after) == ("ok", "works")
