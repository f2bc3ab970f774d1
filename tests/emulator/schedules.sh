#!/usr/bin/env bash
# Runs the kernels' tests under many orders of threads, blocks and streams:
#
#   tests/emulator/schedules.sh BUILD_FOLDER [SEED...]     1 to 20 by default, each with 1 and with 4
#                                                          blocks alive at once
#
# Prints the seed of the first order that fails and exits 1.
set -u
build=${1:?usage: schedules.sh BUILD_FOLDER [SEED...]}
seeds=("${@:2}")
if [ ${#seeds[@]} -eq 0 ]; then mapfile -t seeds < <(seq 20); fi

# what takes over a second is left out: it is many cases of the same kernels
slow='CudaGradient.SumsWhatTheCpuSumsForEveryPolicy'
slow+=':CudaReturns.EqualTheCpusForEveryBaselineAndNormalisation:CudaRollout.PlaysEveryOtherPolicy'
slow+=':CudaTableRollout.PlaysAnyNumberOfHiddenUnits'
export slow build

one_schedule() { # "SEED RESIDENT"
  export LS_EMULATOR_ORDER=random LS_EMULATOR_SEED=${1% *} LS_EMULATOR_RESIDENT=${1#* }
  for test in 'kernels_cuda *' 'host_cuda CudaPlay*:CudaStep*:Cpus/CudaActorCriticBits*'; do
    if ! log=$("$build/tests/bin/${test% *}" --gtest_brief=1 "--gtest_filter=${test#* }-$slow" 2>&1); then
      printf '%s\n%s failed with LS_EMULATOR_SEED=%s LS_EMULATOR_RESIDENT=%s\n' \
        "$log" "$test" "$LS_EMULATOR_SEED" "$LS_EMULATOR_RESIDENT"
      return 255 # xargs stops
    fi
  done
}
export -f one_schedule

if ! for seed in "${seeds[@]}"; do printf '%s 1\n%s 4\n' "$seed" "$seed"; done |
  xargs -d '\n' -P "$(nproc)" -I{} bash -c 'one_schedule "{}"'; then
  exit 1
fi
printf '%d schedules, no difference\n' $((2 * ${#seeds[@]}))
