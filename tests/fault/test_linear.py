"""Test 26 of the programme: 16 clients append to shared conversations and read them while the daemon is killed and
started again; each such history must be one that could have happened one call after the other.

The controls: histories with one read made stale or two appends made to change places, and a store that gives up every
10th commit and calls it done.
"""

import os
import random
import subprocess
import time
import unittest

from harness import SEED, TIMEOUT, Daemon, report, report_control, scaled

HISTORIES = scaled(100)
CLIENTS = 16
ALIVE_MS = 80
ALIVE_MAX_MS = 1280  # where a busy machine needs longer for
CALLS_MIN = 300  # of a history, or it is void


class Linear(unittest.TestCase):
    def history(self, seed, *control, alive_ms=ALIVE_MS, **harm):
        """Returns what chatlog_fault_history says of a history with a kill in it."""
        chance = random.Random(seed)
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        self.assertTrue(daemon.start(**harm), daemon.log())
        with subprocess.Popen(
                [os.environ["CHATLOG_FAULT_HISTORY"], daemon.socket, str(seed), str(CLIENTS), str(2 * alive_ms),
                 *control], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as clients:
            time.sleep(chance.uniform(0.2, 1.2) * alive_ms / 1000)
            daemon.kill()
            self.assertTrue(daemon.start(), daemon.log())
            output, errors = clients.communicate(timeout=TIMEOUT)
            self.assertEqual(clients.returncode, 0, errors)
        daemon.remove()
        words = output.decode().split()
        found = {word: int(number) for word, number in zip(words[::2], words[1::2])}
        return {**found, "why": errors.decode()}

    def test_every_history_is_linearizable(self):
        whole = calls = unanswered = void = bad = 0
        why = ""
        alive_ms = ALIVE_MS
        while whole < HISTORIES:
            found = self.history(SEED + whole + void, alive_ms=alive_ms)
            calls += found["calls"]
            unanswered += found["unanswered"]
            bad += found["violations"] > 0
            why += found["why"]
            if found["calls"] >= CALLS_MIN:
                whole += 1
                alive_ms = ALIVE_MS
            else:
                void += 1
                alive_ms = min(2 * alive_ms, ALIVE_MAX_MS)
            self.assertLess(void, 3 * HISTORIES, "void: too few calls")
        report("26 linearizability", whole, {"calls": calls}, whole + void, bad,
               f"{void} void, {unanswered} appends given up")
        self.assertEqual(bad, 0, why)
        self.assertGreater(unanswered, 0, "void: no kill met an append")

    def control(self, name, *control, runs=10, **harm):
        """Each run is longer than the one before: on a busy machine the first may end before anything can be wrong."""
        for run in range(1, runs + 1):
            if self.history(SEED + run, *control, alive_ms=run * ALIVE_MS, **harm)["violations"]:
                report_control("26", name, True)
                return
        report_control("26", name, False)
        self.fail(f"{name}: not found out")

    def test_control_a_stale_read_is_found_out(self):
        self.control("stale read", "stale", runs=1)

    def test_control_appends_in_another_order_are_found_out(self):
        self.control("reordered", "reorder", runs=1)

    def test_control_a_store_that_gives_up_commits_is_found_out(self):
        self.control("lost commits", lmdb="lie")


if __name__ == "__main__":
    unittest.main()
