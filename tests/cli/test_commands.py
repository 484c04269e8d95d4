"""Every command in both output forms, against a real daemon."""

import json
import os
import pty
import subprocess
import time
import unittest

from daemon import CHATLOG, FAILED, DaemonTest, conversation, run, said

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


class Messages(DaemonTest):
    def append(self, *texts, name="c"):
        for text in texts:
            self.text("append", self.user, name, "--role", "user", text)

    def seqs(self, *arguments):
        return [each["seq"] for each in self.json("log", self.user, "c", *arguments)]

    def test_append_creates_the_conversation_and_log_shows_it(self):
        self.assertEqual(self.text("append", self.user, "c", "--role", "user", "Hello"), "appended message 1\n")
        result = self.json("append", self.user, "c", "--role", "assistant", "Hi there")[0]
        self.assertEqual((result["first_seq"], result["last_seq"], result["replayed"]), (2, 2, False))
        self.assertRegex(result["create_time"], TIME)
        self.assertRegex(self.text("log", self.user, "c"),
                         rf"^#1  user  {TIME}\n    Hello\n#2  assistant  {TIME}\n    Hi there\n$")
        first, second = self.json("log", self.user, "c")
        self.assertEqual((first["seq"], first["role"], first["content_type"], first["content"]),
                         (1, "user", "text/plain", "Hello"))
        self.assertEqual((second["content"], second["content_size"], second["revision"]), ("Hi there", 8, 1))

    def test_text_from_standard_input_is_kept_byte_for_byte(self):
        for arguments in ([], ["-"]):
            self.text("append", self.user, "c", "--role", "user", *arguments, input="two\nlines \u00e9\n")
        self.text("append", self.user, "c", "--role", "user", input="")
        contents = [each["content"] for each in self.json("log", self.user, "c")]
        self.assertEqual(contents, ["two\nlines \u00e9\n"] * 2 + [""])

    def test_text_that_looks_like_an_option(self):
        self.text("append", self.user, "c", "--role", "user", "--", "--yes")
        self.assertEqual(self.json("log", self.user, "c")[0]["content"], "--yes")

    def test_a_request_id_appends_once(self):
        arguments = ("append", self.user, "c", "--role", "user", "--request-id", "r1")
        self.text(*arguments, "once")
        self.assertEqual(self.text(*arguments, "once"), "had been appended as message 1\n")
        self.assertTrue(self.json(*arguments, "once")[0]["replayed"])
        self.assertIn("INVALID_ARGUMENT: REQUEST_ID_REUSED", self.fails(*arguments, "other"))
        self.assertEqual(self.seqs(), [1])

    def test_expected_last_seq(self):
        arguments = ("append", self.user, "c", "--role", "user", "x", "--expected-last-seq")
        self.text(*arguments, 0)
        error = self.fails(*arguments, 0)
        self.assertTrue(error.startswith("chatlog: ABORTED: LAST_SEQ_MISMATCH\n  "), error)
        self.assertIn("chatlog log", error)
        self.text(*arguments, 1)
        self.assertEqual(self.seqs(), [1, 2])

    def test_pages(self):
        self.imports([conversation(self.user, "c", *(said("user", str(i)) for i in range(1, 121)))])
        self.assertEqual(self.seqs(), list(range(71, 121)))
        self.assertEqual(self.seqs("-n", 3), [118, 119, 120])
        self.assertEqual(self.seqs("-n3", "--before", 10), [7, 8, 9])
        self.assertEqual(self.seqs("--count=3", "--after", 10), [11, 12, 13])
        self.assertEqual(self.seqs("-n", 1, "--around", 10), [10])
        around = self.seqs("-n", 5, "--around", 10)
        self.assertEqual((len(around), 10 in around, around == sorted(around)), (5, True, True))
        self.assertEqual(self.seqs("-n", 1000), list(range(1, 121)))
        self.assertEqual(self.seqs("--after", 0, "-n", 2), [1, 2])
        self.assertEqual(self.seqs("--after", 120), [])
        self.assertEqual(self.seqs("--before", 1), [])

    def test_more_messages_than_one_page_holds(self):
        self.imports([conversation(self.user, "c", *(said("user", str(i)) for i in range(2500)))])
        self.assertEqual(self.seqs("-n", 2400), list(range(101, 2501)))
        self.assertEqual(self.seqs("-n", 100000, "--before", 2400), list(range(1, 2400)))
        self.assertEqual(self.seqs("-n", 2100, "--after", 5), list(range(6, 2106)))

    def test_messages_that_do_not_fit_in_one_reply(self):
        texts = [letter * (3 << 20) for letter in "abcde"]
        self.imports([conversation(self.user, "c", *(said("user", text) for text in texts))])
        self.assertEqual([each["content"] for each in self.json("log", self.user, "c")], texts)
        self.assertEqual([each["content"] for each in self.json("log", self.user, "c", "-n", 2)], texts[3:])

    def test_pop_removes_and_shows_the_newest(self):
        self.append("a", "b", "c", "d")
        self.assertRegex(self.text("pop", self.user, "c"), rf"^#4  user  {TIME}\n    d\n$")
        self.assertEqual([each["content"] for each in self.json("pop", self.user, "c", "-n", 2)], ["b", "c"])
        self.assertEqual(self.seqs(), [1])
        self.assertEqual([each["seq"] for each in self.json("pop", self.user, "c", "-n", 1000)], [1])
        self.assertEqual(self.text("pop", self.user, "c"), "")
        self.append("e")
        self.assertEqual(self.seqs(), [5])

    def test_json_shows_each_kind_of_content_in_its_form(self):
        labels = {"message_id": "m1", "author": "model-x", "token_count": 7, "sent_time_us": 1700000000000000,
                  "metadata": {"k": "v"}}
        self.imports([conversation(
            self.user, "c", {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]},
            {"role": "user", "content_type": "image/png", "content_base64": "iVBO"},
            {"role": "user", "content_type": "text/html", "content_base64": "PGI+"},
            {"role": "user", "content_type": "text/plain", "content_base64": "/w=="},
            {"role": "user", "content_type": "application/json", "content_base64": "ew=="},
            {**said("user", "x"), "chatlog": labels})])
        shown = self.json("log", self.user, "c")
        self.assertEqual(shown[0]["content"], {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]})
        self.assertEqual((shown[1]["content_type"], shown[1]["content_base64"]), ("image/png", "iVBO"))
        self.assertEqual((shown[2]["content_type"], shown[2]["content"]), ("text/html", "<b>"))
        self.assertEqual(shown[3]["content_base64"], "/w==")
        self.assertEqual(shown[4]["content_base64"], "ew==")
        expected = {"message_id": "m1", "author": "model-x", "token_count": 7,
                    "sent_time": "2023-11-14T22:13:20.000000Z", "metadata": {"k": "v"}}
        self.assertEqual({key: shown[5][key] for key in expected}, expected)
        text = self.text("log", self.user, "c")
        for part in ('"tool_calls"', "image/png", "(3 bytes; --output json shows them)", "    <b>\n", "    \\xff\n",
                     "by model-x", "id m1", "tokens 7", "sent 2023-11-14T22:13:20.000000Z", "k=v"):
            self.assertIn(part, text)

    def test_content_cannot_steer_a_terminal_or_pass_for_another_message(self):
        evil = "a\x1b]0;owned\x07\r\x9b2J\x7f\u202eb\n#9  root  now\n\ttab"
        self.imports([conversation(self.user, "c\u0020d", said("user", evil), title="t", metadata={"k": "\x1b[m"})])
        text = self.text("log", self.user, "c d")
        self.assertIn("    a\\x1b]0;owned\\x07\\r\\u009b2J\\x7f\\u202eb\n    #9  root  now\n    \ttab\n", text)
        raw = self.chatlog("log", self.user, "c d", "--output", "json").stdout
        self.assertEqual(json.loads(raw)["content"], evil)
        listed = self.text("conversations", self.user) + self.text("conversations", self.user, "--output", "json")
        for output in (text, raw, listed):
            for control in "\x1b\x07\r\x9b\x7f":
                self.assertNotIn(control, output)

    def test_what_is_not_there(self):
        for command in (["log"], ["pop"], ["rename", "t"], ["delete"], ["undelete"], ["purge"]):
            with self.subTest(command[0]):
                error = self.fails(command[0], self.user, "none", *command[1:])
                self.assertTrue(error.startswith("chatlog: NOT_FOUND: CONVERSATION_NOT_FOUND\n  "), error)
                self.assertIn("chatlog conversations USER", error)

    def test_ids_the_server_does_not_take(self):
        for name in ("x" * 129, "line\nend"):
            self.assertIn("chatlog: INVALID_ARGUMENT: ", self.fails("append", self.user, name, "--role", "u", "x"))
        error = self.fails("append", self.user, "c", "--role", "r" * 65, "x")
        self.assertIn("chatlog: INVALID_ARGUMENT: ", error)

    def test_a_message_over_the_limit(self):
        error = self.fails("append", self.user, "c", "--role", "user", input=b"x" * ((4 << 20) + 1))
        self.assertIn("chatlog: INVALID_ARGUMENT: REQUEST_TOO_LARGE", error)
        error = self.fails("append", self.user, "c", "--role", "user", input=b"x" * ((64 << 20) + 1))
        self.assertIn("chatlog: INVALID_ARGUMENT: REQUEST_TOO_LARGE", error)
        self.assertEqual(self.text("conversations", self.user), "")

    def test_standard_input_that_cannot_be_read(self):
        directory = os.open("/", os.O_RDONLY)
        try:
            error = self.fails("append", self.user, "c", "--role", "user", stdin=directory)
        finally:
            os.close(directory)
        self.assertIn("Standard input could not be read", error)


