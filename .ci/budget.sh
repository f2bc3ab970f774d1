# shellcheck shell=bash
# Time for `.ci/run`: what may take how long, and who comes first when there is not enough of it. Sourced.
#
# Steps that may be cut short take turns: each begins at another of its items (suites, seeds) at every
# commit, and runs them until its share of the time is used up. What was left out is printed with the
# command that runs it. Time is $SECONDS of the shell.

# Seconds from now that a step of weight WEIGHT may take, with all weights still to come adding up to TOTAL:
# its weight, or its part of what the budget leaves; nothing where that is less than half the weight, for
# then it would build and hardly run. LS_CI_ALL=yes: no limit (prints nothing).
allowance() { # WEIGHT TOTAL
  if [ "$LS_CI_ALL" = yes ]; then return; fi
  local left=$((LS_CI_SECONDS - SECONDS))
  if [ $left -gt "$2" ]; then left=$2; fi
  local share=$(($1 * left / $2))
  if [ $((2 * share)) -lt "$1" ]; then share=0; fi
  echo $share
}

# Where the turn of this commit begins among N items.
turn() { # N
  local commit=${LS_CI_COMMIT:-$(git rev-parse HEAD 2>/dev/null)}
  echo $((16#0${commit:0:7} % $1))
}

# Runs `COMMAND ITEM...` for SIZE lines of standard input at a time, for as long as $allowed seconds (empty:
# for all of them) have not passed since it was called. Fails if one of the commands does, or if there is
# no item at all.
in_turn() { # SIZE COMMAND...
  local size=$1 began=$SECONDS status=0 items done_count=0 first
  shift
  mapfile -t items
  if [ ${#items[@]} -eq 0 ]; then
    echo "nothing to take turns"
    return 1
  fi
  first=$(turn ${#items[@]})
  if [ -n "$allowed" ]; then items=("${items[@]:first}" "${items[@]:0:first}"); fi
  while [ "$done_count" -lt ${#items[@]} ]; do
    if [ -n "$allowed" ] && [ $((SECONDS - began)) -ge "$allowed" ]; then break; fi
    "$@" "${items[@]:done_count:size}" </dev/null || status=1
    done_count=$((done_count + size))
  done
  local left=$((${#items[@]} - done_count))
  if [ $left -gt 0 ]; then left_out "$left of ${#items[@]} (this commit began at number $((first + 1)))"; fi
  return $status
}

# Remembers what $step left out, for the end.
left_out() { # WHAT
  missing+=("$step: $1; all of it: .ci/run --all $step")
  printf 'left out: %s\n' "$1"
}
