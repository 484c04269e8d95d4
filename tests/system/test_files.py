"""The files of an installed chatlogd: systemd takes the units and finds them locked down, and the configuration names
every option."""

import os
import re
import subprocess
import tempfile
import unittest

UNITS = os.environ["UNITS_DIR"]
SOURCE = f"{os.environ['SOURCE_DIR']}/systemd"
EXPOSURE_MAX = 1.0


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, check=False)


class Units(unittest.TestCase):
    def setUp(self):
        """A directory with the units, that start the daemon where it was built."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        for name in "chatlogd.service", "chatlogd@.service":
            with open(f"{UNITS}/{name}", encoding="utf-8") as file:
                text = re.sub(r"^ExecStart=\S+", f"ExecStart={os.environ['CHATLOGD']}", file.read(), flags=re.MULTILINE)
            self.write(name, text)

    def write(self, name, text):
        os.makedirs(os.path.dirname(f"{self.directory}/{name}"), exist_ok=True)
        with open(f"{self.directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def exposure(self, unit):
        result = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"{self.directory}/{unit}")
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
        self.assertTrue(found, result.stdout)
        return float(found.group(1))

    def test_systemd_takes_them(self):
        for unit in "chatlogd.service", "chatlogd@shop.service":
            result = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"{self.directory}/{unit}")
            self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_what_systemd_does_not_know_is_noticed(self):
        with open(f"{self.directory}/chatlogd.service", encoding="utf-8") as file:
            self.write("chatlogd.service", file.read().replace("ProtectSystem=", "ProtectSystems="))
        result = run("systemd-analyze", "verify", "--man=no", f"{self.directory}/chatlogd.service")
        self.assertIn("ProtectSystems", result.stdout)

    def test_they_are_locked_down(self):
        for unit in "chatlogd.service", "chatlogd@shop.service":
            self.assertLessEqual(self.exposure(unit), EXPOSURE_MAX)

    def test_the_kernel_still_says_who_connects(self):
        for unit in "chatlogd.service", "chatlogd@.service":
            with open(f"{self.directory}/{unit}", encoding="utf-8") as file:
                self.assertNotRegex(file.read(), r"(?m)^PrivateUsers=")

    def test_with_tcp_they_are_locked_down_but_for_that(self):
        with open(f"{SOURCE}/tcp.conf", encoding="utf-8") as file:
            self.write("chatlogd.service.d/tcp.conf", file.read())
        without = self.exposure("chatlogd@shop.service")
        self.assertGreater(self.exposure("chatlogd.service"), without)
        self.assertLessEqual(self.exposure("chatlogd.service"), 2 * EXPOSURE_MAX)


class Configuration(unittest.TestCase):
    def setUp(self):
        with open(f"{UNITS}/chatlogd.conf", encoding="utf-8") as file:
            self.text = file.read()

    def test_it_has_every_option(self):
        wanted = re.findall(r"(?m)^  --([a-z-]+) VALUE$", run(os.environ["CHATLOGD"], "--help").stdout)
        self.assertGreater(len(wanted), 10)
        self.assertEqual(re.findall(r"(?m)^#?([a-z-]+) =", self.text), wanted)

    def test_it_sets_nothing_but_the_directories(self):
        self.assertEqual(re.findall(r"(?m)^[^#\n].*$", self.text), [
            "[chatlogd]", "data-dir = /var/lib/chatlogd", "backup-dir = /var/lib/chatlog-backup/chatlogd"])

    def test_what_is_commented_out_is_the_default(self):
        default = run(os.environ["CHATLOGD"], "--print-config", "--data-dir", "/var/lib/chatlogd",
                      "--backup-dir", "/var/lib/chatlog-backup/chatlogd").stdout
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(re.sub(r"(?m)^#([a-z-]+ = .)", r"\1", self.text))
            file.flush()
            self.assertEqual(run(os.environ["CHATLOGD"], "--print-config", "--config", file.name).stdout, default)


if __name__ == "__main__":
    unittest.main()