class Conversations(DaemonTest):
    def names(self, *arguments):
        return [each["conversation_id"] for each in self.json("conversations", self.user, *arguments)]

    def test_listed_by_latest_activity(self):
        for name in ("a", "b", "c", "a"):
            self.text("append", self.user, name, "--role", "user", "x")
        self.assertEqual(self.names(), ["a", "c", "b"])
        first = self.json("conversations", self.user)[0]
        self.assertEqual((first["message_count"], first["last_seq"], first["content_bytes"], first["archived"]),
                         (2, 2, 2, False))
        self.assertRegex(first["activity_time"], TIME)
        lines = self.text("conversations", self.user).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[0], rf"^{TIME} +2 messages +a$")

    def test_a_user_without_any(self):
        self.assertEqual(self.text("conversations", self.user), "")
        self.assertEqual(self.json("conversations", self.user), [])

    def test_more_than_one_page(self):
        self.imports([conversation(self.user, f"c{i}") for i in range(1100)])
        self.assertEqual(sorted(self.names()), sorted(f"c{i}" for i in range(1100)))

    def test_rename(self):
        self.text("append", self.user, "c", "--role", "user", "x")
        self.assertEqual(self.text("rename", self.user, "c", "A new title"), "renamed conversation c  A new title\n")
        self.assertEqual(self.json("rename", self.user, "c", "\u65b0\u3057\u3044")[0]["title"], "\u65b0\u3057\u3044")
        self.assertIn("\u65b0\u3057\u3044", self.text("conversations", self.user))
        self.assertEqual(self.json("rename", self.user, "c", "")[0]["title"], "")

    def test_delete_and_undelete(self):
        self.text("append", self.user, "c", "--role", "user", "x")
        self.assertRegex(self.text("delete", self.user, "c"),
                         rf"^deleted conversation c\nit can be undeleted until {TIME}\n$")
        self.assertEqual(self.names(), [])
        self.assertEqual(self.names("--deleted"), ["c"])
        self.assertIn("deleted", self.text("conversations", self.user, "--deleted"))
        error = self.fails("delete", self.user, "c")
        self.assertTrue(error.startswith("chatlog: FAILED_PRECONDITION: CONVERSATION_DELETED\n"), error)
        self.assertIn("chatlog undelete", error)
        self.assertNotIn("delete_time", self.json("undelete", self.user, "c")[0])
        self.assertIn("CONVERSATION_NOT_DELETED", self.fails("undelete", self.user, "c"))
        self.assertIn("delete_time", self.json("delete", self.user, "c")[0])
        self.assertEqual(self.text("undelete", self.user, "c"), "undeleted conversation c\n")
        self.assertEqual(self.names(), ["c"])

    def test_purge(self):
        for name in ("a", "b"):
            self.text("append", self.user, name, "--role", "user", "x")
        self.assertEqual(self.text("purge", self.user, "a"), f"purged conversation a of {self.user}\n")
        self.text("delete", self.user, "b")
        self.assertEqual(self.json("purge", self.user, "b"),
                         [{"user_id": self.user, "conversation_id": "b", "purged": True}])
        self.assertEqual(self.names("--deleted", "--archived"), [])

    def test_archived_ones_are_listed_when_asked_for(self):
        self.imports([conversation(self.user, "a", chatlog={"archived": True}), conversation(self.user, "b")])
        self.assertEqual(self.names(), ["b"])
        self.assertEqual(sorted(self.names("--archived")), ["a", "b"])
        self.assertIn("archived", self.text("conversations", self.user, "--archived"))

    def test_two_users_with_conversations_of_one_name(self):
        self.imports([conversation(self.user + "1", "c", said("user", "one")),
                      conversation(self.user + "2", "c", said("user", "two"))])
        self.text("append", self.user + "1", "c", "--role", "user", "more")
        self.text("delete", self.user + "2", "c")
        self.assertEqual([each["content"] for each in self.json("log", self.user + "1", "c")], ["one", "more"])
        self.assertEqual(self.json("conversations", self.user + "2"), [])

    def test_forget(self):
        self.imports([conversation(self.user, str(i), said("user", "12345")) for i in range(3)])
        text = self.text("forget", self.user, "--yes")
        self.assertRegex(text, rf"^forgot user {self.user}\nremoved 3 conversations, 3 messages, 15 bytes of content\n"
                               r"digest [0-9a-f]{32}, commit \d+\n$")
        self.assertEqual(self.json("conversations", self.user, "--deleted", "--archived"), [])
        receipt = self.json("forget", "--yes", self.user)[0]
        self.assertEqual((receipt["user_id"], receipt["conversations"], receipt["messages"]), (self.user, 0, 0))


