"""Test 27 of the programme: each request is stored exactly once, however bad the network: connections cut anywhere in
a frame, answers held back, requests sent twice, clients killed between a request and its answer.

The control is a client that forgets its request_ids when it begins again.
"""

import os
import subprocess
import unittest

from harness import SEED, TIMEOUT, Daemon, report, report_control, scaled

REQUESTS = scaled(20000)


class Network(unittest.TestCase):
    def through_the_proxy(self, requests, *control):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        self.assertTrue(daemon.start(), daemon.log())
        result = subprocess.run(
            [os.environ["CHATLOG_FAULT_NETWORK"], daemon.socket, daemon.directory, str(SEED), str(requests), *control],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20 * TIMEOUT)
        self.assertEqual(result.returncode, 0, result.stderr.decode()[-2000:])
        self.assertEqual(daemon.stop(), 0)
        self.assertIsNone(daemon.verified())
        words = result.stdout.decode().split()
        return {word: int(number) for word, number in zip(words[::2], words[1::2])}

    def test_each_request_is_stored_exactly_once(self):
        found = self.through_the_proxy(REQUESTS)
        bad = found["missing"] + found["double"] + found["changed"]
        faults = found["cuts"] + found["duplicates"] + found["kills"]
        report("27 exactly once", found["requests"], {"replays": found["replays"]}, faults, bad,
               f"{found['cuts']} cuts, {found['duplicates']} sent twice, {found['kills']} clients killed")
        self.assertEqual(bad, 0, found)
        for what in ("cuts", "duplicates", "replays", "kills"):
            self.assertGreater(found[what], 0, f"void: no {what}")

    def test_control_a_client_that_forgets_its_request_ids_is_found_out(self):
        found = self.through_the_proxy(4000, "forgetful")
        report_control("27", "forgotten IDs", found["double"])
        self.assertGreater(found["double"], 0, found)


if __name__ == "__main__":
    unittest.main()
