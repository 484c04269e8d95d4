"""The real daemon, the shim that does harm to it, the load that knows what was answered, and the table of results.

Needs the environment that ctest sets: the programs CHATLOGD, CHATLOG, CHATLOG_FAULT_*, and IOFAULT, the shim. Sizes are
those of `./dev test`; CHATLOG_FAULT_SCALE multiplies them. CHATLOG_SEED repeats a run: the seed is printed first.
"""

import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = 120  # seconds that anything may take before the test counts it as hanging
SCALE = float(os.environ.get("CHATLOG_FAULT_SCALE", "1"))
SEED = int(os.environ.get("CHATLOG_SEED", random.SystemRandom().randrange(2**32)))
EXIT_BY_SHIM = 99
EXIT_DISK = 74
EXIT_CONFIG = 78

print(f"CHATLOG_SEED={SEED} CHATLOG_FAULT_SCALE={SCALE:g}", file=sys.stderr)


def scaled(count):
    return max(1, round(count * SCALE))


def tell(row):
    print(json.dumps(row), file=sys.stderr)
    path = os.environ.get("CHATLOG_FAULT_REPORT")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "seed": SEED}) + "\n")


def report(test, trials, load, faults, bad, note=""):
    """A row of the table of `./dev torture`; `load`: numbers by what they count, added up over the rounds."""
    tell({"test": test, "trials": round(trials), "load": {what: round(count) for what, count in load.items()},
          "faults": round(faults), "bad": round(bad), "note": note})


def report_control(numbers, name, caught, note=""):
    """What had to fail so that the rows of these tests ("2 3") mean something: did it?"""
    for number in numbers.split():
        tell({"control_of": number, "name": name, "caught": bool(caught), "note": note})


class Daemon:
    """A data directory, and the daemon on it when it runs."""

    def __init__(self, *options, directory=None):
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        where = os.environ.get("TMPDIR", memory)
        self.owned = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="chatlog-fault-", dir=where)
        os.makedirs(self.directory, exist_ok=True)
        self.path = f"{self.directory}/data"
        self.socket = f"{self.directory}/s.sock"
        self.url = f"ipc://{self.socket}"
        sized = any(option.startswith("--map-size") for option in options)
        self.options = options if sized else ("--map-size=4G", *options)
        self.process = None
        self.log_start = 0

    def start(self, wait=True, program="CHATLOGD", file_bytes_max=None, **harm):
        """harm: fail=, record=, backup=, clock=, lmdb= of the shim. Returns False when the daemon ended before it was
        ready."""
        environment = dict(os.environ)
        if harm:
            environment["LD_PRELOAD"] = os.environ["IOFAULT"]
            environment["IOFAULT_MET"] = self.met
            environment.update({f"IOFAULT_{key.upper()}": str(value) for key, value in harm.items()})
            if os.path.exists(self.met):
                os.remove(self.met)
        log = f"{self.directory}/log"
        self.log_start = os.path.getsize(log) if os.path.exists(log) else 0
        with open(log, "ab") as file:
            self.process = subprocess.Popen(
                [os.environ[program], "--data-dir", self.path, "--listen", self.url, *self.options],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment,
                preexec_fn=file_bytes_max and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, -1))))
        return not wait or self.wait_ready()

    @property
    def met(self):
        return f"{self.directory}/met"

    def fault_met(self):
        return os.path.exists(self.met)

    def log(self):
        with open(f"{self.directory}/log", encoding="utf-8", errors="replace") as file:
            file.seek(self.log_start)
            return file.read()[-5000:]

    def wait_log(self, text):
        """False when the daemon has ended without saying it."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if text in self.log():
                return True
            if ended:
                return False
            time.sleep(0.002)
        raise RuntimeError(f"the daemon never says {text!r}:\n{self.log()}")

    def wait_ready(self):
        return self.wait_log(" ready")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(TIMEOUT)
            self.process = None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """Its exit status; negative: a signal's number."""
        status = self.process.wait(TIMEOUT)
        self.process = None
        return status

    def stop(self):
        self.terminate()
        return self.wait()

    def running(self):
        return self.process.poll() is None

    def migrate(self, *arguments):
        return subprocess.run([os.environ["CHATLOGD"], "migrate", *arguments, "--data-dir", self.path],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)

    def verified(self):
        """None, or what `chatlogd migrate --verify` finds in the data of a stopped daemon."""
        result = self.migrate("--verify")
        return None if result.returncode == 0 else (result.stdout + result.stderr).decode()

    def memory(self):
        """Anonymous resident memory in KiB, and open files."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            anonymous = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
        return anonymous, len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def remove(self):
        self.kill()
        if self.owned and os.path.exists(self.directory):
            shutil.rmtree(self.directory)

    def stats(self):
        """What GetStats tells."""
        return json.loads(subprocess.run(
            [os.environ["CHATLOG"], "stats", "--output", "json", "--server", self.url], check=True, timeout=TIMEOUT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout)


class Caller:
    """A connection that asks for the list of users: the smallest read of the store there is."""

    HANDSHAKE = b"\0SP\0\0\x30\0\0"
    METHOD = b"chatlog.v1.AdminService/ListUsers"

    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(daemon.socket)
        self.socket.sendall(self.HANDSHAKE)
        self.take(len(self.HANDSHAKE))

    def take(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the daemon closed the connection")
            data += more
        return data

    def ask(self):
        """Returns how many seconds the answer took."""
        body = b"\x80\0\0\1\x0a" + bytes([len(self.METHOD)]) + self.METHOD
        began = time.monotonic()
        self.socket.sendall(b"\1" + len(body).to_bytes(8, "big") + body)
        header = self.take(9)
        self.take(int.from_bytes(header[1:], "big"))
        return time.monotonic() - began

    def close(self):
        self.socket.close()


class Load:
    """Clients that tell stories and know what was answered (load.c)."""

    def __init__(self, daemon, seed, clients=32, conversations=2):
        self.process = subprocess.Popen(
            [os.environ["CHATLOG_FAULT_LOAD"], daemon.socket, str(seed), str(clients), str(conversations)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        """A line of words and numbers as a dictionary."""
        words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError(f"the load ended:\n{self.process.stderr.read()}")
        return {word: float(number) for word, number in zip(words[::2], words[1::2])}

    def go(self, changes=0, pause_us=0):
        self.say(f"go {changes} {pause_us}")

    def wait(self):
        self.say("wait")
        return self.answer()

    def ask(self, line):
        self.say(line)
        return self.answer()

    def end(self):
        """What it complained about."""
        if self.process.poll() is None:
            self.say("quit")
        self.process.stdin.close()
        errors = self.process.stderr.read()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()
        self.process.stderr.close()
        return errors
