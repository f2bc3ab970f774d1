# Every link of a page to a file of the project leads to one.
# Run as: cmake -DROOT=<project root> -P docs_links_test.cmake
cmake_minimum_required(VERSION 3.25)

# Links of `text` that lead nowhere from `folder`.
function(dead_links out folder text)
  set(dead "")
  string(REGEX REPLACE "[][;]" "|" text "${text}")  # brackets and semicolons would hold list items together
  string(REGEX MATCHALL "\\|\\([^ )]+\\)" links "${text}")
  foreach(link IN LISTS links)
    string(REGEX REPLACE "^\\|\\(([^)#]*)(#[^)]*)?\\)$" "\\1" target "${link}")
    if(target STREQUAL "" OR target MATCHES "^[a-z]+:" OR EXISTS "${folder}/${target}")
      continue()
    endif()
    list(APPEND dead "${target}")
  endforeach()
  set(${out} "${dead}" PARENT_SCOPE)
endfunction()

dead_links(dead "${ROOT}" "[this](no/such/file.md) [that](LICENSE#x), [web](https://a.b/c), [top](#top)")
if(NOT dead STREQUAL "no/such/file.md")
  message(SEND_ERROR "this test is blind: of one dead link it found '${dead}'")
endif()

file(GLOB pages RELATIVE "${ROOT}" "${ROOT}/*.md" "${ROOT}/*/*.md" "${ROOT}/bench/*/*.md" "${ROOT}/tests/*/*.md")
list(FILTER pages EXCLUDE REGEX "^(build|runs|shared)/")
foreach(page IN LISTS pages)
  file(READ "${ROOT}/${page}" text)
  cmake_path(GET page PARENT_PATH folder)
  dead_links(dead "${ROOT}/${folder}" "${text}")
  foreach(target IN LISTS dead)
    message(SEND_ERROR "${page}: no ${target}")
  endforeach()
endforeach()
list(LENGTH pages count)
if(count LESS 10)
  message(SEND_ERROR "found ${count} pages only; wrong ROOT?")
endif()
