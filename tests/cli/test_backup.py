"""An operator's day with backups: made while the daemon serves, also when it is killed, restored, checked."""

import json
import os
import subprocess
import threading
import unittest

from daemon import CHATLOGD, FAILED, OK, TIMEOUT, USAGE, Daemon, conversation, jsonl, lines_of, run, said

CONFIG = 78


def chatlogd(*arguments):
    result = subprocess.run([CHATLOGD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=TIMEOUT, check=False)
    return result.returncode, (result.stdout + result.stderr).decode()


class Backups(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.remove)
        self.backups = f"{self.daemon.directory}/backups"
        os.mkdir(self.backups)
        self.daemon.options = ["--backup-dir", self.backups]
        self.data = f"{self.daemon.directory}/data"

    def chatlog(self, *arguments, code=OK, **options):
        result = run(*arguments, server=self.daemon.url, **options)
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return result.stdout + result.stderr

    def fill(self, users=20, messages=50):
        self.chatlog("import", "-", input=jsonl(
            conversation(f"user-{user}", "chat", *(said("user", f"{user} says {n} " + "x" * 300)
                                                   for n in range(messages))) for user in range(users)))

    def exported(self):
        return sorted(self.chatlog("export").splitlines())

    def swap_data(self, directory):
        """The daemon that comes next serves that directory."""
        os.rename(self.data, f"{self.data}-before")
        os.rename(directory, self.data)

    def test_what_was_backed_up_is_served_again(self):
        self.daemon.start()
        self.fill()
        wanted = self.exported()
        told = lines_of(self.chatlog("backup", "one", "--output", "json"))[0]
        self.assertEqual((told["users"], told["messages"], told["findings"]), (20, 1000, 0))
        with open(f"{self.backups}/one/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual(manifest["commit_id"], told["commit_id"])
        self.assertEqual(manifest["file_bytes"], os.path.getsize(f"{self.backups}/one/data.mdb"))
        self.chatlog("append", "late", "chat", "--role", "user", "not in it")
        self.assertIn("backup  by uid:", self.chatlog("audit", "--count", "5"))
        self.assertIn("everything is sound", self.chatlog("verify"))
        self.daemon.stop()
        fresh = f"{self.daemon.directory}/fresh"
        self.assertEqual(chatlogd("restore", "--from", f"{self.backups}/one", "--data-dir", fresh)[0], OK)
        self.assertEqual(chatlogd("check", "--data-dir", fresh)[0], OK)
        self.swap_data(fresh)
        self.daemon.start()
        self.assertEqual(self.exported(), wanted)

    def test_a_name_that_leads_elsewhere_is_refused(self):
        self.daemon.start()
        for name in ("../up", "a/b", ".hidden", "..", "", "x" * 101, "sp ace", "$HOME", "ä"):
            self.assertIn("INVALID_ARGUMENT", self.chatlog("backup", name, code=FAILED))
        self.assertEqual(os.listdir(self.backups), [])

    def test_without_a_directory_there_are_no_backups(self):
        self.daemon.options = []
        self.daemon.start()
        self.assertIn("BACKUP_OFF", self.chatlog("backup", "one", code=FAILED))

    def test_killed_at_any_moment_there_is_a_whole_backup_or_none(self):
        self.daemon.start()
        self.fill(100, 50)
        whole = 0
        for round_number in range(8):
            name = f"round-{round_number}"
            asking = threading.Thread(target=run, args=("backup", name, "--timeout", "20"),
                                      kwargs={"server": self.daemon.url})
            asking.start()
            asking.join(0.01 * round_number)
            self.daemon.kill()
            asking.join()
            if os.path.exists(f"{self.backups}/{name}"):
                fresh = f"{self.daemon.directory}/fresh-{round_number}"
                self.assertEqual(chatlogd("restore", "--from", f"{self.backups}/{name}", "--data-dir", fresh)[0], OK)
                self.assertEqual(chatlogd("check", "--data-dir", fresh)[0], OK)
                whole += 1
            self.daemon.start()
        self.chatlog("backup", "last")
        self.assertNotIn(".making", os.listdir(self.backups))
        self.assertLess(whole, 8, "void: no backup was interrupted")

    def test_a_check_tells_damage_and_how_bad_it_is(self):
        self.daemon.start()
        self.fill()
        self.daemon.stop()
        self.assertEqual(chatlogd("check", "--data-dir", self.data)[0], 0)
        with open(f"{self.data}/data.mdb", "r+b") as file:
            damaged = file.read().replace(b"user-7", b"user-x")  # the name of a user, in whatever page
            file.seek(0)
            file.write(damaged)
        status, told = chatlogd("check", "--data-dir", self.data)
        self.assertEqual(status, 1, told)
        self.assertIn("something is wrong", told)
        rescued = f"{self.daemon.directory}/rescued"
        status, told = chatlogd("salvage", "--from", self.data, "--to", rescued)
        self.assertEqual(status, 1, told)
        self.assertIn("has lost a name: it is salvaged-user-", told)
        self.assertIn("20 conversations, 1000 messages", told)
        self.assertEqual(chatlogd("check", "--data-dir", rescued)[0], 0)
        with open(f"{self.data}/data.mdb", "r+b") as file:
            file.write(b"\0" * 8192)
        self.assertEqual(chatlogd("check", "--data-dir", self.data)[0], 2)

    def test_a_check_beside_a_running_daemon_finds_nothing_wrong(self):
        self.daemon.start()
        self.fill()
        status, told = chatlogd("check", "--data-dir", self.data)
        self.assertEqual(status, 0, told)

    def test_a_scrub_comes_by_itself(self):
        self.daemon.options = ["--scrub-interval", "1s"]
        self.daemon.start()
        self.fill(2, 2)
        while "scrub is done: 2 conversations, 4 messages, 0 findings" not in self.daemon.log():
            self.assertIsNone(self.daemon.process.poll())
        self.assertGreater(lines_of(self.chatlog("stats", "--output", "json"))[0]["scrub_time_us"], 0)

    def test_bad_options_are_told(self):
        for arguments in (("check",), ("restore", "--data-dir", "x"), ("check", "--what"), ("restore", "--from"),
                          ("salvage", "--from", "x", "--data-dir", "y")):
            self.assertEqual(chatlogd(*arguments)[0], USAGE)
        for command in ("check", "restore", "salvage"):
            status, told = chatlogd(command, "--help")
            self.assertEqual(status, OK)
            self.assertIn("Exit status", told)
        status, told = chatlogd("restore", "--from", self.backups, "--data-dir", f"{self.backups}/x")
        self.assertEqual(status, CONFIG)
        self.assertIn("manifest", told)


if __name__ == "__main__":
    unittest.main()
