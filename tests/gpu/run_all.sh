#!/usr/bin/env bash
# Everything that wants a GPU, in one command of at most nine minutes on an H100 or H200 with 16 cores,
# without network:
#
#   tests/gpu/run_all.sh                   all parts, in the order of --list
#   tests/gpu/run_all.sh PART...           some of them
#   tests/gpu/run_all.sh --emulated ...    tiny sizes on the emulated plug-in, no GPU: that the script works
#
#   facts       device, driver, clocks, compilers
#   build       program, plug-in, benchmarks and the tests that use a device, in build/gpu (LS_GPU_BUILD)
#   bench       every benchmark of the device -> bench/results/<date>-<commit>-<device>.json, and Pong's
#               rates, by the program, into the same file; row by row, as they are measured
#   report      measured against predicted and against the goals -> the same name with .md
#   hashes      the same bits from CPU and GPU over 1e8 steps: mappings, block sizes, batch sizes; Pong's
#               training, rollouts and evaluations too
#   tests       the tests of a device, where one that is missing is a failure (LS_REQUIRE_GPU=1)
#   sanitizers  compute-sanitizer: memcheck, racecheck, initcheck, synccheck
#
# A part that fails does not stop the others; the last line counts them and the exit code is 1. A part
# has its share of LS_GPU_SECONDS (540) and ends with it; what it had found by then stays.
#
#   LS_OUT=FOLDER   everything to bring home goes there as it comes, in at most eight files: run_all.log
#                   (all that is printed), the .json and .md above, tests.xml (JUnit), a log a sanitizer
#   LS_COMMIT=HASH  the commit of a tree that came without its repository, for names and build stamp
#
# Needs nvcc, cmake, ninja, g++ and python3, and the Debian packages of packages.txt. Where those cannot
# be installed, put them into the folder LS_DEBS (default .deps) as they are; they are unpacked into the
# build folder:
#   mkdir -p .deps && (cd .deps && xargs apt-get download <../tests/gpu/packages.txt)
# compute-sanitizer is taken from the PATH, LS_COMPUTE_SANITIZER, or the PyPI package
# nvidia-cuda-sanitizer-api.
set -u
script=$(readlink -f "$0")
cd "$(dirname "$script")/../.." || exit 1
root=$PWD
export LC_ALL=C.UTF-8
export PYTHONUNBUFFERED=1 # a part that is ended at its limit has said why it took so long

all_parts=(facts build bench report hashes tests sanitizers)
emulated=no
parts=()
for argument in "$@"; do
  case $argument in
    --emulated) emulated=yes ;;
    --list)
      printf '%s\n' "${all_parts[@]}"
      exit 0
      ;;
    -h | --help)
      sed -n '2,/^set -u/p' "$script" | sed '$d; s/^# \{0,1\}//'
      exit 0
      ;;
    *)
      if ! [[ " ${all_parts[*]} " == *" $argument "* ]]; then
        printf 'run_all.sh: no part is called %s; see --list\n' "$argument" >&2
        exit 2
      fi
      parts+=("$argument")
      ;;
  esac
