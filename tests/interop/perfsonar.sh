#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Our itw-responder and itw-ping against perfSONAR's twping and twampd, on loopback, in every mode.
# README.md beside this file says how to get perfSONAR's programs and what is checked.
#
# exit: 0 every case passed, 1 a case failed, 2 it couldn't be run, 77 skipped (no perfSONAR given)

set -u
export LC_ALL=C
umask 077

usage='usage: perfsonar.sh [--build DIR] [--count N] [--ipv4-only] PERFSONAR_PREFIX'
at_once=8              # twpings in the case with several
interval=0.01          # seconds between packets
key_name=interop
modes='O A E M'        # as perfSONAR names them
declare -A our_mode=([O]=open [A]=auth [E]=enc [M]=mixed)
declare -A address=([4]=127.0.0.1 [6]=::1)
declare -A host=([4]=127.0.0.1 [6]='[::1]')      # as it stands before :PORT

die() { printf 'perfsonar.sh: %s\n' "$1" >&2; exit 2; }

# --- arguments ---------------------------------------------------------------------------------

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 2
build=$here/../../build
count=100
families='4 6'
prefix=

while [ $# -gt 0 ]; do
    case $1 in
    --build | --count)
        [ $# -ge 2 ] || die "$1 needs a value ($usage)"
        if [ "$1" = --build ]; then build=$2; else count=$2; fi
        shift
        ;;
    --ipv4-only) families=4 ;;
    -h | --help) printf '%s\n' "$usage"; exit 0 ;;
    -*) die "unknown option $1 ($usage)" ;;
    *)
        [ -z "$prefix" ] || die "more than one perfSONAR prefix ($usage)"
        prefix=$1
        ;;
    esac
    shift
done

if [ -z "$prefix" ]; then
    printf 'SKIPPED: no perfSONAR installation given (%s)\n' "$usage"
    exit 77
fi
[[ $count =~ ^[1-9][0-9]{0,5}$ ]] || die "--count: a number from 1 to 999999, not '$count'"

twping=$prefix/bin/twping
twampd=$prefix/sbin/twampd
[ -x "$twampd" ] || twampd=$prefix/bin/twampd
responder=$build/examples/itw-responder
ping=$build/examples/itw-ping
for program in "$twping" "$twampd"; do
    [ -x "$program" ] || die "no program $program: is '$prefix' a perfSONAR installation prefix?"
done
for program in "$responder" "$ping"; do
    [ -x "$program" ] || die "no program $program: build the project first, or give --build DIR"
done
command -v timeout >/dev/null || die 'coreutils timeout is needed'

client_limit=$((60 + count / 50))       # seconds that a client may take
peer_limit=$((client_limit * 80))       # and a server: longer than all cases together

# --- processes: only what start() started, each with a limit of its own --------------------------

work=$(mktemp -d) || die 'no temporary directory'
export TMPDIR=$work                     # twping keeps its records there

clean_up() {
    local pid
    trap '' INT TERM HUP
    for pid in $(jobs -pr); do
        kill -TERM "$pid" 2>/dev/null
    done
    wait
    rm -rf -- "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# start LIMIT NAME COMMAND...: in the background, output in NAME.out and NAME.err, pid in $started
start() {
    local limit=$1 name=$2
    shift 2
    timeout -k 15 "$limit" "$@" </dev/null >"$work/$name.out" 2>"$work/$name.err" &
    started=$!
}

# run NAME COMMAND...: to its end, status in $status (124: it took too long)
run() {
    start "$client_limit" "$@"
    wait "$started"
    status=$?
}

running() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

lines() { wc -l <"$1" | tr -d ' '; }

# connects HOST PORT: does anybody listen there?
connects() { timeout 2 bash -c ": <'/dev/tcp/$1/$2'" 2>/dev/null; }

# --- keys: made for this run, in files only ------------------------------------------------------

random_text() { printf 'interop-%s' "$(od -An -v -N12 -tx1 /dev/urandom | tr -d ' \n')"; }
hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }

