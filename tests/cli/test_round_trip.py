"""What import took, export gives back: as JSON values, in order; also of what only other clients write."""

import base64
import json
import os
import random
import unittest

from daemon import SOURCE_DIR, DaemonTest, by_name, conversation, jsonl, lines_of, said

REAL_DATA = os.path.join(SOURCE_DIR, "..", "shared", "data", "taskmaster4.jsonl")
SAMPLE = os.path.join(SOURCE_DIR, "tests", "sample", "conversations.jsonl")

STRINGS = ["", " ", "a", "\0", "\0\0", "a\0b", "\n\r\t\b\f", "\x1b[31m", "\x7f\x80\x9f\xa0", "\\u0000", '"\\/',
           "\u00e9e\u0301", "\u65e5\u672c\u8a9e", "\u0627\u0644\u0639\u0631\u0628",
           "\u202e\u2028\u2029\ufeff\ufffe\uffff",
           "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0010ffff", "x" * 5000]
NUMBERS = [0, -1, 2**63 - 1, -(2**63), 2**53 + 1, 0.1, -0.0, 1e300, 5e-324, 1.7976931348623157e308, 1.0, 1e22,
           123456.789]


def exact(value):
    """JSON text that tells 1 from 1.0 and true from 1, whatever the order of members."""
    return json.dumps(value, sort_keys=True)


def random_value(random_source, depth=0):
    kind = random_source.randrange(8 if depth < 6 else 5)
    if kind == 5:
        return [random_value(random_source, depth + 1) for _ in range(random_source.randrange(5))]
    if kind >= 6:
        return {name.replace("\0", "0"): random_value(random_source, depth + 1)
                for name in random_source.sample(STRINGS, random_source.randrange(5))}
    return random_source.choice([None, True, False, random_source.choice(NUMBERS), random_source.choice(STRINGS)])


def random_message(random_source):
    role = random_source.choice(["user", "assistant", "system", "tool", "", "\u30e6\u30fc\u30b6\u30fc", "a b", "r" * 64,
                                 "r" * 65, "a\nb"])
    if random_source.random() < 0.4:
        return said(role, random_source.choice(STRINGS))
    message = {"role": role} if random_source.random() < 0.8 else {}
    if random_source.random() < 0.8:
        message["content"] = random_value(random_source)
    for name in random_source.sample(["tool_calls", "id", "content_type", "content_base64", "x y", "", "\u00e9"],
                                     random_source.randrange(4)):
        message[name] = random_value(random_source)
    if set(message) == {"role", "content_type", "content_base64"}:
        message["id"] = 1  # else it would be the form for other content types
    return message


def nested(depth):
    value = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value


def adversarial(user):
    """Conversations with everything JSON can hold; the same ones for the same user."""
    random_source = random.Random(20)
    names = [" ", "c", "C", "c ", "\u00e9", "e\u0301", "../..", "a/b", '"', "\\", "%s%n", "\u202ec", "x" * 128,
             "-n", "0"]
    result = [conversation(user, name, *(random_message(random_source) for _ in range(random_source.randrange(40))),
                           title=random_source.choice(["", "t", "\u65e5\u672c", "x" * 1024]),
                           metadata={f"k{i}": random_source.choice(["", "v", "\u00e9", "a\nb"])
                                     for i in range(random_source.randrange(65))})
              for name in names]
    result.append(conversation(user, "deep", {"role": "x", "content": nested(300)}))
    result.append(conversation(user, "strings", *(said("user", text) for text in STRINGS)))
    result.append(conversation(user, "numbers", *({"role": "user", "content": number} for number in NUMBERS)))
    return result


class RoundTripTest(DaemonTest):
    def same(self, conversations):
        """What was imported is what is exported, of one user alone and of all together."""
        expected = by_name(conversations)
        users = {user for user, _ in expected}
        together = {name: each for name, each in self.exported().items() if name[0] in users}
        self.assertEqual(together.keys(), expected.keys())
        for name, each in expected.items():
            self.assertEqual(exact(together[name]), exact(each))
        for user in list(users)[:3]:
            self.assertEqual(self.exported(user), {name: each for name, each in together.items() if name[0] == user})