class Audit(DaemonTest):
    def events(self, *arguments):
        return self.json("audit", "--user", self.user, *arguments)

    def test_changes_are_shown_newest_first(self):
        self.imports([conversation(self.user, "c", said("user", "SECRET one"), said("user", "SECRET two"))])
        self.text("rename", self.user, "c", "SECRET title")
        self.text("pop", self.user, "c")
        self.text("delete", self.user, "c")
        self.fails("delete", self.user, "c")
        events = self.events()
        self.assertEqual([each["action"] for each in events],
                         ["delete_conversation", "pop_messages", "update_conversation", "create_conversation"])
        pop = events[1]
        self.assertRegex(pop["time"], TIME)
        self.assertEqual((pop["user_id"], pop["conversation_id"], pop["first_seq"], pop["last_seq"], pop["messages"],
                          pop["content_bytes"]), (self.user, "c", 2, 2, 1, len("SECRET two")))
        self.assertTrue(pop["request_id"])
        self.assertEqual([each["commit_id"] for each in events],
                         sorted((each["commit_id"] for each in events), reverse=True))
        self.assertNotIn("first_seq", events[0])
        text = self.text("audit", "--user", self.user)
        self.assertRegex(text, rf"(?m)^{TIME}  pop_messages  by uid:\d+  user {self.user}  conversation c  "
                               r"#2  1 messages  10 bytes  request \S+  commit \d+$")
        self.assertNotIn("SECRET", text + json.dumps(events))

    def test_count_and_times(self):
        self.imports([conversation(self.user, str(i)) for i in range(60)])
        self.assertEqual(len(self.events()), 50)
        events = self.events("-n", 1000)
        self.assertEqual(sorted(int(each["conversation_id"]) for each in events), list(range(60)))
        self.assertEqual(self.events("-n", 3), events[:3])
        middle = events[30]["time"]
        late = [each for each in events if each["time"] >= middle]
        self.assertEqual(self.events("-n", 1000, "--since", middle), late)
        self.assertEqual(self.events("-n", 1000, "--until", middle), events[len(late):])
        self.assertEqual(self.events("--until", "1970-01-02"), [])
        self.assertEqual(len(self.events("--since", "1970-01-02T00:00:00", "-n", 1000)), 60)

    def test_more_than_one_page(self):
        self.imports([conversation(self.user, str(i)) for i in range(1200)])
        self.assertEqual(len(self.events("-n", 5000)), 1200)
        self.assertEqual(len(self.events("-n", 1100)), 1100)

    def test_of_a_forgotten_user_the_receipt_stays(self):
        self.imports([conversation(self.user, "c", said("user", "12345"))])
        receipt = self.json("forget", self.user, "--yes")[0]
        end, begin = self.events()
        self.assertEqual((begin["action"], end["action"]), ("forget_user_begin", "forget_user_end"))
        self.assertEqual({name: end[name] for name in receipt}, receipt)
        self.assertIn(f"  digest {receipt['digest']}  commit {receipt['commit_id']}\n",
                      self.text("audit", "--user", self.user))

    def test_events_outlive_a_restart(self):
        self.text("append", self.user, "c", "--role", "user", "x")
        self.text("purge", self.user, "c")
        before = self.events()
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.events(), before)
        self.assertEqual([each["action"] for each in before], ["purge_conversation"])


