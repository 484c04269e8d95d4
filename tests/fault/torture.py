#!/usr/bin/env python3
"""`./dev torture [MINUTES]`: every programme of the table below for its share of the time, as large as that allows,
and again with other seeds until it is used up; then the table: test, trials, load, faults, bad, control.

An hour reaches at least the goals below, however slow the machine: then it takes longer. A programme that fails or
hangs is told and the next one goes on. Exit status 1 when anything is bad, a programme failed or was void, a goal of a
whole hour was missed, a control was not caught or a row has none.
"""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOUR = 3600
HANGS = 1200  # seconds beyond four times what a round should take


@dataclasses.dataclass
class Programme:
    """A test that gets larger with CHATLOG_FAULT_SCALE and tells its rows as harness.report does."""
    test: str  # of CTest
    share: float  # of the time
    seconds: float  # a round at scale 1, about
    scale_hour: float  # what the goals of an hour need
    scale_max: float  # of one round: more brings nothing new, or takes too much memory


PROGRAMMES = [
    Programme("fault.kill@long", 0.34, 24, 40, 60),
    Programme("fault.power_cut@long", 0.07, 12, 11, 40),
    Programme("fault.calls@long", 0.09, 12, 25, 25),
    Programme("fault.linear@long", 0.05, 22, 2, 20),
    Programme("fault.network@long", 0.04, 8, 6, 10),
    Programme("fault.flip@long", 0.04, 10, 8, 20),
    Programme("fault.backup@long", 0.10, 40, 8, 12),
    Programme("fault.file@long", 0.06, 60, 8, 12),
    Programme("fault.service@long", 0.09, 32, 4, 60),
    Programme("identity.isolation_model@long", 0.10, 1.5, 200, 200),  # 50 users with 100,000 operations each
    Programme("integration.server_mutations@long", 0.02, 1, 42, 42),  # 1,000,000
]

# Tests of other groups that belong to the programme. Once each.
OTHERS = [
    ("4 crash inside the store", "store.crash"),
    ("7 9 full disk, in the store", "store.full_disk"),
    ("12 19 slow clients, limits", "integration.server_limits"),
    ("13 14 15 storms, bad frames", "integration.server_hostile"),
    ("18 memory short in a commit", "unit.commit_faults"),
    ("21 SIGTERM drain", "integration.server_life"),
    ("22 watchdog, hung writer", "system.notify"),
    ("23 migration: kill -9", "migration.kill"),
    ("23 migration: every call", "migration.faults"),
    ("23 migration: full disk", "migration.full_disk"),
    ("24 newer and unknown markers", "unit.startup"),
    ("29 backup, in the store", "store.backup"),
    ("29 backup, an operator's day", "cli.backup"),
]

# Trials of an hour, at least.
GOALS = {
    "1 kill -9": 2000,
    "2 power cut": 100_000,
    "15 mutated frames and messages": 1_000_000,
    "25 bit flips": 10_000,
    "26 linearizability": 100,
    "27 exactly once": 100_000,
    "28 isolation: random operations": 5_000_000,
    "29 backup: bit flips": 10_000,
}


def numbers_of(test):
    """The tests of the programme that a row belongs to: its title begins with them."""
    numbers = []
    for word in test.split():
        if not word.isdigit():
            break
        numbers.append(int(word))
    return numbers


def order(test):
    return numbers_of(test) or [sys.maxsize], test


