"""Every command that the documents tell people to type works: each is run against a real daemon in a directory of its
own, in the order in which it is written. Those for root are run by boot.py."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

from documents import command_lines, document_commands, document_fences, inline_commands

SOURCE = os.environ["SOURCE_DIR"]
sys.path.insert(0, f"{SOURCE}/tests/cli")
from daemon import CHATLOG, CHATLOGD, TIMEOUT, Daemon, run  # noqa: E402  (it is not beside this file)

PROGRAMS = {"chatlog": CHATLOG, "chatlogd": CHATLOGD}
# What is typed while a command runs that would not end by itself, and how it then ends.
TYPED = {
    "chatlog top": ("q", 0),
    "chatlog stats --watch 10 --output json": ("\x03", -signal.SIGINT),
    "chatlog bench --seconds 2": ("y\n", 0),
    "chatlogd --data-dir data --listen ipc://$PWD/chatlogd.sock": ("\x03", 0),
}
# What is added to a command that would not end by itself, or would look for the daemon that is installed.
ADDED = {
    "./dev run": "--once",
    "python3 client/example/python/example.py": "$SOCKET",
    "cd client/example/typescript && npm ci && npm run build && node dist/example.js": "$SOCKET",
}
# For these there must be a command of that name.
TOO_LONG = ("./dev test", "./dev bench --quick", "./dev bench --quick --systems chatlogd")
SHELLS = ("", "sh", "bash", "shell", "console")


def bare(text):
    """A command without its comment and the blanks before that."""
    return re.sub(r"\s+#\s.*$", "", text)


class Scratch:
    """A directory with what the documents take for granted, and a daemon."""

    def __init__(self):
        self.daemon = Daemon()
        self.path = f"{self.daemon.directory}/scratch"
        os.makedirs(f"{self.daemon.directory}/backups")
        for folder in ("client/example", "proto"):
            shutil.copytree(f"{SOURCE}/{folder}", f"{self.path}/{folder}",
                            ignore=shutil.ignore_patterns("node_modules", "dist", "gen"))
        self.write("token.key", os.urandom(32).hex())
        self.daemon.options = ["--backup-dir", f"{self.daemon.directory}/backups",
                               "--token-key", f"main:HS256:{self.path}/token.key"]
        self.daemon.start()
        self.write("admin.token", run("token", "--key", f"main:HS256:{self.path}/token.key", "--scope", "admin").stdout)
        with open(f"{SOURCE}/tests/sample/conversations.jsonl", encoding="utf-8") as file:
            self.write("conversations.jsonl", file.read().replace('"mira"', '"alice"'))
        run("import", f"{self.path}/conversations.jsonl", server=self.daemon.url)

    def write(self, name, text):
        with open(f"{self.path}/{name}", "w", encoding="utf-8") as file:
            os.chmod(file.fileno(), 0o600)
            file.write(text)

    def run(self, text, keys):
        """Types the command on a terminal, then the keys once it has said something. Returns its status and output."""
        folders = ":".join(dict.fromkeys(os.path.dirname(program) for program in PROGRAMS.values()))
        environment = {**os.environ, "PATH": f"{folders}:/usr/bin:{os.environ['PATH']}", "TERM": "xterm",
                       "LC_ALL": "C.UTF-8", "CHATLOG_SERVER": self.daemon.url,
                       "SOCKET": self.daemon.url.removeprefix("ipc://"), "npm_config_prefer_offline": "true",
                       "LINES": "40", "COLUMNS": "120"}
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(SOURCE if text.startswith("./dev") else self.path)
            os.execvpe("bash", ["bash", "-c", "exec " * bool(keys) + text], environment)
        shown, deadline = b"", time.monotonic() + 5 * TIMEOUT
        try:
            while chunk := os.read(terminal, 65536):
                shown += chunk
                if keys:
                    os.write(terminal, keys.encode())
                    keys = ""
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
        except OSError:
            pass  # it has ended
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


class Reading(unittest.TestCase):
    def lines(self, path, text):
        return [(line, as_root) for _, line, as_root in command_lines(path, text) if line is not None]

    def test_what_is_indented_in_markdown_is_typed(self):
        text = "Words.\n\n    a\n    b \\\n    c\n\n<!-- as root -->\n\n    d\n\nWords.\n\n    e\n\n```c\n    f\n```\n"
        self.assertEqual(self.lines("a.md", text), [("a", False), ("b \\", False), ("c", False), ("d", True),
                                                    ("e", False)])

    def test_what_is_literal_under_the_examples_of_a_page_is_typed(self):
        text = ("# NAME\n\n```\na\n```\n\n# EXAMPLES\n\n```\nb\n```\n\n; as root\n```\nc\n```\n\n# FILES\n\n"
                "```\nd\n```\n")
        self.assertEqual(self.lines("a.1.scd", text), [("b", False), ("c", True)])


class Documents(unittest.TestCase):
    def test_every_command_for_everybody_works(self):
        commands = [command for command in document_commands(SOURCE) if not command.as_root]
        self.assertGreater(len(commands), 15)
        typed = [bare(command.text) for command in commands]
        gone = [text for text in (*TYPED, *ADDED, *TOO_LONG) if text not in typed]
        self.assertEqual(gone, [], "no document has these")
        for path in dict.fromkeys(command.path for command in commands):
            scratch = Scratch()
            self.addCleanup(scratch.daemon.remove)
            for command in commands:
                if command.path == path:
                    with self.subTest(str(command)):
                        self.works(scratch, bare(command.text))

    def works(self, scratch, text):
        if text in TOO_LONG:
            self.is_command_of_dev(text.split()[1])
            return
        keys, wanted = TYPED.get(text, ("", 0))
        status, shown = scratch.run(f"{text} {ADDED.get(text, '')}", keys)
        self.assertEqual(status, wanted, shown[-2000:])

    def is_command_of_dev(self, name):
        self.assertRegex(self.output("./dev", "help"), rf"(?m)^  {name} ")

    def test_every_fence_says_what_it_holds(self):
        """A command within a fence would be run by nobody."""
        for path, line, language, _ in document_fences(SOURCE):
            self.assertNotIn(language, SHELLS, f"{path}:{line}")

    def test_settings_are_taken(self):
        settings = [text for _, _, language, text in document_fences(SOURCE) if language == "ini"]
        self.assertGreater(len(settings), 0)
        scratch = Scratch()
        self.addCleanup(scratch.daemon.remove)
        for text in settings:
            scratch.write("settings", "[chatlogd]\ndata-dir = /data\n" + text)
            shown = self.output(CHATLOGD, "--config", f"{scratch.path}/settings", "--print-config")
            self.assertTrue(set(text.splitlines()) <= set(shown.splitlines()), shown)

    def output(self, *command):
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=TIMEOUT, text=True, check=False, cwd=SOURCE)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def test_what_a_sentence_names_is_there(self):
        """The commands, subcommands and options of ours that are written within sentences."""
        checked = 0
        for path, words in inline_commands(SOURCE):
            program, is_command = words[0], re.fullmatch("[a-z][a-z-]*", words[1])
            with self.subTest(path=path, words=words):
                if program == "./dev":
                    self.is_command_of_dev(words[1])
                    continue
                asked = ("help", words[1]) if program == "chatlog" and is_command else (
                    words[1], "--help") if is_command else ("--help",)
                shown = self.output(PROGRAMS[program], *asked)
                for option in re.findall(r"--[a-z-]+", " ".join(words)):
                    self.assertRegex(shown, rf"{option}\b")
                checked += 1
        self.assertGreater(checked, 10)


if __name__ == "__main__":
    unittest.main()
