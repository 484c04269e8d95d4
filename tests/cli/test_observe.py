"""Watching and measuring a real daemon from the command line: stats --watch, top, bench."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import unittest

from daemon import CHATLOG, TIMEOUT, USAGE, DaemonTest, lines_of


class Watch(DaemonTest):
    def test_stats_are_shown_again_and_again(self):
        shown = self.json("stats", "--watch", 1, "-n", 3)
        self.assertEqual(len(shown), 3)
        for before, after in zip(shown, shown[1:]):
            self.assertGreaterEqual(after["uptime_us"] - before["uptime_us"], 1000000)
        text = self.text("stats", "--watch=1", "--count=2")
        self.assertEqual(len(re.findall(r"(?m)^users ", text)), 2)

    def test_the_seconds_may_be_left_out(self):
        self.assertEqual(len(self.json("stats", "--watch", "-n", 1)), 1)
        self.assertEqual(len(self.json("stats", "-n", 1, "--watch")), 1)

    def test_what_makes_no_sense_is_refused(self):
        self.assertIn("--count needs --watch", self.fails("stats", "-n", 2, code=USAGE))
        for wrong in ("--watch=0", "--watch=x", "--watch=-1"):
            self.fails("stats", wrong, code=USAGE)
        self.fails("top", "--interval=0", code=USAGE)

    def test_a_reader_that_leaves_ends_it(self):
        with subprocess.Popen([CHATLOG, "--server", self.daemon.url, "stats", "--watch", "1"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdout.read(10)
            process.stdout.close()
            self.assertEqual(process.wait(TIMEOUT), 1)

    def test_latencies_by_method(self):
        self.text("append", self.user, "c", "--role", "user", "hello")
        method = self.json("stats")[0]["methods"]["chatlog.v1.HistoryService/AppendMessages"]
        self.assertEqual(sum(method["latency_counts"]), method["calls"])
        self.assertGreater(method["latency_us"], 0)


class Top(DaemonTest):
    def test_without_a_terminal_it_is_one_frame(self):
        for i in range(4):
            self.text("append", self.user, "c", "--role", "user", str(i))
        frame = self.text("top", "--interval", 1)
        for line in frame.splitlines():
            self.assertLessEqual(len(line), 100)
        self.assertRegex(frame, r"(?m)^chatlogd at ipc://\S+, up \d+ s, rates over 1\.\d s$")
        for name in ("stored", "data file", "connections", "commits", "queue", "journal", "migration", "trouble"):
            self.assertRegex(frame, f"(?m)^{name} ")
        self.assertRegex(frame, r"(?m)^HistoryService/AppendMessages +0\.0 +0\.0 .* 4$")
        self.assertRegex(frame, r"(?m)^AdminService/GetStats +[01]\.\d +0\.0 ")

    def test_on_a_terminal_it_runs_until_q(self):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        process = subprocess.Popen([CHATLOG, "--server", self.daemon.url, "top", "--interval", "1"], stdin=slave,
                                   stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        shown = b""
        deadline = time.monotonic() + TIMEOUT
        while b"GetMigration" not in shown and time.monotonic() < deadline:
            if select.select([master], [], [], 1)[0]:
                shown += os.read(master, 65536)
        self.assertIn(b"q ends", shown)
        os.write(master, b"q")
        while time.monotonic() < deadline:
            try:
                if not os.read(master, 65536):
                    break
            except OSError:
                break  # it has ended
        self.assertEqual(process.wait(TIMEOUT), 0)
        os.close(master)


class Bench(DaemonTest):
    def test_it_measures_and_leaves_nothing_behind(self):
        result = self.chatlog("bench", "--yes", "--seconds", 1, "--in-flight", 8, "--output", "json")
        rows = lines_of(result.stdout)
        self.assertEqual([row["what"] for row in rows],
                         ["append 300 bytes, 1 in flight", "append 300 bytes, 8 in flight",
                          "read the newest 50, 1 in flight"])
        for row in rows:
            self.assertGreater(row["calls"], 0)
            self.assertLessEqual(row["p50_us"], row["p99_us"])
            self.assertLessEqual(row["p99_us"] / 2, row["max_us"])
        stats = self.json("stats")[0]
        self.assertEqual((stats["users"], stats["messages"]), (0, 0))
        self.assertGreaterEqual(stats["changes"], rows[0]["calls"] + rows[1]["calls"])

    def test_it_asks_before_it_writes(self):
        self.assertIn("add --yes", self.fails("bench", code=USAGE))

    def test_no_is_no(self):
        changes = self.json("stats")[0]["changes"]
        master, slave = pty.openpty()
        process = subprocess.Popen([CHATLOG, "--server", self.daemon.url, "bench"], stdin=slave, stdout=slave,
                                   stderr=slave)
        os.close(slave)
        os.write(master, b"n\n")
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass  # it has ended
        self.assertEqual(process.wait(TIMEOUT), 1)
        self.assertIn(b"[y/N]", shown)
        self.assertEqual(self.json("stats")[0]["changes"], changes)
        os.close(master)


if __name__ == "__main__":
    unittest.main()
