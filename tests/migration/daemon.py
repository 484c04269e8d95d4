"""Runs the real daemon on data of an older layout, for the tests of migration that kill it, starve it and watch it.

Needs the environment that ctest sets: GOLDEN_DIR, and the programs CHATLOGD, CHATLOG, CHATLOG_GOLDEN, CHATLOG_LOAD and
CHATLOG_MAKE_HISTORY.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

TIMEOUT = 240  # seconds that anything may take before the test counts it as hanging
NEWEST = 3

GOLDEN_DIR = os.environ["GOLDEN_DIR"]


def program(name, *arguments, **options):
    """Runs a program to its end and returns what it printed. Raises when it fails."""
    return subprocess.run([os.environ[name], *map(str, arguments)], check=True, timeout=TIMEOUT, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, **options).stdout


class Data:
    """A data directory, and the daemon on it when it runs."""

    def __init__(self, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="chatlog-migration-")
        self.path = f"{self.directory}/data"
        self.url = f"ipc://{self.directory}/s.sock"
        self.options = ()
        self.process = None
        self.golden = None

    def take_golden(self, name, layout=1):
        self.golden = os.path.join(GOLDEN_DIR, f"layout-{layout}", name)
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        shutil.copy(f"{self.golden}/data.mdb", self.path)

    def make_history(self, messages, layout=1):
        """Returns how many conversations there are."""
        return int(program("CHATLOG_MAKE_HISTORY", self.path, messages, layout))

    def start(self, *options, **harm):
        """harm: fail=, lmdb= of the shim (tests/fault/shim)."""
        environment = dict(os.environ)
        if harm:
            environment["LD_PRELOAD"] = os.environ["IOFAULT"]
            environment.update({f"IOFAULT_{key.upper()}": value for key, value in harm.items()})
        with open(f"{self.directory}/log", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["CHATLOGD"], "--data-dir", self.path, "--listen", self.url, "--deleted-retention", "36500d",
                 *self.options, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def kill(self):
        """Ends the daemon at once, if it runs."""
        if self.process:
            self.process.kill()
            self.process.wait(TIMEOUT)
            self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(TIMEOUT)
        self.process = None
        if status != 0:
            raise RuntimeError(f"the daemon ended with {status}:\n{self.log()}")

    def log(self):
        with open(f"{self.directory}/log", encoding="utf-8", errors="replace") as log:
            return log.read()[-5000:]

    def migration(self):
        """What GetMigration says, and the layout as "layout"."""
        try:
            info = json.loads(program("CHATLOG", "info", "--output", "json", "--server", self.url))
        except subprocess.CalledProcessError as error:
            self.check_alive()
            raise RuntimeError(f"no answer:\n{self.log()}") from error
        return {**info["migration"], "layout": info["layout"]}

    def check_alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the daemon ended with {self.process.returncode}:\n{self.log()}")

    def wait_state(self, *states):
        """Waits until the migration is in one of these states, and returns what it says."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            migration = self.migration()
            if migration["state"] in states:
                return migration
            if time.monotonic() > deadline:
                raise RuntimeError(f"still {migration}:\n{self.log()}")
            time.sleep(0.02)

    def dump_differs(self):
        """Compares what the daemon tells with what the golden database must hold."""
        self.check_alive()
        dump = program("CHATLOG_GOLDEN", "dump", self.url, f"{self.golden}/requests")
        with open(f"{self.golden}/dump.jsonl", "rb") as file:
            truth = file.read()
        return None if dump == truth else first_difference(truth, dump)

    def migrate(self, *arguments, **options):
        """Runs `chatlogd migrate` on the data; returns the finished process."""
        return subprocess.run([os.environ["CHATLOGD"], "migrate", *arguments, "--data-dir", self.path], timeout=TIMEOUT,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)

    def status(self):
        """What `chatlogd migrate --status` says."""
        result = self.migrate("--status")
        if result.returncode != 0:
            raise RuntimeError(result.stderr)
        return json.loads(result.stdout)

    def remove(self):
        if self.process:
            self.kill()
        shutil.rmtree(self.directory)


def first_difference(wanted, got):
    for number, (line, other) in enumerate(zip(wanted.split(b"\n"), got.split(b"\n")), 1):
        if line != other:
            return f"line {number}: {line[:1000]!r}\nbecame {other[:1000]!r}"
    return f"{len(wanted)} bytes became {len(got)}"
