# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the guest tests; tests/vm/README.md shows how a test uses them.

VRH_KERNELS  kernels to test on ("6.1 6.12"); all four if unset
VRH_TREE     tree whose modules are built and tested; this checkout if unset
VRH_MODULES  build these modules only ("virtio_blk_rh,pvclock_rh")
VRH_FULL     1: the in-tree drivers on the debug kernel too, whose source is that of 7.3
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from vrhlab import Disk, Guest, binding, build, host, kernels, nested, rootfs  # noqa: E402


KERNELS = host.words("VRH_KERNELS") or list(kernels.NAMES)
#: Files of tests by how long they take; test_blk waits for silent hosts, which others can use.
LONG_FIRST = ("test_blk", "test_net", "test_balloon", "test_lifecycle", "test_console")
_builds = {}


class Lab:
    """What the fixtures of one test share: the kernel, its modules, the guests."""

    def __init__(self, kernel, pool):
        self.kernel = kernel
        self.guests = []        # guests whose health this test answers for
        self._own = []          # guests that end with the test
        self._pool = pool

    @property
    def built(self):
        """The modules of the tree for this kernel, built once in a session."""
        if self.kernel not in _builds:
            try:
                _builds[self.kernel] = build.build(self.kernel, os.environ.get("VRH_TREE"),
                                                   host.words("VRH_MODULES") or None,
                                                   simdev=True)
            except host.LabError as error:
                _builds[self.kernel] = error
        if isinstance(_builds[self.kernel], host.LabError):
            raise _builds[self.kernel]
        return _builds[self.kernel]

    def need(self, *modules):
        """Skips the test, visibly, while a module does not exist for this kernel yet."""
        for module in modules:
            if not exists(self.built, module):
                pytest.skip(f"{module} is not there yet on {self.kernel}")

    def boot(self, **options):
        """A guest of its own for the test: options are those of vrhlab.Guest."""
        self._pool.close()
        guest = self._make(options)
        guest.__enter__()
        self._own.append(guest)
        self.guests.append(guest)
        return guest

    def boot_from(self, disk, devices=(), **options):
        """A guest of its own whose root is DISK (see root_disk), with virtio_blk_rh."""
        self.need("virtio_blk_rh")
        return self.boot(root="/dev/vda", early=("virtio_blk_rh", "ext4"),
                         devices=[disk, *devices], **options)

    def share(self, key, **options):
        """A booted guest that tests of a module reuse: the same KEY, the same guest.

        For tests that leave a guest as they found it. A new KEY ends the guest of the
        one before; a guest whose test failed, or that is not healthy, is not used again.
        `devices` may be a function that makes the list, `kind` another class than Guest.
        """
        guest = self._pool.get((self.kernel, key), lambda: self._make(options))
        self.guests.append(guest)
        return guest

    def share_nested(self, key, clock, **options):
        """As share(), a guest under real KVM; CLOCK is that of the guest it runs in."""
        if self.kernel == "debug":
            pytest.skip("the debug kernel is too slow for a guest in a guest")
        return self.share((key, clock), kind=nested.Inner, clock=clock, **options)

    def _make(self, options):
        options = dict(options)
        kind = options.pop("kind", Guest)
        if callable(options.get("devices")):
            options["devices"] = options["devices"]()
        if "built" not in options:
            options["built"] = self.built
        return kind(self.kernel, **options)

    def judge(self):
        """Raises if a guest of this test is not healthy."""
        for guest in self.guests:
            guest.assert_healthy()
        for guest in self._own:
            guest.check_leaks()

    def spoiled(self):
        """The test failed: nobody knows in which state it leaves the shared guest."""
        self._pool.spoiled = True

    def close(self):
        """Ends the guests of the test."""
        for guest in self._own:
            guest.stop()


class Pool:
    """The guest that tests share: one at a time, as guests are what the machine has least of."""

    def __init__(self):
        self.key = self.guest = None
        self.spoiled = False

    def get(self, key, make):
        """The guest for KEY, booted if it is not the one that runs."""
        if self.guest and (self.key != key or self.spoiled or not healthy(self.guest)):
            self.close()
        if not self.guest:
            guest = make()
            guest.__enter__()
            self.key, self.guest = key, guest
        return self.guest

    def close(self):
        """Ends the shared guest; raises if it leaked."""
        guest, self.guest = self.guest, None
        spoiled, self.spoiled = self.spoiled, False
        if guest:
            try:
                if not spoiled and healthy(guest):
                    guest.check_leaks()
            finally:
                guest.stop()


