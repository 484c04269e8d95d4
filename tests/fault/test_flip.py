"""Test 25 of the programme: one bit of the data file is wrong, anywhere, or its end is missing. No message may come
back as something else than was stored; what is not there must be said.

The control is data of layout 1, which has no checksums: there the flips must be found to bring wrong messages.
"""

import os
import re
import subprocess
import sys
import unittest

from harness import SEED, TIMEOUT, Daemon, Load, report, report_control, scaled

TRIALS = scaled(1500)
CUTS = scaled(200)
CLIENTS = 16
CONVERSATIONS = 2
CHANGES = 40
SILENT_SHARE = 0.001  # of the flips that matter


class Flip(unittest.TestCase):
    def harmed(self, mode, trials, layout=None):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        self.assertTrue(daemon.start(), daemon.log())
        load = Load(daemon, SEED, CLIENTS, CONVERSATIONS)
        load.go(CHANGES)
        self.assertEqual(load.wait()["acks"], CLIENTS * CHANGES)
        self.assertEqual(load.end(), "")
        self.assertEqual(daemon.stop(), 0)
        environment = dict(os.environ)
        if layout:
            moved = daemon.migrate("--to", str(layout))
            self.assertEqual(moved.returncode, 0, moved.stderr)
            environment["CHATLOG_TEST_LAYOUT"] = str(layout)
        result = subprocess.run(
            [os.environ["CHATLOG_FAULT_FLIP"], mode, daemon.path, str(CLIENTS * CONVERSATIONS), str(trials),
             str(SEED), daemon.directory], env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=20 * TIMEOUT)
        words = result.stdout.decode().split()
        found = {word: int(number) for word, number in zip(words[::2], words[1::2])}
        told = result.stderr.decode()
        asserts = sorted(set(re.findall(r"^chatlog_fault_flip: (.*Assertion.*)$", told, re.MULTILINE)))
        return {**found, "asserts": asserts, "why": told[:2000]}

    def test_no_flipped_bit_brings_a_wrong_message(self):
        found = self.harmed("bit", TRIALS)
        print(found, file=sys.stderr)
        matter = TRIALS - found["harmless"]
        silent = found["missing"] if found["missing"] > SILENT_SHARE * matter else 0
        report("25 bit flips", TRIALS, {"messages": found["messages"]}, matter,
               found["wrong"] + silent + len(found["asserts"]),
               f"{found['reported']} reported, {found['found']} found by the check, {found['missing']} by neither, "
               f"{found['ended']} crashes in LMDB")
        self.assertEqual(found["wrong"], 0, found["why"])
        self.assertEqual(found["asserts"], [], "what is read is input: no contract may be broken by it")
        self.assertGreater(matter, TRIALS / 10, "void: the flips do not matter")
        self.assertLessEqual(found["missing"], SILENT_SHARE * matter, found["why"])

    def test_no_data_file_that_ends_too_soon_brings_a_wrong_message(self):
        found = self.harmed("cut", CUTS)
        report("25 truncations", CUTS, {"messages": found["messages"]}, CUTS, found["wrong"] + found["missing"],
               f"{found['reported']} reported, {found['found']} found by the check, {found['ended']} met SIGBUS")
        self.assertEqual((found["wrong"], found["missing"]), (0, 0), found["why"])
        self.assertLess(found["harmless"], CUTS / 2, "void: what is missing does not matter")

    def test_control_a_layout_without_checksums_is_found_out(self):
        found = self.harmed("bit", 500, layout=1)
        report_control("25", "no checksums", found["wrong"])
        self.assertGreater(found["wrong"], 0)


if __name__ == "__main__":
    unittest.main()
