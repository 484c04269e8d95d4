"""Imports that are killed, that lose their daemon, and that run at the same time."""

import json
import os
import subprocess
import tempfile
import threading
import time
import unittest

from daemon import CHATLOG, FAILED, OK, UNREACHABLE, DaemonTest, by_name, conversation, jsonl, said


def many(user, count, messages):
    return [conversation(user, f"c{i}", *(said("user", f"{i} {j} " + "x" * 200) for j in range(messages)), title=str(i))
            for i in range(count)]


class Interrupted(DaemonTest):
    def setUp(self):
        super().setUp()
        self.file = tempfile.NamedTemporaryFile("w", suffix=".jsonl")
        self.addCleanup(self.file.close)

    def write(self, conversations):
        self.file.write(jsonl(conversations))
        self.file.flush()

    def begin(self, *arguments):
        process = subprocess.Popen([CHATLOG, "import", self.file.name, "--server", self.daemon.url, *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def wait_until_stored(self, messages):
        """Until at least so many messages are stored."""
        deadline = time.monotonic() + 60
        while self.json("stats")[0]["messages"] < messages:
            self.assertLess(time.monotonic(), deadline, "the import makes no progress")

    def complete(self, conversations):
        """Importing again stores the rest; everything is there once."""
        total = sum(len(each["messages"]) for each in conversations)
        counts = self.json("import", self.file.name)[0]
        self.assertEqual(counts["messages"] + counts["already_present"], total)
        self.assertEqual(self.exported(self.user), by_name(conversations))
        again = self.json("import", self.file.name)[0]
        self.assertEqual((again["conversations"], again["messages"], again["already_present"]), (0, 0, total))
        return counts

    def test_an_import_that_is_killed_is_completed_by_the_next(self):
        conversations = many(self.user, 2000, 5)
        self.write(conversations)
        before = self.json("stats")[0]["messages"]
        process = self.begin()
        self.wait_until_stored(before + 100)
        process.kill()
        process.wait()
        counts = self.complete(conversations)
        self.assertGreaterEqual(counts["already_present"], 100)

    def test_a_daemon_that_is_killed_and_started_again_during_an_import(self):
        conversations = many(self.user, 2000, 5)
        self.write(conversations)
        before = self.json("stats")[0]["messages"]
        process = self.begin()
        self.wait_until_stored(before + 100)
        self.daemon.kill()
        self.daemon.start()
        output, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, OK, error)
        self.assertIn(" conversations, ", output)
        self.complete(conversations)

    def test_a_daemon_that_is_killed_and_stays_away(self):
        conversations = many(self.user, 2000, 5)
        self.write(conversations)
        before = self.json("stats")[0]["messages"]
        process = self.begin("--timeout", "1")
        self.wait_until_stored(before + 100)
        self.daemon.kill()
        output, error = process.communicate(timeout=60)
        self.daemon.start()
        self.assertIn(process.returncode, (FAILED, UNREACHABLE), error)
        self.assertTrue(error.startswith("chatlog: "), error)
        self.assertIn("the import stopped; import the file again to go on", error)
        self.assertIn("imported ", output)
        self.complete(conversations)

    def test_two_imports_of_one_file_at_the_same_time(self):
        conversations = many(self.user, 300, 20) + [
            conversation(self.user, "long", *(said("user", str(i)) for i in range(3000)))]
        self.write(conversations)
        counts = []
        for process in [self.begin("--output", "json") for _ in range(3)]:
            output, error = process.communicate(timeout=60)
            self.assertEqual(process.returncode, OK, error)
            counts.append(json.loads(output))
        total = sum(len(each["messages"]) for each in conversations)
        self.assertEqual(sum(each["messages"] for each in counts), total)
        self.assertEqual(sum(each["conversations"] for each in counts), len(conversations))
        for each in counts:
            self.assertEqual(each["messages"] + each["already_present"], total)
        self.assertEqual(self.exported(self.user), by_name(conversations))

    def test_an_export_while_others_append_misses_nothing(self):
        """Each append moves the conversation that was last in the list to its head, past the pages not yet read."""
        names = [f"c{i}" for i in range(2500)]
        self.imports([conversation(self.user, name) for name in names])
        ended = threading.Event()

        def disturb():
            messages = []
            while not ended.is_set():
                messages.append(said("user", "x"))
                self.imports([conversation(self.user, name, *messages) for name in names])

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            for _ in range(2):
                self.assertEqual(sorted(name for _, name in self.exported(self.user)), sorted(names))
        finally:
            ended.set()
            thread.join()

    def test_a_slow_input(self):
        """Lines are stored as they come; the command waits for the end of its input."""
        lines = [json.dumps(each) for each in many(self.user, 3, 2)]
        process = subprocess.Popen([CHATLOG, "import", "-", "--server", self.daemon.url], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        before = self.json("stats")[0]["messages"]
        process.stdin.write(lines[0] + "\n" + lines[1][:50])
        process.stdin.flush()
        self.wait_until_stored(before + 2)
        output, _ = process.communicate(lines[1][50:] + "\n" + lines[2], timeout=60)
        self.assertEqual(process.returncode, OK)
        self.assertEqual(output, "imported 3 conversations, 6 messages (0 already present)\n")


if __name__ == "__main__":
    unittest.main()