class RoundTrip(RoundTripTest):
    def test_everything_json_can_hold(self):
        conversations = adversarial(self.user)
        counts = self.imports(conversations)
        messages = sum(len(each["messages"]) for each in conversations)
        self.assertEqual((counts["conversations"], counts["messages"]), (len(conversations), messages))
        self.same(conversations)
        counts = self.imports(conversations)
        self.assertEqual((counts["conversations"], counts["messages"], counts["already_present"]), (0, 0, messages))

    def test_order_of_members_in_a_message(self):
        line = ('{"user_id":"' + self.user + '","conversation_id":"c","title":"","metadata":{},'
                '"messages":[{"z":1,"role":"r","a":{"y":[1.5,"\\u0000"],"b":null}}]}')
        self.text("import", "-", input=line + "\n")
        self.assertEqual(self.text("export", "--user", self.user), line + "\n")

    def test_labels_of_other_clients(self):
        labels = {"message_id": "m", "author": "a model", "token_count": 2**32 - 1, "sent_time_us": 1700000000123456,
                  "metadata": {"k": "v", "\u00e9": ""}}
        messages = [{**said("user", str(name)), "chatlog": {name: value}} for name, value in labels.items()]
        messages.append({"role": "tool", "x": 1, "chatlog": {**labels, "message_id": "n"}})
        messages.append({"role": "u", "content_type": "x/y", "content_base64": "AA==",
                         "chatlog": {**labels, "message_id": "o"}})
        conversations = [conversation(self.user, "c", *messages),
                         conversation(self.user, "d", chatlog={"archived": True}),
                         conversation(self.user, "e", said("u", "x"), chatlog={"expire_time_us": 4102444800000000}),
                         conversation(self.user, "f", chatlog={"archived": True, "expire_time_us": 4102444800000001})]
        self.imports(conversations)
        self.same(conversations)
        self.assertEqual(self.imports(conversations)["already_present"], len(messages) + 1)

    def test_labels_that_differ_are_a_difference(self):
        message = {**said("user", "x"), "chatlog": {"author": "a"}}
        self.imports([conversation(self.user, "c", message)])
        self.assertEqual(self.imports([conversation(self.user, "c", said("user", "x"))])["already_present"], 1)
        other = {**said("user", "x"), "chatlog": {"author": "b"}}
        self.assertEqual(self.imports([conversation(self.user, "c", other)], code=1)["failed_lines"], 1)

    def test_content_that_only_other_clients_write(self):
        """Each is imported as base64, so that it is stored as those clients would have stored it."""
        contents = [  # role, content type, content, the message that export gives (None: base64)
            ("u", "text/plain", b"plain", said("u", "plain")),
            ("u", "text/plain", b"\xff\xfe", None),
            ("", "text/plain", b"", said("", "")),
            ("u", "text/html", b"<b>", None),
            ("u", "image/png", bytes(range(256)), None),
            ("u", "application/json", b'{ "role": "u",\n "n": 1e2 }', {"role": "u", "n": 100.0}),
            ("other", "application/json", b'{"role":"u","n":1}', None),
            ("", "application/json", b'{"n":1}', {"n": 1}),
            ("u", "application/json", b'{"role":"u","content":"x"}', None),  # a plain message in that form
            ("u", "application/json", b'{"role":"u","a":1,"a":2}', None),
            ("u", "application/json", b'{"role":"u","n":99999999999999999999}', None),
            ("u", "application/json", b'{"role":"u","chatlog":{"author":"x"}}', None),
            ("u", "application/json", b'{"role":"u","content_type":"x/y","content_base64":""}', None),
            ("u", "application/json", b"[1,2]", None),
            ("u", "application/json", b"{", None),
            ("u", "application/json", b"", None),
        ]
        encoded = [{"role": role, "content_type": content_type, "content_base64": base64.b64encode(content).decode()}
                   for role, content_type, content, _ in contents]
        self.imports([conversation(self.user, "c", *encoded)])
        exported = self.exported(self.user)[self.user, "c"]
        self.assertEqual(exact(exported["messages"]),
                         exact([plain or base for base, (*_, plain) in zip(encoded, contents)]))
        self.assertEqual(self.imports([exported])["already_present"], len(contents))
        exported["user_id"] += "2"
        self.imports([exported])
        self.same([exported])

    def test_deleted_ones_are_not_exported(self):
        self.imports([conversation(self.user, "a"), conversation(self.user, "b")])
        self.text("delete", self.user, "a")
        self.assertEqual(list(self.exported(self.user)), [(self.user, "b")])

    def test_nobody_and_a_user_without_conversations(self):
        self.assertEqual(self.text("export", "--user", self.user), "")

    def test_more_users_and_conversations_than_a_page_holds(self):
        conversations = [conversation(f"{self.user}{i}", "c", said("u", str(i))) for i in range(1050)]
        conversations += [conversation(self.user, f"c{i}") for i in range(2050)]
        self.imports(conversations)
        exported = self.exported()
        for each in conversations:
            self.assertEqual(exported[each["user_id"], each["conversation_id"]], each)


class Files(RoundTripTest):
    def real_file(self, path):
        with open(path, "rb") as file:
            data = file.read()
        conversations = lines_of(data.decode())
        messages = sum(len(each["messages"]) for each in conversations)
        self.assertEqual(self.text("import", path),
                         f"imported {len(conversations)} conversations, {messages} messages (0 already present)\n")
        self.same(conversations)
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.text("import", path),
                         f"imported 0 conversations, 0 messages ({messages} already present)\n")
        self.same(conversations)

    def test_the_sample_of_the_repository(self):
        self.real_file(SAMPLE)

    @unittest.skipUnless(os.path.exists(REAL_DATA), "the real data is not here")
    def test_real_data(self):
        self.real_file(REAL_DATA)


if __name__ == "__main__":
    unittest.main()
