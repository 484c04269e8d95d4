#!/usr/bin/env bash
# The show of `./dev run`: starts the built daemon on a fresh directory and uses it through the command line, each
# command shown as a person would type it. With --once it ends there; else the daemon runs on until Ctrl-C.
set -euo pipefail

usage() {
    echo 'usage: ./dev run [--once]' >&2
    exit 64
}

once=false
case "$*" in
'') ;;
--once) once=true ;;
*) usage ;;
esac

daemon=
directory=$(mktemp -d /tmp/chatlogd-run.XXXXXX)
log=$directory/chatlogd.log
export CHATLOG_SERVER=ipc://$directory/chatlogd.sock

fail() {
    printf 'dev: %s\n' "$*" >&2
    if [ -s "$log" ]; then
        printf "dev: the last lines of the daemon's log:\n" >&2
        tail -n 20 "$log" >&2
    fi
    exit 1
}

# Returns the daemon's own exit status.
stop_daemon() {
    local pid=$daemon
    daemon=
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid"
}

leave() {
    if [ -n "$daemon" ]; then
        stop_daemon || true
    fi
    rm -rf "$directory"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The words of a command as a person would type them.
typed() {
    local word line=
    for word in "$@"; do
        if [[ $word =~ [^A-Za-z0-9_./:=@%+,-] || -z $word ]]; then
            word="'${word//\'/\'\\\'\'}'"
        fi
        line+=" $word"
    done
    printf '%s' "${line# }"
}

show() {
    printf '\n$ %s\n' "$(typed "$@")"
    "$@" || fail "exit status $? of: $(typed "$@")"
}

start_daemon() {
    local command=(build/bin/chatlogd --data-dir "$directory/data" --listen "$CHATLOG_SERVER")
    printf '\n$ %s &\n' "$(typed "${command[@]}")"
    # In a session of its own: Ctrl-C reaches this script alone, which then stops the daemon the way systemd would.
    setsid "${command[@]}" >"$log" 2>&1 </dev/null &
    daemon=$!
    local tries=100
    until build/bin/chatlog health >/dev/null 2>&1; do
        kill -0 "$daemon" 2>/dev/null || fail 'the daemon did not start'
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail 'the daemon did not answer within 10 s'
        sleep 0.1
    done
}

tell_story() {
    start_daemon
    printf '\n$ export CHATLOG_SERVER=%s\n' "$CHATLOG_SERVER"
    show build/bin/chatlog import tests/sample/conversations.jsonl
    show build/bin/chatlog conversations mira
    show build/bin/chatlog log mira trip-to-kyoto
    show build/bin/chatlog append mira trip-to-kyoto --role user 'Perfect, ありがとう! Please book the 09:24.'
    show build/bin/chatlog log mira trip-to-kyoto -n 2
}

stay() {
    local chatlog="build/bin/chatlog --server $CHATLOG_SERVER"
    cat <<END

chatlogd is running. From another terminal, in $PWD, try:
  $chatlog conversations jonas
  $chatlog log jonas flaky-test
  $chatlog append jonas flaky-test --role user 'Thanks!'
  $chatlog export --user amal
  $chatlog stats
Its log: $log
Ctrl-C stops it and removes its data.
END
    local stopping=false status=0
    trap 'stopping=true' INT TERM
    wait "$daemon" || status=$?
    if [ "$stopping" = false ]; then
        daemon=
        fail "the daemon ended by itself, exit status $status"
    fi
}

tell_story
if [ "$once" = false ]; then
    stay
fi
printf '\nstopping chatlogd\n'
stop_daemon || fail "the daemon's exit status was $?"
