"""Tests 7, 10, 20, 22 and 30 of the programme: what the daemon is like to its clients while the disk is full, the disk
stalls, clocks jump, and over time. Each has a control.
"""

import os
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import SCALE, SEED, Caller, Daemon, Load, report, report_control

SECONDS = 4 * SCALE  # of a soak
CHURN_SECONDS = min(SECONDS, 60)
GAIN_MAX_MIB = 16  # of memory, over a soak
MIB = 1024 * 1024
HOUR_NS = 3600 * 10**9


class Reads:
    """Reads the store again and again in a thread of its own; knows the longest wait."""

    def __init__(self, daemon):
        self.caller = Caller(daemon)
        self.count = 0
        self.longest = 0.0
        self.error = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.ended.is_set():
                self.longest = max(self.longest, self.caller.ask())
                self.count += 1
                time.sleep(0.002)
        except OSError as error:
            self.error = error

    def end(self):
        self.ended.set()
        self.thread.join()
        self.caller.close()
        return self


class Service(unittest.TestCase):
    def daemon(self, *options, directory=None, **harm):
        daemon = Daemon(*options, directory=directory)
        self.addCleanup(daemon.remove)
        self.assertTrue(daemon.start(**harm), daemon.log())
        return daemon

    def load(self, daemon, clients, conversations):
        load = Load(daemon, SEED, clients, conversations)
        self.addCleanup(lambda: load.process.stdin.closed or load.end())
        return load

    def whole(self, daemon, load):
        """What was answered is there; the daemon stops and its data is sound."""
        wrong = load.ask("check")["wrong"] + load.ask("settle")["wrong"] + load.ask("check")["wrong"]
        self.assertEqual(load.end(), "")
        self.assertEqual(wrong, 0)
        self.assertEqual(daemon.stop(), 0)
        self.assertIsNone(daemon.verified())

    # ---- A full disk ----

    def small_disk(self, mib):
        directory = tempfile.mkdtemp(prefix="chatlog-fault-")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", directory],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            os.rmdir(directory)
            self.skipTest(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
        self.addCleanup(os.rmdir, directory)
        self.addCleanup(subprocess.run, ["umount", directory], check=True)
        return directory

    def fill_and_free(self, daemon, load, directory):
        """Fills the disk under the load, then makes room again. Returns (refused, seconds until changes are taken)."""
        ballast = os.path.join(directory, "ballast")
        load.go()
        time.sleep(0.3)
        disk = os.statvfs(directory)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - 8 * MIB))
        reads = Reads(daemon)
        time.sleep(1.5)
        load.say("halt")
        refused = load.wait()["refused"]
        self.assertTrue(daemon.running(), daemon.log())
        load.go(1)
        self.assertEqual(load.wait()["acks"], 0, "void: the disk is not full")
        self.assertIsNone(reads.end().error)
        self.assertGreater(reads.count, 100, "reads do not go on")
        os.remove(ballast)
        began = time.monotonic()
        while True:
            load.go(1)
            if load.wait()["refused"] == 0:
                return refused, time.monotonic() - began
            self.assertLess(time.monotonic() - began, 10, "service does not resume")

    def test_a_full_disk_refuses_changes_lets_reads_go_on_and_service_resumes(self):
        directory = self.small_disk(160)
        rounds = max(2, round(2 * SCALE))
        refused = 0
        longest = 0.0
        for number in range(rounds):
            daemon = self.daemon("--disk-reserve=16M", directory=os.path.join(directory, str(number)))
            load = self.load(daemon, 8, 2)
            more, resumed = self.fill_and_free(daemon, load, directory)
            refused += more
            longest = max(longest, resumed)
            self.whole(daemon, load)
            for name in ("data.mdb", "lock.mdb"):
                os.remove(f"{daemon.path}/{name}")
        report("7 full disk", rounds, {"refused": refused}, rounds, 0, f"resumed within {longest:.2f} s")
        self.assertGreater(refused, 0, "void: nothing was refused")
        self.assertLess(longest, 2.0)  # the daemon looks once a second

    # ---- A disk that stalls ----

    def test_reads_are_answered_and_changes_wait_while_the_disk_stalls(self):
        daemon = self.daemon(fail="sync:60:stall:2000,sync:120:stall:2000")
        load = self.load(daemon, 8, 2)
        reads = Reads(daemon)
        load.go(120)
        told = load.wait()
        self.assertIsNone(reads.end().error)
        report("22 stalled disk", 2, {"answered": told["acks"], "reads": reads.count}, 2, 0,
               f"longest read {reads.longest * 1000:.0f} ms")
        self.assertGreater(told["latency"], 1500, "void: no change waited")
        self.assertEqual(told["acks"], 8 * 120)
        self.assertLess(reads.longest, 1.0)
        self.whole(daemon, load)

    def test_control_a_daemon_that_stalls_as_a_whole_is_found_out(self):
        daemon = self.daemon()
        reads = Reads(daemon)
        time.sleep(0.2)
        os.kill(daemon.process.pid, 19)
        time.sleep(1.5)
        os.kill(daemon.process.pid, 18)
        time.sleep(0.1)
        caught = reads.end().longest > 1.0
        report_control("22", "all stalls", caught)
        self.assertTrue(caught)

    def test_a_stop_while_the_disk_stalls_answers_what_was_taken(self):
        daemon = self.daemon(fail="sync:30:stall:1500")
        load = self.load(daemon, 8, 2)
        load.go()
        while not daemon.fault_met():
            time.sleep(0.01)
        began = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        took = time.monotonic() - began
        told = load.wait()
        self.assertTrue(daemon.start())
        report("21 stop on a stalled disk", 1, {"answered": told["acks"]}, 1, 0, f"took {took:.1f} s")
        self.assertLess(took, 5)
        self.whole(daemon, load)

    def test_control_a_stop_that_loses_what_it_answered_is_found_out(self):
        daemon = self.daemon(lmdb="lie")
        load = self.load(daemon, 8, 2)
        load.go(50)
        load.wait()
        daemon.stop()
        self.assertTrue(daemon.start())
        wrong = load.ask("check")["wrong"]
        report_control("21", "lost commits", wrong)
        self.assertGreater(wrong, 0)
        daemon.kill()

    # ---- Clocks that jump ----

    def clock_jumps(self, which, steps):
        """Steps a clock under the load. Returns what the load says, the longest read and an error of the reads."""
        with tempfile.NamedTemporaryFile() as clock:
            clock.write(struct.pack("qq", 0, 0))
            clock.flush()
            daemon = self.daemon(clock=clock.name)
            load = self.load(daemon, 16, 2)
            reads = Reads(daemon)
            load.go()
            for step in steps:
                time.sleep(0.15)
                os.pwrite(clock.fileno(), struct.pack("q", step), 8 * which)
            time.sleep(0.15)
            load.say("halt")
            told = load.wait()
            reads.end()
            return daemon, load, told, reads

    def test_the_wall_clock_may_jump(self):
        steps = [HOUR_NS, -HOUR_NS, 24 * HOUR_NS, -24 * HOUR_NS, 0] * max(2, round(4 * min(SCALE, 20)))
        daemon, load, told, reads = self.clock_jumps(0, steps)
        report("20 clock jumps", len(steps), {"answered": told["acks"]}, len(steps), 0,
               f"longest change {told['latency']:.0f} ms, read {reads.longest * 1000:.0f} ms")
        self.assertEqual((told["failed"], told["refused"]), (0, 0))
        self.assertIsNone(reads.error)
        self.assertGreater(told["acks"], 1000, "void: too little load")
        self.assertLess(told["latency"], 2000)
        self.whole(daemon, load)

    def test_control_deadlines_by_a_clock_that_jumps_are_found_out(self):
        daemon, load, told, reads = self.clock_jumps(1, [number * HOUR_NS for number in range(1, 30)])
        complaints = load.end()
        caught = bool(complaints or told["failed"] or reads.error)
        report_control("20", "our clock jumps", caught)
        self.assertTrue(caught)
        daemon.kill()

    # ---- Over time ----

    def churn(self, seconds, **harm):
        """Returns bytes of the file for each byte of live data after changes and reads for so long, and the changes."""
        daemon = self.daemon(**harm)
        load = self.load(daemon, 32, 40)
        load.go()
        time.sleep(2 * seconds / 5)
        settled = daemon.stats()["used_bytes"]
        time.sleep(3 * seconds / 5)
        load.say("halt")
        told = load.wait()
        stats = daemon.stats()
        self.assertEqual(load.end(), "")
        daemon.kill()
        return stats["file_bytes"] / max(settled, stats["used_bytes"]), told["acks"]

    def test_the_file_stays_within_twice_the_live_data(self):
        share, changes = self.churn(CHURN_SECONDS)
        report("10 churn and readers", 1, {"answered": changes}, 0, int(share > 2), f"file {share:.2f} x live data")
        self.assertGreater(changes, 1000 * CHURN_SECONDS / 2, "void: too little load")
        self.assertLessEqual(share, 2)

    def test_control_a_reader_that_is_parked_is_found_out(self):
        share, _ = self.churn(4, lmdb="park")
        report_control("10", "parked reader", share > 2, f"{share:.1f} x")
        self.assertGreater(share, 2)

    def soak(self, seconds, **harm):
        """Returns how many MiB of memory and how many files the daemon gained between a fifth and the end."""
        clients = 1000 if seconds > 30 else 100
        daemon = self.daemon("--connections=2000", **harm)
        load = self.load(daemon, clients, 1)
        load.go(pause_us=1000 * clients // 2)  # some 2,000 calls a second
        time.sleep(seconds / 5)
        memory, files = daemon.memory()
        time.sleep(4 * seconds / 5)
        memory_end, files_end = daemon.memory()
        load.say("halt")
        return daemon, load, load.wait(), (memory_end - memory) / 1024, files_end - files, clients

    def test_memory_and_files_stay_what_they_are(self):
        daemon, load, told, gained, files, clients = self.soak(SECONDS)
        report("30 soak", 1, {"answered": told["acks"]}, 0, int(gained >= GAIN_MAX_MIB or files != 0),
               f"{clients} clients, {SECONDS:.0f} s, gained {gained:.1f} MiB, {files} files; "
               f"longest change {told['latency']:.0f} ms")
        self.assertGreater(told["acks"], 500 * SECONDS, "void: too little load")
        self.assertLess(gained, GAIN_MAX_MIB)
        self.assertEqual(files, 0)
        self.whole(daemon, load)

    def test_control_a_daemon_that_leaks_is_found_out(self):
        for seconds in (4, 20):  # longer on a machine so busy that little leaks
            daemon, load, _, gained, _, _ = self.soak(seconds, lmdb="leak")
            load.end()
            daemon.kill()
            if gained > GAIN_MAX_MIB:
                break
        report_control("30", "a leak", gained > GAIN_MAX_MIB, f"{gained:.0f} MiB")
        self.assertGreater(gained, GAIN_MAX_MIB)


if __name__ == "__main__":
    unittest.main()