right=$(random_text)
wrong=$(random_text)

# write_keys FILE NAME PASSPHRASE: FILE.keys for our programs, FILE.pfs for perfSONAR's
write_keys() {
    printf '[psk %s]\npassphrase = %s\n' "$2" "$3" >"$work/$1.keys"
    printf '%s %s\n' "$2" "$(hex "$3")" >"$work/$1.pfs"
}
write_keys right "$key_name" "$right"
write_keys wrong "$key_name" "$wrong"
write_keys stranger stranger "$right"   # a name that the other side doesn't know

printf '%s\n' "$right" "$wrong" "$(hex "$right")" "$(hex "$wrong")" >"$work/secrets"

redact() { sed -e "s/$right/<secret>/g;s/$wrong/<secret>/g;s/$(hex "$right")/<secret>/g;s/$(hex "$wrong")/<secret>/g"; }

# what is said of any run on a machine without NTP
noise='NTP: (Status UNSYNC|STA_NANO)'

# --- the table, and what went wrong --------------------------------------------------------------

cases=0
failed=0
: >"$work/diagnostics"

row() { printf '%-32s %-5s %-6s %6s %8s %6s  %s\n' "$@" | redact; }

# passed CASE MODE FAMILY SENT RECEIVED LOST [NOTE]
passed() {
    cases=$((cases + 1))
    row "$1" "$2" "IPv$3" "$4" "$5" "$6" "ok${7:+ ($7)}"
}

# failed CASE MODE FAMILY SENT RECEIVED LOST REASON LOG...: LOG is the name of an output file
failed() {
    local title="$1, mode $2, IPv$3" reason=$7 log text
    cases=$((cases + 1))
    failed=$((failed + 1))
    row "$1" "$2" "IPv$3" "$4" "$5" "$6" "FAIL: $reason"
    shift 7
    {
        printf '\n== %s: %s\n' "$title" "$reason"
        for log in "$@"; do
            text=$(grep -Ev "$noise" "$work/$log" | tail -n 15 | cut -c1-400)
            [ -z "$text" ] || printf -- '-- last lines of %s\n%s\n' "$log" "$text"
        done
    } | redact >>"$work/diagnostics"
}

# --- servers: one of each kind and family, started when needed and again when it died -------------

declare -A peer_pid=() peer_port=()

# start_responder FAMILY
start_responder() {
    local name=itw-responder-$1 line try
    start "$peer_limit" "$name" "$responder" --bind "${address[$1]}" --port 0 \
        --keys "$work/right.keys" --scheme psk --modes open,auth,enc,mixed
    for ((try = 0; try < 100; try++)); do
        line=$(grep -m1 '^listening on ' "$work/$name.out" 2>/dev/null)
        if [ -n "$line" ]; then
            peer_port[$name]=${line#"listening on ${host[$1]}:"}
            [[ ${peer_port[$name]} =~ ^[0-9]+$ ]] || return 1
            peer_pid[$name]=$started
            return 0
        fi
        running "$started" || return 1
        sleep 0.1
    done
    kill -TERM "$started"
    return 1
}

# start_twampd FAMILY
start_twampd() {
    local name=twampd-$1 port round try root=()
    [ "$(id -u)" -ne 0 ] || root=(-f)
    mkdir -p "$work/$name"
    printf 'dieby 2\n' >"$work/$name/twamp-server.conf"
    printf 'limit root with bandwidth=0, disk=0, allow_open_mode=on\nassign default root\n' \
        >"$work/$name/twamp-server.limits"
    cp "$work/right.pfs" "$work/$name/twamp-server.pfs"

    for ((round = 0; round < 10; round++)); do
        port=$((20000 + RANDOM % 12000))
        connects "${address[$1]}" $port && continue
        start "$peer_limit" "$name" "$twampd" -Z -v "${root[@]}" -a OAEM \
            -c "$work/$name" -d "$work/$name" -R "$work/$name" -S "${host[$1]}:$port"
        for ((try = 0; try < 100; try++)); do
            sleep 0.1
            running "$started" || break
            connects "${address[$1]}" $port || continue
            peer_port[$name]=$port
            peer_pid[$name]=$started
            return 0
        done
        kill -TERM "$started" 2>/dev/null
        wait "$started"
    done
    return 1
}

# need KIND FAMILY: sees to it that this server is there
need() {
    running "${peer_pid[$1-$2]:-}" && return 0
    case $1 in
    itw-responder) start_responder "$2" ;;
    twampd) start_twampd "$2" ;;
    esac
}