class Server(DaemonTest):
    def test_info(self):
        info = self.json("info")[0]
        self.assertEqual(info["limits"]["message_bytes"]["value"], 4 << 20)
        self.assertIn(info["layout"], info["readable_layouts"])
        self.assertRegex(info["start_time"], TIME)
        text = self.text("info")
        self.assertTrue(text.startswith(f"chatlogd {info['version']} (nng {info['nng_version']}, LMDB "), text)
        self.assertRegex(text, r"\n  message_bytes +4194304 +67108864  a message's content\n")

    def test_stats(self):
        before = self.json("stats")[0]
        self.text("append", self.user, "c", "--role", "user", "12345")
        after = self.json("stats")[0]
        self.assertEqual([after[name] - before[name] for name in ("users", "conversations", "messages",
                                                                  "content_bytes")], [1, 1, 1, 5])
        method = "chatlog.v1.HistoryService/AppendMessages"
        self.assertEqual(after["methods"][method]["calls"],
                         before["methods"].get(method, {"calls": 0})["calls"] + 1)
        text = self.text("stats")
        self.assertRegex(text, rf"(?m)^messages +{after['messages']}$")
        self.assertRegex(text, rf"(?m)^{method} +\d+ calls +\d+ errors +\d+ us mean$")

    def test_health(self):
        self.assertEqual(self.text("health"), "serving\n")
        self.assertEqual(self.json("health"), [{"status": "SERVING"}])

    def test_global_options_stand_anywhere(self):
        url = self.daemon.url
        for arguments in (["--server", url, "health"], ["health", "--server", url], ["health", f"--server={url}"],
                          ["--timeout", "5", "--output=text", "health", "--server", url]):
            self.assertEqual(run(*arguments).stdout, "serving\n")

    def test_an_unreadable_id_is_an_error_of_the_call(self):
        result = subprocess.run([CHATLOG, "conversations", b"\xff", "--server", self.daemon.url], capture_output=True,
                                check=False)
        self.assertEqual(result.returncode, FAILED)
        self.assertTrue(result.stderr.startswith(b"chatlog: INVALID_ARGUMENT: "), result.stderr)


