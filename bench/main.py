# SPDX-License-Identifier: GPL-2.0-only
"""The pair runner: a workload with the in-tree driver and with ours, alternating, in one guest.

    bench/bench blk --kernel 6.12 --pairs 5
    bench/bench net --null              in-tree against in-tree: the error of the method
    bench/bench --list

Prints a Markdown table; the JSON it comes from goes to the cache, or where --json says.
"""

import argparse
import importlib
import json
import os
import pathlib
import pkgutil
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "vm")]
sys.dont_write_bytecode = True

import insn  # noqa: E402
import pairs  # noqa: E402
import report  # noqa: E402
import workloads  # noqa: E402
from arguments import Parser, number, parameter, run  # noqa: E402
from vrhlab import host, kernels, packages  # noqa: E402

NAMES = sorted(module.name for module in pkgutil.iter_modules(workloads.__path__))


def arguments():
    """What the command line asks for."""
    parser = Parser(
        prog="bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__.partition("\n\n")[0],
        epilog="bench/README.md says what each figure means and how far to trust it.")
    parser.add_argument("workload", nargs="?", choices=NAMES, help="which workload to run")
    parser.add_argument("--list", action="store_true", help="list the workloads and what they do")
    parser.add_argument("--kernel", default="6.12", choices=kernels.NAMES,
                        help="the guest's kernel (default: %(default)s)")
    parser.add_argument("--pairs", type=number(int, 1, 1000), default=5, metavar="N",
                        help="how often each side runs (default: %(default)s)")
    parser.add_argument("--cpus", type=number(int, 1, 64), default=2, metavar="N",
                        help="vCPUs where time and events are measured (default: %(default)s); "
                        "instructions are counted with one")
    parser.add_argument("--seconds", type=number(float, 0.5, 600), default=2.0, metavar="S",
                        help="length of a run that is not limited by operations "
                        "(default: %(default)s)")
    parser.add_argument("--no-instructions", action="store_true",
                        help="leave out the guest with the plugin")
    parser.add_argument("--null", action="store_true",
                        help="in-tree on both sides: what the spread is when nothing differs")
    parser.add_argument("--set", type=parameter, action="append", default=[], dest="parameters",
                        metavar="NAME=VALUE", help="a module parameter of our driver")
    parser.add_argument("--tree", type=pathlib.Path, metavar="DIR",
                        help="where our modules are built from (default: this checkout)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where the JSON goes (default: a file of its own in the cache)")
    parser.add_argument("--functions", action="store_true",
                        help="also print instructions by function of driver, ring, transport")
    options = parser.parse_args()
    if not options.list and not options.workload:
        parser.error("name a workload: " + ", ".join(NAMES))
    if options.null and options.parameters:
        parser.error("--set is for our driver, which --null leaves out")
    if options.json and not os.access(options.json.parent, os.W_OK):
        parser.error(f"argument --json: {options.json.parent} is no directory to write to")
    return options


def load(name):
    """The workload NAME."""
    return importlib.import_module(f"workloads.{name}").Bench()


def main():
    """Runs a workload, prints its tables, writes its JSON. Returns the exit status."""
    options = arguments()
    if options.list:
        for name in NAMES:
            print(f"{name}: {sys.modules[type(load(name)).__module__].__doc__.strip()}")
        return 0

    workload = load(options.workload)
    packages.ensure([*packages.GUEST, *packages.BUILD, *insn.PACKAGES, *workload.packages], "bench")
    document = pairs.Runner(workload, pairs.Options(
        workload=options.workload, kernel=options.kernel, pairs=options.pairs, cpus=options.cpus,
        seconds=options.seconds, instructions=not options.no_instructions, null=options.null,
        parameters=tuple(options.parameters), tree=options.tree)).run()

    path = options.json or default_path(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(report.markdown(document))
    if options.functions:
        print(report.functions(document))
    print(f"JSON: {path}")
    return 0


def default_path(document):
    """A file in the cache that is named after what was measured, and when."""
    when = re.sub(r"[^0-9T]", "", document["date"].partition("+")[0])
    null = "-null" if document["null"] else ""
    return host.cache_dir() / "results" / \
        f"{document['workload']}-{document['kernel']}{null}-{when}.json"


if __name__ == "__main__":
    run("bench", main)
