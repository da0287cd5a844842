# SPDX-License-Identifier: BSD-3-Clause
# Sourced. Cases: each prints a line `ok NAME`, or what it saw and `FAILED NAME`.
#   begin NAME; run COMMAND... | expect WORDS | refuse WORDS | status N ...; end
# run keeps what a command printed, and its exit status; expect and refuse look into that; so do the checks below.

passed=0 failed=0 wanted=${CASES:-}

# begin NAME: false if another case is wanted (CASES, a pattern).
begin() {
  name=$1 fault='' out='' code=0 began=$SECONDS
  [ -z "$wanted" ] || [[ $name =~ $wanted ]]
}
# set_up NAME: begin, but whichever cases are wanted: those that follow need it.
set_up() { wanted='' begin "$1"; }

# run COMMAND...
run() {
  code=0
  out=$("$@" 2>&1) || code=$?
}

# matches WORDS LINE...: one of them does. Without a process: in a guest that takes longer than what is tested.
matches() {
  local line
  for line in "${@:2}"; do [[ $line =~ $1 ]] && return; done
  return 1
}
# in_out WORDS: in a line of what was printed.
in_out() {
  local - IFS=$'\n'
  set -f
  # shellcheck disable=SC2086 # a word is a line
  matches "$1" $out
}
# has FILE WORDS: in a line of it.
has() {
  local lines
  [ -e "$1" ] && mapfile -t lines <"$1" && matches "$2" "${lines[@]}"
}

wrong() { fault="${fault:-$*}"; }
status() { [ "$code" = "$1" ] || wrong "exit status $code, not $1"; }
expect() { in_out "$1" || wrong "no line with: $1"; }
refuse() { ! in_out "$1" || wrong "a line with: $1"; }

# counted SENT LOST: the summary of itw-ping.
counted() { status 0; expect "^$1 sent, $(($1 - $2)) received, $2 lost, 0 duplicates"; }

end() {
  if [ -z "$fault" ]; then
    passed=$((passed + 1))
    echo "ok $name ($((SECONDS - began)) s)"
    return
  fi
  failed=$((failed + 1))
  printf '%s\n' "$out" | tail -n 30 | sed 's/^/  | /'
  for log in "${logs[@]:-}"; do
    [ ! -s "$log" ] || { echo "  $log:"; tail -n 15 "$log" | sed 's/^/  | /'; }
  done
  echo "FAILED $name: $fault"
}

tally() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

# until_line FILE WORDS [SECONDS]: waits for a line in a file.
until_line() {
  local start=$SECONDS
  until has "$1" "$2"; do
    [ $((SECONDS - start)) -le "${3:-10}" ] || { wrong "no line with '$2' in $1"; return 1; }
    read -rt 0.02 -u "$pause" || true
  done
}
# Nothing ever comes from here.
fifo=$(mktemp -u) && mkfifo "$fifo" && exec {pause}<>"$fifo" && rm "$fifo"
