"""A machine of one's own: a Debian 12 root, booted with systemd as its first process in a container without network.

The root is made once, by debootstrap from where this machine gets its own packages, and kept; every Machine is a copy
of it. Works as root only.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time

TIMEOUT = 300  # seconds that anything may take before it counts as hanging
RELEASE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,procps,bash-completion,openssl"


class Failure(Exception):
    """What was expected did not come."""


def run(*command, check=True, **options):
    """Runs a command to its end and returns it with its output, as text."""
    result = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=TIMEOUT, text=True, errors="replace", check=False,
                            **options)
    if check and result.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result


def wait_for(what, condition, pause=0.1):
    """Waits until condition() is true, and returns it."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"in {TIMEOUT} s there was never: {what}")
        time.sleep(pause)


def mirror():
    """Where this machine gets the packages of the release."""
    for line in run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)").stdout.split("\n"):
        site, codename, component = (line.split() + ["", "", ""])[:3]
        if codename == RELEASE and component == "main":
            return site
    raise Failure(f"apt's sources have no {RELEASE} main")


def root_make(directory, dependencies):
    """Makes the root with these packages in the directory, unless it is there already."""
    include = ",".join([PACKAGES, *dependencies])
    done = f"{directory}.packages"
    if os.path.isdir(directory) and os.path.exists(done):
        with open(done, encoding="utf-8") as file:
            if file.read() == include:
                return
    print("making the root with debootstrap", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(os.path.dirname(directory), exist_ok=True)
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={include}", RELEASE, directory, mirror()],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    with open(done, "w", encoding="utf-8") as file:
        file.write(include)


class Machine:
    """A copy of the root that is booted. Removed with close()."""

    def __init__(self, base):
        self.directory = tempfile.mkdtemp(prefix="chatlog-machine-", dir="/var/tmp")
        self.root = f"{self.directory}/root"
        self.nspawn = None
        self.leader = None
        run("cp", "-a", base, self.root)

    def boot(self):
        with open(f"{self.directory}/console", "ab") as console:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "-D", self.root, f"--machine={os.path.basename(self.directory)}", "-b",
                 "--register=no", "--keep-unit", "--console=pipe", "--private-network", "--link-journal=no"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        self.leader = wait_for("a first process of the machine", self.find_leader)
        wait_for("an end of the boot", lambda: self.run(
            "systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"))

    def find_leader(self):
        """The first process of the machine, as this machine numbers it."""
        if self.nspawn.poll() is not None:
            with open(f"{self.directory}/console", encoding="utf-8", errors="replace") as console:
                raise Failure(f"systemd-nspawn ended with {self.nspawn.returncode}:\n{console.read()}")
        with open(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children", encoding="ascii") as children:
            pids = children.read().split()
        return next((pid for pid in pids if os.readlink(f"/proc/{pid}/exe").endswith("/systemd")), None)

    def enter(self, *command):
        """What runs this command in the machine."""
        return ["nsenter", "--target", self.leader, "--all", "--", *map(str, command)]

    def run(self, *command, check=True):
        return run(*self.enter("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                               "DEBIAN_FRONTEND=noninteractive", *command), check=check)

    def run_as(self, user, *command, check=True):
        return self.run("runuser", "-u", user, "--", *command, check=check)

    def start(self, *command, **options):
        """Starts a command in the machine and does not wait."""
        return subprocess.Popen(self.enter(*command), stdin=subprocess.DEVNULL, **options)

    def path(self, path):
        """Where this machine sees a file of that one."""
        return self.root + path

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def close(self):
        if self.nspawn and self.nspawn.poll() is None:
            self.run("systemctl", "poweroff", check=False)
            try:
                self.nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self.nspawn.send_signal(signal.SIGTERM)
                self.nspawn.send_signal(signal.SIGTERM)
                self.nspawn.wait(60)
        run("umount", "--recursive", "--lazy", self.path("/var/lib/chatlogd"), check=False)
        shutil.rmtree(self.directory)
