# Runs PROGRAM and expects the message and the abort of a mistake without exceptions.
execute_process(COMMAND ${PROGRAM} RESULT_VARIABLE result ERROR_VARIABLE message)
set(expected "kronecker: token id 2 at index 0 is outside the vocabulary of 2 tokens\n")
if(NOT result EQUAL 3 OR NOT message STREQUAL expected)
  message(FATAL_ERROR "exit ${result} with the message: ${message}")
endif()
