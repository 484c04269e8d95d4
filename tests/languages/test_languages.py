"""The example clients of the README in Python and TypeScript, against a real daemon: what is stored once stays stored
once whatever happens on the way, and what is refused is refused in clear words.

usage: test_languages.py PythonTest|TypeScriptTest. Needs what tests/cli/daemon.py needs, and NODE_MODULES, where the
packages of client/example/typescript are installed.
"""
import base64
import itertools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import unittest

from daemon import SOURCE_DIR, TIMEOUT, Daemon, run
from relay import AnsweringPeer, LosingRelay

PROTO = f"{SOURCE_DIR}/proto"
CONTRACT = [f"{PROTO}/chatlog/v1/{name}" for name in sorted(os.listdir(f"{PROTO}/chatlog/v1"))]
TOLD = "user: When does the ferry leave?\nassistant: At 9:40 from pier 2.\n"
MEBIBYTE = 1 << 20
# A Response {code: UNAVAILABLE, reason: "SHUTTING_DOWN", message: "retry", details: {"retry_delay_ms": "1"}}; in the
# other it is "90000".
STOPPING = b"\x08\x0e\x12\x0dSHUTTING_DOWN\x1a\x05retry\x22\x13\x0a\x0eretry_delay_ms\x12\x011"
STOPPING_LONG = b"\x08\x0e\x12\x0dSHUTTING_DOWN\x1a\x05retry\x22\x17\x0a\x0eretry_delay_ms\x12\x0590000"


def build(*command, **options):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=TIMEOUT, check=False, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{command} failed:\n{result.stdout}")


