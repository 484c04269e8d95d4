"""Tokens on the command line: made, shown, refused."""

import base64
import json
import os
import secrets
import signal
import time
import unittest

from daemon import FAILED, TIMEOUT, USAGE, Daemon, DaemonTest, run


class TokenTest(DaemonTest):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.remove)
        cls.key = os.path.join(cls.daemon.directory, "key")
        cls.write(cls.key, secrets.token_hex(32) + "\n")
        cls.daemon.options = ["--token-key", f"main:HS256:{cls.key}", "--token-audience", "app"]
        cls.daemon.start()

    @staticmethod
    def write(path, text):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def mint(self, *arguments, key=None, audience="app"):
        result = run("token", "--key", f"main:HS256:{key or self.key}", "--audience", audience, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def test_a_token_says_who_for_what_and_how_long(self):
        header, claims, _ = self.mint("--user", "ann", "--scope", "history:read,admin", "--ttl", "60").split(".")
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims))
        self.assertEqual((header["alg"], header["kid"]), ("HS256", "main"))
        self.assertEqual((claims["sub"], claims["aud"], claims["scope"]), ("ann", "app", "history:read admin"))
        self.assertEqual(claims["exp"] - claims["iat"], 60)

    def test_the_environment_or_a_file_shows_a_token_and_the_file_wins(self):
        mine, other = self.mint("--user", self.user), self.mint("--user", "somebody")
        path = os.path.join(self.daemon.directory, "token")
        self.write(path, mine + "\n")
        self.text("append", self.user, "c", "--role", "user", "hello", token=mine)
        self.assertIn("hello", self.text("log", self.user, "c", "--token-file", path, token=other))
        self.assertIn("USER_FOREIGN", self.fails("log", self.user, "c", token=other))
        self.assertIn("SCOPE_MISSING", self.fails("stats", token=mine))
        self.text("stats", token=self.mint("--scope", "admin"))
        self.text("log", self.user, "c", token=self.mint("--scope", "service"))

    def test_a_token_that_does_not_hold_is_refused_with_what_to_do(self):
        self.assertIn("TOKEN_INVALID", self.fails("log", "a", "c", token=self.mint("--user", "a", audience="other")))
        wrong = os.path.join(self.daemon.directory, "wrong")
        self.write(wrong, secrets.token_hex(32))
        self.assertIn("signature", self.fails("log", "a", "c", token=self.mint("--user", "a", key=wrong)))

    def test_what_is_no_token_is_not_sent(self):
        path = os.path.join(self.daemon.directory, "bad")
        for text, told in (("", "empty"), ("a b", "blanks"), ("x" * 4097, "too large")):
            self.write(path, text)
            self.assertIn(told, self.fails("stats", "--token-file", path, code=USAGE))
        self.assertIn("No such file", self.fails("stats", "--token-file", path + ".not", code=USAGE))
        self.assertIn("CHATLOG_TOKEN", self.fails("stats", code=USAGE, token="a\tb"))

    def test_a_wrong_command_line_is_told(self):
        for arguments, told in (((), "--key KID"), (("--key", "k:RS256:/f"), "--key KID"),
                                (("--key", "k"), "--key KID"), (("--key", "k:HS256:/f"), "--user"),
                                (("--key", "k:HS256:/f", "--user", "a", "--scope", "all"), "--scope takes")):
            result = run("token", *arguments)
            self.assertEqual(result.returncode, USAGE)
            self.assertIn(told, result.stderr)
        result = run("token", "--key", "k:HS256:/no/such/file", "--user", "a")
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("/no/such/file: No such file", result.stderr)
        result = run("token", "--key", f"k:ES256:{self.key}", "--user", "a")
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("private key", result.stderr)

    def reload(self, expected):
        """SIGHUP, and the newest event of the audit trail once there is one more."""
        before = len(self.json("audit", "-n", 100))
        self.daemon.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + TIMEOUT
        while len(self.json("audit", "-n", 100)) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        event = self.json("audit", "-n", 1)[0]
        self.assertEqual((event["action"], event["principal"]), (expected, f"uid:{os.getuid()}"))
        self.assertEqual(event.get("user_id", ""), "")

    def test_a_reload_of_the_keys_leaves_an_event_whether_it_succeeded_or_not(self):
        with open(self.key, encoding="ascii") as file:
            secret = file.read()
        self.reload("reload_tokens")
        self.write(self.key, "too short")
        self.reload("reload_tokens_failed")
        self.write(self.key, secret)


if __name__ == "__main__":
    unittest.main()
