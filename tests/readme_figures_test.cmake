# The README's figures are those of bench/results: what one regular expression finds in the README
# is what the other finds in the file they come from, group by group.
# Run as: cmake -DROOT=<project root> -P readme_figures_test.cmake
cmake_minimum_required(VERSION 3.25)

file(READ "${ROOT}/README.md" readme)
set(failures 0)

# expect(FILE README_REGEX FILE_REGEX): both match, with the same groups. Semicolons are no part of them.
function(expect file in_readme in_file)
  file(READ "${ROOT}/bench/results/${file}" text)
  foreach(side readme file)
    set(source "${text}")
    if(side STREQUAL "readme")
      set(source "${readme}")
    endif()
    string(REGEX MATCH "${in_${side}}" found "${source}")
    set(groups "")
    foreach(i RANGE 1 9)
      string(APPEND groups "${CMAKE_MATCH_${i}} ")
    endforeach()
    if(found STREQUAL "")
      message(SEND_ERROR "no '${in_${side}}' in the ${side} (${file})")
    endif()
    set(of_${side} "${groups}")
  endforeach()
  if(NOT of_readme STREQUAL of_file)
    message(SEND_ERROR "README: ${of_readme}, ${file}: ${of_file}, by '${in_readme}'")
  endif()
endfunction()

set(n "([0-9.,]+)")  # a number that counts
set(skip "[^|]*\\|")  # a cell that does not

set(file "learning-2026-11-25.md")
expect(${file} "reach 475\; median ${n} updates" "\\| fast \\|${skip}${skip} updates \\|${skip}${skip} ${n} \\|")
expect(${file} "updates, ${n} thousand steps \\|" "\n\\| \\| \\| \\| thousand steps \\|${skip}${skip} ${n} \\|")
expect(${file} "solves ${n} of ${n} seeds within its ${n} episodes" "\\| ${n} of ${n} within ${n} episodes \\|")
expect(${file} "median ${n} of those that did" "within 500 episodes \\| episodes \\|${skip}${skip} ${n} \\|")
expect(${file} "([0-9]+) of all\\)" "of all 100 seeds of `classic`: ([0-9]+)")

set(file "learning-2026-11-26.md")
foreach(recipe fast sprint classic karpathy)
  expect(${file} "\\| `${recipe}`[^|]*\\| 20 of 20 \\|${skip} ${n} \\(${n}\\) \\|"
         "\\| ${recipe} \\| updates \\|${skip}${skip} ${n} \\|${skip} ${n} \\|")
endforeach()
set(time "${skip}${skip}${skip}${skip}${skip} ([0-9.]+) s \\|[^\n]*\n")
expect(${file} "\\| `fast`${time}\\| `sprint`${time}\\| `classic`${time}\\| `karpathy`${time}"
       "training loop ([0-9.]+), ([0-9.]+), ([0-9.]+), ([0-9.]+[0-9])")
expect(${file} "median of 20 seeds \\| ${n} s" "`fast` ${n} \\(")
expect(${file} "the same with `sprint` \\| ${n} s" "`sprint` ${n} \\(")

set(file "2026-11-25-5383e799e9a7-epyc-zen5.md")
expect(${file} "random actions, AVX-512 \\| ([0-9.e]+) steps/s" "environment, random actions +([0-9.e]+) /s")
expect(${file} "2 cores over 1 \\| ([0-9.]+)x" "2 cores over 1 \\(AVX-512\\) +([0-9.]+)x")
expect(${file} "process start to exit with its run folder \\| ${n} ms" "process start to exit +${n} ms")

set(file "pong-2026-11-26.md")
expect(${file} "\\| ${n}x OpenBLAS on the same pictures" "rollout: H = 200, sampling, environment[^x]* ${n}x")
expect(${file} "\\| ${n}x OpenBLAS forward and backward" "to its mean of 18[^x]* ${n}x")