class Caller:
    """A program that makes calls with one client, any number at a time."""

    def __init__(self, command, path, token=""):
        self.ids = itertools.count(1)
        self.early = {}  # answers that were not asked for yet
        self.process = subprocess.Popen([*command, path, token], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def begin(self, method, request, **options):
        call = {"id": next(self.ids), "method": method, "request": request, "timeout_ms": TIMEOUT * 1000, **options}
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        return call["id"]

    def end(self, call):
        hanging = threading.Timer(TIMEOUT, self.process.kill)
        hanging.daemon = True
        hanging.start()
        while call not in self.early:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the caller has ended, or had to be")
            result = json.loads(line)
            self.early[result["id"]] = result
        hanging.cancel()
        return self.early.pop(call)

    def call(self, method, request, **options):
        return self.end(self.begin(method, request, **options))

    def close(self):
        """What it said on standard error: nothing, when all went well."""
        return self.process.communicate(timeout=TIMEOUT)[1]


def turn(text, user="alice", **members):
    content = base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()
    return {"userId": user, "conversationId": "trip", "createIfMissing": True,
            "messages": [{"role": "user", "content": content}], **members}


class Statements:
    """Holds for every language. The subclass has program(directory), example and caller: how they are built and run."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="chatlog-languages-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.prepare()

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.remove)
        self.socket = f"{self.daemon.directory}/s.sock"

    def start(self, path=None, token=""):
        """Starts the daemon and a caller of it."""
        self.daemon.start()
        return self.caller(path or self.socket, token)

    def caller(self, path, token=""):
        caller = Caller(self.caller_command, path, token)
        self.addCleanup(lambda: self.assertEqual(caller.close(), ""))
        return caller

    def run_example(self):
        return subprocess.run([*self.example_command, self.socket], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=TIMEOUT, check=False)

    def texts(self, caller):
        page = caller.call("ListMessages", {"userId": "alice", "conversationId": "trip", "limit": 1000})["reply"]
        return [base64.b64decode(message["content"]).decode() for message in page.get("messages", [])]

    def assert_error(self, result, code, reason):
        self.assertIn("error", result)
        self.assertEqual((result["error"]["code"], result["error"]["reason"]), (code, reason), result)
        self.assertTrue(result["error"]["message"])
        return result["error"]

    def test_the_program_of_the_readme_stores_its_turns_once_however_often_it_runs(self):
        self.daemon.start()
        for _ in range(2):
            result = self.run_example()
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, TOLD, ""))

    def test_the_program_of_the_readme_says_what_is_wrong(self):
        self.daemon.start()
        run("append", "alice", "trip", "--role", "user", "hello", server=self.daemon.url)
        self.assertEqual(run("delete", "alice", "trip", server=self.daemon.url).returncode, 0)
        result = self.run_example()
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"^FAILED_PRECONDITION / CONVERSATION_DELETED: .*undelete")

    def test_an_answer_that_is_lost_on_its_way_is_asked_for_again_and_nothing_is_stored_twice(self):
        relay = LosingRelay(f"{self.daemon.directory}/relay.sock", self.socket)
        self.addCleanup(relay.close)
        caller = self.start(relay.path)
        self.assertEqual(caller.call("AppendMessages", turn("once", expectedLastSeq="0"))["reply"]["lastSeq"], "1")
        self.assertEqual(relay.lost, 1)
        self.assertEqual(self.texts(caller), ["once"])

    def test_a_killed_daemon_is_asked_again_and_nothing_is_lost_or_stored_twice(self):
        caller = self.start()
        calls = [caller.begin("AppendMessages", turn(f"{number}")) for number in range(50)]
        caller.end(calls.pop(0))
        with self.daemon.paused():
            calls += [caller.begin("AppendMessages", turn(f"{number}")) for number in range(50, 100)]
            self.daemon.kill()
        self.daemon.start()
        for call in calls:
            self.assertIn("reply", caller.end(call))
        self.assertEqual(sorted(self.texts(caller), key=int), [str(number) for number in range(100)])

    def test_a_call_that_ran_out_of_time_is_made_once_when_it_is_repeated_with_its_request_id(self):
        caller = self.start()
        self.assertIn("reply", caller.call("AppendMessages", turn("before")))
        with self.daemon.paused():
            result = caller.call("AppendMessages", turn("late"), request_id="update-18", timeout_ms=50)
        error = self.assert_error(result, "DEADLINE_EXCEEDED", "NO_ANSWER")
        self.assertIn("update-18", error["message"])
        self.assertIn("reply", caller.call("AppendMessages", turn("late"), request_id="update-18"))
        self.assertEqual(self.texts(caller), ["before", "late"])

    def test_a_request_id_used_again_for_something_else_is_refused(self):
        caller = self.start()
        caller.call("AppendMessages", turn("one"), request_id="update-19")
        self.assert_error(caller.call("AppendMessages", turn("two"), request_id="update-19"),
                          "INVALID_ARGUMENT", "REQUEST_ID_REUSED")

    def test_a_place_in_a_trace_reaches_the_daemon(self):
        caller = self.start()
        trace = f"00-{'1' * 32}-{'2' * 16}-01"
        self.assertIn("reply", caller.call("AppendMessages", turn("x"), traceparent=trace))
        self.assert_error(caller.call("AppendMessages", turn("x"), traceparent="nonsense"),
                          "INVALID_ARGUMENT", "FIELD_INVALID")

    def test_a_token_opens_its_users_conversations_and_no_others(self):
        key = f"{self.daemon.directory}/key"
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
        self.daemon.options = ["--token-key", f"main:HS256:{key}"]
        token = run("token", "--key", f"main:HS256:{key}", "--user", "alice").stdout.strip()
        caller = self.start(token=token)
        self.assertIn("reply", caller.call("AppendMessages", turn("mine")))
        self.assert_error(caller.call("AppendMessages", turn("yours", user="bob")), "PERMISSION_DENIED", "USER_FOREIGN")
        self.assert_error(self.caller(self.socket, token[:-8]).call("AppendMessages", turn("mine")),
                          "UNAUTHENTICATED", "TOKEN_INVALID")

    def test_what_is_too_large_is_refused_with_the_limit_and_other_calls_go_on(self):
        caller = self.start()
        large = secrets.token_bytes(4 * MEBIBYTE)
        caller.call("AppendMessages", turn(large))
        page = caller.call("ListMessages", {"userId": "alice", "conversationId": "trip"})["reply"]
        self.assertEqual(base64.b64decode(page["messages"][0]["content"]), large)
        waiting = caller.begin("ListMessages", {"userId": "alice", "conversationId": "trip"})
        for size, limit in ((4 * MEBIBYTE + 1, 4 * MEBIBYTE), (8 * MEBIBYTE, 8 * MEBIBYTE)):
            error = self.assert_error(caller.call("AppendMessages", turn(bytes(size))),
                                      "INVALID_ARGUMENT", "REQUEST_TOO_LARGE")
            self.assertEqual(error["details"]["limit"], str(limit))
        self.assertIn("reply", caller.end(waiting))

    def test_who_was_not_first_is_told_the_last_seq(self):
        caller = self.start()
        caller.call("AppendMessages", turn("question"))
        error = self.assert_error(caller.call("AppendMessages", turn("late", expectedLastSeq="0")),
                                  "ABORTED", "LAST_SEQ_MISMATCH")
        self.assertEqual(error["details"], {"last_seq": "1"})

    def test_an_answer_is_replaced_in_one_step(self):
        caller = self.start()
        for text in ("question", "bad answer"):
            caller.call("AppendMessages", turn(text))
        self.assertEqual(caller.call("AppendMessages", turn("answer", replaceAfterSeq="1"))["reply"]["lastSeq"], "3")
        self.assertEqual(self.texts(caller), ["question", "answer"])

    def test_the_newest_messages_that_fit_a_budget_come_in_order(self):
        caller = self.start()
        for number in range(10):
            request = turn(f"{number}" * 1000)
            request["messages"][0]["tokenCount"] = 500
            caller.call("AppendMessages", request)
        budget = {"userId": "alice", "conversationId": "trip", "maxBytes": 3500}
        page = caller.call("ListMessages", budget)["reply"]
        self.assertEqual([message["seq"] for message in page["messages"]], ["8", "9", "10"])
        self.assertTrue(page["hasMoreBefore"])
        page = caller.call("ListMessages", {**budget, "view": "MESSAGE_VIEW_BASIC", "beforeSeq": "8"})["reply"]
        self.assertEqual([message["tokenCount"] for message in page["messages"]], [500] * 7)
        self.assertFalse(any("content" in message for message in page["messages"]))

    def test_an_answer_that_is_worth_a_retry_is_retried_and_told_when_there_is_no_time_for_it(self):
        peer = AnsweringPeer(f"{self.daemon.directory}/peer.sock", [STOPPING, None, STOPPING, b"", STOPPING_LONG])
        self.addCleanup(peer.close)
        caller = self.caller(peer.path)
        self.assertEqual(caller.call("AppendMessages", turn("x"))["reply"], {})
        self.assert_error(caller.call("AppendMessages", turn("x"), timeout_ms=60000), "UNAVAILABLE", "SHUTTING_DOWN")

    def test_a_peer_that_breaks_the_protocol_is_left(self):
        broken = [b"\2" + bytes(12), b"\1" + b"\xff" * 12, b"\1" + (3).to_bytes(8, "big") + bytes(4)]
        peer = AnsweringPeer(f"{self.daemon.directory}/peer.sock", [("raw", each) for each in broken] + [b"\xff", b""])
        self.addCleanup(peer.close)
        self.assertEqual(self.caller(peer.path).call("AppendMessages", turn("x"))["reply"], {})
        self.assertEqual(len(peer.streams), 5)


class PythonTest(Statements, unittest.TestCase):
    @classmethod
    def prepare(cls):
        for name in ("client/example/python/chatlogd.py", "client/example/python/example.py",
                     "tests/languages/caller.py"):
            shutil.copy(f"{SOURCE_DIR}/{name}", cls.directory)
        build("protoc", "-I", PROTO, f"--python_out={cls.directory}", f"--pyi_out={cls.directory}", *CONTRACT)
        cls.example_command = ["/usr/bin/python3", "-B", f"{cls.directory}/example.py"]
        cls.caller_command = ["/usr/bin/python3", "-B", f"{cls.directory}/caller.py"]

    def test_a_running_daemon_gives_the_contract_that_code_is_made_from(self):
        reply = self.start().call("GetDescriptorSet", {})["reply"]
        path, made = f"{self.daemon.directory}/set", f"{self.daemon.directory}/made"
        with open(path, "wb") as file:
            file.write(base64.b64decode(next(iter(reply.values()))))
        os.mkdir(made)
        build("protoc", f"--descriptor_set_in={path}", f"--python_out={made}",
              *(os.path.relpath(each, PROTO) for each in CONTRACT))
        build("/usr/bin/python3", "-B", "-c", "from chatlog.v1 import envelope_pb2, history_service_pb2 as history; "
              "envelope_pb2.Request(payload=history.AppendMessagesRequest(user_id='alice').SerializeToString())",
              env={"PYTHONPATH": made})


class TypeScriptTest(Statements, unittest.TestCase):
    @classmethod
    def prepare(cls):
        shutil.copytree(f"{SOURCE_DIR}/client/example/typescript", cls.directory, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("node_modules", "gen", "dist"))
        shutil.copy(f"{SOURCE_DIR}/tests/languages/caller.ts", cls.directory)
        os.symlink(os.environ["NODE_MODULES"], f"{cls.directory}/node_modules")
        build("npm", "run", "build", cwd=cls.directory, env={**os.environ, "PROTO": PROTO})
        cls.example_command = ["node", f"{cls.directory}/dist/example.js"]
        cls.caller_command = ["node", f"{cls.directory}/dist/caller.js"]


if __name__ == "__main__":
    unittest.main()
