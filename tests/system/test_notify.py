"""What a service manager is told: the daemon with a NOTIFY_SOCKET of the test's own, which says what systemd would
hear."""

import os
import signal
import socket
import subprocess
import sys
import time
import unittest

for other in ("../migration", "../fault"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), other))
import daemon  # noqa: E402 (the harness of the migration's tests)
from harness import report_control  # noqa: E402

WATCHDOG_US = 2_000_000


class Manager:
    """Listens where the daemon tells how it is."""

    def __init__(self, directory):
        self.path = f"{directory}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lines = []

    def receive(self, timeout):
        """Takes one message, if one comes; returns its lines."""
        self.socket.settimeout(timeout)
        try:
            lines = self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            return []
        self.lines += lines
        return lines

    def wait(self, wanted):
        """Waits for a line that begins so, and returns it."""
        deadline = time.monotonic() + daemon.TIMEOUT
        while time.monotonic() < deadline:
            for line in self.receive(1):
                if line.startswith(wanted):
                    return line
        raise AssertionError(f"{wanted} was not told, but {self.lines}")

    def forget(self):
        """Takes all there is by now."""
        while self.receive(0.01):
            pass
        self.lines = []


class Notify(unittest.TestCase):
    def setUp(self):
        self.data = daemon.Data()
        self.data.options = ("--map-size", "4G")  # under TSan there is no room for the default
        self.addCleanup(self.data.remove)
        self.manager = Manager(self.data.directory)
        self.addCleanup(self.manager.socket.close)
        os.environ["NOTIFY_SOCKET"] = self.manager.path
        os.environ["WATCHDOG_USEC"] = str(WATCHDOG_US)
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        self.addCleanup(os.environ.pop, "WATCHDOG_USEC")

    def chatlog(self, *arguments):
        return daemon.program("CHATLOG", *arguments, "--server", self.data.url)

    def hold_writer(self):
        """Starts what makes the writer hang, and waits until it has it."""
        holder = subprocess.Popen([os.environ["CHATLOG_HOLD_WRITER"], self.data.path], stdout=subprocess.PIPE)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), b"held\n")
        return holder

    def watchdog_is_fed(self):
        """Listens for twice as long as the manager would wait."""
        self.manager.forget()
        end = time.monotonic() + 2 * WATCHDOG_US / 1e6
        while time.monotonic() < end and "WATCHDOG=1" not in self.manager.lines:
            self.manager.receive(0.1)
        return "WATCHDOG=1" in self.manager.lines

    def test_ready_is_told_when_requests_are_answered(self):
        self.data.start()
        self.manager.wait("READY=1")
        self.assertEqual(self.manager.lines.count("READY=1"), 1)
        self.assertIn(b"SERVING", self.chatlog("health").upper())
        self.data.stop()

    def test_ready_is_told_after_every_listener_was_asked(self):
        os.environ["WATCHDOG_USEC"] = "0"  # nobody asks later
        self.data.start("--listen", f"ipc://{self.data.directory}/second.sock", "--listen", "tcp://127.0.0.1:0")
        self.manager.wait("READY=1")
        # Two for two files (a port that the kernel chose is not asked), and the command's own before it asks for stats.
        self.assertRegex(self.chatlog("stats"), rb"Health/Check +3 calls")
        self.data.stop()

    def test_a_daemon_that_cannot_start_is_never_ready(self):
        self.data.start("--listen", "ipc:///nowhere/at/all.sock")
        self.assertEqual(self.data.process.wait(daemon.TIMEOUT), 78)
        self.data.process = None
        self.manager.forget()
        self.assertNotIn("READY=1", self.manager.lines)

    def test_the_watchdog_is_fed_again_and_again(self):
        self.data.start()
        for _ in range(3):
            self.manager.wait("WATCHDOG=1")
        self.data.stop()

    def test_the_watchdog_is_fed_when_all_connections_are_taken(self):
        self.data.start("--connections", "1")
        self.manager.wait("READY=1")
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(self.data.url.removeprefix("ipc://"))
            other.sendall(b"\0SP\0\0\x30\0\0")
            other.recv(8)
            while b"connections refused" not in self.data.log().encode():
                self.manager.wait("WATCHDOG=1")
            self.manager.forget()
            self.manager.wait("WATCHDOG=1")
        self.data.stop()

    def test_the_watchdog_is_not_fed_while_the_writer_hangs(self):
        self.data.start()
        self.manager.wait("READY=1")
        holder = self.hold_writer()
        append = subprocess.Popen([os.environ["CHATLOG"], "append", "u", "c", "--role", "user", "text", "--timeout",
                                   "600", "--server", self.data.url], stdout=subprocess.DEVNULL)
        self.addCleanup(append.wait)
        self.addCleanup(append.kill)
        deadline = time.monotonic() + daemon.TIMEOUT
        while "the writer does not go on" not in self.data.log():
            self.data.check_alive()
            self.assertLess(time.monotonic(), deadline, self.data.log())
            self.manager.receive(0.1)
        self.assertFalse(self.watchdog_is_fed())

        holder.send_signal(signal.SIGTERM)
        self.assertEqual(append.wait(daemon.TIMEOUT), 0)
        self.manager.wait("WATCHDOG=1")
        self.data.stop()

    def test_control_a_daemon_that_does_not_run_is_found_out_and_one_that_runs_is_not(self):
        self.data.start()
        self.manager.wait("READY=1")
        fed = self.watchdog_is_fed()
        self.data.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.data.process.pid, os.WSTOPPED)  # its threads run on for a moment after the signal
        fed_while_stopped = self.watchdog_is_fed()
        self.data.process.send_signal(signal.SIGCONT)
        report_control("22", "SIGSTOP", not fed_while_stopped)
        report_control("22", "a writer that does not hang", fed)
        self.assertTrue(fed)
        self.assertFalse(fed_while_stopped)
        self.data.stop()

    def test_the_status_tells_the_layout(self):
        self.data.start()
        self.assertEqual(self.manager.wait("STATUS=Serving"), f"STATUS=Serving layout {daemon.NEWEST}")
        self.data.stop()

    def test_the_status_tells_how_a_migration_goes(self):
        self.data.take_golden("typical")
        self.data.start("--migrate", "hold")
        self.assertRegex(self.manager.wait("STATUS=Serving"),
                         rf"Serving layout 1; held \(migrate = hold\): moving from layout 1 to {daemon.NEWEST}")
        self.data.stop()
        self.data.start()
        self.data.wait_state("none")
        while self.manager.wait("STATUS=Serving") != f"STATUS=Serving layout {daemon.NEWEST}":
            pass
        self.data.stop()

    def test_a_reload_is_told_from_its_beginning_to_its_end(self):
        self.data.start()
        self.manager.wait("READY=1")
        self.manager.forget()
        self.data.process.send_signal(signal.SIGHUP)
        self.manager.wait("READY=1")
        told = [line.split("=")[0] for line in self.manager.lines]
        self.assertLess(told.index("RELOADING"), told.index("READY"))
        self.assertRegex("\n".join(self.manager.lines), r"(?m)^MONOTONIC_USEC=[1-9]\d*$")
        self.assertIn(b"SERVING", self.chatlog("health").upper())
        self.data.stop()

    def test_stopping_is_told_last(self):
        self.data.start()
        self.manager.wait("READY=1")
        self.data.stop()
        self.manager.wait("STOPPING=1")
        self.assertEqual(self.manager.receive(0.01), [])


if __name__ == "__main__":
    unittest.main()
