# The CUDA part of the build. The core never links a CUDA library: everything that does is in a
# plug-in, a module that the program loads when it finds one (host/backend/cuda_plugin.h).
#
#   LS_CUDA=AUTO|ON|OFF   build the plug-in with nvcc; AUTO: where there is one
#   LS_CUDA_EMULATOR      build the same sources with the C++ compiler against tests/emulator
#
#   lockstep_cuda_parts(my_cuda NVCC|EMULATED ENVIRONMENTS cartpole corridor)
#     a static library: the backend and the kernels of these environments, each made known before
#     by lockstep_add_environment()
#   lockstep_cuda_plugin(my_plugin my_cuda)
#     the module libmy_plugin.so of it
set(LS_CUDA AUTO CACHE STRING "Build the CUDA plug-in with nvcc: AUTO, ON or OFF")
set_property(CACHE LS_CUDA PROPERTY STRINGS AUTO ON OFF)
option(LS_CUDA_EMULATOR "Build the CUDA part against the emulator too" ${LS_TESTS})

# a language can be enabled at the top of a project alone, so this is no function
set(LS_HAVE_NVCC OFF)
if(LS_CUDA STREQUAL "AUTO" AND LS_SANITIZE)
  set(cuda_wanted OFF)  # instrumented code is what the emulator's build is for
else()
  set(cuda_wanted "${LS_CUDA}")
endif()
if(cuda_wanted)
  # code for Hopper, and PTX that newer and older cards compile when they load it
  set(CMAKE_CUDA_ARCHITECTURES "90-real;75-virtual" CACHE STRING "Architectures of the CUDA plug-in")
  find_program(LS_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  mark_as_advanced(LS_NVCC)
  if(LS_NVCC AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} "${LS_NVCC}")  # where CMake looks first
  endif()
  if(cuda_wanted STREQUAL "AUTO")
    include(CheckLanguage)
    check_language(CUDA)  # a compiler that does not work is as good as none
  endif()
  if(CMAKE_CUDA_COMPILER OR cuda_wanted STREQUAL "ON")
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(LS_HAVE_NVCC ON)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
      set(LS_HAVE_NVCC OFF)  # no C++20
      if(cuda_wanted STREQUAL "ON")
        message(FATAL_ERROR "the CUDA plug-in needs CUDA 12, not ${CMAKE_CUDA_COMPILER_VERSION}")
      endif()
    endif()
  endif()
  message(STATUS "CUDA plug-in: ${LS_HAVE_NVCC} ${CMAKE_CUDA_COMPILER_VERSION}")
endif()
if(LS_CUDA_EMULATOR)
  # not a toolkit's own copy, which wants the rest of the toolkit's headers beside it
  find_path(LS_THRUST_INCLUDE thrust/version.h)
  mark_as_advanced(LS_THRUST_INCLUDE)
  if(NOT LS_THRUST_INCLUDE)
    message(FATAL_ERROR "the emulated CUDA part needs Thrust (Debian: libthrust-dev), or "
                        "-DLS_CUDA_EMULATOR=OFF")
  endif()
endif()

# Contraction and flushing are off as on the CPU: results are part of the contract. -std is passed
# by hand because CMake 3.25 does not know C++20 of nvcc and drops the property without a word.
add_library(lockstep_cuda_flags INTERFACE)
target_compile_options(
  lockstep_cuda_flags
  INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 -fmad=false -ftz=false -prec-div=true
            -prec-sqrt=true -lineinfo -Xcompiler=-Wall,-Wno-unknown-pragmas,-ffp-contract=off>)