# --- clients ---------------------------------------------------------------------------------------

# twping_command KEYS MODE FAMILY: in $command
twping_command() {
    command=("$twping" "-$3" -A "$2" -M -c "$count" -i "${interval}f" -L 2)
    [ "$2" = O ] || command+=(-u "$(key_of "$1")" -k "$work/$1.pfs")
    command+=("${host[$3]}:${peer_port[itw-responder-$3]}")
}

# ping_command KEYS MODE FAMILY: in $command
ping_command() {
    command=("$ping" --json --scheme psk --mode "${our_mode[$2]}" -c "$count" -i "$interval")
    [ "$2" = O ] || command+=(--keys "$work/$1.keys" --key "$(key_of "$1")")
    command+=("${host[$3]}:${peer_port[twampd-$3]}")
}

key_of() { if [ "$1" = stranger ]; then echo stranger; else echo "$key_name"; fi; }

# judge_twping NAME: sets sent, received, lost, and reason when something is wrong
judge_twping() {
    local finished duplicates
    read -r sent lost duplicates finished < <(awk '
        $1 == "SENT" { sent = $2 }          $1 == "LOST" { lost = $2 }
        $1 ~ /^DUPS_(FWD|BCK)$/ { dups += $2 }   $1 == "SESSION_FINISHED" { finished = $2 }
        END { print sent == "" ? "-" : sent, lost == "" ? "-" : lost, dups + 0, finished + 0 }' "$work/$1.out")
    received=-
    if [ "$sent" != - ] && [ "$lost" != - ]; then received=$((sent - lost)); fi

    reason=
    if [ "$status" -eq 124 ]; then reason="no end after $client_limit s"
    elif [ "$status" -ne 0 ]; then reason="twping: exit $status"
    elif [ "$received" = - ]; then reason='twping: no result'    # it exits with 0 all the same
    elif [ "$finished" -ne 1 ]; then reason='twping: session not finished'
    elif [ "$sent" -ne "$count" ]; then reason="$sent of $count sent"
    elif [ "$lost" -ne 0 ]; then reason="$lost lost"
    elif [ "$duplicates" -ne 0 ]; then reason="$duplicates duplicates"
    fi
}

# json FILE KEY: a number or a string of a flat part of the object
json() {
    tr '\n' ' ' <"$work/$1" |
        sed -n "s/.*\"$2\"[[:space:]]*:[[:space:]]*\"\{0,1\}\([A-Za-z0-9_.-]\{1,\}\).*/\1/p"
}

# judge_ping NAME MODE: the same for itw-ping
judge_ping() {
    local key value
    declare -A got=()
    for key in sent received lost duplicates auth_failures mode; do
        value=$(json "$1.out" "$key")
        got[$key]=${value:--}
    done
    sent=${got[sent]} received=${got[received]} lost=${got[lost]}

    reason=
    if [ "$status" -eq 124 ]; then reason="no end after $client_limit s"
    elif [ "$status" -ne 0 ]; then reason="itw-ping: exit $status"
    elif [ "${got[mode]}" != "${our_mode[$2]}" ]; then reason="itw-ping: mode is ${got[mode]}"
    elif [ "$sent" != "$count" ]; then reason="$sent of $count sent"
    elif [ "$lost" != 0 ]; then reason="$lost lost"
    elif [ "$received" != "$count" ]; then reason="$received of $count received"
    elif [ "${got[duplicates]}" != 0 ]; then reason="${got[duplicates]} duplicates"
    elif [ "${got[auth_failures]}" != 0 ]; then reason="${got[auth_failures]} auth_failures"
    fi
}

# --- cases -----------------------------------------------------------------------------------------
# Each is CLIENT MODE FAMILY; the client says which server it goes to.

declare -A server_of=([twping]=itw-responder [itw-ping]=twampd)

# prepare CASE CLIENT MODE FAMILY: sets server and name (of the output files), or fails the case
prepare() {
    server=${server_of[$2]}-$4
    name=$(printf '%02d-%s-%s-%s' $((cases + 1)) "$2" "$3" "$4")
    need "${server_of[$2]}" "$4" && return 0
    failed "$1" "$3" "$4" - - - "${server_of[$2]} did not start" "$server.out" "$server.err"
    return 1
}

case_measures() {
    local title="$1 -> ${server_of[$1]}" server name logs=()
    prepare "$title" "$@" || return
    if [ "$1" = twping ]; then twping_command right "$2" "$3"; else ping_command right "$2" "$3"; fi
    run "$name" "${command[@]}"
    if [ "$1" = twping ]; then judge_twping "$name"; else judge_ping "$name" "$2"; fi
    running "${peer_pid[$server]}" || reason="${reason:+$reason; }${server_of[$1]} died"

    if [ -z "$reason" ]; then
        passed "$title" "$2" "$3" "$sent" "$received" "$lost"
    else
        [ "$1" = twping ] || logs=("$name.out")     # twping's says no more than the row
        failed "$title" "$2" "$3" "$sent" "$received" "$lost" "$reason" \
            "${logs[@]}" "$name.err" "$server.out" "$server.err"
    fi
}

# case_refused CLIENT MODE FAMILY KEYS WHAT: the client must say why in words and exit as it should,
# and the server must write a line about it
case_refused() {
    local title="$1, $5" server name before want words line logged
    prepare "$title" "$@" || return
    before=$(lines "$work/$server.err")
    case $1 in
    twping)
        want=1 words='denied access'
        twping_command "$4" "$2" "$3"
        ;;
    itw-ping)
        want=2 words='refus|denied|reject|authenti|passphrase|key|accept'
        ping_command "$4" "$2" "$3"
        ;;
    esac
    run "$name" "${command[@]}"
    line=$(grep -Ev "$noise" "$work/$name.err" | grep -Eim1 "$words")

    reason=
    if [ "$status" -eq 0 ]; then reason='it was not refused'
    elif [ "$status" -eq 124 ]; then reason="no end after $client_limit s"
    elif [ "$status" -ne "$want" ]; then reason="$1: exit $status, not $want"
    elif [ -z "$line" ]; then reason="$1: no clear reason on stderr"
    elif ! running "${peer_pid[$server]}"; then reason="${server_of[$1]} died"
    else
        logged=$(await_line "$server.err" "$before")
        [ -n "$logged" ] || reason="${server_of[$1]}: no line about the refusal on stderr"
        [ "$1" = itw-ping ] || line=$logged     # the table shows what our program said
    fi

    if [ -z "$reason" ]; then
        passed "$title" "$2" "$3" - - - "${line:0:100}"
    else
        failed "$title" "$2" "$3" - - - "$reason" "$name.out" "$name.err" "$server.out" "$server.err"
    fi
}

