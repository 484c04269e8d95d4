"""A daemon with a directory for backups: making them, restoring them, and what a power cut leaves of one.

A record of the shim (IOFAULT_BACKUP) is played back to any point: what was synced is there; what was written since may
be, wholly, in part or not at all, and so may the names.
"""

import dataclasses
import os
import shutil
import struct
import subprocess
import time

from harness import TIMEOUT, Daemon

SECTOR = 512
CUTS = ("all", "none", "prefix", "sectors")


def now_us():
    return time.monotonic_ns() // 1000


def restore(backup, data_dir):
    """None, or why the backup was refused."""
    result = subprocess.run([os.environ["CHATLOGD"], "restore", "--from", backup, "--data-dir", data_dir],
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    return None if result.returncode == 0 else f"status {result.returncode}: {result.stderr.decode()}"


class Keeper(Daemon):
    """A daemon that keeps its backups beside its data."""

    def __init__(self, *options):
        super().__init__(*options)
        self.backups = f"{self.directory}/backups"
        os.mkdir(self.backups)
        self.options += (f"--backup-dir={self.backups}",)

    def ask_backup(self, name):
        return subprocess.Popen(
            [os.environ["CHATLOG"], "backup", name, "--server", self.url, "--timeout", str(TIMEOUT)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def backup(self, name):
        """None, or why there is none."""
        asked = self.ask_backup(name)
        _, told = asked.communicate(timeout=TIMEOUT)
        return None if asked.returncode == 0 else told.decode()

    def names(self):
        """Backups that are there for everybody to see."""
        return [name for name in os.listdir(self.backups) if not name.startswith(".")]

    def copy_differs(self, name, load, asked_us, answered_us):
        """Restores the backup, serves it, and compares it with what was answered until one moment of that time. None,
        or what is wrong."""
        copy = Daemon()
        try:
            refused = restore(f"{self.backups}/{name}", copy.path)
            if refused or not copy.start():
                return f"{name}: {refused or copy.log()}"
            told = load.ask(f"copy {copy.socket} {asked_us} {answered_us}")
            status = copy.stop()
            found = copy.verified()
            if told["apart"] or status != 0 or found:
                return f"{name} is of no moment: {told}, status {status}, {found}"
            return None
        finally:
            copy.remove()

    def forget(self, name):
        shutil.rmtree(f"{self.backups}/{name}")


@dataclasses.dataclass
class Event:
    kind: str
    descriptor: int
    data: bytes


def events_of(record):
    """What the shim has written down."""
    head = struct.Struct("=IIQ")
    with open(record, "rb") as file:
        text = file.read()
    events = []
    at = 0
    while at + head.size <= len(text):
        kind, size, descriptor = head.unpack_from(text, at)
        at += head.size + size
        events.append(Event(chr(kind), descriptor, text[at - size:at]))
    return events


class Disk:
    """The disk of the backups, event by event."""

    def __init__(self):
        self.open = {}  # descriptor: name
        self.durable = {}  # file: bytes
        self.loose = {}  # file: what was written since
        self.entries = set()  # files that are in the directory for sure
        self.renamed = self.named = False

    def play(self, event):
        name = self.open.get(event.descriptor)
        if event.kind == "O":
            name = event.data.decode()
            self.open[event.descriptor] = name
            if name != ".making":
                self.durable[name] = self.loose[name] = b""
        elif event.kind == "W":
            self.loose[name] += event.data
        elif event.kind == "R":
            self.renamed = True
            self.open[event.descriptor] = "directory"
        elif name == "directory":
            self.named = self.renamed
        elif name == ".making":
            self.entries = set(self.durable)
        else:
            self.durable[name] += self.loose[name]
            self.loose[name] = b""

    def loose_left(self, name, cut, chance):
        loose = self.loose[name]
        if cut == "prefix":
            return loose[:chance.randrange(len(loose) + 1)]
        if cut == "sectors":
            sectors = [loose[at:at + SECTOR] for at in range(0, len(loose), SECTOR)]
            return b"".join(sector if chance.random() < 0.5 else bytes(len(sector)) for sector in sectors)
        return loose if cut == "all" else b""

    def cut(self, cut, chance):
        """The files of the backup after a power cut; None: it has not its name."""
        if not self.named and not (self.renamed and cut != "none" and chance.random() < 0.5):
            return None
        return {name: self.durable[name] + self.loose_left(name, cut, chance) for name in sorted(self.durable)
                if name in self.entries or cut == "all" or chance.random() < 0.5}
