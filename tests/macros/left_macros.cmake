cmake_minimum_required(VERSION 3.21)

# The macros that are other ones after AFTER than after BEFORE, two source files, have names that begin with KRONECKER_.
#   cmake -DPREPROCESS="compiler;flag;..." -DBEFORE=... -DAFTER=... -P left_macros.cmake
foreach(file BEFORE AFTER)
  execute_process(COMMAND ${PREPROCESS} -dM -E ${${file}} OUTPUT_VARIABLE macros COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "[][;\\]" "_" macros "${macros}")
  string(REGEX REPLACE "\n" ";" macros_${file} "${macros}")
endforeach()
set(changed ${macros_AFTER})
list(REMOVE_ITEM changed ${macros_BEFORE})
list(REMOVE_ITEM macros_BEFORE ${macros_AFTER})
list(APPEND changed ${macros_BEFORE})
list(FILTER changed EXCLUDE REGEX "^#define KRONECKER_")
if(changed)
  list(JOIN changed "\n  " text)
  message(FATAL_ERROR "macros that come, go or change:\n  ${text}")
endif()