class Output(DaemonTest):
    """What was not written was not shown: that is an error."""

    COMMANDS = ["info", "stats", "health", "audit", "export", "conversations USER", "log USER c",
                "append USER c --role user x", "rename USER c t", "pop USER c", "delete USER c"]

    def setUp(self):
        super().setUp()
        self.imports([conversation(self.user, "c", *(said("user", "x" * 1000) for _ in range(3)))])

    def unwritten(self, **options):
        for command in self.COMMANDS:
            arguments = command.replace("USER", self.user).split()
            with self.subTest(command):
                error = self.fails(*arguments, **options)
                self.assertIn("chatlog: DATA_LOSS: OUTPUT_FAILED\n", error)

    def test_full(self):
        with open("/dev/full", "wb") as full:
            self.unwritten(stdout=full)

    def test_closed(self):
        self.unwritten(stdout=None, preexec_fn=lambda: os.close(1))

    def test_a_reader_that_left(self):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            self.unwritten(stdout=writing)
        finally:
            os.close(writing)

    def test_a_reader_that_leaves_in_the_middle(self):
        self.imports([conversation(self.user, "long", *(said("user", "x" * 1000) for _ in range(3000)))])
        for command in (["export", "--user", self.user], ["log", self.user, "long", "-n", "3000"]):
            process = subprocess.Popen([CHATLOG, *command, "--server", self.daemon.url], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            process.stdout.read(10)
            process.stdout.close()
            error = process.stderr.read()
            process.stderr.close()
            self.assertEqual(process.wait(), FAILED)
            self.assertIn(b"OUTPUT_FAILED", error)

    def test_standard_error_closed(self):
        self.chatlog("log", self.user, "none", code=FAILED, stderr=None, preexec_fn=lambda: os.close(2))

    def test_standard_input_closed(self):
        self.fails("append", self.user, "c", "--role", "user", stdin=None, preexec_fn=lambda: os.close(0))
        self.assertEqual(self.text("health", stdin=None, preexec_fn=lambda: os.close(0)), "serving\n")

    def test_import_shows_progress_on_a_terminal_only(self):
        lines = [conversation(self.user, f"p{i}", said("user", "x")) for i in range(30)]
        quiet = self.chatlog("import", "-", input="".join(json.dumps(line) + "\n" for line in lines))
        self.assertEqual(quiet.stderr, "")
        master, slave = pty.openpty()
        process = subprocess.Popen([CHATLOG, "import", "-", "--server", self.daemon.url], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        process.stdin.write(b'{"broken\n')
        process.stdin.flush()
        time.sleep(0.3)  # progress is shown at most five times a second, first after 0.2 s
        for line in lines:
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
        process.stdin.close()
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass  # the other side of a terminal is gone
        os.close(master)
        self.assertEqual(process.wait(), FAILED)
        self.assertIn(b"line 1: malformed JSON", shown)
        self.assertRegex(shown, rb"\r\x1b\[K\d+ conversations, \d+ messages \(\d+ already present\), \d+ messages/s")


if __name__ == "__main__":
    unittest.main()
