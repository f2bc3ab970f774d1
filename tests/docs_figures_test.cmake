# The figures of docs/ are those of bench/results: what one regular expression finds in a page is what the
# other finds in the file they come from, group by group. And the README's few figures are those of docs/proof.md.
# Run as: cmake -DROOT=<project root> -P docs_figures_test.cmake
cmake_minimum_required(VERSION 3.25)

# expect(PAGE FILE PAGE_REGEX FILE_REGEX): both match, with the same groups. Semicolons are no part of them.
function(expect page file in_page in_file)
  file(READ "${ROOT}/docs/${page}" text_of_page)
  file(READ "${ROOT}/bench/results/${file}" text_of_file)
  foreach(side page file)
    set(source "${text_of_${side}}")
    string(REGEX MATCH "${in_${side}}" found "${source}")
    set(groups "")
    foreach(i RANGE 1 9)
      string(APPEND groups "${CMAKE_MATCH_${i}} ")
    endforeach()
    if(found STREQUAL "")
      message(SEND_ERROR "no '${in_${side}}' in the ${side}: ${${side}}")
    endif()
    set(of_${side} "${groups}")
  endforeach()
  if(NOT of_page STREQUAL of_file)
    message(SEND_ERROR "${page}: ${of_page}, ${file}: ${of_file}, by '${in_page}'")
  endif()
endfunction()

set(n "([0-9.,]+)")  # a number that counts
set(skip "[^|]*\\|")  # a cell that does not

set(file "learning-2026-11-25.md")
expect(proof.md ${file} "reach 475\; median ${n} updates" "\\| fast \\|${skip}${skip} updates \\|${skip}${skip} ${n} \\|")
expect(proof.md ${file} "updates, ${n} thousand steps \\|" "\n\\| \\| \\| \\| thousand steps \\|${skip}${skip} ${n} \\|")
expect(training.md ${file} "solves ${n} of ${n} seeds within its ${n} episodes" "\\| ${n} of ${n} within ${n} episodes \\|")
expect(training.md ${file} "median ${n} of those that did" "within 500 episodes \\| episodes \\|${skip}${skip} ${n} \\|")
expect(training.md ${file} "([0-9]+) of all\\)" "of all 100 seeds of `classic`: ([0-9]+)")

set(file "learning-2026-11-26.md")
foreach(recipe fast sprint classic karpathy)
  expect(pong.md ${file} "\\| `${recipe}`[^|]*\\| 20 of 20 \\|${skip} ${n} \\(${n}\\) \\|"
         "\\| ${recipe} \\| updates \\|${skip}${skip} ${n} \\|${skip} ${n} \\|")
endforeach()
set(time "${skip}${skip}${skip}${skip}${skip} ([0-9.]+) s \\|[^\n]*\n")
expect(pong.md ${file} "\\| `fast`${time}\\| `sprint`${time}\\| `classic`${time}\\| `karpathy`${time}"
       "training loop ([0-9.]+), ([0-9.]+), ([0-9.]+), ([0-9.]+[0-9])")
expect(speed.md ${file} "median of 20 seeds \\| ${n} s" "`fast` ${n} \\(")
expect(speed.md ${file} "the same with `sprint` \\| ${n} s" "`sprint` ${n} \\(")

set(file "2026-11-25-5383e799e9a7-epyc-zen5.md")
expect(speed.md ${file} "random actions, AVX-512 \\| ([0-9.e]+) steps/s" "environment, random actions +([0-9.e]+) /s")
expect(speed.md ${file} "2 cores over 1 \\| ([0-9.]+)x" "2 cores over 1 \\(AVX-512\\) +([0-9.]+)x")
expect(speed.md ${file} "process start to exit with its run folder \\| ${n} ms" "process start to exit +${n} ms")

set(file "pong-2026-11-26.md")
expect(speed.md ${file} "benchmark had for itself made\n([0-9]+)\\.([0-9])e8 steps/s" "random actions, steps +([0-9])([0-9])3e6 /s")
expect(speed.md ${file} "\\| ${n}x OpenBLAS on the same pictures" "rollout: H = 200, sampling, environment[^x]* ${n}x")
expect(speed.md ${file} "\\| ${n}x OpenBLAS forward and backward" "to its mean of 18[^x]* ${n}x")

set(file "pong-random-2026-11-30.md")
expect(speed.md ${file} "on Zen 3 with AVX2 \\| ([0-9.e]+) steps/s \\|[^|]*\\|[^|]*\; ${n}x what it was" "as above [^|]*\\|${skip} ([0-9.e]+) \\| ${n}x")
expect(speed.md ${file} "`(lockstep rollout pong[^`]*)`" "(lockstep rollout pong[^\n]*[0-9])")

file(READ "${ROOT}/docs/proof.md" proof)
file(STRINGS "${ROOT}/README.md" rows REGEX "^\\| [^|]+\\| [^|]+\\| [^|]*[0-9][^|]*\\|$")
list(LENGTH rows count)
if(count LESS 3)
  message(SEND_ERROR "found ${count} figures only in the README")
endif()
foreach(row IN LISTS rows)
  string(REGEX REPLACE "^.*\\| ([^|]*) \\|$" "\\1" figure "${row}")
  string(FIND "${proof}" "${figure}" found)
  if(found EQUAL -1)
    message(SEND_ERROR "the README's '${figure}' is not in docs/proof.md")
  endif()
endforeach()
