# The README's program is the quickstart example.
file(READ ${SOURCE}/README.md readme)
file(READ ${SOURCE}/examples/quickstart.cpp program)
string(FIND "${readme}" "```cpp\n${program}```" at)
if(at EQUAL -1)
  message(FATAL_ERROR "README.md does not show examples/quickstart.cpp as it is")
endif()
