#!/bin/sh
# Shows a desktop notification when a session ends or asks for something.
#
#     notify.sh [STATUS ...]        without any: completed failed lost waiting_input
#
# It follows the event log, also while the daemon is restarted, and keeps the place of the last event
# that it has told of. Started again, it goes on from there, so that nothing is missed; an event can be
# told twice when it is killed in between. The first time, it begins with what comes next.
#
# Needs `candor` and, on Linux, `notify-send` (libnotify); on macOS, nothing more.
set -eu

[ "$#" -gt 0 ] || set -- completed failed lost waiting_input
wanted=" $* "

folder="${XDG_STATE_HOME:-$HOME/.local/state}/candor-notify"
place="$folder/seq"

# How long a failure is left alone before the next try, in seconds.
pause_s=5

if command -v notify-send >/dev/null; then
    notify() { notify-send --app-name=candor -- "$1" "$(escaped "$2")"; }
elif command -v osascript >/dev/null; then
    # Handed over as arguments, so that no text is taken for a part of the script.
    notify() {
        osascript -e 'on run words' \
            -e 'display notification (item 2 of words) with title (item 1 of words)' \
            -e 'end run' "$1" "$2"
    }
else
    echo "notify.sh: there is neither notify-send nor osascript: install libnotify" >&2
    exit 1
fi

# Bodies may have markup, which a command's arguments are not.
escaped() {
    printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'
}

# Prints the value of a key of an event, without its quotes. Ids and words have nothing in them that
# JSON would escape.
value_of() {
    printf '%s\n' "$2" | sed -n "s/.*\"$1\":\"\\{0,1\\}\\([^\",}]*\\).*/\\1/p"
}

keep() {
    printf '%s\n' "$1" >"$place.new"
    mv "$place.new" "$place"
}

# Tells of an event, if it is wanted.
tell() {
    [ "$(value_of type "$1")" = status_changed ] || return 0
    status="$(value_of to "$1")"
    case "$wanted" in *" $status "*) ;; *) return 0 ;; esac
    session="$(value_of session "$1")"
    outcome="$(value_of outcome "$1")"
    [ "$outcome" != null ] || outcome=
    # A session can be gone by now; its id is left.
    name="$(candor show "$session" 2>/dev/null |
        sed -n -e 's/^title  *//p' -e 's/^command  *//p' | head -n 1 | cut -c 1-200)"
    notify "candor: $status${outcome:+ ($outcome)}" "${name:-$session}" ||
        echo "notify.sh: the notification of $session could not be shown" >&2
}

mkdir -p "$folder"
if [ ! -s "$place" ]; then
    candor daemon start >/dev/null
    keep "$(value_of last_seq "$(candor daemon status --json)")"
fi

while :; do
    echo "notify.sh: after event $(cat "$place"):$wanted" >&2
    candor events --follow --json --after "$(cat "$place")" | while IFS= read -r event; do
        tell "$event"
        keep "$(value_of seq "$event")"
    done
    sleep "$pause_s"
done
