#!/usr/bin/env bash
# Makes the man pages: what the programs and the example say themselves is put into the pages written by hand.
# usage: make_man.sh BIN_DIR SOURCE_DIR OUTPUT_DIR
set -euo pipefail
bin=$1 source=$2 output=$3
pages=$source/packaging/man

# Text that is shown as it is.
literal() {
    printf '```\n'
    cat
    printf '```\n'
}

# Comments that end in a setting become an entry of that name.
settings() {
    "$bin/chatlogd" --print-config --data-dir /var/lib/chatlogd | awk '
        function escaped(text) { gsub(/[_*\\#]/, "\\\\&", text); return text }
        /^# / && !/^# Configuration/ { text = text (text ? " " : "") substr($0, 3); next }
        /^#?[a-z-]+ =/ {
            name = $1; sub(/^#/, "", name)
            value = $0; sub(/^[^=]*= */, "", value)
            printf "*%s*%s%s\n\t%s\n\n", name, value ? " = " : "", escaped(value), escaped(text)
            text = ""
        }'
}

commands() {
    local command
    "$bin/chatlog" help | literal
    "$bin/chatlog" help | sed -n '/^commands:/,/^$/s/^  \([a-z-]\+\) .*/\1/p' | while read -r command; do
        printf '\n## %s\n\n' "$command"
        "$bin/chatlog" help "$command" | sed '/^options of every command/,$d' | literal
    done
}

# page NAME MARK COMMAND...: the page with what the command prints in place of @MARK@.
page() {
    local name=$1 mark=$2
    shift 2
    "$@" >"$output/$name.part"
    sed -e "/^@$mark@\$/{r $output/$name.part" -e 'd}' "$pages/$name.scd.in" | scdoc >"$output/$name"
    rm "$output/$name.part"
}

mkdir -p "$output"
scdoc <"$pages/chatlogd.8.scd" >"$output/chatlogd.8"
page chatlogd.conf.5 SETTINGS settings
page chatlog.1 COMMANDS commands
page libchatlog.3 EXAMPLE literal <"$source/client/example/example.c"
gzip --best --no-name --force "$output"/*.[1-8]
