#!/usr/bin/env bash
# Makes the configuration that is installed out of the daemon's own option table: every option under its meaning, those
# that have their default commented out. usage: make_config.sh CHATLOGD OUTPUT
set -euo pipefail

# A daemon with sanitizers does not start when the kernel spreads addresses widely.
runner=()
if setarch --addr-no-randomize true 2>/dev/null; then
    runner=(setarch --addr-no-randomize)
fi
"${runner[@]}" "$1" --print-config --data-dir /var/lib/chatlogd --backup-dir /var/lib/chatlog-backup/chatlogd |
    sed -E 's/^([a-z-]+ = )/#\1/; s/^#((data|backup)-dir = )/\1/' >"$2"
