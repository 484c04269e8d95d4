#!/usr/bin/env python3
"""Makes the golden databases of a layout with the daemon that writes it: see README.md beside this file.

usage: generate.py CHATLOGD CHATLOG CHATLOG_GOLDEN SAMPLE.jsonl DIRECTORY

DIRECTORY gets NAME.tar.xz for each: data.mdb, requests (changes whose replay is known) and dump.jsonl (the truth, told
by that same daemon).
"""
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

READY_SECONDS = 60
EXPIRY_SECONDS = 3  # more than fill takes to expire what expires
RETENTION = "36500d"  # what is deleted softly must not be gone when the data is opened years later


class Daemon:
    """A daemon on a directory, for the length of a `with`."""

    def __init__(self, chatlogd, golden, data):
        self.url = f"ipc://{data}.sock"
        self.golden = golden
        self.process = subprocess.Popen([chatlogd, "--data-dir", data, "--listen", self.url, "--deleted-retention",
                                         RETENTION, "--log-level", "warning"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        if self.process.wait(READY_SECONDS) != 0:
            raise RuntimeError("the daemon did not end well")

    def run(self, command, *arguments):
        return subprocess.run([self.golden, command, self.url, *arguments], check=True, stdout=subprocess.PIPE).stdout


def generate(name, chatlogd, chatlog, golden, sample, directory):
    with tempfile.TemporaryDirectory() as scratch:
        data, again = f"{scratch}/data", f"{scratch}/again"
        requests, dump = f"{scratch}/requests", f"{scratch}/dump.jsonl"
        with Daemon(chatlogd, golden, data) as daemon, open(requests, "wb") as file:
            daemon.run("dump")  # waits until it is there
            if name == "adversarial":
                file.write(daemon.run("fill"))
            elif name == "typical":
                subprocess.run([chatlog, "import", sample, "--server", daemon.url], check=True)
        time.sleep(EXPIRY_SECONDS)
        shutil.copytree(data, again)  # the dump sees what is expired, and removes it
        with Daemon(chatlogd, golden, again) as daemon, open(dump, "wb") as file:
            file.write(daemon.run("dump", requests))
        with tarfile.open(f"{directory}/{name}.tar.xz", "w:xz", preset=9, format=tarfile.USTAR_FORMAT) as archive:
            for path in (f"{data}/data.mdb", requests, dump):
                archive.add(path, os.path.basename(path), filter=anonymous)


def anonymous(member):
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def main(arguments):
    if len(arguments) != 5:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 64
    os.makedirs(arguments[4], exist_ok=True)
    for name in ("empty", "typical", "adversarial"):
        generate(name, *arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
