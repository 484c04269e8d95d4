"""A migration on a disk that gets full, however far it has come: it pauses, the daemon serves, and it goes on by itself
when there is room. On a small file system of its own; skipped where none may be mounted.

CHATLOG_FULL_STEP says in which steps of MiB the room is tried (default 3).
"""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fault"))
from harness import report_control  # noqa: E402

from daemon import NEWEST, Data

STEP_MIB = int(os.environ.get("CHATLOG_FULL_STEP", "3"))
DISK_MIB = 96
RESERVE_MIB = 16  # the daemon stops to write when less is free; must be more than one commit writes
MIB = 1024 * 1024


class FullDisk(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix="chatlog-migration-")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", directory],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            os.rmdir(directory)
            self.skipTest(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
        self.addCleanup(os.rmdir, directory)
        self.addCleanup(subprocess.run, ["umount", directory], check=True)
        self.data = Data(os.path.join(directory, "daemon"))
        self.addCleanup(self.data.kill)
        os.mkdir(self.data.directory)
        self.data.options = ("--disk-reserve", f"{RESERVE_MIB}M")
        self.ballast = os.path.join(directory, "ballast")

    def leave_room(self, mib):
        """Fills the disk until this much is free."""
        disk = os.statvfs(self.data.directory)
        with open(self.ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - mib * MIB)

    def migrates_with_room(self, layout, mib, **harm):
        """Returns True when the room was too small at first."""
        self.data.take_golden("adversarial", layout)
        self.leave_room(mib)
        self.data.start(**harm)
        migration = self.data.wait_state("paused", "none")
        paused = migration["state"] == "paused"
        self.assertIsNone(self.data.dump_differs(), f"{mib} MiB free")
        os.remove(self.ballast)
        migration = self.data.wait_state("none")
        self.assertEqual((migration["layout"], migration["quarantined"]), (NEWEST, 0))
        self.assertIsNone(self.data.dump_differs(), f"after {mib} MiB free")
        self.data.stop()
        os.remove(f"{self.data.path}/data.mdb")
        return paused

    def pauses_at_any_mib(self, layout):
        paused = []
        mib = RESERVE_MIB
        while not paused or paused[-1]:
            paused.append(self.migrates_with_room(layout, mib))
            mib += STEP_MIB
        print(f"paused {sum(paused)} times; needed no pause with {mib - STEP_MIB} MiB free", file=sys.stderr)
        self.assertGreater(len(paused), 1)

    def test_a_migration_pauses_at_any_mib_and_goes_on_by_itself(self):
        self.pauses_at_any_mib(1)

    def test_one_of_layout_2_does_so_too(self):
        self.pauses_at_any_mib(2)

    @unittest.skipUnless("IOFAULT" in os.environ, "a sanitizer and the shim both want malloc")
    def test_control_a_disk_that_loses_a_write_is_found_out(self):
        try:
            self.migrates_with_room(2, RESERVE_MIB + 4 * STEP_MIB, fail="write:20:drop")
            found = None
        except (AssertionError, RuntimeError, subprocess.CalledProcessError) as error:
            found = error
        report_control("23", "a lost write", found)
        self.assertIsNotNone(found)
        print(str(found)[:300], file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
