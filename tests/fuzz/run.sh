#!/usr/bin/env bash
# Builds the fuzz targets with clang and lets libFuzzer invent inputs for each, two side by side.
# One line a target; exit code 1 if there is a finding, with the input's path and how to see it again.
#
#   tests/fuzz/run.sh [--seconds N] [TARGET...]    default: 20 seconds of every target
#   tests/fuzz/run.sh --seconds 14400              four hours each; goes on from the inputs kept so far
#
# What was found interesting is kept in build/fuzz/inputs/TARGET, findings in build/fuzz/findings.
# tests/fuzz/planted.py shows that planted faults are found. Needs clang and libclang-rt-dev.
set -eu
cd "$(dirname "$0")/../.."
seconds=20
if [ "${1-}" = --seconds ]; then
  seconds=$2
  shift 2
fi
build=$PWD/build/fuzz

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  read -r -a targets < <(sed -n 's/^set(fuzz_targets \(.*\))$/\1/p' tests/fuzz/targets.cmake)
fi

launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
mkdir -p "$build/findings"
# once: what changes later is seen by the build itself, but for the preset
if [ "$build/build.ninja" -ot CMakePresets.json ]; then rm -f "$build/build.ninja"; fi
if ! { { [ -e "$build/build.ninja" ] || cmake --preset fuzz "${launcher[@]}"; } &&
  cmake --build "$build" --target "${targets[@]/#/fuzz_}"; } >"$build/build.log" 2>&1; then
  tail -n 40 "$build/build.log"
  exit 2
fi

fuzz() { # target
  local name=$1 program=$build/tests/fuzz_$1 log=$build/$1.log seeds=$build/inputs/$1.seeds
  local inputs=$build/inputs/$1 verdict=clean code=0 began=$SECONDS runs coverage
  mkdir -p "$inputs"
  "$program" --write-inputs "$seeds"
  "$program" "$inputs" "$seeds" -dict="$seeds.dict" -artifact_prefix="$build/findings/$name-" \
    -max_total_time="$seconds" -print_final_stats=1 -max_len=20000 -timeout=30 -rss_limit_mb=1024 \
    -malloc_limit_mb=64 >"$log" 2>&1 || code=$?
  [ "$code" -eq 0 ] || verdict=FINDING
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  printf '%-12s %9s runs in %3d s  coverage %5s  %s\n' "$name" "${runs:-?}" $((SECONDS - began)) \
    "${coverage:-?}" "$verdict"
  [ "$code" -eq 0 ] && return
  sed -n '/^broken: \|ERROR: \|runtime error\|terminate called\|what():/p' "$log" | head -n 4
  sed -n "s|^artifact_prefix.*Test unit written to \(.*\)|  again: $program \1|p" "$log"
  printf '  log: %s\n' "$log"
  return 1
}
export -f fuzz
export build seconds

# shellcheck disable=SC2016  # expanded inside
printf '%s\n' "${targets[@]}" | xargs -P 2 -n 1 bash -c 'fuzz "$1"' _ || exit 1
