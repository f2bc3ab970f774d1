#!/usr/bin/env bash
# .ci/budget.sh under a clock of the test's own: SECONDS is a variable of the shell that may be set.
set -u
# shellcheck source=.ci/budget.sh
. "$(dirname "$0")/../.ci/budget.sh"
failures=0
expect() { # WHAT ACTUAL EXPECTED
  if [ "$2" != "$3" ]; then
    printf '%s: %s, expected %s\n' "$1" "$2" "$3"
    failures=$((failures + 1))
  fi
}
commit() { # N -> a commit whose turn begins at N
  printf '%07x0123456789012345678901234567890123' "$1"
}

LS_CI_SECONDS=1000 LS_CI_ALL=no step=suites missing=() ran=()
SECONDS=0
expect 'plenty of time gives the weight' "$(allowance 200 600)" 200
# a clock that may tick meanwhile: the figures are the same some seconds on
SECONDS=695
expect 'half of the time gives half' "$(allowance 20 600)" 10
SECONDS=705
expect 'less than half is too little to begin with' "$(allowance 20 600)" 0
expect 'what one left is for those after it' "$(allowance 20 400)" 14
SECONDS=1500
expect 'no time gives nothing' "$(allowance 200 600)" 0
LS_CI_ALL=yes
expect 'everything has no limit' "$(allowance 200 600)" ''
LS_CI_ALL=no

# every item costs 10 seconds
take() {
  ran+=("$@")
  SECONDS=$((SECONDS + 10 * $#))
  [[ " $* " != *' bad '* ]]
}
run() { # COMMIT ALLOWED ITEM...
  LS_CI_COMMIT=$(commit "$1") allowed=$2 ran=() missing=() SECONDS=500
  in_turn 2 take < <(printf '%s\n' "${@:3}") >/dev/null
}

run 0 60 a b c d
expect 'all within the time: status' $? 0
expect 'all within the time' "${ran[*]}" 'a b c d'
expect 'nothing left out' "${#missing[@]}" 0
run 3 60 a b c d
expect 'another commit begins elsewhere and comes round' "${ran[*]}" 'd a b c'
run 6 20 a b c d
expect 'stops when the time is used up' "${ran[*]}" 'c d'
expect 'says what is left out' "${missing[*]}" \
  'suites: 2 of 4 (this commit began at number 3); all of it: .ci/run --all suites'
run 1 0 a b c d
expect 'no time: nothing runs' "${ran[*]}" ''
expect 'no time: all of it is left out' "${missing[*]}" \
  'suites: 4 of 4 (this commit began at number 2); all of it: .ci/run --all suites'
run 3 '' a b c d
expect 'no limit: in order' "${ran[*]}" 'a b c d'
run 0 60 a bad c d
expect 'a failure is the result' $? 1
expect 'a failure does not stop the others' "${ran[*]}" 'a bad c d'
LS_CI_COMMIT=$(commit 0) allowed=60
in_turn 2 take </dev/null >/dev/null
expect 'no item is a failure' $? 1

all=' '
for n in 0 1 2 3 4 5 6 7; do
  run "$n" 10 a b c d e f g h
  all+="${ran[*]} "
done
for item in a b c d e f g h; do
  expect "commits take turns: $item" "$([[ $all == *" $item "* ]] && echo came)" came
done

[ $failures -eq 0 ]
