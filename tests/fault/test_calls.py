"""Tests 4, 5, 6, 7 and 18 of the programme: the n-th write, sync, write of a meta page, allocation or mapping fails, or
is the last thing the daemon does; for n = 1, 2, ... until a run meets it no more. `./dev test` takes every n-th only.

Whatever fails, the daemon ends by itself with the right status or goes on, an answer that was given holds, and a change
without one is made once when it is tried again. Each kind has a control.
"""

import concurrent.futures
import dataclasses
import os
import random
import time
import unittest

from harness import (EXIT_BY_SHIM, EXIT_CONFIG, EXIT_DISK, SCALE, SEED, Daemon, Load, report,
                     report_control)

CLIENTS = 4
CHANGES = 15  # of each client
WORKERS = 2
END_MAX = 1.0  # seconds from a fault to the end of the daemon


@dataclasses.dataclass
class Kind:
    name: str
    fault: str  # IOFAULT_FAIL with {n} and {m}, the call after it
    ends: tuple  # statuses the daemon may end with when it meets the fault
    survives: bool  # or it goes on
    runs: int  # of `./dev test`, about
    calls: int  # of a run, about
    least: int = 4  # faults met, or the run is void
    lmdb: str = ""


KINDS = {
    "exit": Kind("4 exit at a disk call", "disk:{n}:exit", (EXIT_BY_SHIM,), False, 20, 200),
    "half": Kind("4 exit in a disk call", "disk:{n}:half", (EXIT_BY_SHIM,), False, 20, 200),
    "sync": Kind("5 EIO on sync", "sync:{n}:late:5,sync:{m}+:abort", (EXIT_DISK,), False, 12, 30),
    "meta": Kind("6 EIO on meta page, written", "meta:{n}:late:5,meta:{m}+:abort", (EXIT_DISK,), False, 10, 30),
    "meta_not": Kind("6 EIO on meta page, not written", "meta:{n}:error:5", (EXIT_DISK,), False, 10, 30),
    "write": Kind("5 EIO on write", "write:{n}:error:5", (EXIT_DISK,), False, 12, 140),
    "short": Kind("7 short write", "write:{n}:short", (EXIT_DISK,), False, 12, 140),
    "full": Kind("7 ENOSPC on write", "write:{n}:error:28", (), True, 12, 140),
    "malloc": Kind("18 no memory", "malloc:{n}:error", (EXIT_DISK,), True, 40, 800),
    "mmap": Kind("18 no mapping", "mmap:{n}:error", (EXIT_DISK,), True, 10, 4, least=2),
}


class Run:
    """One daemon on a directory of its own that meets one fault."""

    def __init__(self, kind, call):
        self.kind = kind
        self.call = call
        self.daemon = Daemon()
        self.load = None
        self.acks = 0
        self.took = 0.0

    def complain(self, what):
        return f"{self.kind.name}, call {self.call}: {what}\n{self.daemon.log()}"

    def ended_wrongly(self, status, ready):
        """At the start a sentence and status 78 do; later only the kind's own."""
        allowed = self.kind.ends + (() if ready else (EXIT_CONFIG, EXIT_DISK))
        return self.complain(f"it ended with {status}") if status not in allowed else None

    def harmed(self):
        """Runs the load against the fault. Returns (was it met, what is wrong)."""
        harm = {"fail": self.kind.fault.format(n=self.call, m=self.call + 1)}
        if self.kind.lmdb:
            harm["lmdb"] = self.kind.lmdb
        try:
            ready = self.daemon.start(**harm)
        except RuntimeError as error:
            return True, self.complain(error)
        if ready:
            self.load.go(CHANGES)
            told = self.load.wait()
            self.acks = told["acks"]
        met = self.daemon.fault_met()
        if ready and not met:
            return False, None
        survived = self.daemon.running() and (self.kind.survives or not ready)
        if survived:
            status = self.daemon.stop()
            wrong = self.complain(f"it stopped with {status}") if status not in (0, *self.kind.ends) else None
            return True, wrong
        status = self.daemon.wait()
        self.took = time.time() - os.stat(self.daemon.met).st_mtime
        return True, self.ended_wrongly(status, ready)

    def whole(self):
        """What is wrong when the daemon is started again, without harm."""
        if not self.daemon.start():
            return self.complain("it does not start again")
        wrong = self.load.ask("check")["wrong"] or self.load.ask("settle")["wrong"] or self.load.ask("check")["wrong"]
        status = self.daemon.stop()
        if wrong or status != 0:
            return self.complain(f"{wrong:.0f} wrong, then it stopped with {status}")
        found = self.daemon.verified()
        return self.complain(found) if found else None

    def run(self):
        """Returns (was the fault met, what is wrong or None, answered changes, seconds to the end)."""
        self.load = Load(self.daemon, SEED + self.call, CLIENTS)
        try:
            met, wrong = self.harmed()
            if self.daemon.process:
                self.daemon.kill()
            wrong = wrong or self.whole()
        finally:
            complaints = self.load.end()
            self.daemon.remove()
        return met, wrong and wrong + complaints, self.acks, self.took


