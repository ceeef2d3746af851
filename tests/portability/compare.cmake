cmake_minimum_required(VERSION 3.21)
# Builds checksum.cpp with several compilers and flags and compares what each prints with the one right number.
#   cmake -DSOURCE=... -DBINARY=... -DINCLUDE=... -DEIGEN_INCLUDE=... -DCOMPILER=... -P compare.cmake
set(expected 6c8fe38ec9321a9d)

find_program(GXX g++)
find_program(CLANGXX clang++)
foreach(compiler IN ITEMS ${COMPILER} ${GXX} ${CLANGXX})
  file(REAL_PATH ${compiler} program)
  if(EXISTS ${program} AND NOT program IN_LIST programs)
    list(APPEND programs ${program})
    list(APPEND compilers ${compiler})
  endif()
endforeach()
file(MAKE_DIRECTORY ${BINARY})

set(failed FALSE)
# compare(COMPILER FLAGS [RUNNER]): builds, runs and compares.
function(compare compiler flags)
  separate_arguments(flag_list UNIX_COMMAND "${flags}")
  execute_process(COMMAND ${compiler} -std=c++20 ${flag_list} -I${INCLUDE} -I${EIGEN_INCLUDE}
      ${SOURCE}/checksum.cpp -o ${BINARY}/checksum COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${ARGN} ${BINARY}/checksum OUTPUT_VARIABLE checksum OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  message(STATUS "${checksum}  ${compiler} ${flags}")
  if(NOT checksum STREQUAL expected)
    set(failed TRUE PARENT_SCOPE)
  endif()
endfunction()

foreach(compiler IN LISTS compilers)
  foreach(flags "-O0" "-O2 -DKRONECKER_NO_VECTOR_EXTENSIONS" "-O3" "-O3 -march=native")
    compare(${compiler} "${flags}")
  endforeach()
endforeach()
find_program(ARM_GXX aarch64-linux-gnu-g++)
find_program(QEMU_ARM qemu-aarch64)
if(ARM_GXX AND QEMU_ARM)
  compare(${ARM_GXX} "-O2 -static" ${QEMU_ARM})
endif()
if(failed)
  message(FATAL_ERROR "expected ${expected} everywhere")
endif()
