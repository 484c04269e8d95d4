"""The daemon's log: as text, as JSON, to the journal; what is in it, and what never is."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from daemon import CHATLOGD, TIMEOUT, Daemon, conversation, run, said

LARGE = "x" * 4000000
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
TEXT_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info|debug) .+")
JOURNAL = "/run/systemd/journal"


def field(number, content):
    """A protobuf field of wire type bytes."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def ask(url, method, payload, traceparent="", authorization=""):
    """Sends one request over SP's REQ and waits for the answer."""
    request = (field(1, method.encode()) + field(2, payload) + field(5, authorization.encode()) +
               field(6, traceparent.encode()))
    message = b"\x80\0\0\1" + request
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(TIMEOUT)
        one.connect(url.removeprefix("ipc://"))
        one.sendall(b"\0SP\0\0\x30\0\0" + b"\1" + len(message).to_bytes(8, "big") + message)
        answer = b""
        while len(answer) <= len("-SP-----"):  # the handshake comes first
            answer += one.recv(65536)
        return answer


class Log(unittest.TestCase):
    def daemon(self, *options):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        daemon.options = list(options)
        return daemon

    def test_every_line_of_text_has_time_and_level(self):
        daemon = self.daemon()
        daemon.start()
        daemon.stop()
        lines = daemon.log().splitlines()
        self.assertGreaterEqual(len(lines), 4)
        for line in lines:
            self.assertRegex(line, f"^{TEXT_LINE.pattern}$")

    def test_every_line_of_json_is_an_object_and_the_lasting_events_have_their_ids(self):
        daemon = self.daemon("--log-format", "json")
        daemon.start()
        daemon.stop()
        lines = [json.loads(line) for line in daemon.log().splitlines()]
        events = {line["event"]: line["message_id"] for line in lines if "event" in line}
        self.assertEqual(list(events), ["start", "ready", "stop", "stopped"])
        self.assertEqual(len(set(events.values())), 4)
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertEqual(line["level"], "info")
            self.assertTrue(line["message"])
        for identity in events.values():
            self.assertRegex(identity, "^[0-9a-f]{32}$")

    def test_a_slow_request_is_told_with_method_and_time(self):
        daemon = self.daemon("--log-format=json", "--slow-request=1ms")
        daemon.start()
        self.assertEqual(run("append", "a", "c", "--role", "user", input=LARGE, server=daemon.url).returncode, 0)
        daemon.stop()
        slow = [line for line in map(json.loads, daemon.log().splitlines()) if line.get("event") == "slow"]
        self.assertTrue(slow, daemon.log())
        self.assertEqual(slow[-1]["level"], "warning")
        self.assertEqual(slow[-1]["method"], "chatlog.v1.HistoryService/AppendMessages")
        self.assertEqual(slow[-1]["code"], "OK")
        self.assertGreaterEqual(int(slow[-1]["milliseconds"]), 1)

    def test_nothing_is_slow_that_is_not(self):
        daemon = self.daemon("--slow-request=10m")
        daemon.start()
        self.assertEqual(run("append", "a", "c", "--role", "user", input=LARGE, server=daemon.url).returncode, 0)
        daemon.stop()
        self.assertNotIn("slow", daemon.log())

    def test_who_is_refused_is_told_with_reason_and_trace(self):
        daemon = self.daemon("--log-format=json")
        daemon.start()
        for _ in range(20):
            ask(daemon.url, "chatlog.v1.AdminService/GetStats", b"", TRACEPARENT, "Bearer nonsense")
        daemon.stop()
        refused = [line for line in map(json.loads, daemon.log().splitlines()) if line.get("event") == "refused"]
        self.assertIn(len(refused), range(1, 20))
        self.assertEqual(refused[0]["method"], "chatlog.v1.AdminService/GetStats")
        self.assertEqual(refused[0]["reason"], "TOKEN_INVALID")
        self.assertEqual(refused[0]["trace_id"], TRACE)

    def test_reloaded_keys_are_told(self):
        daemon = self.daemon("--log-format=json")
        daemon.start()
        daemon.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + TIMEOUT
        while "tokens_reloaded" not in daemon.log() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertIn("tokens_reloaded", [json.loads(line).get("event") for line in daemon.log().splitlines()])

    def test_a_start_that_fails_is_told(self):
        daemon = self.daemon()
        daemon.start()
        result = subprocess.run([CHATLOGD, "--data-dir", f"{daemon.directory}/data", "--log-format=json"],
                                capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(json.loads(result.stderr.splitlines()[-1])["event"], "start_failed")

    def test_a_journal_that_is_not_our_standard_error_is_not_used(self):
        daemon = self.daemon()
        os.environ["JOURNAL_STREAM"] = "1:1"
        self.addCleanup(os.environ.pop, "JOURNAL_STREAM")
        daemon.start()
        for line in daemon.log().splitlines():
            self.assertRegex(line, f"^{TEXT_LINE.pattern}$")


def namespace_works():
    return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"],
                          capture_output=True).returncode == 0


