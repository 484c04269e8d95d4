"""Runs the real daemon and the real command for the tests of the command line.

Needs the environment that ctest sets: CHATLOGD and CHATLOG (the programs), SOURCE_DIR.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

CHATLOGD = os.environ["CHATLOGD"]
CHATLOG = os.environ["CHATLOG"]
SOURCE_DIR = os.environ["SOURCE_DIR"]
TIMEOUT = 120  # seconds any one command may take before the test counts it as hanging

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 64, 69


def run(*arguments, input=None, server=None, token=None, **options):
    """Runs chatlog to its end; stdout and stderr come as text."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    environment.pop("CHATLOG_SERVER", None)
    environment.pop("CHATLOG_TOKEN", None)
    if server:
        environment["CHATLOG_SERVER"] = server
    if token:
        environment["CHATLOG_TOKEN"] = token
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    if input is None:
        options.setdefault("stdin", subprocess.DEVNULL)
    else:
        options["input"] = input if isinstance(input, bytes) else input.encode()
    result = subprocess.run([CHATLOG, *map(str, arguments)], env=environment, timeout=TIMEOUT, **options)
    result.stdout = (result.stdout or b"").decode(errors="backslashreplace")
    result.stderr = (result.stderr or b"").decode(errors="backslashreplace")
    return result


class Daemon:
    """A daemon on a data directory of its own."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="chatlog-cli-")
        self.options = []  # more of its command line
        self.url = f"ipc://{self.directory}/s.sock"
        self.process = None

    def start(self):
        """Starts it and waits until `chatlog health` says that it is serving."""
        with open(f"{self.directory}/log", "ab") as log:
            self.process = subprocess.Popen(
                [CHATLOGD, "--data-dir", f"{self.directory}/data", "--listen", self.url, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + TIMEOUT
        while run("health", server=self.url).returncode != OK:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the daemon does not serve:\n" + self.log())
            time.sleep(0.05)

    def log(self):
        with open(f"{self.directory}/log", encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        """SIGTERM; the daemon must end well (a sanitizer's finding would show here)."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(TIMEOUT)
        self.process = None
        if code != 0:
            raise RuntimeError(f"the daemon ended with {code}:\n" + self.log())

    def kill(self):
        self.process.kill()
        self.process.wait(TIMEOUT)
        self.process = None

    @contextlib.contextmanager
    def paused(self):
        """It does nothing inside: waits until its last thread has stopped, which may be long after the signal."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
            yield
        finally:
            if self.process:
                self.process.send_signal(signal.SIGCONT)

    def remove(self):
        """Ends it, if it runs, and removes the data."""
        try:
            if self.process:
                self.stop()
        finally:
            shutil.rmtree(self.directory)


class DaemonTest(unittest.TestCase):
    """Tests that share one daemon; each uses users of its own (self.user)."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.remove)
        cls.daemon.start()

    def setUp(self):
        self.user = self.id().rpartition(".")[2][:100]

    def chatlog(self, *arguments, code=OK, input=None, **options):
        """Runs chatlog against the daemon and checks its exit code. Returns the result."""
        result = run(*arguments, input=input, server=self.daemon.url, **options)
        self.assertEqual(result.returncode, code, f"chatlog {arguments}: {result.stderr[-2000:]}{result.stdout[-500:]}")
        return result

    def text(self, *arguments, **options):
        return self.chatlog(*arguments, **options).stdout

    def json(self, *arguments, **options):
        """The objects that the command prints with --output json."""
        return lines_of(self.chatlog(*arguments, "--output", "json", **options).stdout)

    def fails(self, *arguments, code=FAILED, **options):
        """What a failing command says on standard error; it must not be silent."""
        error = self.chatlog(*arguments, code=code, **options).stderr
        self.assertTrue(error.startswith("chatlog: "), error)
        return error

    def imports(self, conversations, code=OK):
        """Imports conversations (dicts) and returns the counts of --output json."""
        return self.json("import", "-", input=jsonl(conversations), code=code)[0]

    def exported(self, user=None):
        """What export gives, by (user_id, conversation_id)."""
        arguments = ("--user", user) if user else ()
        return by_name(lines_of(self.text("export", *arguments)))


def lines_of(text):
    return [json.loads(line) for line in text.split("\n") if line]


def jsonl(conversations):
    return "".join(json.dumps(conversation, ensure_ascii=False) + "\n" for conversation in conversations)


def by_name(conversations):
    result = {(each["user_id"], each["conversation_id"]): each for each in conversations}
    assert len(result) == len(conversations), "a conversation is there twice"
    return result


def conversation(user, name, *messages, **members):
    """A conversation in the form that import takes."""
    return {"user_id": user, "conversation_id": name, "title": "", "metadata": {}, "messages": list(messages),
            **members}


def said(role, content):
    return {"role": role, "content": content}