# await_line LOG COUNT: the first line that LOG has after COUNT ones; it may take two seconds
await_line() {
    local try
    for ((try = 0; try < 20; try++)); do
        tail -n "+$(($2 + 1))" "$work/$1" | grep -m1 . && return
        sleep 0.1
    done
}

# case_at_once FAMILY: several twpings of all modes against one responder, together
case_at_once() {
    local title="$at_once twpings at once" server name mode k
    local pids=() names=() logs=() all=("${modes// /}") total_sent=0 total_received=0 total_lost=0
    local bad=0 first=
    prepare "$title" twping OAEM "$1" || return
    for ((k = 0; k < at_once; k++)); do
        mode=${all:k % ${#all}:1}
        twping_command right "$mode" "$1"
        start "$client_limit" "$name-$k" "${command[@]}"
        pids+=("$started")
        names+=("$name-$k")
    done
    for ((k = 0; k < at_once; k++)); do
        wait "${pids[k]}"
        status=$?
        judge_twping "${names[k]}"
        [ "$sent" = - ] || total_sent=$((total_sent + sent))
        [ "$received" = - ] || total_received=$((total_received + received))
        [ "$lost" = - ] || total_lost=$((total_lost + lost))
        [ -z "$reason" ] && continue
        bad=$((bad + 1))
        first=${first:-$reason}
        logs+=("${names[k]}.err")
    done
    reason=${first:+$bad of $at_once failed, the first: $first}
    running "${peer_pid[$server]}" || reason="${reason:+$reason; }itw-responder died"

    if [ -z "$reason" ]; then
        passed "$title" OAEM "$1" $total_sent $total_received $total_lost
    else
        failed "$title" OAEM "$1" $total_sent $total_received $total_lost "$reason" \
            "${logs[@]}" "$server.out" "$server.err"
    fi
}

# case_ends FAMILY: SIGTERM ends the responder, with a summary and exit 0
case_ends() {
    local title='itw-responder ends on SIGTERM' server=itw-responder-$1 before after
    if ! running "${peer_pid[$server]:-}"; then
        failed "$title" - "$1" - - - 'it is not running' "$server.out" "$server.err"
        return
    fi
    before=$(cat "$work/$server.out" "$work/$server.err" | wc -l)
    kill -TERM "${peer_pid[$server]}"
    wait "${peer_pid[$server]}"
    status=$?
    after=$(cat "$work/$server.out" "$work/$server.err" | wc -l)

    reason=
    if [ "$status" -ne 0 ]; then reason="exit $status"
    elif [ "$after" -le "$before" ]; then reason='no summary'
    fi
    if [ -z "$reason" ]; then
        passed "$title" - "$1" - - -
    else
        failed "$title" - "$1" - - - "$reason" "$server.out" "$server.err"
    fi
}

# case_silent: no passphrase in anything that any program wrote
case_silent() {
    local found
    found=$(grep -lFf "$work/secrets" "$work"/*.out "$work"/*.err 2>/dev/null)
    cases=$((cases + 1))
    if [ -z "$found" ]; then
        row 'no passphrase in any output' - - - - - ok
    else
        failed=$((failed + 1))
        row 'no passphrase in any output' - - - - - "FAIL: ${found//$work\//}"
    fi
}

# --- the run -----------------------------------------------------------------------------------------

printf 'perfSONAR %s; %d packets, one every %s s\n\n' \
    "$("$twping" -h 2>&1 | sed -n 's/^Version: *//p')" "$count" "$interval"
row case mode family sent received lost verdict

for family in $families; do
    for client in twping itw-ping; do
        for mode in $modes; do
            case_measures $client "$mode" "$family"
        done
        [ $client = itw-ping ] || case_measures twping OAEM "$family"   # its default: it takes E, without padding
        for mode in A E M; do
            case_refused $client $mode "$family" wrong 'wrong passphrase'
        done
        case_refused $client E "$family" stranger 'unknown key name'
    done
    case_at_once "$family"
    case_ends "$family"
done
case_silent

cat "$work/diagnostics"
printf '\n%d cases, %d failed\n' "$cases" "$failed"
[ "$failed" -eq 0 ]