class Journal(unittest.TestCase):
    """A journal of our own, where the daemon expects systemd's."""

    def entries(self, receiver):
        entries = []
        while True:
            try:
                data = receiver.recv(1 << 20)
            except BlockingIOError:
                return entries
            entries.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def run_daemon(self, listens):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        os.mkdir(f"{daemon.directory}/journal")
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        self.addCleanup(receiver.close)
        if listens:
            receiver.bind(f"{daemon.directory}/journal/socket")
        with open(f"{daemon.directory}/log", "ab") as log:
            status = os.fstat(log.fileno())
            script = (f"mount -t tmpfs tmpfs /run && mkdir -p {JOURNAL} && "
                      f"mount --bind {daemon.directory}/journal {JOURNAL} && exec \"$@\"")
            daemon.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", script, "sh", CHATLOGD, "--data-dir", f"{daemon.directory}/data",
                 "--listen", daemon.url], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        deadline = time.monotonic() + TIMEOUT
        while run("health", server=daemon.url).returncode != 0:
            self.assertLess(time.monotonic(), deadline, daemon.log())
            time.sleep(0.05)
        ask(daemon.url, "chatlog.v1.AdminService/GetStats", b"", TRACEPARENT, "Bearer nonsense")
        daemon.stop()
        return daemon, self.entries(receiver)

    @unittest.skipUnless(shutil.which("unshare") and namespace_works(), "mounts cannot be made here")
    def test_entries_have_fields(self):
        daemon, entries = self.run_daemon(listens=True)
        self.assertEqual(daemon.log(), "")
        by_event = {entry["CHATLOG_EVENT"]: entry for entry in entries if "CHATLOG_EVENT" in entry}
        self.assertLessEqual({"start", "ready", "refused", "stop", "stopped"}, set(by_event))
        for entry in entries:
            self.assertEqual(entry["SYSLOG_IDENTIFIER"], "chatlogd")
            self.assertIn(entry["PRIORITY"], ("3", "4", "6"))
        for entry in by_event.values():
            self.assertRegex(entry["MESSAGE_ID"], "^[0-9a-f]{32}$")
        self.assertIn("ready", by_event["ready"]["MESSAGE"])
        self.assertEqual(by_event["refused"]["TRACE_ID"], TRACE)
        self.assertEqual(by_event["refused"]["CHATLOG_METHOD"], "chatlog.v1.AdminService/GetStats")

    @unittest.skipUnless(shutil.which("unshare") and namespace_works(), "mounts cannot be made here")
    def test_without_a_journal_that_takes_them_lines_go_to_standard_error_with_their_level(self):
        daemon, entries = self.run_daemon(listens=False)
        self.assertEqual(entries, [])
        self.assertRegex(daemon.log(), r"(?m)^<6>chatlogd \S+ ready")


class Secrets(unittest.TestCase):
    MARK = "s3cret-m4rk"

    def use(self, daemon, token):
        """Every kind of request, right and wrong, with marks in all that is content and in tokens."""
        def call(*arguments, **options):
            return run(*arguments, server=daemon.url, **options)
        mark = self.MARK
        for user in ("alice", "bob"):
            call("append", user, "c", "--role", "user", f"{mark} content")
            call("append", user, "c", "--role", f"{mark} role", f"{mark} content", "--expected-last-seq", 77)
            call("rename", user, "c", f"{mark} title")
            call("log", user, "c")
            call("pop", user, "c")
        call("append", "dave", "c", "--role", "user", input=mark * 300000)  # takes its time
        line = conversation("carol", "d", said("user", f"{mark} text"), title=f"{mark} t",
                            metadata={mark: mark}, unknown=mark)
        call("import", "-", input=json.dumps(line) + "\n")
        line.pop("unknown")
        call("import", "-", input=json.dumps(line) + "\n")
        call("export")
        for wrong in (mark, f"{mark}.{mark}.{mark}", token[:-4] + "AAAA", mark * 300):
            call("log", "alice", "c", token=wrong)
        call("stats", token=token)  # holds, but for no admin
        call("log", "bob", "c", token=token)
        for method in (mark, "chatlog.v1.HistoryService/AppendMessages", "chatlog.v1.HistoryService/ListMessages"):
            ask(daemon.url, method, mark.encode())
            ask(daemon.url, method, field(1, b"a\0b") + field(3, mark.encode() * 5), "00-" + mark)
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(daemon.url.removeprefix("ipc://"))
            one.sendall(mark.encode() * 100)
        call("forget", "alice", "--yes")
        call("audit")

    def test_neither_content_nor_tokens_are_ever_in_the_log(self):
        for form in ("text", "json"):
            daemon = Daemon()
            self.addCleanup(daemon.remove)
            path = f"{daemon.directory}/key"
            with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as key:
                key.write(self.MARK * 4)
            daemon.options = ["--token-key", f"main:HS256:{path}", "--slow-request=1ms", "--log-level=debug",
                              f"--log-format={form}"]
            daemon.start()
            token = run("token", "--key", f"main:HS256:{path}", "--user", "alice").stdout.strip()
            self.use(daemon, token)
            time.sleep(1.1)  # the next line of each kind may be told
            self.use(daemon, token)
            daemon.stop()
            log = daemon.log()
            self.assertIn("refused", log)  # it does tell of all this
            self.assertIn("slow", log)
            for word in (self.MARK, token, token.split(".")[1], token.split(".")[2]):
                self.assertNotIn(word, log)


if __name__ == "__main__":
    unittest.main()
