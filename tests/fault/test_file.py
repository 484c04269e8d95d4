"""Tests 7, 8, 9, 11, 24 and 25 of the programme: what becomes of the data file. It grows without a hitch to the size it
may have, never beyond, and deletions work there; readers that have died do not make it grow; a chatlogd that knows less
leaves it as it is; and where its end is missing, the daemon says so and ends.

The map is fixed when the file is opened (`map-size`, 1 TiB unless told otherwise: LMDB maps it sparsely) and is never
resized, so there is no moment at which no transaction may be alive: the file just grows inside it.
"""

import hashlib
import json
import os
import random
import subprocess
import time
import unittest

from harness import EXIT_CONFIG, EXIT_DISK, SCALE, SEED, TIMEOUT, Daemon, Load, report, report_control, scaled

MIB = 1024 * 1024
GROWN_BYTES = round(min(1024, 128 * SCALE)) * MIB
SMALL_MAP = 48  # MiB
STALE_MAX = 15.0  # seconds
TRUNCATIONS = scaled(12)
DOWNGRADES = scaled(3)


def file_sum(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class File(unittest.TestCase):
    def daemon(self, *options, **how):
        daemon = Daemon(*options)
        self.addCleanup(daemon.remove)
        self.assertTrue(daemon.start(**how), daemon.log())
        return daemon

    def grow(self, daemon, seed, size, *more):
        """What chatlog_fault_grow says of 16 writers and 16 readers."""
        result = subprocess.run(
            [os.environ["CHATLOG_FAULT_GROW"], daemon.socket, str(seed), "16", "16", str(size), *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=5 * TIMEOUT, check=True)
        words = result.stdout.decode().split()
        found = {word: float(number) for word, number in zip(words[::2], words[1::2])}
        return {**found, "why": result.stderr.decode()[-2000:]}

    def filled(self, changes=30):
        """A daemon, and a load of 16 clients that knows what is in it."""
        daemon = self.daemon()
        load = Load(daemon, SEED, 16, 2)
        self.addCleanup(lambda: load.process.stdin.closed or load.end())
        load.go(changes)
        load.wait()
        return daemon, load

    def whole(self, daemon, load):
        wrong = load.ask("check")["wrong"] + load.ask("settle")["wrong"] + load.ask("check")["wrong"]
        self.assertEqual(wrong, 0, wrong and load.end() + daemon.log())

    # ---- The file grows, to its end ----

    def test_the_file_grows_from_nothing_under_writers_and_readers(self):
        daemon = self.daemon()
        found = self.grow(daemon, SEED, GROWN_BYTES)
        bad = found["failed"] + found["refused"] + found["wrong"]
        size = os.path.getsize(f"{daemon.path}/data.mdb")
        report("8 growth of the file", 1, {"answered": found["acks"], "reads": found["reads"]}, 0, bad,
               f"to {size / MIB:.0f} MiB; 99% of changes within {found['write_p99']:.0f} ms, reads "
               f"{found['read_p99']:.0f} ms; the map is never resized")
        self.assertEqual(bad, 0, found)
        self.assertGreater(found["reads"], 100, "void: nobody read")
        self.assertGreaterEqual(size, GROWN_BYTES)
        self.assertEqual(daemon.stop(), 0)
        self.assertIsNone(daemon.verified())

    def test_at_its_largest_changes_are_refused_and_everything_can_be_deleted(self):
        daemon = self.daemon(f"--map-size={SMALL_MAP}M")
        found = self.grow(daemon, SEED, 2 * SMALL_MAP * MIB, "delete")
        again = self.grow(daemon, SEED + 1, 2 * SMALL_MAP * MIB, "delete")
        bad = sum(each["failed"] + each["wrong"] + each["kept"] for each in (found, again))
        report("9 file at its largest", 2, {"deleted": found["deleted"] + again["deleted"]},
               found["refused"] + again["refused"], bad, f"{found['acks']:.0f}, emptied {again['acks']:.0f} stored")
        self.assertEqual(bad, 0, (found, again))
        self.assertGreater(min(found["refused"], again["refused"]), 0, "void: it was not full")
        self.assertGreater(again["acks"], found["acks"] / 2)
        self.assertLessEqual(os.path.getsize(f"{daemon.path}/data.mdb"), SMALL_MAP * MIB)
        self.assertEqual(daemon.stop(), 0)
        self.assertIsNone(daemon.verified())

    def test_control_a_file_without_a_reserve_is_found_out(self):
        daemon = self.daemon(f"--map-size={SMALL_MAP}M", lmdb="brim")
        found = self.grow(daemon, SEED, 2 * SMALL_MAP * MIB, "delete")
        report_control("9", "no reserve", found["kept"] + found["failed"], f"{found['kept']:.0f} not deleted")
        self.assertGreater(found["kept"] + found["failed"], 0)

    def test_control_readers_that_see_something_else_are_found_out(self):
        daemon = self.daemon()
        self.grow(daemon, SEED, 4 * MIB)
        found = self.grow(daemon, SEED, 4 * MIB)  # expects to begin with nothing
        report_control("8", "other texts", found["wrong"])
        self.assertGreater(found["wrong"], 0)

    def test_where_the_system_keeps_the_file_small_nothing_answered_is_lost(self):
        """The write that crosses RLIMIT_FSIZE is cut short, LMDB takes that for EIO: the daemon ends, with a reason."""
        daemon, load = self.filled()
        size = os.path.getsize(f"{daemon.path}/data.mdb")
        daemon.kill()
        self.assertTrue(daemon.start(file_bytes_max=size + MIB // 4), daemon.log())
        load.go(500)
        told = load.wait()
        status = 0 if daemon.running() else daemon.wait()
        daemon.kill()
        self.assertTrue(daemon.start(), daemon.log())
        self.whole(daemon, load)
        self.assertEqual(daemon.stop(), 0)
        self.assertIsNone(daemon.verified())
        report("7 RLIMIT_FSIZE", 1, {"answered": told["acks"]}, 1, status not in (0, EXIT_DISK), f"status {status}")
        self.assertIn(status, (0, EXIT_DISK))
        self.assertGreater(told["refused"] + told["failed"], 0, "void: the limit was not met")

    # ---- A reader that has died ----

    def seconds_until_gone(self, **harm):
        """How long the snapshot of a killed process stays in LMDB's table of readers."""
        daemon = self.daemon(**harm)
        program = os.environ["CHATLOG_FAULT_HOLD_READER"]
        with subprocess.Popen([program, daemon.path], stdout=subprocess.PIPE) as holder:
            self.assertEqual(holder.stdout.readline(), b"held\n")
            holder.kill()
            process = str(holder.pid)
        began = time.monotonic()
        while time.monotonic() - began < STALE_MAX:
            told = subprocess.run([program, daemon.path, "list"], stdout=subprocess.PIPE, check=True).stdout.decode()
            if process not in (line.split()[0] for line in told.splitlines() if line.strip()):
                break
            time.sleep(0.2)
        return time.monotonic() - began

    def test_the_snapshot_of_a_dead_process_is_given_back(self):
        took = self.seconds_until_gone()
        report("11 stale reader", 1, {}, 1, int(took >= STALE_MAX), f"gone after {took:.1f} s")
        self.assertLess(took, STALE_MAX)

    def test_control_a_snapshot_that_stays_is_found_out(self):
        took = self.seconds_until_gone(lmdb="stale")
        report_control("11", "never looked for", took >= STALE_MAX)
        self.assertGreaterEqual(took, STALE_MAX)

    # ---- A chatlogd that knows less ----

    def untouched(self, daemon, program):
        """Starts that program on the data. Returns (its status or None when it serves, is the file as it was)."""
        path = f"{daemon.path}/data.mdb"
        before = file_sum(path)
        status = None
        if daemon.start(program=program):
            self.grow(daemon, SEED, 1)
        else:
            status = daemon.wait()
        daemon.kill()
        return status, file_sum(path) == before

    def test_an_older_chatlogd_refuses_newer_data_and_leaves_it_as_it_is(self):
        chance = random.Random(SEED)
        bad = 0
        for number in range(DOWNGRADES):
            daemon, load = self.filled()
            if number % 3 == 1:  # in the middle of a migration
                daemon.kill()
                self.assertEqual(daemon.migrate("--to", "2").returncode, 0)
                daemon.start(fail=f"meta:{chance.randrange(2, 5)}:exit")  # the first is the migration's beginning
                daemon.wait_log("is done")  # or the end, where it took fewer commits
                daemon.kill()
            elif number % 3 == 2:
                self.assertEqual(daemon.stop(), 0)
            else:
                load.go()
                time.sleep(chance.uniform(0, 0.1))
                daemon.kill()
                load.wait()
            status, same = self.untouched(daemon, "CHATLOGD_OLDER")
            if status != EXIT_CONFIG or not same or "knows layout" not in daemon.log():
                bad += 1
            self.assertTrue(daemon.start(), daemon.log())
            self.whole(daemon, load)
            daemon.stop()
            self.assertEqual(daemon.migrate("--to", "2").returncode, 0)
            self.assertTrue(daemon.start(program="CHATLOGD_OLDER"), daemon.log())
            self.whole(daemon, load)
            daemon.kill()
        report("24 downgrade", DOWNGRADES, {}, DOWNGRADES, bad, "and served by it after migrate --to 2")
        self.assertEqual(bad, 0, daemon.log())

    def test_control_a_chatlogd_that_opens_the_data_is_found_out(self):
        daemon, _ = self.filled()
        daemon.kill()
        self.assertEqual(daemon.migrate("--to", "2").returncode, 0)
        status, same = self.untouched(daemon, "CHATLOGD")
        report_control("24", "a daemon that opens it", status is None and not same)
        self.assertEqual((status, same), (None, False))

    # ---- A file whose end is missing ----

    def test_a_data_file_that_ends_too_soon_ends_the_daemon_with_a_reason(self):
        chance = random.Random(SEED)
        daemon, load = self.filled()
        self.assertEqual(daemon.stop(), 0)
        path = f"{daemon.path}/data.mdb"
        with open(path, "rb") as file:
            whole = file.read()
        told = mute = served = 0
        for _ in range(TRUNCATIONS):
            with open(path, "wb") as file:
                file.write(whole[:chance.randrange(1, len(whole))])
            if daemon.start():
                load.process.stdin.write("check\n")
                load.process.stdin.flush()
                load.answer()
                served += daemon.running()
            if daemon.running():
                daemon.kill()
                continue
            status = daemon.wait()
            told += status in (EXIT_CONFIG, EXIT_DISK) and daemon.log() != ""
            mute += status not in (EXIT_CONFIG, EXIT_DISK)
            print(json.dumps({"status": status}), daemon.log()[-200:])
        report("25 truncated under a daemon", TRUNCATIONS, {}, TRUNCATIONS, mute,
               f"{told} ended with a reason, {served} served what was left")
        self.assertEqual(mute, 0, daemon.log())
        self.assertGreater(told, 0, "void: nothing that is needed was missing")
        with open(path, "wb") as file:
            file.write(whole)


if __name__ == "__main__":
    unittest.main()
