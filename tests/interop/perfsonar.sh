#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Our itw-responder and itw-ping against perfSONAR's twping, twampd, owping, owampd, owstats and powstream, on loopback, in
# every mode.
# README.md beside this file says how to get perfSONAR's programs and what is checked.
#
# exit: 0 every case passed, 1 a case failed, 2 it couldn't be run, 77 skipped (no perfSONAR given)

set -u
export LC_ALL=C
umask 077

usage='usage: perfsonar.sh [--build DIR] [--count N] [--ipv4-only] [--only twamp|owamp] PERFSONAR_PREFIX'
at_once=8              # twpings in the case with several
interval=0.01          # seconds between packets
stream_count=50        # powstream: packets of a session, mean seconds between them, seconds until it is ended
stream_interval=0.05
stream_time=22
key_name=interop
modes='O A E M'        # as perfSONAR names them; OWAMP has no M
ways='both to from'    # OWAMP: from the client's side
declare -A our_mode=([O]=open [A]=auth [E]=enc [M]=mixed)
declare -A address=([4]=127.0.0.1 [6]=::1)
declare -A host=([4]=127.0.0.1 [6]='[::1]')      # as it stands before :PORT

die() { printf 'perfsonar.sh: %s\n' "$1" >&2; exit 2; }

# --- arguments ---------------------------------------------------------------------------------

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 2
build=$here/../../build
count=100
families='4 6'
protocols='twamp owamp'
prefix=

while [ $# -gt 0 ]; do
    case $1 in
    --build | --count | --only)
        [ $# -ge 2 ] || die "$1 needs a value ($usage)"
        case $1 in
        --build) build=$2 ;;
        --count) count=$2 ;;
        --only) protocols=$2 ;;
        esac
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

[[ $protocols =~ ^(twamp|owamp|twamp owamp)$ ]] || die "--only: twamp or owamp, not '$protocols'"

twping=$prefix/bin/twping
owping=$prefix/bin/owping
owstats=$prefix/bin/owstats
powstream=$prefix/bin/powstream
twampd=$prefix/sbin/twampd
owampd=$prefix/sbin/owampd
[ -x "$twampd" ] || twampd=$prefix/bin/twampd
[ -x "$owampd" ] || owampd=$prefix/bin/owampd
responder=$build/examples/itw-responder
ping=$build/examples/itw-ping
for program in "$twping" "$twampd" "$owping" "$owstats" "$powstream" "$owampd"; do
    [ -x "$program" ] || die "no program $program: is '$prefix' a perfSONAR installation prefix?"
done
for program in "$responder" "$ping"; do
    [ -x "$program" ] || die "no program $program: build the project first, or give --build DIR"
done
command -v timeout >/dev/null || die 'coreutils timeout is needed'

client_limit=$((60 + count / 50))       # seconds that a client may take
peer_limit=$((client_limit * 160))       # and a server: longer than all cases together

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

# start_responder FAMILY PROTOCOL
start_responder() {
    local name=itw-responder-$2-$1 line try offered=open,auth,enc
    [ "$2" = owamp ] || offered=$offered,mixed
    start "$peer_limit" "$name" "$responder" --bind "${address[$1]}" --port 0 --protocol "$2" \
        --keys "$work/right.keys" --scheme psk --modes $offered --limits-open "packets=$((count + 1000))"
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

# start_daemon FAMILY PROGRAM: twampd or owampd
start_daemon() {
    local name=$2-$1 port round try root=() kind=${2%d} offered=OAEM
    [ "$2" = twampd ] || offered=OAE
    [ "$(id -u)" -ne 0 ] || root=(-f)
    mkdir -p "$work/$name"
    printf 'dieby 2\n' >"$work/$name/$kind-server.conf"
    printf 'limit root with bandwidth=0, disk=0, allow_open_mode=on\nassign default root\n' \
        >"$work/$name/$kind-server.limits"
    cp "$work/right.pfs" "$work/$name/$kind-server.pfs"

    for ((round = 0; round < 10; round++)); do
        port=$((20000 + RANDOM % 12000))
        connects "${address[$1]}" $port && continue
        start "$peer_limit" "$name" "${!2}" -Z -v "${root[@]}" -a $offered \
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
    itw-responder-*) start_responder "$2" "${1##*-}" ;;
    twampd | owampd) start_daemon "$2" "$1" ;;
    esac
}

