# What this project's own programs share and its users do not inherit: warnings.
add_library(kronecker_warnings INTERFACE)
if(MSVC)
  target_compile_options(kronecker_warnings INTERFACE /W4 /utf-8 $<$<BOOL:${KRONECKER_WARNINGS_AS_ERRORS}>:/WX>)
else()
  target_compile_options(kronecker_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    $<$<BOOL:${KRONECKER_WARNINGS_AS_ERRORS}>:-Werror>)
endif()

# kronecker_program(NAME SOURCE... [LINK LIBRARY...]): a program of this project.
function(kronecker_program name)
  cmake_parse_arguments(PARSE_ARGV 1 program "" "" "LINK")
  add_executable(${name} ${program_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE kronecker::kronecker kronecker_warnings ${program_LINK})
endfunction()
