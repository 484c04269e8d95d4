#!/usr/bin/env python3
"""`./dev torture [MINUTES]`: every fault test for its share of the time, as large as that allows and again with other
seeds until it is used up; then the table: test, trials, load, faults, bad.

Exit status 1 when anything is bad, a test failed or was void, or a control was not caught.
"""

import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclasses.dataclass
class Part:
    test: str  # of CTest
    share: float  # of the time, beside those of the others
    seconds: float  # at scale 1
    scale_max: float  # of one round: more brings nothing new, or takes too much memory


PARTS = [
    Part("fault.kill@long", 0.36, 18, 200),
    Part("fault.power_cut@long", 0.14, 8, 40),
    Part("fault.calls@long", 0.12, 9, 25),
    Part("fault.linear@long", 0.08, 18, 20),
    Part("fault.network@long", 0.06, 4, 10),
    Part("fault.flip@long", 0.04, 4, 20),
    Part("fault.service@long", 0.20, 28, 300),
    Part("identity.isolation_model@long", 0.12, 1.5, 200),  # 50 users with 100,000 operations each
    Part("integration.server_mutations@long", 0.02, 1, 42),  # 1,000,000
]
# Tests of other groups that belong to the programme. Once each.
OTHERS = [
    ("4 crash inside the store", "store.crash"),
    ("7 full disk, in the store", "store.full_disk"),
    ("12 19 slow clients, limits", "integration.server_limits"),
    ("13 14 15 storms, bad frames", "integration.server_hostile"),
    ("21 SIGTERM drain", "integration.server_life"),
    ("23 migration: kill -9", "migration.kill"),
    ("23 migration: every call", "migration.faults"),
    ("23 migration: full disk", "migration.full_disk"),
]


def ctest(name, **environment):
    """Returns the output of a failed test, or None."""
    result = subprocess.run(
        ["ctest", "--preset", "torture", "--tests-regex", f"^{name}$", "--no-tests=error"], cwd=SOURCE_DIR, check=False,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return None if result.returncode == 0 else result.stdout.decode(errors="replace")


class Table:
    def __init__(self, directory):
        self.path = os.path.join(directory, "report")
        self.rows = {}
        self.failures = []

    def take(self):
        """Adds what a test has reported since the last time to its rows."""
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                new = json.loads(line)
                row = self.rows.setdefault(new["test"], {**new, "trials": 0, "faults": 0, "bad": 0})
                for number in ("trials", "faults", "bad"):
                    row[number] += new[number]
                row.update(load=new["load"], control=new["control"])
        os.remove(self.path)

    def fail(self, name, output):
        self.failures.append(name)
        print(f"torture: {name} failed:\n{output}", flush=True)

    def show(self):
        widths = (34, 9, 34, 9, 5)
        titles = ("test", "trials", "load", "faults", "bad", "")
        for row in [titles, *(tuple(str(row[key]) for key in ("test", "trials", "load", "faults", "bad", "control"))
                              for _, row in sorted(self.rows.items(), key=order))]:
            print("  ".join(text.ljust(width) for text, width in zip(row, (*widths, 0))))


def order(item):
    return int(item[0].split()[0]), item[0]


def part_run(part, seconds, table):
    """Rounds of one test until its time is over, one at least."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        scale = max(1.0, min(part.scale_max, left / part.seconds))
        seed = random.SystemRandom().randrange(2**32)
        print(f"torture: {part.test} at scale {scale:.1f}, seed {seed}", flush=True)
        output = ctest(part.test, CHATLOG_FAULT_SCALE=f"{scale:.2f}", CHATLOG_SEED=str(seed),
                       CHATLOG_FAULT_REPORT=table.path)
        table.take()
        if output is not None:
            table.fail(part.test, output)
            return
        if end - time.monotonic() < 2 * part.seconds:
            return


def main():
    seconds = float(sys.argv[1]) * 60
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chatlog-torture-") as directory:
        table = Table(directory)
        for title, name in OTHERS:
            print(f"torture: {name}", flush=True)
            output = ctest(name)
            if output is not None:
                table.fail(name, output)
            table.rows[title] = {"test": title, "trials": 1, "load": name, "faults": "", "bad": int(output is not None),
                                 "control": ""}
        left = seconds - (time.monotonic() - began)
        for part in PARTS:
            part_run(part, part.share / sum(each.share for each in PARTS) * max(left, 0), table)
        print(f"torture: took {(time.monotonic() - began) / 60:.1f} minutes")
        table.show()
        bad = sum(row["bad"] for row in table.rows.values())
        missed = [test for test, row in table.rows.items() if "NOT CAUGHT" in row["control"]]
        failed = ", ".join(table.failures) or "none"
        print(f"{bad} bad; failed: {failed}; controls missed: {', '.join(missed) or 'none'}")
        return 1 if bad or missed or table.failures else 0


if __name__ == "__main__":
    sys.exit(main())
