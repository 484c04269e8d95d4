"""kill -9 at any moment of a migration, up and down, under a live load: what was answered is there once, what was there
before is there, and nothing else.

CHATLOG_KILLS says how often (default 40), CHATLOG_SEED which random moments.
"""

import itertools
import os
import random
import subprocess
import sys
import time
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fault"))
from harness import report_control  # noqa: E402

from daemon import NEWEST, TIMEOUT, Data

KILLS = int(os.environ.get("CHATLOG_KILLS", "40"))
SEED = int(os.environ.get("CHATLOG_SEED", random.SystemRandom().randrange(2**32)))
MESSAGES = int(os.environ.get("CHATLOG_KILL_MESSAGES", "60000"))
CONTROL_MESSAGES = 5000
CHECK_EVERY = 20  # kills
ALIVE_SECONDS = 0.35  # at most, before the first kill


class Load:
    """The live load: it knows what must be there."""

    def __init__(self, data, conversations):
        self.process = subprocess.Popen([os.environ["CHATLOG_LOAD"], data.url, str(conversations), str(SEED)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def check(self):
        """Reads everything; returns (conversations, messages, bad)."""
        self.process.stdin.write("check\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        return int(words[1]), int(words[3]), int(words[5])

    def end(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        status = self.process.wait(TIMEOUT)
        self.process.stdout.close()
        return status


class Kill(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.kills = 0
        self.ups = self.downs = 0
        self.data = Data()
        self.addCleanup(self.data.remove)

    def alive_seconds(self, killed):
        """How long before the next kill; longer each time, so that a busy machine gets to the end too."""
        return self.random.uniform(0, ALIVE_SECONDS) * (1 + killed / CHECK_EVERY)

    def killed_on_the_way_down(self):
        """`chatlogd migrate --to` an older layout, killed now and then until it gets to its end."""
        older = self.random.randrange(1, NEWEST)
        for killed in itertools.count():
            process = subprocess.Popen(
                [os.environ["CHATLOGD"], "migrate", "--to", str(older), "--data-dir", self.data.path],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                errors = process.communicate(timeout=self.alive_seconds(killed))[1]
                self.assertEqual(process.returncode, 0, errors)
                self.downs += 1
                return
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                self.kills += 1

    def killed_on_the_way_up(self):
        """The daemon, killed now and then until the migration is done; then stopped."""
        for killed in itertools.count():
            self.data.start()
            time.sleep(self.alive_seconds(killed))
            self.data.check_alive()
            if self.kills % CHECK_EVERY == 0:
                self.check()
                if self.data.migration()["layout"] == NEWEST:
                    break
            self.data.kill()
            self.kills += 1
        self.ups += 1
        self.data.kill()
        self.kills += 1

    def check(self):
        conversations, messages, bad = self.load.check()
        self.assertEqual(bad, 0)
        self.assertGreaterEqual(messages, MESSAGES)
        print(f"{self.kills} kills, {self.ups} times up and {self.downs} down: {messages} messages in "
              f"{conversations} conversations, {bad} bad", file=sys.stderr)

    def load_start(self, messages):
        """A load on data of layout 1 that knows what is there."""
        conversations = self.data.make_history(messages)
        self.data.start("--migrate", "hold")
        self.load = Load(self.data, conversations)
        self.addCleanup(self.load.process.kill)

    def test_killed_at_random_moments_up_and_down_under_load(self):
        print(f"CHATLOG_SEED={SEED} CHATLOG_KILLS={KILLS}", file=sys.stderr)
        self.load_start(MESSAGES)
        self.check()
        self.data.kill()
        while self.kills < KILLS:
            self.killed_on_the_way_up()
            self.killed_on_the_way_down()
        self.data.start()
        self.data.wait_state("none")
        self.check()
        self.assertEqual(self.load.end(), 0)
        self.assertEqual(self.data.migration()["quarantined"], 0)
        self.data.stop()
        verified = self.data.migrate("--verify")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    @unittest.skipUnless("IOFAULT" in os.environ, "a sanitizer and the shim both want malloc")
    def test_control_a_migration_that_loses_commits_is_found_out(self):
        self.load_start(CONTROL_MESSAGES)
        self.assertEqual(self.load.check()[2], 0)
        self.data.kill()
        bad = cycles = 0
        while not bad and cycles < 10:
            self.data.start(lmdb="lie")
            time.sleep(ALIVE_SECONDS * (1 + cycles))  # a busy machine commits nothing to lose in the first
            self.data.kill()
            self.data.start("--migrate", "hold")
            bad = self.load.check()[2]
            self.data.kill()
            cycles += 1
        report_control("23", "lost commits", bad)
        self.assertGreater(bad, 0)


if __name__ == "__main__":
    unittest.main()
