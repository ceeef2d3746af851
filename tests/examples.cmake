# Runs the examples as a user would and looks at what they print and write.
#   cmake -DFOLDER=<folder of the programs> -DDATA=<examples/data> -DBINARY=<scratch folder> -P examples.cmake
cmake_minimum_required(VERSION 3.21)
file(REMOVE_RECURSE ${BINARY})
file(MAKE_DIRECTORY ${BINARY})

# expect(CODE REGEX PROGRAM ARGUMENT...): the program exits with CODE, and its output or error output matches.
function(expect code regex program)
  execute_process(COMMAND ${FOLDER}/${program} ${ARGN} WORKING_DIRECTORY ${BINARY} INPUT_FILE ${DATA}/text.txt
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
  if(NOT result EQUAL ${code} OR NOT "${output}${error}" MATCHES "${regex}")
    message(FATAL_ERROR "${program} ${ARGN}\nexit ${result} instead of ${code}, or no match for: ${regex}\n${output}${error}")
  endif()
  if(code EQUAL 2 AND NOT "${output}" STREQUAL "" OR code EQUAL 2 AND NOT "${error}" MATCHES "^[^\n]*\n$")
    message(FATAL_ERROR "${program} ${ARGN}\nnot one clear line:\n${output}${error}")
  endif()
endfunction()

expect(0 "4 x 768" quickstart)
expect(0 "government  .0.818" unseen_word)
expect(0 "pos_dim 4, d_model 8" from_torch)
expect(2 "from_torch: none.npy: cannot open the file" from_torch none.npy)

expect(0 "372 tokens.*38.6M ->   3.1M  .-91.85 %.*537M ->  33.6M  .-93.75 %.*computer 0.935  0.935.*commute  0.857  0.857"
  embed_text)
expect(0 "standard input: 926 bytes, 372 tokens" embed_text - --output from_input)
file(SHA256 ${BINARY}/embed_text_output/embeddings.npy from_file)
file(SHA256 ${BINARY}/from_input/embeddings.npy from_input)
if(NOT from_file STREQUAL from_input)
  message(FATAL_ERROR "standard input is embedded differently")
endif()
file(READ ${BINARY}/embed_text_output/codes.svg svg)
string(REGEX MATCHALL "class=\"shared\"" shared "${svg}")
list(LENGTH shared shared_cells)
if(NOT shared_cells EQUAL 13)  # 7 of computer and 6 of commute
  message(FATAL_ERROR "the picture shows ${shared_cells} shared cells")
endif()

expect(0 "--projection FILE" embed_text --help)
expect(0 "d_model" embed_text --help)
expect(0 "^kronecker [0-9]" embed_text --version)
expect(2 "embed_text: The following argument was not expected: --nope" embed_text --nope)
expect(2 "embed_text: none.txt: cannot open the file" embed_text --word hello --draw a none.txt)
expect(2 "embed_text: none.txt: cannot open the file" embed_text none.txt)
expect(2 "embed_text: .*text.txt: not a SentencePiece model" embed_text --tokenizer ${DATA}/text.txt)
expect(2 "embed_text: .*text.txt: not a .npy file" embed_text --projection ${DATA}/text.txt)
expect(2 "embed_text: .*expected an array of .d_model, 4096., for pos_dim 16" embed_text
  --projection embed_text_output/embeddings.npy)
expect(2 "embed_text: --pos-dim: Value 300 not in range" embed_text --pos-dim 300)
file(WRITE ${BINARY}/empty.txt "")
expect(2 "embed_text: empty.txt: there is no text to embed" embed_text empty.txt)

find_program(PYTHON NAMES /usr/bin/python3 python3)
execute_process(COMMAND ${PYTHON} -c "import numpy; a = numpy.load('embed_text_output/embeddings.npy'); print(a.shape, a.dtype)"
  WORKING_DIRECTORY ${BINARY} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_QUIET)
if(NOT result EQUAL 0)
  message(STATUS "skipped: no NumPy to open the embeddings with")
elseif(NOT output STREQUAL "(372, 768) float32\n")
  message(FATAL_ERROR "NumPy reads ${output}")
endif()