def healthy(guest):
    """True if a guest can be used for another test."""
    try:
        guest.assert_healthy()
        return guest.run("true", timeout=10).ok
    except host.LabError:
        return False


def exists(built, module):
    """True if MODULE was built and drives something (a placeholder has no alias)."""
    if module not in built.modules:
        return False
    path = built.directory / "updates" / f"{module}.ko"
    return module == "pvclock_rh" or bool(
        host.call(["/usr/sbin/modinfo", "-F", "alias", path]).strip())


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request):
    """Name of the kernel a test runs on: each of 6.1, 6.12, 7.3, debug, or VRH_KERNELS."""
    return request.param


@pytest.fixture(scope="module", params=["in-tree", "ours"])
def driver(request):
    """Which driver a functional test uses: in-tree first, so that a broken test shows.

    Its scope makes pytest run all tests with one driver before the other's: devices need
    not change hands for each.
    """
    return request.param


@pytest.fixture(scope="module")
def _pool():
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def lab(kernel, _pool, request):
    """The lab of one test: `lab.boot(...)`, `lab.share(key, ...)`, `lab.need("virtio_blk_rh")`."""
    made = Lab(kernel, _pool)
    request.node.vrh_lab = made
    yield made
    made.close()


@pytest.fixture(scope="session")
def _root_image(tmp_path_factory):
    return rootfs.make_image(tmp_path_factory.mktemp("root"))


@pytest.fixture
def root_disk(_root_image, tmp_path):
    """A disk with a small root file system, for `lab.boot_from`; it may be written to."""
    path = tmp_path / "root.raw"
    host.call(["cp", "--sparse=always", _root_image, path])
    yield Disk(ident="root", path=path, queues=2)
    path.unlink()


@pytest.fixture
def take(lab):
    """binding.take, but it skips where the driver is ours and not there yet."""
    def move(guest, kind, which="ours", name=None):
        if which == "ours":
            lab.need(binding.OURS[kind])
        return binding.take(guest, kind, which, name)
    return move


def _param(item, name):
    """Value of the parameter NAME of a collected test, or None."""
    made = getattr(item, "callspec", None)
    return made and made.params.get(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out what only a full run has, and sorts.

    The debug kernel is ten times slower, and a test that is broken shows with the in-tree
    driver of 7.3, which is the same source. Tests of one file on one kernel stay together,
    as they share a guest. Those with guests of their own come last, as each ends the shared
    one. The slowest kernel and the longest files are first: under xdist they must not be
    what all wait for at the end.
    """
    full = os.environ.get("VRH_FULL", "0") not in ("", "0")
    left_out = [item for item in items if not full and _param(item, "kernel") == "debug"
                and _param(item, "driver") == "in-tree"]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: (-KERNELS.index(_param(item, "kernel"))
                                 if _param(item, "kernel") in KERNELS else 1,
                                 LONG_FIRST.index(item.path.stem)
                                 if item.path.stem in LONG_FIRST else len(LONG_FIRST),
                                 str(item.path),
                                 item.get_closest_marker("own_guest") is not None,
                                 _param(item, "driver") != "in-tree"))


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    """Under xdist such a group is what one worker gets.

    A file on one kernel; of the suites that drive a module through the simulated device, which
    take minutes each, those of one module.
    """
    group = f"{item.path.stem}-{_param(item, 'kernel')}"
    if item.get_closest_marker("on_simdev") and _param(item, "module"):
        group += "-" + _param(item, "module").partition("_")[0]
    item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs a test, then judges its guests: an unhealthy guest fails the test."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.obj(**arguments)
    made = getattr(pyfuncitem, "vrh_lab", None)
    if made:
        made.judge()
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the consoles of a failed test's guests into its report."""
    outcome = yield
    report = outcome.get_result()
    made = getattr(item, "vrh_lab", None)
    if report.when == "call" and report.failed and made:
        made.spoiled()
        for number, guest in enumerate(made.guests):
            if guest.directory and "---- console ----" not in str(report.longrepr):
                report.sections.append((f"console of guest {number} ({guest.kernel.release})",
                                        "\n".join(guest.console().splitlines()[-150:])))
