"""Test 29 of the programme: a backup under load, during a migration, with kill -9 in the middle, when any call of its
own fails, and after a power cut. What has a backup's name can be restored and is of one moment; the next one works.

The controls: an older backup taken for a newer one, a disk whose syncs do nothing, and damage that is not told.
"""

import concurrent.futures
import json
import os
import random
import subprocess
import tempfile
import time
import unittest

from backups import CUTS, Disk, Keeper, events_of, now_us, restore
from harness import EXIT_BY_SHIM, SCALE, SEED, TIMEOUT, Load, report, report_control, scaled

CYCLES = scaled(6)
CLIENTS = 16
CONVERSATIONS = 40  # of a client: so many that a migration under load takes a while
IMAGES = scaled(1000)
FLIPS = scaled(1500)
CALLS = 12  # of a backup, about
ACTIONS = ("error:5", "error:28", "short", "exit", "half")
WORKERS = 2


class Backup(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)

    def keeper(self):
        daemon = Keeper()
        self.addCleanup(daemon.remove)
        return daemon

    def load(self, daemon, clients=CLIENTS, conversations=CONVERSATIONS):
        load = Load(daemon, SEED, clients, conversations)
        self.addCleanup(lambda: load.process.stdin.closed or load.end())
        return load

    def filled(self, changes=20):
        """A daemon that runs, 32 small conversations in it, and who knows what is in them."""
        daemon = self.keeper()
        self.assertTrue(daemon.start(), daemon.log())
        load = self.load(daemon, 16, 2)
        load.go(changes)
        load.wait()
        return daemon, load

    # ---- Killed in the middle ----

    def interrupted(self, daemon, load, name):
        """A backup under load whose daemon is killed in the middle of it, or soon after. Returns the time in which it
        was made."""
        load.go()
        time.sleep(self.random.uniform(0, 0.1))
        began = now_us()
        asked = daemon.ask_backup(name)
        making = f"{daemon.backups}/.making"
        if self.random.random() < 0.3:
            asked.wait(TIMEOUT)
        while asked.poll() is None and not os.path.exists(making):
            time.sleep(0.0005)
        time.sleep(self.random.uniform(0, 0.01))
        daemon.kill()
        ended = now_us()
        self.cut += os.path.exists(making)
        asked.communicate(timeout=TIMEOUT)
        self.acks += load.wait()["acks"]
        return began, ended

    def whole(self, daemon, load):
        wrong = load.ask("check")["wrong"] + load.ask("settle")["wrong"] + load.ask("check")["wrong"]
        self.assertEqual(wrong, 0, wrong and load.end() + daemon.log())

    def cycle(self, daemon, load, number):
        """Returns (was there a backup, was it of a migration under way)."""
        if number % 2:
            self.assertTrue(daemon.start(), daemon.log())
            self.assertEqual(daemon.stop(), 0)
            moved = daemon.migrate("--to", str(1 + number // 2 % 2))
            self.assertEqual(moved.returncode, 0, moved.stderr)
        self.assertTrue(daemon.start(), daemon.log())
        made = self.interrupted(daemon, load, f"killed-{number}")
        moving = False
        there = daemon.names()
        for name in there:
            with open(f"{daemon.backups}/{name}/manifest.json", encoding="utf-8") as file:
                manifest = json.load(file)
            moving = manifest["layout"] != manifest["target_layout"]
            self.assertIsNone(daemon.copy_differs(name, load, *made))
            daemon.forget(name)
        self.assertTrue(daemon.start(), daemon.log())
        self.whole(daemon, load)
        began = now_us()
        self.assertIsNone(daemon.backup("next"))
        self.assertIsNone(daemon.copy_differs("next", load, began, now_us()))
        daemon.forget("next")
        self.assertEqual(os.listdir(daemon.backups), [])
        daemon.kill()
        return bool(there), moving

    def test_killed_at_any_moment_there_is_a_whole_backup_of_one_moment_or_none(self):
        daemon = self.keeper()
        load = self.load(daemon)
        self.acks = self.cut = 0
        found = [self.cycle(daemon, load, number) for number in range(CYCLES)]
        whole = sum(there for there, _ in found)
        report("29 backup: kill -9", CYCLES, {"answered": self.acks}, self.cut, 0,
               f"{whole} were whole, {sum(moving for _, moving in found)} of them of a migration under way")
        self.assertEqual(load.end(), "")
        self.assertGreater(self.acks, 100 * CYCLES, "void: too little load")
        self.assertGreater(self.cut, 0, "void: no backup was interrupted")

    def test_control_an_older_backup_is_found_out(self):
        daemon, load = self.filled()
        self.assertIsNone(daemon.backup("old"))
        load.go(20)
        load.wait()
        differs = daemon.copy_differs("old", load, now_us(), now_us())
        report_control("29", "an older one", differs)
        self.assertIsNotNone(differs)

    # ---- A call of its own fails ----

    def one_fault(self, action, call):
        """Returns (was it met, what is wrong or None)."""
        daemon = Keeper()
        try:
            daemon.start()
            load = Load(daemon, SEED, 4, 2)
            load.go(20)
            load.wait()
            daemon.kill()
            return self.meet(daemon, load, action, call)
        finally:
            load.end()
            daemon.remove()

    def meet(self, daemon, load, action, call):
        daemon.start(fail=f"backup:{call}:{action}")
        began = now_us()
        refused = daemon.backup("met")
        met = daemon.fault_met()
        ended = now_us()
        if not met:
            return False, refused
        if not daemon.running() and daemon.wait() != EXIT_BY_SHIM:
            return met, f"call {call}, {action}: it ended\n{daemon.log()}"
        load.go(1) if daemon.process else daemon.start()
        load.wait()
        wrong = load.ask("check")["wrong"] or daemon.backup("next")
        wrong = wrong or daemon.copy_differs("next", load, ended, now_us())
        if "met" in daemon.names():
            wrong = wrong or daemon.copy_differs("met", load, began, ended)
        elif not refused:
            wrong = "it was answered and is not there"
        return met, f"call {call}, {action}: {wrong}" if wrong else None

    def calls_of(self, action):
        chance = random.Random(f"{SEED} {action}")
        step = max(1.0, CALLS / (4 * SCALE))
        call = 1
        while True:
            yield call
            call += max(1, round(chance.uniform(0.5, 1.5) * step))

    def test_whatever_call_of_a_backup_fails_the_daemon_serves_and_the_next_one_works(self):
        for action in ACTIONS:
            calls = self.calls_of(action)
            wrong = []
            met_count = last = 0
            met = True
            with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
                while met and not wrong:
                    batch = [next(calls) for _ in range(WORKERS)]
                    results = list(pool.map(lambda call, what=action: self.one_fault(what, call), batch))
                    met_count += sum(result[0] for result in results)
                    wrong = [why for _, why in results if why]
                    met = all(result[0] for result in results)
                    last = batch[-1]
            every = "each call" if 4 * SCALE >= CALLS else "calls"
            report(f"29 backup: {action.replace(':', ' ')}", met_count, {}, met_count, len(wrong),
                   f"{every} up to {last}")
            self.assertFalse(wrong, "\n".join(wrong))
            self.assertGreater(met_count, 1, "void: no fault was met")

    # ---- Power cuts ----

    def recorded(self, **harm):
        """The events of a backup under load."""
        daemon, load = self.filled(60)
        daemon.kill()
        record = f"{daemon.directory}/record"
        self.assertTrue(daemon.start(backup=record, **harm), daemon.log())
        load.go()
        self.assertIsNone(daemon.backup("one"))
        load.say("halt")
        load.wait()
        daemon.kill()
        load.end()
        return events_of(record)

    def images_bad(self, events, count):
        """Returns (images, those that have a backup's name, those of them that cannot be restored)."""
        known = {}
        images = named = bad = 0
        with tempfile.TemporaryDirectory(prefix="chatlog-fault-") as directory:
            for round_number in range(max(1, -(-count // (len(events) * len(CUTS))))):
                disk = Disk()
                for event in events:
                    disk.play(event)
                    for cut in CUTS:
                        images += 1
                        files = disk.cut(cut, self.random)
                        if files is None:
                            continue
                        named += 1
                        key = hash(tuple(files.items()))
                        if key not in known:
                            known[key] = image_restores(files, f"{directory}/{round_number}-{images}")
                        bad += not known[key]
        return images, named, bad

    def test_after_a_power_cut_what_has_a_name_can_be_restored(self):
        events = self.recorded()
        images, named, bad = self.images_bad(events, IMAGES)
        report("29 backup: power cut", images, {"calls": len(events)}, images, bad, f"{named} have a backup's name")
        self.assertEqual(bad, 0)
        self.assertGreater(named, 0, "void: there was no backup yet")

    def test_control_a_disk_whose_syncs_do_nothing_is_found_out(self):
        events = self.recorded(fail="backup_sync:1+:drop")
        bad = self.images_bad(events, 1000)[2]
        report_control("29", "syncs dropped", bad)
        self.assertGreater(bad, 0)

    # ---- Flipped bits ----

    def flips(self, mode, trials, layout=None):
        daemon, load = self.filled(40)
        load.end()
        environment = dict(os.environ)
        if layout:
            self.assertEqual(daemon.stop(), 0)
            self.assertEqual(daemon.migrate("--to", str(layout)).returncode, 0)
            daemon.options += ("--migrate=hold",)
            environment["CHATLOG_TEST_LAYOUT"] = str(layout)
            self.assertTrue(daemon.start(), daemon.log())
        self.assertIsNone(daemon.backup("one"))
        self.assertEqual(daemon.stop(), 0)
        result = subprocess.run(
            [os.environ["CHATLOG_FAULT_FLIP"], mode, f"{daemon.backups}/one", "32", str(trials), str(SEED),
             daemon.directory], env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=20 * TIMEOUT)
        words = result.stdout.decode().split()
        return {word: int(number) for word, number in zip(words[::2], words[1::2])}, result.stderr.decode()[:2000]

    def test_no_flipped_bit_of_a_backup_is_restored_as_something_else(self):
        found, why = self.flips("backup", FLIPS)
        bad = FLIPS - found["reported"]
        report("29 backup: bit flips", FLIPS, {"messages": found["messages"]}, FLIPS, bad,
               f"{found['reported']} refused, in the data file and in the manifest")
        self.assertEqual(bad, 0, why)

    def test_control_damage_that_the_sum_does_not_tell_is_found_out(self):
        found, _ = self.flips("summed", 500, layout=1)
        report_control("29", "sum of the damaged file, no checksums", found["wrong"])
        self.assertGreater(found["wrong"], 0)


def image_restores(files, directory):
    os.mkdir(directory)
    for name, data in files.items():
        with open(f"{directory}/{name}", "wb") as file:
            file.write(data)
    return restore(directory, f"{directory}-data") is None


if __name__ == "__main__":
    unittest.main()
