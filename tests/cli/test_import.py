"""What `import` takes, refuses, and says; one bad line does not stop the others."""

import base64
import json
import subprocess
import tempfile
import unittest

from daemon import CHATLOG, FAILED, TIMEOUT, DaemonTest, conversation, jsonl, said


class Counts(DaemonTest):
    def test_the_last_line_says_what_was_done(self):
        lines = jsonl([conversation(self.user, "a", said("user", "1"), said("user", "2")),
                       conversation(self.user, "b")])
        self.assertEqual(self.text("import", "-", input=lines),
                         "imported 2 conversations, 2 messages (0 already present)\n")
        self.assertEqual(self.text("import", "-", input=lines),
                         "imported 0 conversations, 0 messages (2 already present)\n")
        self.assertEqual(self.json("import", "-", input=lines),
                         [{"lines": 2, "failed_lines": 0, "conversations": 0, "messages": 0, "already_present": 2}])

    def test_from_a_file_without_a_last_line_end_and_with_blank_lines(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(("\n" + jsonl([conversation(self.user, "a", said("user", "1"))]) + " \t\r\n" +
                        json.dumps(conversation(self.user, "b"))).encode())
            file.flush()
            self.assertEqual(self.text("import", file.name),
                             "imported 2 conversations, 1 messages (0 already present)\n")

    def test_nothing(self):
        self.assertEqual(self.text("import", "-", input=""),
                         "imported 0 conversations, 0 messages (0 already present)\n")

    def test_title_and_metadata_may_be_missing(self):
        self.imports([{"user_id": self.user, "conversation_id": "c", "messages": []}])
        self.assertEqual(self.exported(self.user)[self.user, "c"], conversation(self.user, "c"))

    def test_a_longer_file_adds_only_what_is_new(self):
        messages = [said("user", str(i)) for i in range(10)]
        self.imports([conversation(self.user, "c", *messages[:4])])
        counts = self.imports([conversation(self.user, "c", *messages)])
        self.assertEqual((counts["conversations"], counts["messages"], counts["already_present"]), (0, 6, 4))
        self.assertEqual(self.exported(self.user)[self.user, "c"]["messages"], messages)

    def test_a_conversation_that_went_on_is_left_alone(self):
        self.imports([conversation(self.user, "c", said("user", "1"))])
        self.text("append", self.user, "c", "--role", "user", "2")
        counts = self.imports([conversation(self.user, "c", said("user", "1"))])
        self.assertEqual((counts["messages"], counts["already_present"]), (0, 1))
        self.assertEqual(len(self.json("log", self.user, "c")), 2)

    def test_what_was_popped_comes_back(self):
        messages = [said("user", str(i)) for i in range(5)]
        lines = [conversation(self.user, "c", *messages)]
        self.imports(lines)
        for count in (2, 5):
            self.text("pop", self.user, "c", "-n", count)
            counts = self.imports(lines)
            self.assertEqual((counts["messages"], counts["already_present"]), (count, 5 - count))
            self.assertEqual(self.exported(self.user)[self.user, "c"]["messages"], messages)

    def test_what_was_purged_comes_back(self):
        lines = [conversation(self.user, "c", said("user", "1"))]
        self.imports(lines)
        self.text("purge", self.user, "c")
        self.assertEqual(self.imports(lines)["messages"], 1)
        self.text("forget", self.user, "--yes")
        self.assertEqual(self.imports(lines)["messages"], 1)

    def test_another_title_is_noted_and_left(self):
        self.imports([conversation(self.user, "c", title="old")])
        result = self.chatlog("import", "-", input=jsonl([conversation(self.user, "c", title="new")]))
        self.assertIn("line 1: note: the conversation is stored with another title", result.stderr)
        self.assertEqual(self.json("conversations", self.user)[0]["title"], "old")

    def test_lines_of_one_conversation_keep_their_order(self):
        messages = [said("user", str(i)) for i in range(400)]
        lines = [conversation(self.user, "c", *messages[:i * 10]) for i in range(1, 41)]
        counts = self.imports(lines)
        self.assertEqual((counts["conversations"], counts["messages"], counts["failed_lines"]), (1, 400, 0))
        self.assertEqual(self.exported(self.user)[self.user, "c"]["messages"], messages)

    def test_of_two_lines_of_one_conversation_the_first_counts(self):
        lines = [conversation(self.user, f"c{i}", *(said("user", text) for text in texts))
                 for i in range(100) for texts in ("ab", "ac")]
        result = self.chatlog("import", "-", input=jsonl(lines), code=FAILED)
        self.assertEqual(sorted(result.stderr.splitlines()[:100]), sorted(
            f"chatlog: line {2 * i + 2}: conversation c{i} differs from the file at message 2; nothing was appended"
            for i in range(100)))

    def test_many_and_large_messages(self):
        """More than one append each: 2,500 messages, 9 MiB in messages of 1 MiB, one of 4 MiB."""
        lines = [conversation(self.user, "many", *(said("user", str(i)) for i in range(2500))),
                 conversation(self.user, "large", *(said("user", str(i) * (1 << 20)) for i in range(9))),
                 conversation(self.user, "largest", said("user", "x" * (4 << 20)), said("user", "y"))]
        self.assertEqual(self.imports(lines)["messages"], 2511)
        self.assertEqual(self.exported(self.user), {(self.user, each["conversation_id"]): each for each in lines})
        self.assertEqual(self.imports(lines)["already_present"], 2511)

    def test_metadata_larger_than_a_request(self):
        metadata = {f"k{i}": "v" * 1024 for i in range(64)}
        messages = [{**said("user", str(i)), "chatlog": {"metadata": metadata}} for i in range(200)]
        self.imports([conversation(self.user, "c", *messages, metadata=metadata)])
        self.assertEqual(self.exported(self.user)[self.user, "c"]["messages"], messages)


class Rejected(DaemonTest):
    """Each bad line stands between two good ones, which must be stored."""

    def setUp(self):
        super().setUp()
        self.rejected = 0

    def tearDown(self):
        """Of all the bad lines nothing was stored, not even a conversation."""
        if self.rejected:
            names = sorted(f"{i + 1} {name}" for i in range(self.rejected) for name in ("before", "after"))
            self.assertEqual(sorted(name for _, name in self.exported(self.user)), names)
        super().tearDown()

    def rejects(self, bad, says):
        self.rejected += 1
        bad = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
        good = [json.dumps(conversation(self.user, f"{self.rejected} {name}", said("user", "x"))).encode()
                for name in ("before", "after")]
        result = self.chatlog("import", "-", input=b"\n".join([good[0], bad, good[1]]) + b"\n", code=FAILED)
        self.assertRegex(result.stderr, "(?m)^chatlog: line 2: " + says)
        self.assertIn("chatlog: INVALID_ARGUMENT: LINES_FAILED\n  1 of 3 lines were not imported", result.stderr)
        self.assertEqual("imported 2 conversations, 2 messages (0 already present)\n", result.stdout)

    def rejects_message(self, message, says):
        self.rejects(conversation(self.user, "bad", said("user", "first"), message), "message 2: " + says)

    def test_malformed_json(self):
        for bad in (b"{", b"x", b'{"user_id":"u"', b'{"user_id":"u"}}', b"\xff", b'{"user_id":"\xff"}', b"\0",
                    b'"a\tb"', b'{"a":"\\ud800"}', b'{"a\\u0000b":1}', b"[" * 5000, b"{'a':1}", b"NaN"):
            self.rejects(bad, "malformed JSON at byte ")

    def test_something_other_than_an_object(self):
        for bad in (b"[]", b"[{}]"):
            self.rejects(bad, "the line is not a JSON object")

    def test_a_duplicate_member(self):
        self.rejects(b'{"user_id":"u","user_id":"v","conversation_id":"c","messages":[]}', ".*duplicate object key")
        self.rejects(b'{"user_id":"u","conversation_id":"c","messages":[{"role":"r","x":{"a":1,"a":2}}]}',
                     ".*duplicate object key")

    def test_an_unknown_member(self):
        self.rejects({**conversation("u", "c"), "tilte": "x"}, 'unknown member "tilte"')
        self.rejects(conversation("u", "c", chatlog={"pinned": True}), 'unknown member "chatlog.pinned"')

    def test_a_missing_member(self):
        for name in ("user_id", "conversation_id", "messages"):
            bad = conversation(self.user, "bad")
            del bad[name]
            self.rejects(bad, f'"{name}" is missing')

    def test_a_member_of_another_type(self):
        for name, value, kind in (("user_id", 1, "a string"), ("conversation_id", None, "a string"),
                                  ("title", None, "a string"), ("metadata", [], "an object"),
                                  ("messages", {}, "an array"), ("chatlog", 1, "an object")):
            self.rejects({**conversation(self.user, "bad"), name: value}, f'"{name}" is not {kind}')
        self.rejects(conversation("u", "c", chatlog={"archived": 1}), '"chatlog.archived" is not true or false')
        self.rejects(conversation("u", "c", chatlog={"expire_time_us": "1"}), '"chatlog.expire_time_us" is not an int')
        self.rejects(conversation("u", "c", chatlog={"expire_time_us": -1}), '"expire_time_us" is not a number from 0')

    def test_metadata_that_is_not_kept(self):
        self.rejects(conversation("u", "c", metadata={"a": 1}), 'metadata "a" is not a string')
        self.rejects(conversation("u", "c", metadata={"a": None}), 'metadata "a" is not a string')
        self.rejects(conversation("u", "c", metadata={"": "x"}), "a metadata key has 0 bytes; 1 to 64 are allowed")
        self.rejects(conversation("u", "c", metadata={"k" * 65: "x"}), "a metadata key has 65 bytes")
        self.rejects(conversation("u", "c", metadata={"k": "x" * 1025}),
                     'metadata "k" has 1025 bytes, the limit is 1024')
        self.rejects(conversation("u", "c", metadata={"k": "a\0b"}), r'metadata "k" has the character U\+0000')
        self.rejects(conversation("u", "c", metadata={f"k{i}": "" for i in range(65)}),
                     "metadata has 65 pairs, the limit is 64")

    def test_names_that_are_too_long_or_not_allowed(self):
        for name in ("user_id", "conversation_id"):
            self.rejects({**conversation("u", "c"), name: "x" * 129}, f'"{name}" has 129 bytes, the limit is 128')
            self.rejects({**conversation("u", "c"), name: "\u00e9" * 65}, f'"{name}" has 130 bytes, the limit is 128')
            self.rejects({**conversation("u", "c"), name: ""}, f'"{name}" is empty')
            for control in "\0\n\x7f\x85":
                self.rejects({**conversation("u", "c"), name: f"a{control}b"}, f'"{name}" has a control character')
        self.rejects(conversation("u", "c", title="x" * 1025), '"title" has 1025 bytes, the limit is 1024')
        self.rejects(conversation("u", "c", title="a\nb"), '"title" has a control character')

    def test_numbers_json_readers_cannot_keep(self):
        for number in (2**63, -(2**63) - 1, 10**30):
            self.rejects_message_text(number, "malformed JSON.*integers must fit in 64 bits")
        self.rejects_message_text("1e999", "malformed JSON.*64-bit floating point")

    def rejects_message_text(self, number, says):
        self.rejects(f'{{"user_id":"u","conversation_id":"c","messages":[{{"role":"r","n":{number}}}]}}'.encode(), says)

    def test_messages_that_are_no_objects(self):
        for message in ("text", 1, None, []):
            self.rejects_message(message, "it is not an object")

    def test_a_message_over_the_limit(self):
        self.rejects_message(said("user", "x" * ((4 << 20) + 1)),
                             "its content has 4194305 bytes, the server's limit is 4194304")
        self.rejects_message({"role": "user", "x": "x" * (4 << 20)}, "its content has .* bytes, the server's limit is ")

    def test_base64_that_is_none(self):
        for text in ("A", "AA", "AAA", "AAF=", "AA==AA==", "A===", "====", "AA=A", "AAA\n", "AA A", "AAA-", "AB=="):
            self.rejects_message({"role": "user", "content_type": "x/y", "content_base64": text},
                                 '"content_base64" is not base64')

    def test_content_types_that_are_not_allowed(self):
        for content_type, says in (("", '"content_type" is empty'), ("x" * 129, '"content_type" has 129 bytes')):
            self.rejects_message({"role": "user", "content_type": content_type, "content_base64": ""}, says)

    def test_labels_that_are_not_kept(self):
        for labels, says in ((1, '"chatlog" is not an object'), ({"seq": 1}, 'unknown member "chatlog.seq"'),
                             ({"author": 1}, '"chatlog.author" is not a string'),
                             ({"author": "x" * 129}, '"author" has 129 bytes'),
                             ({"message_id": "x" * 129}, '"message_id" has 129 bytes'),
                             ({"token_count": 2**32}, '"token_count" is not a number from 0 to 4294967295'),
                             ({"token_count": 1.5}, '"chatlog.token_count" is not an integer'),
                             ({"sent_time_us": -1}, '"sent_time_us" is not a number from 0'),
                             ({"metadata": {"a": 1}}, 'metadata "a" is not a string')):
            self.rejects_message({**said("user", "x"), "chatlog": labels}, says)

    def test_escapes_in_the_file_do_not_reach_the_terminal(self):
        result = self.chatlog("import", "-", input=json.dumps({"\x1b[2J": 1}), code=FAILED)
        self.assertIn('unknown member "\\x1b[2J"', result.stderr)

    def test_what_the_server_refuses(self):
        double = {**said("user", "x"), "chatlog": {"message_id": "m"}}
        result = self.chatlog("import", "-", input=jsonl([conversation(self.user, "c", double, double)]), code=FAILED)
        self.assertIn("chatlog: line 1: conversation c: ALREADY_EXISTS: MESSAGE_ID_EXISTS: ", result.stderr)

    def test_a_conversation_that_differs(self):
        stored = [said("user", "1"), {"role": "user", "x": [1]}, said("user", "3")]
        self.imports([conversation(self.user, "c", *stored)])
        for other in (said("user", "other"), said("other", "3"), {"role": "user", "content": "3", "x": 1}):
            lines = jsonl([conversation(self.user, "c", *stored[:2], other, said("user", "4"))])
            result = self.chatlog("import", "-", input=lines, code=FAILED)
            self.assertIn("chatlog: line 1: conversation c differs from the file at message 3; nothing was appended",
                          result.stderr)
        self.assertEqual(self.exported(self.user)[self.user, "c"]["messages"], stored)

    def test_a_deleted_conversation(self):
        lines = jsonl([conversation(self.user, "c", said("user", "1"))])
        self.text("import", "-", input=lines)
        self.text("delete", self.user, "c")
        result = self.chatlog("import", "-", input=lines, code=FAILED)
        self.assertIn("chatlog: line 1: conversation c is deleted; undelete or purge it", result.stderr)

    def test_long_lines(self):
        """Of at most 256 MiB, and together more than memory is to hold at once."""
        good = jsonl([conversation(self.user, "c", said("user", "1"))]).encode()
        spaces = b" " * (1 << 20)
        process = subprocess.Popen([CHATLOG, "import", "-", "--server", self.daemon.url], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for part in [good, *[spaces] * 256, b" \n", *[b"x", *[spaces] * 130, b"\n"] * 3]:
            process.stdin.write(part)
        output, error = process.communicate(good, timeout=TIMEOUT)
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(b"chatlog: line 2: the line is longer than 256 MiB", error)
        self.assertIn(b"4 of 6 lines were not imported", error)
        self.assertEqual(b"imported 1 conversations, 1 messages (1 already present)\n", output)


class Files(DaemonTest):
    def test_no_such_file(self):
        error = self.fails("import", "/nonexistent/file")
        self.assertIn("FILE_UNREADABLE\n  '/nonexistent/file' cannot be opened: No such file or directory.", error)

    def test_a_file_that_cannot_be_read(self):
        error = self.fails("import", "/")
        self.assertIn("FILE_UNREADABLE\n  Reading failed after line 0: Is a directory.", error)

    def test_the_result_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            error = self.fails("import", "-", input=jsonl([conversation(self.user, "c")]), stdout=full)
        self.assertIn("OUTPUT_FAILED", error)


class Kinds(DaemonTest):
    """Which message becomes which kind of content."""

    def kinds(self, *messages):
        self.imports([conversation(self.user, "c", *messages)])
        return [(each["content_type"], each["role"]) for each in self.json("log", self.user, "c", "-n", 1000)]

    def test_role_and_string_content_are_plain_text(self):
        self.assertEqual(self.kinds(said("user", "x"), said("", ""), said("r" * 64, "a\0b")),
                         [("text/plain", "user"), ("text/plain", ""), ("text/plain", "r" * 64)])

    def test_anything_else_is_json_with_the_role_it_names(self):
        self.assertEqual(
            self.kinds({"role": "user", "content": None}, {"content": "x"}, {"role": "tool", "content": "x", "id": 1},
                       said("r" * 65, "x"), said("a\nb", "x"), said("a\0b", "x"), {"role": 5, "content": "x"}, {},
                       {"role": "user", "content": [{"type": "text", "text": "x"}]}),
            [("application/json", role) for role in ("user", "", "tool", "", "", "", "", "", "user")])

    def test_base64_restores_type_and_bytes(self):
        content = bytes(range(256))
        encoded = base64.b64encode(content).decode()
        self.assertEqual(self.kinds({"role": "u", "content_type": "x/y", "content_base64": encoded}), [("x/y", "u")])
        self.assertEqual(self.json("log", self.user, "c")[0]["content_base64"], encoded)


if __name__ == "__main__":
    unittest.main()