if(LS_WERROR)
  target_compile_options(lockstep_cuda_flags
                         INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings>")
endif()

function(lockstep_cuda_parts target compiler)
  cmake_parse_arguments(PARSE_ARGV 2 PLUGIN "" "" "ENVIRONMENTS")
  if(NOT compiler MATCHES "^(NVCC|EMULATED)$" OR NOT PLUGIN_ENVIRONMENTS OR
     PLUGIN_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR
              "usage: lockstep_cuda_parts(name NVCC|EMULATED ENVIRONMENTS environment...)")
  endif()
  if(compiler STREQUAL "NVCC")
    set(extension cu)
  else()
    set(extension cpp)
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  set(sources)
  set(LIST_DECLARATIONS)
  set(LIST_NUMBERS)
  set(LIST_OBJECTS)
  foreach(ENV_NAME IN LISTS PLUGIN_ENVIRONMENTS)
    get_target_property(ENV_HEADER lockstep_env_${ENV_NAME} LS_HEADER)
    get_target_property(ENV_TYPE lockstep_env_${ENV_NAME} LS_TYPE)
    get_target_property(objects lockstep_env_${ENV_NAME} LS_OBJECTS)
    set(template environment)
    if(objects)
      set(template object_environment)
      string(APPEND LIST_DECLARATIONS "extern const TableOperations tables_${ENV_NAME};\n")
      string(APPEND LIST_OBJECTS "&tables_${ENV_NAME}, ")
    else()
      string(APPEND LIST_DECLARATIONS "extern const Operations operations_${ENV_NAME};\n")
      string(APPEND LIST_NUMBERS "&operations_${ENV_NAME}, ")
    endif()
    configure_file("${LS_ENVIRONMENT_TEMPLATES}/${template}_cuda.cu.in"
                   "${folder}/${ENV_NAME}.${extension}" @ONLY)
    list(APPEND sources "${folder}/${ENV_NAME}.${extension}")
    if(extension STREQUAL "cpp")
      # registers that a loop fills before it reads them: too long a story for the warning
      set_source_files_properties("${folder}/${ENV_NAME}.cpp" PROPERTIES COMPILE_OPTIONS
                                  "-Wno-uninitialized;-Wno-maybe-uninitialized")
    endif()
  endforeach()
  configure_file("${LS_ENVIRONMENT_TEMPLATES}/cuda_environments.cpp.in"
                 "${folder}/environments.cpp" @ONLY)
  configure_file("${LS_ENVIRONMENT_TEMPLATES}/cuda_common.cu.in" "${folder}/common.${extension}"
                 @ONLY)
  configure_file("${LS_ENVIRONMENT_TEMPLATES}/cuda_dense.cu.in" "${folder}/dense.${extension}" @ONLY)
  list(APPEND sources "${folder}/environments.cpp" "${folder}/common.${extension}"
              "${folder}/dense.${extension}")
  foreach(name actor_critic blas dense environments graph launch_steps libraries memory number_backend
               number_learn number_play stepper table_backend table_learn update_episodes updates)
    list(APPEND sources "${LS_ENVIRONMENT_TEMPLATES}/../host/cuda/${name}.cpp")
  endforeach()

  add_library(${target} STATIC ${sources})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${target} PUBLIC lockstep_host lockstep_cuda_flags)
  if(compiler STREQUAL "NVCC")
    target_link_libraries(${target} PUBLIC CUDA::cudart_static)
  else()
    target_link_libraries(${target} PUBLIC lockstep_emulator)
    target_include_directories(${target} SYSTEM PRIVATE "${LS_THRUST_INCLUDE}")
    target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-O1>)
    target_compile_definitions(${target} PRIVATE
                               THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP)
  endif()
endfunction()

function(lockstep_cuda_plugin target parts)
  # The entry point alone is exported. It is in a unit of its own, which a linker would leave out of
  # a static library that nobody refers to.
  add_library(${target} MODULE "${LS_ENVIRONMENT_TEMPLATES}/../host/cuda/plugin_entry.cpp")
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
                                             CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(${target} PRIVATE ${parts})
  # defs: else what nobody defines is noticed when a program loads the plug-in; the sanitizers have
  # their symbols in the program
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL -Wl,--gc-sections)
  if(NOT LS_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
endfunction()