class Table:
    def __init__(self, path):
        self.path = path
        self.rows = {}
        self.controls = {}  # number: {name: caught}
        self.failures = []

    def take(self):
        """Adds what a test has reported since the last time to its rows."""
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                new = json.loads(line)
                if "control_of" in new:
                    controls = self.controls.setdefault(int(new["control_of"]), {})
                    controls[new["name"]] = new["caught"] and controls.get(new["name"], True)
                else:
                    self.add(new)
        os.remove(self.path)

    def add(self, new):
        row = self.rows.setdefault(new["test"], {**new, "trials": 0, "faults": 0, "bad": 0, "load": {}})
        for number in ("trials", "faults", "bad"):
            row[number] += new[number]
        for what, count in new["load"].items():
            row["load"][what] = row["load"].get(what, 0) + count
        row["note"] = new["note"]

    def fail(self, test, why, output):
        self.failures.append(test)
        self.add({"test": f"{test} {why}", "trials": 0, "load": {}, "faults": 0, "bad": 1, "note": "see above"})
        print(f"torture: {test} {why}:\n{output}", flush=True)

    def control_text(self, test):
        controls = {name: caught for number in numbers_of(test)
                    for name, caught in self.controls.get(number, {}).items()}
        missed = [name for name, caught in controls.items() if not caught]
        if missed:
            return f"NOT CAUGHT: {', '.join(missed)}"
        return f"caught: {', '.join(controls)}" if controls else ""

    def cells(self, row):
        load = ", ".join(f"{count} {what}" for what, count in row["load"].items())
        return (row["test"], str(row["trials"]), load, str(row["faults"]), str(row["bad"]),
                self.control_text(row["test"]), row["note"])

    def show(self):
        lines = [("test", "trials", "load", "faults", "bad", "control", ""),
                 *(self.cells(self.rows[test]) for test in sorted(self.rows, key=order))]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())

    def verdict(self, seconds):
        """Says what is wrong, and returns the exit status."""
        bad = sum(row["bad"] for row in self.rows.values())
        missed = [f"{number} {name}" for number, controls in sorted(self.controls.items())
                  for name, caught in controls.items() if not caught]
        bare = [test for test in sorted(self.rows, key=order) if numbers_of(test) and not self.control_text(test)]
        trials = {test: self.rows[test]["trials"] if test in self.rows else 0 for test in GOALS}
        short = [f"{test}: {trials[test]} of {goal}" for test, goal in GOALS.items() if trials[test] < goal]
        print(f"{bad} bad; failed: {', '.join(self.failures) or 'none'}")
        print(f"controls not caught: {', '.join(missed) or 'none'}")
        print(f"without a control: {', '.join(bare) or 'none'}")
        print(f"short of an hour's goals: {'; '.join(short) or 'none'}")
        return 1 if bad or missed or bare or self.failures or (short and seconds >= HOUR) else 0


def leftovers_end(directory):
    """Ends what a test that failed or hung has left running: whatever has this directory in its environment."""
    mark = f"TMPDIR={directory}".encode()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                ours = mark in file.read().split(b"\0")
            if ours and int(process) != os.getpid():
                os.kill(int(process), signal.SIGKILL)
        except OSError:
            pass  # it has ended, or is somebody else's
    with open("/proc/self/mounts", encoding="utf-8") as file:
        mounts = [line.split()[1] for line in file]
    for mount in mounts:
        if mount.startswith(f"{directory}/"):
            subprocess.run(["umount", mount], check=False)


def run(table, directory, test, seconds, **environment):
    """Runs a test of CTest; False when it failed."""
    with open(f"{directory}/output", "w+b") as output:
        with subprocess.Popen(
                ["ctest", "--preset", "torture", "--tests-regex", f"^{test}$", "--no-tests=error"], cwd=SOURCE_DIR,
                env={**os.environ, **environment, "TMPDIR": directory, "CHATLOG_FAULT_REPORT": table.path},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT) as ctest:
            try:
                why = "failed" if ctest.wait(4 * seconds + HANGS) else None
            except subprocess.TimeoutExpired:
                why = "hung"
            except BaseException:
                leftovers_end(directory)
                raise
            if why:
                leftovers_end(directory)
        table.take()
        output.seek(0)
        if why:
            table.fail(test, why, output.read().decode(errors="replace"))
    return why is None


def programme_run(table, directory, programme, seconds, scale_least):
    """Rounds of one programme until its time is over and its goal reached."""
    end = time.monotonic() + seconds
    done = 0.0
    while done == 0 or done < scale_least or end - time.monotonic() > programme.seconds:
        left = max((end - time.monotonic()) / programme.seconds, scale_least - done)
        scale = max(1.0, min(programme.scale_max, left))
        seed = random.SystemRandom().randrange(2**32)
        print(f"torture: {programme.test} at scale {scale:.1f}, seed {seed}", flush=True)
        if not run(table, directory, programme.test, scale * programme.seconds, CHATLOG_FAULT_SCALE=f"{scale:.2f}",
                   CHATLOG_SEED=str(seed)):
            return
        done += scale


def torture(table, directory, seconds):
    began = time.monotonic()
    for title, test in OTHERS:
        print(f"torture: {test}", flush=True)
        if run(table, directory, test, 0):
            table.add({"test": title, "trials": 1, "load": {}, "faults": 0, "bad": 0, "note": test})
    left = max(seconds - (time.monotonic() - began), 0)
    for programme in PROGRAMMES:
        programme_run(table, directory, programme, programme.share * left, programme.scale_hour * seconds / HOUR)
    print(f"torture: took {(time.monotonic() - began) / 60:.1f} minutes")


def main():
    seconds = float(sys.argv[1]) * 60
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    directory = tempfile.mkdtemp(prefix="chatlog-torture-", dir=memory)
    table = Table(os.path.join(directory, "report"))
    try:
        torture(table, directory, seconds)
    finally:
        leftovers_end(directory)
        table.take()
        shutil.rmtree(directory, ignore_errors=True)
        table.show()
        status = table.verdict(seconds)
    return status


if __name__ == "__main__":
    sys.exit(main())
