"""Tests 2 and 3 of the programme: what the disk may hold after a power cut at any moment of a recorded run opens, is
sound and has every change that was answered until then. A quarter of the images holds nothing that was not synced, so
an answer that left before its commit was on disk is found out.

The controls are stores that do not wait for the disk: LMDB with NOSYNC, with NOMETASYNC, and a disk whose syncs do
nothing.
"""

import os
import subprocess
import sys
import unittest

from harness import SEED, TIMEOUT, Daemon, Load, report, report_control, scaled

RUNS = scaled(2)
IMAGES = 5000  # of a run, and four at each moment at least
CLIENTS = 16
CONVERSATIONS = 2  # of a client
CHANGES = 30  # of a client


class PowerCut(unittest.TestCase):
    def images(self, seed, count, *where, **harm):
        """Records a run and cuts the power so often. Returns what chatlog_fault_power_cut says."""
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        record = f"{daemon.directory}/record"
        self.assertTrue(daemon.start(record=record, **harm), daemon.log())
        load = Load(daemon, seed, CLIENTS, CONVERSATIONS)
        load.go(CHANGES)
        told = load.wait()
        self.assertEqual(load.end(), "")
        self.assertEqual(told["acks"], CLIENTS * CHANGES)
        daemon.kill()
        result = subprocess.run(
            [os.environ["CHATLOG_FAULT_POWER_CUT"], record, str(seed), str(CLIENTS * CONVERSATIONS), str(count),
             daemon.directory, *where], check=True, capture_output=True, timeout=10 * TIMEOUT)
        words = result.stdout.decode().split()
        found = {word: int(number) for word, number in zip(words[::2], words[1::2])}
        found["why"] = result.stderr.decode()[:2000]
        self.assertGreaterEqual(found["answers"], CLIENTS * CHANGES, "void: answers are missing in the record")
        return found

    def test_what_was_answered_before_a_power_cut_is_there_and_sound(self):
        images = bad = unborn = refused = answers = 0
        why = ""
        for run in range(RUNS):
            found = self.images(SEED + run, IMAGES)
            images += found["images"]
            bad += found["bad"]
            answers += found["answers"]
            unborn += found["unborn"]
            refused += found["refused"]
            why += found["why"] if found["bad"] else ""
        print(f"{unborn} images from before the first answer, {refused} of them do not open", file=sys.stderr)
        report("2 power cut", images, {"answered": answers}, images, bad, f"{refused} unborn do not open")
        report("3 answer after sync", answers, {"runs": RUNS}, images // 4, bad)
        self.assertEqual(bad, 0, why)
        self.assertGreaterEqual(images, RUNS * IMAGES)

    def test_a_power_cut_while_the_data_file_is_made_does_not_keep_the_daemon_from_starting(self):
        found = self.images(SEED, 1000, "birth")
        self.assertGreaterEqual(found["unborn"], 500, "void: the power was not cut so early")
        self.assertEqual(found["refused"], 0)

    def control(self, name, **harm):
        runs = bad = 0
        while bad == 0 and runs < 5:
            bad = self.images(SEED + runs, IMAGES, **harm)["bad"]
            runs += 1
        report_control("2 3", name, bad)
        self.assertGreater(bad, 0)

    def test_control_a_store_that_does_not_sync_is_found_out(self):
        self.control("NOSYNC", lmdb="nosync")

    def test_control_a_store_that_does_not_sync_its_meta_pages_is_found_out(self):
        self.control("NOMETASYNC", lmdb="nometasync")

    def test_control_a_disk_whose_syncs_do_nothing_is_found_out(self):
        self.control("syncs dropped", fail="sync:1+:drop")


if __name__ == "__main__":
    unittest.main()