done
if [ ${#parts[@]} -eq 0 ]; then parts=("${all_parts[@]}"); fi

fail() {
  printf 'run_all.sh: %s\n' "$*" >&2
  exit 2
}

usual_seconds=540
deadline=${LS_GPU_SECONDS:-$usual_seconds}
if [ $emulated = yes ]; then deadline=${LS_GPU_SECONDS:-7200}; fi
[[ $deadline =~ ^[1-9][0-9]*$ ]] || fail "LS_GPU_SECONDS=$deadline is no number of seconds"
jobs=${LS_JOBS:-$(nproc)}
build=${LS_GPU_BUILD:-$root/build/gpu}
if [ $emulated = yes ]; then
  build=${LS_GPU_BUILD:-$root/build/gpu-emulated}
  export LS_CUDA_EMULATOR=1
fi
mkdir -p "$build/run_all" || exit 1
build=$(cd "$build" && pwd)
program=$build/lockstep
work=$build/run_all
results=$root/bench/results
if [ $emulated = yes ]; then results=$work; fi # times of the emulator are no results
out=$work
if [ -n "${LS_OUT-}" ]; then
  mkdir -p "$LS_OUT" || exit 1
  out=$(cd "$LS_OUT" && pwd)
  results=$out
fi

# --- packages that were carried along instead of installed ---
debs=${LS_DEBS:-$root/.deps}
deps=$build/deps
unpack() { # FILE.deb: into $deps; dpkg-deb is there on Debian's kin alone
  if command -v dpkg-deb >/dev/null; then
    dpkg-deb -x "$1" "$deps"
  else
    local data
    data=$(ar t "$1" | grep '^data\.tar') && ar p "$1" "$data" | case $data in
      *.xz) xz -dc ;;
      *.zst) zstd -dc ;;
      *.gz) gzip -dc ;;
      *) cat ;;
    esac | tar -x -C "$deps"
  fi
}
if compgen -G "$debs/*.deb" >/dev/null; then
  held=$(cksum "$debs"/*.deb)
  if [ "$held" != "$(cat "$deps/unpacked" 2>/dev/null)" ]; then
    rm -rf "$deps"
    mkdir -p "$deps"
    for deb in "$debs"/*.deb; do unpack "$deb" || fail "cannot unpack $deb"; done
    printf '%s\n' "$held" >"$deps/unpacked"
  fi
  export CMAKE_PREFIX_PATH=$deps/usr${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  for folder in "$deps"/usr/lib/*-linux-gnu "$deps"/usr/lib/*-linux-gnu/openblas-*; do
    if [ -d "$folder" ]; then
      export CMAKE_LIBRARY_PATH=$folder${CMAKE_LIBRARY_PATH:+:$CMAKE_LIBRARY_PATH}
      export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
      export LIBRARY_PATH=$folder${LIBRARY_PATH:+:$LIBRARY_PATH}
    fi
  done
fi
for folder in "${CUDA_PATH-}/bin" /usr/local/cuda/bin; do
  if [ -x "$folder/nvcc" ]; then PATH=$PATH:$folder; fi
done

device_name() {
  if [ $emulated = yes ]; then
    echo emulated
  else
    nvidia-smi --query-gpu=name --format=csv,noheader -i 0 2>/dev/null || echo unknown
  fi
}
# "NVIDIA H100 80GB HBM3" -> h100-80gb-hbm3
device_slug() {
  device_name | head -n 1 | tr '[:upper:]' '[:lower:]' | sed -E 's/^nvidia //; s/[^a-z0-9]+/-/g; s/-$//'
}
commit=$(git --git-dir="$root/.git" rev-parse --short=12 HEAD 2>/dev/null) || commit=${LS_COMMIT-}
[[ -z $commit || $commit =~ ^[0-9a-f]{7,40}$ ]] || fail "LS_COMMIT=$commit is no hash of a commit"
commit=${commit:0:12}
result=$results/$(date +%F)-${commit:-unknown}-$(device_slug)

# Seconds that a part of LIMIT seconds in the usual time has in this one, which may be shrunken or
# stretched, before the deadline.
share() { # LIMIT
  local limit=$(($1 * deadline / usual_seconds)) left=$((deadline - SECONDS))
  echo $((limit < left ? limit : left))
}
# Runs a command for its share.
within() { # LIMIT COMMAND...
  local limit status
  limit=$(share "$1")
  shift
  if [ "$limit" -lt 1 ]; then
    echo "no time left for: $*"
    return 124
  fi
  timeout --kill-after=10 "$limit" "$@"
  status=$?
  if [ $status = 124 ] || [ $status = 137 ]; then echo "ended at its limit of $limit s: $*"; fi
  return $status
}

part_facts() {
  echo "commit ${commit:-unknown}, $jobs cores, device: $(device_name)"
  if [ -n "$(git --git-dir="$root/.git" --work-tree="$root" status --porcelain 2>/dev/null)" ]; then
    echo "the tree has changes that are not committed"
  fi
  g++ --version | head -n 1
  nvcc --version 2>/dev/null | tail -n 2 || true
  if [ $emulated = yes ]; then return 0; fi
  nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap,clocks.max.sm,clocks.max.mem,power.limit,ecc.mode.current,mig.mode.current \
    --format=csv -i 0
}

part_build() {
  local options=(-DCMAKE_BUILD_TYPE=Release -DLS_TESTS=ON -DLS_BENCH=ON "-DLS_COMMIT=$commit") targets=(all) more
  if [ $emulated = yes ]; then
    options+=(-DLS_CUDA=OFF -DLS_CUDA_EMULATOR=ON "-DLS_TEST_FILTER=^host/cli/cuda_device_test$")
    targets=(lockstep_cli lockstep_cuda_emulated lockstep_bench_emulated lockstep_ladder_emulated
      host_cli_cuda_device_test)
  else
    options+=(-DLS_CUDA=ON -DLS_CUDA_EMULATOR=OFF -DLS_GPU_TESTS=ON -DCMAKE_CUDA_ARCHITECTURES=90-real
      "-DLS_TEST_FILTER=${LS_TEST_FILTER:-^gpu/}")
  fi
  # for a test of this script: options of CMake, and a share of what there is to build
  if [ -n "${LS_CMAKE_OPTIONS-}" ]; then read -r -a more <<<"$LS_CMAKE_OPTIONS" && options+=("${more[@]}"); fi
  if [ -n "${LS_GPU_TARGETS-}" ]; then read -r -a targets <<<"$LS_GPU_TARGETS"; fi
  within 60 cmake -S . -B "$build" -G Ninja "${options[@]}" >"$work/configure.log" 2>&1 || {
    cat "$work/configure.log"
    return 1
  }
  within 300 ninja -C "$build" -k 0 -j "$jobs" "${targets[@]}" >"$work/build.log" 2>&1 || {
    grep '^FAILED: ' "$work/build.log"
    tail -n 60 "$work/build.log"
    return 1
  }
}

part_hashes() {
  local tiny=()
  if [ $emulated = yes ]; then tiny=(--emulated); fi
  within 180 python3 tests/gpu/hashes.py --program "$program" "${tiny[@]}"
}

part_tests() {
  local which=(-L '^gpu$') limit=150
  if [ $emulated = yes ]; then which=(-R 'Cuda|_emulated|gpu_report|_check_self_test' -LE '^(slow|live|exhaustive)$'); fi
  # ended by itself, so that it writes what it knows
  LS_REQUIRE_GPU=1 within $((limit + 20)) ctest --test-dir "$build" --output-on-failure --no-tests=error \
    --stop-time "$(date -d "+$(share $limit) seconds" +%T)" --output-junit "$out/tests.xml" \
    --parallel "$jobs" "${which[@]}"
}

part_bench() {
  # a row's repetitions one after the other: it is measured, and written, before the next one begins
  local options=(--benchmark_filter=/cuda
    --benchmark_enable_random_interleaving=false --save "$result.json")
  local suffix='' tiny=() failed=0
  if [ $emulated = yes ]; then
    options+=(--emulated --smoke)
    suffix=_emulated
    tiny=(--emulated)
  fi
  within 180 "$build/lockstep_bench$suffix" "${options[@]}" || failed=1
  within 60 python3 bench/gpu/gpu_pong.py --program "$program" --append "$result.json" "${tiny[@]}" || failed=1
  echo "written: $result.json"
  within 40 "$build/lockstep_ladder$suffix" || failed=1
  return $failed
}

part_report() {
  within 30 python3 bench/gpu/gpu_report.py "$result.json" --predicted "$root/bench/results" --out "$result.md"
}

find_sanitizer() {
  if [ -n "${LS_COMPUTE_SANITIZER-}" ]; then
    echo "$LS_COMPUTE_SANITIZER"
  elif command -v compute-sanitizer >/dev/null; then
    command -v compute-sanitizer
  else
    local python
    for python in python3 "$root/.venv/bin/python"; do
      "$python" - 2>/dev/null <<'PYTHON' && return 0
import pathlib, sys
found = [p for folder in sys.path for p in pathlib.Path(folder or ".").glob("nvidia/*/**/compute-sanitizer") if p.is_file()]
print(found[0]) if found else sys.exit(1)
PYTHON
    done
    return 1
  fi
}

