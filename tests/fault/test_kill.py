"""Test 1 of the programme: kill -9 at any moment under the load of 32 clients. What was answered is there once and in
order, what was not is there whole or not at all, and trying it again makes it once.

A cycle under too little load is void; a run with no valid cycles fails. The control is a store that gives up every 10th
commit and calls it done: it must be found out.
"""

import random
import sys
import time
import unittest

from harness import SEED, Daemon, Load, report, report_control, scaled

CYCLES = scaled(60)
FRESH_EVERY = 200  # cycles
CLIENTS = 32
RATE_MIN = 1000  # answered changes a second, before a kill
READY_MAX = 1.0  # seconds
ALIVE = (0.02, 0.5)


class Kill(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.daemon = Daemon()
        self.addCleanup(self.daemon.remove)
        self.void = 0
        self.acks = 0
        self.seconds = 0.0
        self.outstanding = 0
        self.replayed = 0
        self.slow_starts = 0

    def cycle(self, load, **harm):
        """Returns how many conversations are wrong after a kill."""
        began = time.monotonic()
        self.assertTrue(self.daemon.start(**harm), self.daemon.log())
        self.slow_starts += time.monotonic() - began > READY_MAX
        load.go()
        time.sleep(self.random.uniform(*ALIVE))
        self.daemon.kill()
        told = load.wait()
        self.void += told["acks"] < RATE_MIN * told["seconds"]
        self.acks += told["acks"]
        self.seconds += told["seconds"]
        self.outstanding += told["failed"]
        self.assertTrue(self.daemon.start(), self.daemon.log())
        wrong = load.ask("check")["wrong"]
        settled = load.ask("settle")
        self.replayed += settled["replayed"]
        wrong += load.ask("check")["wrong"]
        self.daemon.kill()
        return wrong

    def cycles(self, first, count):
        """Kills a daemon with new data so often."""
        self.daemon.remove()
        self.daemon = Daemon()
        self.addCleanup(self.daemon.remove)
        load = Load(self.daemon, SEED + first, CLIENTS)
        wrong = 0
        while count > 0 and not wrong:
            wrong = self.cycle(load)
            count -= 1
        complaints = load.end()
        self.assertEqual(wrong, 0, complaints)
        self.assertTrue(self.daemon.start())
        self.assertEqual(self.daemon.stop(), 0)
        self.assertIsNone(self.daemon.verified())

    def test_nothing_answered_is_lost_and_nothing_is_there_twice(self):
        for first in range(0, CYCLES, FRESH_EVERY):
            self.cycles(first, min(FRESH_EVERY, CYCLES - first))
        rate = self.acks / self.seconds
        print(f"{self.outstanding:.0f} changes without an answer, {self.replayed:.0f} of them had been made",
              file=sys.stderr)
        report("1 kill -9", CYCLES - self.void, {"answered": self.acks}, CYCLES, 0,
               f">= {RATE_MIN} answered/s in each, {rate:.0f} together; {self.void} void; "
               f"{self.slow_starts} starts over {READY_MAX:g} s")
        self.assertGreater(self.outstanding, CYCLES)
        self.assertGreater(self.replayed, 0)
        self.assertGreaterEqual(rate, RATE_MIN, "void: too little load")
        self.assertLess(self.void, CYCLES / 2, "void: too little load")
        self.assertLess(self.slow_starts, max(3, CYCLES / 20))

    def test_a_store_that_gives_up_commits_is_found_out(self):
        load = Load(self.daemon, SEED, CLIENTS)
        self.addCleanup(load.end)
        wrong = 0
        cycles = 0
        while not wrong and cycles < 10:
            wrong = self.cycle(load, lmdb="lie")
            cycles += 1
        report_control("1", "lost commits", wrong)
        self.assertGreater(wrong, 0)


if __name__ == "__main__":
    unittest.main()
