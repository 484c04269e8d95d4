"""What the command says when it is used wrongly, asked for help, or finds no daemon. No daemon runs here."""

import os
import socket
import tempfile
import unittest

from daemon import FAILED, OK, UNREACHABLE, USAGE, run

COMMANDS = ("import export conversations log append pop rename delete undelete purge forget info stats health "
            "audit help").split()


class Usage(unittest.TestCase):
    def rejects(self, *arguments, says):
        result = run(*arguments)
        self.assertEqual(result.returncode, USAGE, result.stderr)
        self.assertTrue(result.stderr.startswith("chatlog: "), result.stderr)
        self.assertIn(says, result.stderr)
        self.assertIn("Try `chatlog help", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_no_command(self):
        self.rejects(says="no command was given")

    def test_an_unknown_command(self):
        self.rejects("frobnicate", says="there is no command 'frobnicate'")

    def test_an_unknown_option(self):
        self.rejects("--frobnicate", says="there is no option '--frobnicate'")
        self.rejects("info", "--frobnicate", says="this command has no option '--frobnicate'")
        self.rejects("info", "-x", says="this command has no option '-x'")
        self.rejects("conversations", "u", "-n", "5", says="this command has no option '-n'")

    def test_options_of_a_command_before_its_name(self):
        self.rejects("-n", "5", "log", "u", "c", says="options of a command come after its name")

    def test_too_few_words(self):
        for words in (["import"], ["conversations"], ["log", "u"], ["append", "u", "--role", "user"], ["pop", "u"],
                      ["rename", "u", "c"], ["delete", "u"], ["undelete", "u"], ["purge", "u"], ["forget", "--yes"]):
            with self.subTest(words):
                self.rejects(*words, says=f"usage: chatlog {words[0]}")

    def test_too_many_words(self):
        for words in (["import", "a", "b"], ["export", "a"], ["conversations", "u", "c"], ["log", "u", "c", "x"],
                      ["append", "u", "c", "t", "x"], ["pop", "u", "c", "x"], ["rename", "u", "c", "t", "x"],
                      ["delete", "u", "c", "x"], ["undelete", "u", "c", "x"], ["purge", "u", "c", "x"],
                      ["forget", "u", "x"], ["info", "x"], ["stats", "x"], ["health", "x"], ["audit", "x"],
                      ["help", "log", "x"]):
            with self.subTest(words):
                self.rejects(*words, says="is one word too many")

    def test_times_that_are_none(self):
        for value in ("", "yesterday", "2025-13-01", "2025-11-22T", "2025-11-22T25:00:00", "2025-11-22 08:40:00",
                      "2025-11-22T08:40:00+01:00", "2025-11-22x", "1969-12-31", "9999-01-01"):
            with self.subTest(value):
                self.rejects("audit", "--since", value, says="--since takes a time like 2025-11-22")
                self.rejects("audit", f"--until={value}", says="--until takes a time like 2025-11-22")

    def test_numbers_out_of_range(self):
        for value in ("0", "-1", "x", "", "1x", " 1", "99999999999999999999999", "0x10"):
            with self.subTest(value):
                self.rejects("log", "u", "c", f"--count={value}", says="--count takes a number from 1 to")
        self.rejects("pop", "u", "c", "-n", "1001", says="from 1 to 1000")
        self.rejects("pop", "u", "c", "-n0", says="from 1 to 1000")
        self.rejects("info", "--timeout", "601", says="--timeout takes a number from 1 to 600, not '601'")
        self.rejects("log", "u", "c", "--around", "1", "-n", "1001", says="-n takes at most 1000")

    def test_values_missing_or_not_wanted(self):
        self.rejects("info", "--server", says="--server needs a value")
        self.rejects("log", "u", "c", "-n", says="--count needs a value")
        self.rejects("conversations", "u", "--archived=yes", says="--archived takes no value")
        self.rejects("info", "--output", "xml", says="--output takes text|json, not 'xml'")
        self.rejects("info", "--output", "tex", says="--output takes text|json")

    def test_one_anchor_at_most(self):
        self.rejects("log", "u", "c", "--before", "3", "--after", "1", says="only one of --before")
        self.rejects("log", "u", "c", "--after", "0", "--around", "0", says="only one of --before")

    def test_append_without_role(self):
        self.rejects("append", "u", "c", "text", says="--role is needed")

    def test_forget_without_yes(self):
        self.rejects("forget", "u", says="add --yes")

    def test_a_url_that_is_none(self):
        result = run("info", "--server", "http://example.org")
        self.assertEqual(result.returncode, USAGE)
        self.assertIn("chatlog: INVALID_ARGUMENT: ", result.stderr)

    def test_escapes_in_words_do_not_reach_the_terminal(self):
        result = run("\x1b[2J")
        self.assertEqual(result.returncode, USAGE)
        self.assertIn("\\x1b[2J", result.stderr)
        self.assertNotIn("\x1b", result.stderr)


class Help(unittest.TestCase):
    def helps(self, *arguments):
        result = run(*arguments)
        self.assertEqual((result.returncode, result.stderr), (OK, ""))
        return result.stdout

    def test_help_names_every_command(self):
        for arguments in (["help"], ["--help"], ["-h"]):
            text = self.helps(*arguments)
            for command in COMMANDS:
                self.assertIn(f"\n  {command} ", text)
            self.assertIn("--server URL", text)

    def test_every_command_has_help(self):
        for command in COMMANDS:
            with self.subTest(command):
                text = self.helps("help", command)
                self.assertTrue(text.startswith(f"usage: chatlog {command}"), text)
                self.assertEqual(text, self.helps(command, "--help"))
                self.assertEqual(text, self.helps("--help", command))

    def test_help_shows_the_options_of_the_command(self):
        self.assertIn("-n, --count N", self.helps("help", "log"))
        self.assertIn("--expected-last-seq SEQ", self.helps("help", "append"))
        self.assertIn('"chatlog"', self.helps("help", "export"))

    def test_help_on_what_is_no_command(self):
        self.assertEqual(run("help", "frobnicate").returncode, USAGE)

    def test_version(self):
        self.assertRegex(self.helps("--version"), r"^chatlog \d+\.\d+\.\d+\n$")

    def test_help_and_version_that_cannot_be_written(self):
        for arguments in (["help"], ["--help"], ["--version"]):
            with open("/dev/full", "wb") as full:
                result = run(*arguments, stdout=full)
            self.assertEqual(result.returncode, FAILED)
            self.assertIn("chatlog: DATA_LOSS: OUTPUT_FAILED", result.stderr)


class Unreachable(unittest.TestCase):
    def unreachable(self, *arguments, url, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, UNREACHABLE, result.stderr)
        self.assertTrue(result.stderr.startswith("chatlog: UNAVAILABLE: "), result.stderr)
        self.assertIn(url, result.stderr)
        self.assertIn("Name another daemon with --server URL", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_no_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            url = f"ipc://{directory}/none.sock"
            self.unreachable("info", "--server", url, url=url)
            self.unreachable("--timeout", "1", "health", url=url, server=url)

    def test_the_option_wins_over_the_environment(self):
        with tempfile.TemporaryDirectory() as directory:
            url = f"ipc://{directory}/option.sock"
            self.unreachable("stats", "--server", url, "--timeout", "1", url=url,
                             server=f"ipc://{directory}/environment.sock")

    def test_somebody_else_listens_there(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(directory, "other.sock")
            listener.bind(path)
            listener.listen()
            self.unreachable("info", "--timeout", "1", "--server", f"ipc://{path}", url=path)


if __name__ == "__main__":
    unittest.main()
