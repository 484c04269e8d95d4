"""Installs the package on a machine that boots systemd, and does to the service what happens to services.

usage: boot.py DEB ROOT: the package, and where the root of the machine is kept. Needs $CHATLOG_HOLD_WRITER and
$CHATLOG_MAKE_HISTORY, and to be root. Each step goes on where the one before ended; the first that fails ends it.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import traceback

from documents import document_commands
from machine import Failure, Machine, root_make, run, wait_for

UNIT = "chatlogd.service"
DATA = "/var/lib/chatlogd"
BACKUPS = "/var/lib/chatlog-backup/chatlogd"
CONFIG = "/etc/chatlogd/chatlogd.conf"
HISTORY_MESSAGES = 1_200_000
# What a machine changes by itself while it runs, and what apt, dpkg and the user database keep by policy.
LEFT_ALONE = re.compile(r"/(proc|sys|run|tmp|dev|var/(log|cache|tmp)|var/lib/(apt|dpkg|systemd|private))(/|$)|"
                        r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|/etc/(\.pwd\.lock|ld\.so\.cache)$")


def expect(condition, what):
    if not condition:
        raise Failure(what)


def expect_equal(got, wanted, what):
    expect(got == wanted, f"{what}: {got!r} instead of {wanted!r}")


class Service:
    """The steps, in their order: every method whose name begins with "step_"."""

    def __init__(self, machine, package):
        self.machine = machine
        self.package = package
        self.files_before = None

    # What the steps are made of.

    def show(self, name, unit=UNIT):
        return self.machine.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def is_active(self, unit=UNIT):
        return self.show("ActiveState", unit) == "active"

    def restarts(self):
        return int(self.show("NRestarts"))

    def journal(self):
        return self.machine.run("journalctl", "--unit", UNIT).stdout

    def install(self, package, machine_path="/root/chatlogd.deb"):
        shutil.copy(package, self.machine.path(machine_path))
        self.machine.run("apt-get", "install", "--yes", "--allow-downgrades", machine_path)
        os.remove(self.machine.path(machine_path))

    def chatlog(self, *arguments, user="member", check=True):
        return self.machine.run_as(user, "chatlog", *arguments, check=check)

    def append(self, text, *options, conversation="trip", check=True):
        return self.chatlog("append", "alice", conversation, "--role", "user", text, *options, check=check)

    def texts(self):
        return self.chatlog("log", "alice", "trip", "-n", "1000").stdout

    def files(self):
        """Every path there is, but for what changes by itself."""
        paths = set()
        for folder, folders, files in os.walk(self.machine.root):
            inside = folder[len(self.machine.root):]
            folders[:] = [name for name in folders if not LEFT_ALONE.match(f"{inside}/{name}")]
            paths.update(f"{inside}/{name}" for name in folders + files if not LEFT_ALONE.match(f"{inside}/{name}"))
        return paths

    def file_status(self, path):
        return self.machine.run("stat", "--format", "%a %U %G", path).stdout.strip()

    def wait_active(self, restarts):
        wait_for(f"a service that was restarted {restarts} times", lambda: self.is_active() and
                 self.restarts() == restarts)

    def data_write(self, messages):
        """Puts data of layout 1 in place of the daemon's."""
        made = f"{self.machine.directory}/data"
        run(os.environ["CHATLOG_MAKE_HISTORY"], made, messages, 1)
        for name in os.listdir(self.machine.path(DATA)):
            os.remove(self.machine.path(f"{DATA}/{name}"))
        shutil.copy(f"{made}/data.mdb", self.machine.path(DATA))
        shutil.rmtree(made)
        self.machine.run("chown", "--recursive", "chatlogd:chatlog", DATA)

    # Install and use.

    def step_installing_starts_the_service(self):
        self.files_before = self.files()
        self.install(self.package)
        self.machine.run("useradd", "member")
        self.machine.run("usermod", "--append", "--groups", "chatlog", "member")
        self.machine.run("useradd", "stranger")
        expect(self.is_active(), "the service is not active")
        self.machine.run("systemctl", "is-enabled", UNIT)
        expect_equal(self.show("Type"), "notify", "the service's type")
        wait_for("a status that tells the layout", lambda: self.show("StatusText").startswith("Serving layout "))
        for path in DATA, BACKUPS:
            expect_equal(self.file_status(path), "700 chatlogd chatlog", path)
        expect_equal(self.file_status("/run/chatlogd/chatlogd.sock"), "660 chatlogd chatlog", "the socket")
        expect_equal(self.file_status("/run/chatlogd"), "750 chatlogd chatlog", "/run/chatlogd")
        if "--peer " in self.machine.run("chatlogd", "--help").stdout:  # who may do what is said by Unix user
            self.machine.run("sh", "-c", f"echo 'peer = member: service' >>{CONFIG}")
            self.machine.run("systemctl", "restart", UNIT)

    def step_systemd_has_nothing_against_the_units(self):
        self.machine.run("systemd-analyze", "verify", "--man=no", UNIT, "chatlogd@shop.service")
        self.machine.run("systemd-analyze", "security", "--threshold=10", UNIT)
        failed = self.machine.run("systemctl", "--failed", "--plain", "--no-legend").stdout
        expect_equal(failed, "", "failed units")

    def step_a_member_of_the_group_uses_it_and_a_stranger_is_refused(self):
        self.append("When does the ferry leave?")
        expect("When does the ferry leave?" in self.texts(), "what was appended is not there")
        self.chatlog("health")
        refused = self.chatlog("health", user="stranger", check=False)
        expect_equal(refused.returncode, 69, f"a stranger is told {refused.stderr}")
        expect("usermod --append --groups chatlog" in refused.stderr, f"a stranger is told {refused.stderr}")

    def step_the_man_pages_and_the_completion_are_there(self):
        for page in "man8/chatlogd.8", "man5/chatlogd.conf.5", "man1/chatlog.1", "man3/libchatlog.3":
            # The root may leave documents out (dpkg's path-exclude), but then all of them.
            expect(f"/usr/share/man/{page}.gz" in self.machine.run("dpkg", "--listfiles", "chatlogd").stdout, page)
        completed = self.machine.run("bash", "-c", "source /usr/share/bash-completion/completions/chatlog; "
                                     "COMP_WORDS=(chatlog conv) COMP_CWORD=1; _chatlog; echo ${COMPREPLY[@]}; "
                                     "COMP_WORDS=(chatlog append --ro) COMP_CWORD=2; _chatlog; echo ${COMPREPLY[@]}; "
                                     "source /usr/share/bash-completion/completions/chatlogd; "
                                     "COMP_WORDS=(chatlogd --map) COMP_CWORD=1; _chatlogd; echo ${COMPREPLY[@]}").stdout
        expect_equal(completed.split(), ["conversations", "--role", "--map-size"], "the completions")

    # What happens to services.

    def step_a_reload_keeps_it_running(self):
        process = self.show("MainPID")
        self.machine.run("systemctl", "reload", UNIT)
        expect(self.is_active(), "the service is not active")
        expect_equal(self.show("MainPID"), process, "the process")
        expect("SIGHUP" in self.journal(), "the log does not tell of the reload")

    def step_after_kill_9_it_is_back_and_nothing_is_lost(self):
        restarts = self.restarts()
        wanted = []
        for i in range(20):
            text = f"kept {i}."
            self.append(text)
            wanted.append(text)
            if i % 5 == 4:
                self.machine.run("kill", "-KILL", self.show("MainPID"))
                restarts += 1
                self.wait_active(restarts)
        kept = self.texts()
        expect_equal([text for text in wanted if text not in kept], [], "lost")
        self.machine.run("systemctl", "reset-failed", UNIT)

    def step_a_process_that_hangs_is_restarted(self):
        restarts = self.restarts()
        self.machine.run("kill", "-STOP", self.show("MainPID"))
        self.wait_active(restarts + 1)
        expect("Watchdog timeout" in self.journal(), "the watchdog did nothing")
        self.append("after the process hung")

    def step_a_writer_that_hangs_is_restarted(self):
        restarts, process = self.restarts(), self.show("MainPID")
        shutil.copy(os.environ["CHATLOG_HOLD_WRITER"], self.machine.path("/root/hold_writer"))
        holder = self.machine.start("/root/hold_writer", DATA, stdout=subprocess.PIPE)
        expect_equal(holder.stdout.readline(), b"held\n", "what holds the writer said")
        append = self.machine.start("runuser", "-u", "member", "--", "chatlog", "append", "alice", "trip", "--role",
                                    "user", "written in spite of it", "--request-id", "once", "--timeout", "200",
                                    stdout=subprocess.DEVNULL)
        wait_for("an end of the process whose writer hangs", lambda: self.show("MainPID") != process)
        expect("the writer does not go on" in self.journal(), "nothing was logged")
        self.machine.run("pkill", "--exact", "hold_writer")
        holder.stdout.close()
        holder.wait(60)
        self.wait_active(restarts + 1)
        expect_equal(append.wait(240), 0, "the append that waited ended with")
        expect_equal(self.texts().count("written in spite of it"), 1, "it was stored")
        os.remove(self.machine.path("/root/hold_writer"))

    def step_a_full_disk_stops_writes_only_and_only_while_it_is_full(self):
        self.machine.run("systemctl", "stop", UNIT)
        self.machine.run("mount", "-t", "tmpfs", "-o", "size=80m,mode=0700,uid=chatlogd,gid=chatlog", "tmpfs", DATA)
        self.machine.run("systemctl", "start", UNIT)
        self.append("first")
        self.machine.run("dd", "if=/dev/urandom", f"of={DATA}/filler", "bs=1M", "count=20")
        wait_for("a status that tells it", lambda: "the disk is full" in self.show("StatusText"))
        refused = self.append("second", "--timeout", "1", check=False)
        expect("RESOURCE_EXHAUSTED" in refused.stderr, f"a write is told {refused.stderr}")
        expect("first" in self.texts(), "reads do not go on")
        expect(self.chatlog("health", check=False).returncode != 0, "it says that it is well")
        self.machine.run("rm", f"{DATA}/filler")
        wait_for("writes again", lambda: self.append("third", check=False).returncode == 0)
        expect(self.is_active() and self.restarts() == 0, "the service was restarted")
        self.machine.run("systemctl", "stop", UNIT)
        self.machine.run("umount", DATA)
        self.machine.run("systemctl", "start", UNIT)

    def step_a_backup_is_made_and_restored(self):
        self.append("before the backup")
        kept = self.texts()
        self.machine.run("chatlog", "backup", "one")  # takes an admin: root
        self.append("after the backup")
        self.machine.run("systemctl", "stop", UNIT)
        self.machine.run("rm", "-r", DATA)
        self.machine.run("chatlogd", "restore", "--from", f"{BACKUPS}/one", "--data-dir", DATA)
        self.machine.run("chown", "--recursive", "chatlogd:chatlog", DATA)
        self.machine.run("systemctl", "start", UNIT)
        expect_equal(self.texts(), kept, "what is there after the restore")
        expect("everything is sound" in self.machine.run("chatlog", "verify").stdout, "what was restored is not sound")

    # More than one, and TCP.

    def step_an_instance_has_its_own_data_and_does_not_see_the_others(self):
        self.machine.run("cp", CONFIG, "/etc/chatlogd/shop.conf")
        self.machine.run("systemctl", "start", "chatlogd@shop")
        server = "ipc:///run/chatlogd-shop/chatlogd.sock"
        found = self.chatlog("conversations", "alice", "--server", server).stdout
        expect_equal(found, "", "conversations in a new one")
        self.append("in the shop", "--server", server)
        expect("in the shop" not in self.texts(), "the first one has what was told the other")
        process = self.show("MainPID", "chatlogd@shop.service")
        seen = self.machine.run("nsenter", "--target", process, "--mount", "ls", "/var/lib").stdout.split()
        expect_equal(seen, ["chatlog-backup", "chatlogd-shop"], "what it sees of /var/lib")
        self.machine.run("chatlog", "backup", "one", "--server", server)
        expect(os.path.exists(self.machine.path(f"{BACKUPS}-shop/one/manifest.json")), "its backup is not there")
        seen = self.machine.run("nsenter", "--target", process, "--mount", "ls", os.path.dirname(BACKUPS)).stdout
        expect_equal(seen, "chatlogd-shop\n", "the backups that it sees")

    def step_the_drop_in_opens_tcp_on_this_machine(self):
        tcp = ("--server", "tcp://127.0.0.1:7311", "--timeout", "5")
        key = "/etc/chatlogd/token.key"
        self.machine.write(key, secrets.token_hex(32))
        self.machine.run("chown", "chatlogd", key)
        self.machine.run("chmod", "400", key)
        self.machine.run("sh", "-c", f"echo 'token-key = main:HS256:{key}' >>{CONFIG}")
        token = self.machine.run("chatlog", "token", "--key", f"main:HS256:{key}", "--user", "alice").stdout.strip()
        self.machine.run("sh", "-c", f"printf 'listen = %s\\n' ipc:///run/chatlogd/chatlogd.sock "
                                     f"tcp://127.0.0.1:7311 >>{CONFIG}")
        expect(self.chatlog("health", *tcp, check=False).returncode != 0, "TCP is open before")
        with open(os.path.join(os.environ["SOURCE_DIR"], "systemd/tcp.conf"), encoding="utf-8") as file:
            self.machine.write("/etc/systemd/system/chatlogd.service.d/tcp.conf", file.read())
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", UNIT)
        self.chatlog("health", *tcp)
        with_token = ("env", f"CHATLOG_TOKEN={token}", "chatlog", "log")
        self.machine.run_as("stranger", *with_token, "alice", "trip", *tcp)
        for command, refusal in ((("chatlog", "log", "alice"), "TOKEN_REQUIRED"),
                                 ((*with_token, "bob"), "USER_FOREIGN")):
            refused = self.machine.run_as("stranger", *command, "trip", *tcp, check=False).stderr
            expect(refusal in refused, f"instead of {refusal}: {refused}")
        shutil.rmtree(self.machine.path("/etc/systemd/system/chatlogd.service.d"))
        self.machine.run("sed", "-i", "/^listen/d; /^token-key/d", CONFIG)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", UNIT)

    # Upgrade and removal.

    def step_removing_stops_it_and_keeps_data_and_configuration(self):
        self.machine.run("apt-get", "remove", "--yes", "chatlogd")
        for unit in UNIT, "chatlogd@shop.service":
            expect(not self.is_active(unit), f"{unit} still runs")
        for path in CONFIG, "/etc/chatlogd/shop.conf", f"{DATA}/data.mdb", "/var/lib/chatlogd-shop/data.mdb":
            expect(os.path.exists(self.machine.path(path)), f"{path} is gone")
        self.install(self.package)
        expect("When does the ferry leave?" in self.texts(), "the data is gone")

    def step_an_upgrade_of_data_in_layout_1_serves_at_once_and_migrates(self):
        """The older package is this one with an older version, whose service serves layout 1 and leaves it so."""
        self.install(self.older_package())
        self.machine.run("systemctl", "stop", UNIT)
        self.data_write(HISTORY_MESSAGES)
        self.machine.run("systemctl", "start", UNIT)
        wait_for("data in layout 1", lambda: "Serving layout 1" in self.show("StatusText"))
        self.machine.run("sh", "-c", f"echo 'log-level = debug' >>{CONFIG}")
        before = self.export_digest()
        shop = "chatlogd@shop.service"
        self.machine.run("systemctl", "start", shop)
        old = self.show("MainPID", shop)

        self.install(self.package)
        expect(self.is_active(), "the service is not active after the upgrade")
        expect(self.is_active(shop) and self.show("MainPID", shop) != old, "the instance was not restarted")
        moving = wait_for("a status that tells of the migration", lambda: re.search(
            r"moving from layout 1 to \d+: \d+ % of \d+ messages",
            self.machine.run("systemctl", "status", UNIT).stdout))
        print(f"      {moving.group()}")
        self.append("written meanwhile", conversation="new")
        wait_for("an end of the migration", lambda: re.fullmatch(r"Serving layout ([2-9])", self.show("StatusText")))
        self.chatlog("forget", "alice", "--yes")
        expect_equal(self.export_digest(), before, "the digest of what is exported after the migration")
        expect("log-level = debug" in self.machine.run("cat", CONFIG).stdout, "the configuration was not kept")

    def export_digest(self):
        self.machine.run("sh", "-c", "chatlog export >/root/export")  # takes an admin: root
        size = os.path.getsize(self.machine.path("/root/export"))
        expect(size > 100 * HISTORY_MESSAGES, f"only {size} bytes are exported")
        digest = self.machine.run("sha256sum", "/root/export").stdout
        os.remove(self.machine.path("/root/export"))
        return digest

    def older_package(self):
        made = f"{self.machine.directory}/older"
        run("dpkg-deb", "--raw-extract", self.package, made)
        control = f"{made}/DEBIAN/control"
        with open(control, encoding="utf-8") as file:
            text = re.sub(r"(?m)^Version: .*$", "Version: 0.0.1", file.read())
        with open(control, "w", encoding="utf-8") as file:
            file.write(text)
        drop_in = f"{made}/usr/lib/systemd/system/chatlogd.service.d"
        os.makedirs(drop_in)
        with open(f"{drop_in}/older.conf", "w", encoding="utf-8") as file:
            file.write(f"[Service]\nExecStart=\nExecStart=/usr/sbin/chatlogd --config {CONFIG} --migrate hold\n")
        run("dpkg-deb", "--root-owner-group", "--build", made, f"{made}.deb")
        return f"{made}.deb"

    def step_purging_leaves_backups_and_nothing_else(self):
        self.machine.run("apt-get", "purge", "--yes", "chatlogd")
        backups = {f"{folder}/one/{name}" for folder in (BACKUPS, f"{BACKUPS}-shop")
                   for name in ("data.mdb", "manifest.json")}
        left = {path for path in self.files() - self.files_before if os.path.isfile(self.machine.path(path))}
        expect_equal(left, backups, "left behind")
        expect("chatlogd" in self.machine.run("cat", "/etc/passwd").stdout, "the user's number may be given away")
        self.machine.run("rm", "-r", os.path.dirname(BACKUPS))

    def step_every_command_for_root_in_the_documents_works(self):
        """In their order, each document for itself; who reads it has a checkout, the package and a user "bot"."""
        checkout = "/root/checkout"
        os.makedirs(self.machine.path(f"{checkout}/build-package"))
        shutil.copy(self.package, self.machine.path(f"{checkout}/build-package"))
        self.machine.run("useradd", "bot")
        commands = [command for command in document_commands(os.environ["SOURCE_DIR"]) if command.as_root]
        expect(len(commands) > 30, f"the documents have only {len(commands)} commands for root")
        for path in dict.fromkeys(command.path for command in commands):
            self.machine.run("systemctl", "reset-failed", check=False)  # systemd counts every start
            if path != "README.md":  # which tells how to install it
                self.install(self.package)
            for command in commands:
                if command.path == path:
                    print(f"      {command}", flush=True)
                    self.machine.run("bash", "-c", f"cd {checkout}; apt() {{ apt-get --yes \"$@\"; }}; {command.text}")
            self.machine.run("dpkg", "--purge", "chatlogd")
        # What who follows them makes by hand, and what a purge keeps.
        self.machine.run("rm", "-r", checkout, os.path.dirname(BACKUPS), f"{DATA}.salvaged",
                         "/etc/systemd/system/chatlogd.service.d")

    def step_then_nothing_is_left(self):
        for user in "member", "stranger", "bot":
            self.machine.run("userdel", user)
        expect_equal(sorted(self.files() - self.files_before), [], "left behind")


def dependencies(package):
    """The packages it needs, the first of alternatives."""
    depends = run("dpkg-deb", "--field", package, "Depends").stdout
    return sorted({re.match(r"[a-z0-9.+-]+", one.strip()).group() for one in depends.split(",")} - {"systemd"})


def main():
    package, base = sys.argv[1:]
    root_make(os.path.abspath(base), dependencies(package))
    machine = Machine(os.path.abspath(base))
    steps = [name for name in vars(Service) if name.startswith("step_")]
    passed = 0
    try:
        machine.boot()
        service = Service(machine, package)
        for name in steps:
            print(f"{passed + 1:3}  {name[len('step_'):].replace('_', ' ')}", flush=True)
            getattr(service, name)()
            passed += 1
    except (Failure, subprocess.SubprocessError, OSError):
        traceback.print_exc()
        if machine.leader:
            print(machine.run("journalctl", "--no-pager", "--lines", "60", check=False).stdout)
    finally:
        machine.close()
    print(f"{passed} passed, {len(steps) - passed} failed")
    return 0 if passed == len(steps) else 1


if __name__ == "__main__":
    sys.exit(main())