class Calls(unittest.TestCase):
    def calls_of(self, kind):
        """The numbers of the calls that fail: all of them, or random ones about equally far apart."""
        chance = random.Random(f"{SEED} {kind.name}")
        step = max(1.0, kind.calls / (kind.runs * SCALE))
        call = 1
        while True:
            yield call
            call += max(1, round(chance.uniform(0.5, 1.5) * step))

    def each(self, kind):
        """Returns (faults met, answered changes, what is wrong, longest time to the end, last call)."""
        met_count = acks = 0
        wrong = []
        longest = 0.0
        last = 0
        calls = self.calls_of(kind)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            met = True
            while met and not wrong:
                batch = [next(calls) for _ in range(WORKERS)]
                results = pool.map(lambda call: Run(kind, call).run(), batch)
                for call, result in zip(batch, results):
                    met_count += result[0]
                    met = met and result[0]
                    acks += result[2]
                    longest = max(longest, result[3])
                    last = call
                    if result[1]:
                        wrong.append(result[1])
        return met_count, acks, wrong, longest, last

    def check(self, key):
        kind = KINDS[key]
        met, acks, wrong, longest, last = self.each(kind)
        every = "each call" if kind.runs * SCALE >= kind.calls else "calls"
        report(kind.name, met, {"answered": acks}, met, len(wrong), f"{every} up to {last}, ended in {longest:.2f} s")
        self.assertFalse(wrong, "\n".join(wrong))
        self.assertGreaterEqual(met, kind.least, "void: too few faults were met")
        self.assertGreater(acks, 0, "void: nothing was answered")
        if not kind.survives:
            self.assertLess(longest, END_MAX)

    def check_control(self, numbers, name, kind):
        """One of the first faults under the load must be found out."""
        chance = random.Random(SEED)
        for runs in range(1, 30):
            met, wrong, _, _ = Run(kind, chance.randrange(kind.calls // 2, kind.calls)).run()
            if met and wrong:
                report_control(numbers, name, True)
                return
        report_control(numbers, name, False)
        self.fail(f"{name}: not found out")

    def test_the_daemon_may_end_at_any_call(self):
        self.check("exit")

    def test_the_daemon_may_end_in_the_middle_of_any_write(self):
        self.check("half")

    def test_a_failed_sync_ends_the_daemon_without_an_answer_and_without_another_sync(self):
        self.check("sync")

    def test_a_failed_write_of_a_meta_page_ends_the_daemon_and_the_change_is_made_once(self):
        self.check("meta")
        self.check("meta_not")

    def test_a_failed_write_ends_the_daemon_without_an_answer(self):
        self.check("write")
        self.check("short")

    def test_a_write_that_finds_no_room_is_refused_and_service_goes_on(self):
        self.check("full")

    def test_memory_that_is_short_is_survived_or_ends_the_daemon_cleanly(self):
        self.check("malloc")
        self.check("mmap")

    def test_a_write_cut_short_while_the_data_file_is_made_does_not_keep_the_daemon_from_starting(self):
        for key in ("half", "short"):
            met, wrong, _, _ = Run(KINDS[key], 1).run()
            self.assertTrue(met)
            self.assertFalse(wrong, wrong)

    def test_control_a_store_that_ignores_failures_is_found_out(self):
        for key, fault in (("sync", "sync:{n}:late:5"), ("meta", "meta:{n}:late:5"), ("full", "write:{n}:error:28")):
            kind = dataclasses.replace(KINDS[key], fault=fault, calls=20, lmdb="ignore", survives=True)
            self.check_control(kind.name.split()[0], f"failed {key} ignored", kind)

    def test_control_a_store_that_gives_up_commits_is_found_out(self):
        self.check_control("4", "lost commits", dataclasses.replace(KINDS["exit"], calls=200, lmdb="lie"))

    def test_control_a_daemon_that_crashes_for_want_of_memory_is_found_out(self):
        self.check_control("18", "a crash", dataclasses.replace(
            KINDS["malloc"], fault="malloc:{n}:abort", calls=200))


if __name__ == "__main__":
    unittest.main()