# Small, and every kernel at least once: mappings, forms of the network, both records, play and step.
sanitizer_workloads=(
  "train --envs 65 --updates 2 --mapping thread --block-size 64"
  "train --envs 65 --updates 2 --mapping lanes8 --block-size 64"
  "train --envs 33 --updates 2 --horizon 24 --until-score 24 --baseline batch_mean --store recompute --normalize batch"
  "train --envs 33 --updates 2 --activation leaky_relu --dropout 0.5 --normalize episode"
  "train --envs 33 --updates 2 --policy linear --returns full --eval-every 1 --eval-episodes 40"
  "rollout --envs 40 --steps 40 --policy random"
  "rollout --envs 40 --steps 40 --math dense"
  # whole games: every width of the network, noise, a leak; last, for it takes longest, 8 games a warp
  "train pong --envs 33 --updates 1 --hidden 64"
  "train pong --envs 17 --updates 1 --recipe classic --hidden 256 --frame-skip 2-4 --repeat-action-probability 0.25 --normalize episode"
  "train pong --envs 17 --updates 1 --recipe sprint --hidden 512 --eval-every 1 --eval-episodes 20"
  "rollout pong --envs 40 --steps 40 --policy random"
  "train pong --envs 8448 --updates 1 --horizon 48"
)

