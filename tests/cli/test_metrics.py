"""The metrics' listener of a real daemon: what it tells, and what it does with clients that behave badly."""

import http.client
import os
import re
import shutil
import socket
import stat
import subprocess
import time
import unittest

from daemon import CHATLOGD, TIMEOUT, Daemon, DaemonTest

LINE = re.compile(r'chatlogd_\w+(?:\{\w+="[^"\\]*"(?:,\w+="[^"\\]*")*\})? [0-9.]+')
CONNECTIONS_MAX = 16
CONNECTION_SECONDS = 10


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = connect(self.path)


def private(path, flags):
    return os.open(path, flags, 0o600)


def connect(path):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(30)
    one.connect(path)
    return one


def ask(connection, path, method="GET", **more):
    """Status, type and text of an answer, of which there is one a connection."""
    connection.request(method, path, **more)
    answer = connection.getresponse()
    result = answer.status, answer.getheader("Content-Type"), answer.read().decode()
    assert answer.getheader("Connection") == "close"
    connection.close()
    return result


class Metrics(DaemonTest):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.remove)
        cls.path = f"{cls.daemon.directory}/metrics.sock"
        cls.key = f"main:HS256:{cls.daemon.directory}/key"
        with open(f"{cls.daemon.directory}/key", "w", encoding="ascii", opener=private) as key:
            key.write("0123456789abcdef" * 4)
        cls.daemon.options = ["--metrics-listen", f"ipc://{cls.path}", "--token-key", cls.key]
        cls.daemon.start()

    def ask(self, path, **more):
        return ask(UnixConnection(self.path), path, **more)

    def metrics(self):
        """{'chatlogd_users': 1.0, 'chatlogd_requests_total{method="..."}': ...}"""
        status, kind, text = self.ask("/metrics")
        self.assertEqual((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"))
        values = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                self.assertRegex(line, f"^{LINE.pattern}$")
                name, _, value = line.rpartition(" ")
                self.assertNotIn(name, values)
                values[name] = float(value)
        return values

    def test_requests_and_what_is_stored_are_counted(self):
        method = 'method="chatlog.v1.HistoryService/AppendMessages"'
        before = self.metrics()
        for _ in range(3):
            self.text("append", self.user, "c", "--role", "user", "hello")
        self.fails("append", self.user, "c", "--role", "user", "x", "--expected-last-seq", 0)
        after = self.metrics()

        def grown(name):
            return after[name] - before.get(name, 0)
        self.assertEqual(grown("chatlogd_messages"), 3)
        self.assertEqual(grown("chatlogd_content_bytes"), 15)
        self.assertEqual(grown("chatlogd_changes_total"), 3)
        self.assertEqual(grown("chatlogd_commit_changes_count"), 3)
        self.assertGreaterEqual(grown("chatlogd_commits_total"), 3)
        self.assertGreaterEqual(grown("chatlogd_commit_duration_seconds_count"), 3)
        self.assertGreater(grown("chatlogd_commit_duration_seconds_sum"), 0)
        self.assertEqual(grown(f'chatlogd_requests_total{{{method},code="OK"}}'), 3)
        self.assertEqual(grown(f'chatlogd_requests_total{{{method},code="ABORTED"}}'), 1)
        self.assertEqual(grown(f"chatlogd_request_duration_seconds_count{{{method}}}"), 4)
        self.assertEqual(grown(f'chatlogd_request_duration_seconds_bucket{{{method},le="+Inf"}}'), 4)
        self.assertGreater(grown(f"chatlogd_request_duration_seconds_sum{{{method}}}"), 0)
        self.assertGreaterEqual(grown("chatlogd_connections_accepted_total"), 4)
        self.assertEqual(after["chatlogd_ready"], 1)
        self.assertEqual(after["chatlogd_data_file_bytes"],
                         after["chatlogd_data_used_bytes"] + after["chatlogd_data_free_bytes"])

    def test_audit_events_and_refused_connections_are_counted(self):
        before = self.metrics()
        self.text("append", self.user, "c", "--role", "user", "hello")
        self.text("rename", self.user, "c", "a title")
        with connect(self.daemon.url.removeprefix("ipc://")) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while stranger.recv(4096):
                pass
        after = self.metrics()
        self.assertEqual(after["chatlogd_audit_events_total"] - before["chatlogd_audit_events_total"], 1)
        name = 'chatlogd_connections_refused_total{reason="malformed"}'
        self.assertEqual(after[name] - before[name], 1)

    def test_folded_conversations_are_counted(self):
        before = self.metrics()["chatlogd_journal_folds_total"]
        for _ in range(2):  # the first creates the conversation, and only the second goes to the journal
            self.text("append", self.user, "c", "--role", "user", "hello")
        deadline = time.monotonic() + TIMEOUT
        while self.metrics()["chatlogd_journal_folds_total"] == before and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.metrics()["chatlogd_journal_folds_total"] - before, 1)

    def test_tokens_are_counted(self):
        before = self.metrics()
        self.fails("stats", token="nonsense")
        self.text("stats", token=self.text("token", "--key", self.key, "--scope", "admin").strip())
        after = self.metrics()
        for name in ("chatlogd_tokens_refused_total", "chatlogd_tokens_verified_total"):
            self.assertEqual(after[name] - before[name], 1)

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool")
    def test_promtool_finds_no_fault(self):
        self.text("append", self.user, "c", "--role", "user", "hello")
        _, _, text = self.ask("/metrics")
        result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))

    def test_health_and_readiness(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.ask(path), (200, "text/plain; charset=utf-8", "ok\n"))

    def test_other_requests_are_refused(self):
        self.assertEqual(self.ask("/")[0], 404)
        self.assertEqual(self.ask("/metrics/")[0], 404)
        self.assertEqual(self.ask("/metrics", method="DELETE")[0], 405)
        self.assertEqual(self.ask("/metrics", method="POST")[0], 405)
        self.assertEqual(self.ask("/healthz", method="HEAD"), (200, "text/plain; charset=utf-8", ""))

    def test_hostile_bytes_end_only_their_connection(self):
        for sent in (b"\0\1\2\3\r\n\r\n", b"GET /" + b"x" * 100000, b"GET / HTTP/1.1\r\nA: " + b"y" * 100000,
                     b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"):
            with connect(self.path) as one:
                try:
                    one.sendall(sent)
                    one.shutdown(socket.SHUT_WR)
                    while one.recv(4096):
                        pass
                except OSError:
                    pass
        self.assertEqual(self.ask("/healthz")[0], 200)

    def test_slow_clients_are_let_go_and_requests_do_not_notice(self):
        """They fill every place and send a byte now and then, so that none is ever silent for long."""
        slow = [connect(self.path) for _ in range(CONNECTIONS_MAX)]
        begun = time.monotonic()
        while time.monotonic() - begun < CONNECTION_SECONDS + 3:
            for one in slow:
                try:
                    one.sendall(b"G")
                except OSError:
                    pass
            self.text("append", self.user, "c", "--role", "user", "hello")
            time.sleep(0.5)
        self.assertEqual(self.ask("/healthz")[0], 200)
        for one in slow:
            one.close()

    def test_the_socket_is_for_owner_and_group(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)


class Listening(unittest.TestCase):
    def start(self, url):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        daemon.options = ["--metrics-listen", url.replace("DIRECTORY", daemon.directory)]
        daemon.start()
        return daemon

    def test_loopback(self):
        for address, host in (("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")):
            daemon = self.start(f"tcp://{address}:0")
            port = re.search(r"metrics on http://\S+:(\d+)/metrics", daemon.log()).group(1)
            self.assertEqual(ask(http.client.HTTPConnection(host, int(port), timeout=30), "/readyz")[0], 200)

    def test_nothing_else(self):
        for url in ("tcp://0.0.0.0:9464", "tcp://192.0.2.1:9464", "tcp://[::]:9464", "tcp://localhost:9464", "9464"):
            result = subprocess.run([CHATLOGD, "--data-dir", "/nowhere", "--metrics-listen", url],
                                    capture_output=True, text=True)
            self.assertEqual(result.returncode, 64, result.stderr)
            self.assertIn("--metrics-listen", result.stderr)

    def test_the_socket_goes_with_the_daemon_and_a_stale_one_is_replaced(self):
        daemon = self.start("ipc://DIRECTORY/m.sock")
        path = f"{daemon.directory}/m.sock"
        daemon.kill()
        self.assertTrue(os.path.exists(path))
        daemon.start()
        self.assertEqual(ask(UnixConnection(path), "/healthz")[0], 200)
        daemon.stop()
        self.assertFalse(os.path.exists(path))

    def test_an_address_in_use_stops_the_start(self):
        daemon = self.start("ipc://DIRECTORY/m.sock")
        result = subprocess.run([CHATLOGD, "--data-dir", f"{daemon.directory}/other", "--listen",
                                 f"ipc://{daemon.directory}/other.sock", "--metrics-listen",
                                 f"ipc://{daemon.directory}/m.sock"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 78)
        self.assertIn("another process listens on", result.stderr)


if __name__ == "__main__":
    unittest.main()