# --- clients ---------------------------------------------------------------------------------------

# twping_command KEYS MODE FAMILY: in $command
twping_command() {
    command=("$twping" "-$3" -A "$2" -M -c "$count" -i "${interval}f" -L 2)
    [ "$2" = O ] || command+=(-u "$(key_of "$1")" -k "$work/$1.pfs")
    command+=("${host[$3]}:${peer_port[itw-responder-twamp-$3]}")
}

# owping_command KEYS MODE FAMILY NAME SCHEDULE: the same; what was fetched or received is kept in NAME.to and NAME.from
owping_command() {
    local wait=$interval
    [ "$5" = exp ] || wait=${interval}f
    command=("$owping" "-$3" -A "$2" -M -c "$count" -i "$wait" -L 2 -T "$work/$4.to" -F "$work/$4.from")
    [ "$2" = O ] || command+=(-u "$(key_of "$1")" -k "$work/$1.pfs")
    command+=("${host[$3]}:${peer_port[itw-responder-owamp-$3]}")
}

# ping_command KEYS MODE FAMILY [SCHEDULE WAY]: in $command; with the last two OWAMP
ping_command() {
    local server=twampd-$3
    command=("$ping" --json --scheme psk --mode "${our_mode[$2]}" -c "$count" -i "$interval")
    [ "$2" = O ] || command+=(--keys "$work/$1.keys" --key "$(key_of "$1")")
    if [ $# -gt 3 ]; then
        server=owampd-$3
        command+=(--protocol owamp --schedule "$4")
        [ "$5" = both ] || command+=("--$5")
    fi
    command+=("${host[$3]}:${peer_port[$server]}")
}

key_of() { if [ "$1" = stranger ]; then echo stranger; else echo "$key_name"; fi; }

# judge_machine NAME PROGRAM SESSIONS: what perfSONAR's programs print for machines, a part for each session; sets sent,
# received, lost, and reason when something is wrong
judge_machine() {
    local finished duplicates all=$((count * $3))
    read -r sent lost duplicates finished < <(awk '
        $1 == "SENT" { sent += $2; s = 1 }       $1 == "LOST" { lost += $2; l = 1 }
        $1 ~ /^DUPS(_FWD|_BCK)?$/ { dups += $2 }  $1 == "SESSION_FINISHED" { finished += $2 }
        END { print s ? sent : "-", l ? lost : "-", dups + 0, finished + 0 }' "$work/$1.out")
    received=-
    if [ "$sent" != - ] && [ "$lost" != - ]; then received=$((sent - lost)); fi

    reason=
    if [ "$status" -eq 124 ]; then reason="no end after $client_limit s"
    elif [ "$status" -ne 0 ]; then reason="$2: exit $status"
    elif [ "$received" = - ]; then reason="$2: no result"    # it exits with 0 all the same
    elif [ "$finished" -ne "$3" ]; then reason="$2: session not finished"
    elif [ "$sent" -ne "$all" ]; then reason="$sent of $all sent"
    elif [ "$lost" -ne 0 ]; then reason="$lost lost"
    elif [ "$duplicates" -ne 0 ]; then reason="$duplicates duplicates"
    fi
}

judge_twping() { judge_machine "$1" twping 1; }

# judge_owping NAME: both directions, and then once more what it has kept of each, by owstats
judge_owping() {
    local way first all=() name=$1
    judge_machine "$name" owping 2
    all=("$sent" "$received" "$lost")
    for way in to from; do
        [ -z "$reason" ] || break
        run "$name-$way" "$owstats" -M "$work/$name.$way"
        judge_machine "$name-$way" owstats 1
    done
    sent=${all[0]} received=${all[1]} lost=${all[2]}
}

# json FILE KEY: a number or a string of a flat part of the object
json() {
    sed 's/,"\(to\|from\)":{.*//' "$work/$1" | tr '\n' ' ' |
        sed -n "s/.*\"$2\"[[:space:]]*:[[:space:]]*\"\{0,1\}\([A-Za-z0-9_.-]\{1,\}\).*/\1/p"
}

# judge_ping NAME MODE [DIRECTIONS]: the same for itw-ping
judge_ping() {
    local key value all=$((count * ${3:-1}))
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
    elif [ "$sent" != "$all" ]; then reason="$sent of $all sent"
    elif [ "$lost" != 0 ]; then reason="$lost lost"
    elif [ "$received" != "$all" ]; then reason="$received of $all received"
    elif [ "${got[duplicates]}" != 0 ]; then reason="${got[duplicates]} duplicates"
    elif [ "${got[auth_failures]}" != 0 ]; then reason="${got[auth_failures]} auth_failures"
    fi
}

# --- cases -----------------------------------------------------------------------------------------
# Each is CLIENT MODE FAMILY; the client says which server it goes to.

declare -A server_of=([twping]=itw-responder-twamp [itw-ping]=twampd
                      [owping]=itw-responder-owamp [powstream]=itw-responder-owamp [itw-ping-owamp]=owampd)

# prepare CASE CLIENT MODE FAMILY: sets server and name (of the output files), or fails the case
prepare() {
    server=${server_of[$2]}-$4
    name=$(printf '%02d-%s-%s-%s' $((cases + 1)) "$2" "$3" "$4")
    need "${server_of[$2]}" "$4" && return 0
    failed "$1" "$3" "$4" - - - "${server_of[$2]} did not start" "$server.out" "$server.err"
    return 1
}

case_measures() {
    local title="$1 -> ${server_of[$1]%-twamp}" server name logs=()
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

# case_owping MODE FAMILY SCHEDULE: owping measures in both directions
case_owping() {
    local title="owping -> itw-responder, $3" server name
    prepare "$title" owping "$1" "$2" || return
    owping_command right "$1" "$2" "$name" "$3"
    run "$name" "${command[@]}"
    judge_owping "$name"
    running "${peer_pid[$server]}" || reason="${reason:+$reason; }itw-responder died"

    if [ -z "$reason" ]; then
        passed "$title" "$1" "$2" "$sent" "$received" "$lost"
    else
        failed "$title" "$1" "$2" "$sent" "$received" "$lost" "$reason" "$name.err" "$server.out" "$server.err"
    fi
}

# case_owampd MODE FAMILY SCHEDULE WAY
case_owampd() {
    local title="itw-ping -> owampd, $3 $4" server name directions=1
    prepare "$title" itw-ping-owamp "$1" "$2" || return
    [ "$4" != both ] || directions=2
    ping_command right "$1" "$2" "$3" "$4"
    run "$name" "${command[@]}"
    judge_ping "$name" "$1" $directions
    running "${peer_pid[$server]}" || reason="${reason:+$reason; }owampd died"

    if [ -z "$reason" ]; then
        passed "$title" "$1" "$2" "$sent" "$received" "$lost"
    else
        failed "$title" "$1" "$2" "$sent" "$received" "$lost" "$reason" "$name.out" "$name.err" "$server.out" "$server.err"
    fi
}

# case_powstream MODE FAMILY WAY: one session after the other, until it is ended; nothing is lost in those that it has kept
case_powstream() {
    local title="powstream -> itw-responder, $3" server name file files=0 dir
    local total_sent=0 total_received=0 total_lost=0
    prepare "$title" powstream "$1" "$2" || return
    dir=$work/$name.d
    mkdir "$dir"
    command=("$powstream" "-$2" -A "$1" -c "$stream_count" -i "$stream_interval" -L 1 -d "$dir" -p)
    [ "$3" = from ] || command+=(-t)
    [ "$1" = O ] || command+=(-u "$key_name" -k "$work/right.pfs")
    start $((stream_time + 20)) "$name" timeout -s INT "$stream_time" "${command[@]}" "${host[$2]}:${peer_port[$server]}"
    wait "$started"
    for file in "$dir"/*.owp; do
        [ -e "$file" ] || break
        run "$name-$files" "$owstats" -M "$file"
        count=$stream_count judge_machine "$name-$files" powstream 1
        # The one that was interrupted, after whole ones.
        [ "$files" -gt 0 ] && [[ $reason = *' sent' || $reason = *'not finished' ]] && reason=
        files=$((files + 1))
        [ "$sent" = - ] || total_sent=$((total_sent + sent))
        [ "$received" = - ] || total_received=$((total_received + received))
        [ "$lost" = - ] || total_lost=$((total_lost + lost))
        [ -z "$reason" ] || break
    done
    [ "$files" -gt 0 ] || reason='no session was kept'
    running "${peer_pid[$server]}" || reason="${reason:+$reason; }itw-responder died"

    if [ -z "$reason" ]; then
        passed "$title" "$1" "$2" $total_sent $total_received $total_lost "$files sessions"
    else
        failed "$title" "$1" "$2" $total_sent $total_received $total_lost "$reason" "$name.err" "$server.out" "$server.err"
    fi
}

# case_refused CLIENT MODE FAMILY KEYS WHAT: the client must say why in words and exit as it should,
# and the server must write a line about it
case_refused() {
    local title="${1/-owamp/ OWAMP}, $5" server name before want words line logged
    prepare "$title" "$@" || return
    before=$(lines "$work/$server.err")
    case $1 in
    twping)
        want=1 words='denied access'
        twping_command "$4" "$2" "$3"
        ;;
    owping)
        want=1 words='denied access'
        owping_command "$4" "$2" "$3" "$name" exp
        ;;
    itw-ping)
        want=2 words='refus|denied|reject|authenti|passphrase|key|accept'
        ping_command "$4" "$2" "$3"
        ;;
    itw-ping-owamp)
        want=2 words='refus|denied|reject|authenti|passphrase|key|accept'
        ping_command "$4" "$2" "$3" exp both
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
        [[ $1 = itw-ping* ]] || line=$logged     # the table shows what our program said
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

# case_at_once CLIENT FAMILY: several twpings or owpings of all modes against one responder, together
case_at_once() {
    local title="$at_once ${1}s at once" server name mode k
    local pids=() names=() logs=() all=OAEM total_sent=0 total_received=0 total_lost=0
    local bad=0 first=
    [ "$1" = twping ] || all=OAE
    prepare "$title" "$1" $all "$2" || return
    for ((k = 0; k < at_once; k++)); do
        mode=${all:k % ${#all}:1}
        if [ "$1" = twping ]; then twping_command right "$mode" "$2"; else owping_command right "$mode" "$2" "$name-$k" exp; fi
        start "$client_limit" "$name-$k" "${command[@]}"
        pids+=("$started")
        names+=("$name-$k")
    done
    for ((k = 0; k < at_once; k++)); do
        wait "${pids[k]}"
        status=$?
        "judge_$1" "${names[k]}"
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
        passed "$title" $all "$2" $total_sent $total_received $total_lost
    else
        failed "$title" $all "$2" $total_sent $total_received $total_lost "$reason" \
            "${logs[@]}" "$server.out" "$server.err"
    fi
}

# case_ends PROTOCOL FAMILY: SIGTERM ends the responder, with a summary and exit 0
case_ends() {
    local title='itw-responder ends on SIGTERM' server=itw-responder-$1-$2 before after
    if ! running "${peer_pid[$server]:-}"; then
        failed "$title" - "$2" - - - 'it is not running' "$server.out" "$server.err"
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
        passed "$title" - "$2" - - -
    else
        failed "$title" - "$2" - - - "$reason" "$server.out" "$server.err"
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

twamp_cases() {
    local family=$1 client mode
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
    case_at_once twping "$family"
}

owamp_cases() {
    local family=$1 mode schedule way
    for mode in O A E; do
        for schedule in fixed exp; do
            case_owping $mode "$family" $schedule
            for way in $ways; do
                case_owampd $mode "$family" $schedule "$way"
            done
        done
    done
    for mode in A E; do
        case_refused owping $mode "$family" wrong 'wrong passphrase'
        case_refused itw-ping-owamp $mode "$family" wrong 'wrong passphrase'
    done
    case_refused owping E "$family" stranger 'unknown key name'
    case_refused itw-ping-owamp E "$family" stranger 'unknown key name'
    case_powstream O "$family" from
    case_powstream E "$family" to
    case_at_once owping "$family"
}

for protocol in $protocols; do
    for family in $families; do
        "${protocol}_cases" "$family"
        case_ends "$protocol" "$family"
    done
done
case_silent

cat "$work/diagnostics"
printf '\n%d cases, %d failed\n' "$cases" "$failed"
[ "$failed" -eq 0 ]