sanitize() { # TOOL: all workloads under one tool
  local tool=$1 log=$out/$1.log failed=0 words
  local checks=(--tool "$tool" --error-exitcode 99)
  if [ "$tool" = memcheck ]; then checks+=(--leak-check full); fi
  : >"$log"
  for words in "${sanitizer_workloads[@]}"; do
    if [[ $words == train* ]]; then words="$words --force --out $work/$tool.run"; fi
    # a horizon bounds what can be reached
    if [[ $words == train* && $words != *--horizon* ]]; then words="$words --until-score 1e9"; fi
    # shellcheck disable=SC2086  # a list of words
    if within 240 "$sanitizer" "${checks[@]}" "$program" $words --device cuda --quiet >>"$log" 2>&1; then
      echo "clean: lockstep $words" >>"$log"
    else
      echo "exit code $?: lockstep $words" >>"$log"
      failed=1
    fi
  done
  return $failed
}

part_sanitizers() {
  if ! sanitizer=$(find_sanitizer); then
    echo "compute-sanitizer is neither on the PATH nor among the Python packages"
    return 77
  fi
  if [ ! -x "$sanitizer" ]; then chmod +x "$sanitizer"; fi
  echo "$sanitizer"
  local tool failed=0
  local -A running=()
  for tool in memcheck racecheck initcheck synccheck; do # side by side: none of them fills the GPU
    sanitize "$tool" &
    running[$tool]=$!
  done
  for tool in "${!running[@]}"; do
    if wait "${running[$tool]}"; then
      echo "$tool: $(grep -c '^clean: ' "$out/$tool.log") of ${#sanitizer_workloads[@]} workloads clean"
    else
      failed=1
      echo "$tool: FAILED"
      grep -E '^(=====|exit code|lockstep: error)' "$out/$tool.log" | tail -n 40
    fi
  done
  return $failed
}

main() {
  local passed=0 failed=() skipped=() part began verdict note=
  for part in "${parts[@]}"; do
    printf '\n=== %s ===\n' "$part"
    began=$SECONDS
    "part_$part"
    case $? in
      0)
        passed=$((passed + 1))
        verdict=passed
        ;;
      77)
        skipped+=("$part")
        verdict=skipped
        ;;
      *)
        failed+=("$part")
        verdict=FAILED
        ;;
    esac
    printf '=== %s: %s in %d s ===\n' "$part" "$verdict" $((SECONDS - began))
  done
  printf '\n'
  if [ ${#skipped[@]} -gt 0 ]; then printf 'skipped parts: %s\n' "${skipped[*]}"; fi
  if [ ${#failed[@]} -gt 0 ]; then printf 'failed parts: %s\n' "${failed[*]}"; fi
  if [ $emulated = yes ]; then note=', emulated'; fi
  printf '%d passed, %d skipped, %d failed in %d s%s\n' "$passed" "${#skipped[@]}" "${#failed[@]}" "$SECONDS" "$note"
  [ ${#failed[@]} -eq 0 ]
}
if [ -n "${LS_OUT-}" ]; then
  main 2>&1 | tee "$out/run_all.log"
  exit "${PIPESTATUS[0]}"
fi
main
