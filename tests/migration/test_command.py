"""`chatlogd migrate` between every two layouts: what --dry-run says of space comes true, --to leads there, --status and
--verify tell the truth."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

MESSAGES = 20000
LAYOUTS = (1, 2, 3)
TIMEOUT = 120


def migrate(data, *arguments, status=0):
    """Runs the command, which must end with this status; returns what it printed."""
    result = subprocess.run([os.environ["CHATLOGD"], "migrate", *arguments, "--data-dir", data], timeout=TIMEOUT,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != status:
        raise RuntimeError(f"migrate {arguments} ended with {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def status_of(data):
    return json.loads(migrate(data, "--status"))


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"no {pattern!r} in {text}")
    return float(found[1])


def digest(data):
    with open(f"{data}/data.mdb", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def require(condition, *what):
    if not condition:
        raise RuntimeError(" ".join(str(part) for part in what))


def forecast_check(data, target):
    """Nothing is changed and nothing left behind. Returns what it says of the data afterwards, in bytes."""
    before = digest(data)
    said = migrate(data, "--dry-run", "--to", str(target))
    require(digest(data) == before, "--dry-run changed the data")
    require(not any(name.startswith("trial") for name in os.listdir(data)), os.listdir(data))
    messages = status_of(data)["messages"]
    require(number(r"trial +(\d+) messages", said) == messages, "not every message was tried:", said)
    require(number(r"\ntime +([\d.]+) s", said) >= 0, said)
    return number(r"data then ([\d.]+) MiB", said) * 1024 * 1024


def pair_check(original, scratch, source, target):
    data = f"{scratch}/{source}-{target}"
    shutil.copytree(original, data)
    before = status_of(data)
    require(before["layout"] == before["target"] == source, before)
    predicted = forecast_check(data, target)
    said = migrate(data, "--to", str(target))
    require(f"the data has key layout {target}" in said, said)
    after = status_of(data)
    require(after["layout"] == after["target"] == target and after["newest"] == LAYOUTS[-1], after)
    require(after["migration"]["state"] == "none" and after["migration"]["to"] == target, after)
    for count in ("users", "conversations", "messages", "content_bytes", "quarantine"):
        require(before[count] == after[count], count, before[count], after[count])
    require("everything is sound" in migrate(data, "--verify"), "not sound")
    share = predicted / after["used_bytes"]
    require(0.8 <= share <= 1.2, f"{source} to {target}: --dry-run said {share:.2f} of the space it took")
    require("there is nothing to migrate" in migrate(data, "--dry-run", "--to", str(target)), "nothing to migrate")
    shutil.rmtree(data)


def main():
    scratch = tempfile.mkdtemp(prefix="chatlog-test-")
    try:
        for source in LAYOUTS:
            original = f"{scratch}/{source}"
            subprocess.run([os.environ["CHATLOG_MAKE_HISTORY"], original, str(MESSAGES), str(source)], check=True,
                           timeout=TIMEOUT, stdout=subprocess.DEVNULL)
            require("everything is sound" in migrate(original, "--verify"), "not sound")
            for target in LAYOUTS:
                if target != source:
                    pair_check(original, scratch, source, target)
        migrate(f"{scratch}/3", "--to", "4", status=78)
    finally:
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
