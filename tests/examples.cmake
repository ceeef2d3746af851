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

# expect_streams(OUTPUT ERROR PROGRAM ARGUMENT...): the program exits with 0 and prints these.
function(expect_streams expected_output expected_error program)
  execute_process(COMMAND ${FOLDER}/${program} ${ARGN} WORKING_DIRECTORY ${BINARY}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
  if(NOT result EQUAL 0 OR NOT output MATCHES "${expected_output}" OR NOT error MATCHES "${expected_error}")
    message(FATAL_ERROR "${program} ${ARGN}\nexit ${result}\noutput: ${output}\nerror output: ${error}")
  endif()
endfunction()

expect(0 "4 x 768" quickstart)
expect(0 "government  .0.818" unseen_word)
expect(0 "pos_dim 4, d_model 8" from_torch)
expect(0 "step   0  loss [0-9.]+\nstep  50.*step 200  loss 0.0[0-9]+, projection norm" train_projection)
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
expect(2 "embed_text: there is no option --nope" embed_text --nope)
expect(2 "embed_text: there is no option --tokns; is it --tokens." embed_text --tokns 3)
expect(2 "embed_text: none.txt: cannot open the file" embed_text --word hello --draw a none.txt)
expect(2 "embed_text: none.txt: cannot open the file" embed_text none.txt)
expect(2 "embed_text: .*text.txt: not a SentencePiece model" embed_text --tokenizer ${DATA}/text.txt)
expect(2 "embed_text: .*text.txt: not a .npy file" embed_text --projection ${DATA}/text.txt)
expect(2 "embed_text: .*expected an array of .d_model, 4096., for pos_dim 16" embed_text
  --projection embed_text_output/embeddings.npy)
expect(2 "embed_text: give --projection or --d-model, not both" embed_text --projection none.npy --d-model 8)
expect(2 "embed_text: --pos-dim: .300. is not a whole number from 1 to 255" embed_text --pos-dim 300)
file(WRITE ${BINARY}/empty.txt "")
expect(2 "embed_text: empty.txt: there is no text to embed" embed_text empty.txt)

foreach(value -1 99999999999999999999 1.5 seven)
  expect(2 "embed_text: --seed: '${value}' is not a whole number from 0 to 18446744073709551615" embed_text --seed ${value})
  expect(2 "embed_text: --tokens: '${value}' is not a whole number" embed_text --tokens ${value})
endforeach()
expect(2 "embed_text: empty.txt/folder: cannot create the folder" embed_text --output empty.txt/folder)
execute_process(COMMAND ${FOLDER}/embed_text - INPUT_FILE ${BINARY}/empty.txt RESULT_VARIABLE result ERROR_VARIABLE error)
if(NOT result EQUAL 2 OR NOT error STREQUAL "embed_text: standard input: there is no text to embed\n")
  message(FATAL_ERROR "embed_text without a text: ${result}, ${error}")
endif()

# A long text without a line's end is cut, and cut where that changes no token.
string(REPEAT " computer" 40000 text)
file(WRITE ${BINARY}/long.txt "${text}")
expect(0 "360000 bytes, 120000 tokens" embed_text long.txt --d-model 1)

# write_npy(FILE SHAPE BYTES): a float32 array as NumPy would save it, with these bytes.
function(write_npy file shape bytes)
  set(header "{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }")
  string(LENGTH "${header}" header_size)
  math(EXPR padding "117 - ${header_size}")
  string(REPEAT " " ${padding} padding)
  file(WRITE ${BINARY}/header.txt "${header}${padding}\n${bytes}")
  execute_process(COMMAND printf "\\223NUMPY\\1\\0v\\0" OUTPUT_FILE ${BINARY}/magic.bin)
  execute_process(COMMAND cat magic.bin header.txt WORKING_DIRECTORY ${BINARY} OUTPUT_FILE ${BINARY}/${file})
endfunction()
write_npy(no_rows.npy "(0, 4096)" "")
expect(2 "embed_text: no_rows.npy: expected an array of .d_model, 4096., for pos_dim 16, found .0, 4096." embed_text
  --projection no_rows.npy)
execute_process(COMMAND head -c 16384 /dev/zero OUTPUT_FILE ${BINARY}/zeros.bin)
write_npy(header.npy "(1, 4096)" "")
execute_process(COMMAND cat header.npy zeros.bin WORKING_DIRECTORY ${BINARY} OUTPUT_FILE ${BINARY}/zeros.npy)
expect(0 "' government'   ' government' 1.000 .0.000." embed_text --projection zeros.npy)

# expect_unwritten(MESSAGE ARGUMENT...): a program that cannot print says so, whether its output is full or closed.
function(expect_unwritten program)
  foreach(output ">/dev/full" ">&-")
    if(output STREQUAL ">/dev/full" AND NOT EXISTS /dev/full)
      continue()
    endif()
    execute_process(COMMAND sh -c "exec \"$0\" \"$@\" ${output}" ${FOLDER}/${program} ${ARGN} WORKING_DIRECTORY ${BINARY}
      RESULT_VARIABLE result ERROR_VARIABLE error)
    if(NOT result EQUAL 2 OR NOT error MATCHES "^${program}: cannot write to standard output: [^\n]*\n$")
      message(FATAL_ERROR "${program} ${ARGN} ${output}: ${result}, ${error}")
    endif()
  endforeach()
endfunction()
expect_unwritten(embed_text)
expect_unwritten(embed_text --help)

find_program(PYTHON NAMES /usr/bin/python3 python3)
execute_process(COMMAND ${PYTHON} -c "import numpy; a = numpy.load('embed_text_output/embeddings.npy'); print(a.shape, a.dtype)"
  WORKING_DIRECTORY ${BINARY} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_QUIET)
if(NOT result EQUAL 0)
  message(STATUS "skipped: no NumPy to open the embeddings with")
elseif(NOT output STREQUAL "(372, 768) float32\n")
  message(FATAL_ERROR "NumPy reads ${output}")
endif()

# The tool kron, where it was built: every command, on files that it made itself.
if(NOT EXISTS ${FOLDER}/kron)
  return()
endif()
set(vocabulary ${DATA}/english_8k.model)
expect(0 "a vocabulary of 8000 tokens, 3 of them special and 0 empty" kron inspect ${vocabulary})
expect(0 "empty .SentencePiece model." kron inspect ${vocabulary})
expect(0 "\"format\": \"SentencePiece model\"" kron inspect --json ${vocabulary})
expect(2 "kron: .*english_8k.model: a vocabulary .SentencePiece model. has no weights for --check to read" kron inspect
  --check ${vocabulary})
expect(0 "\"tokens\": 8000" kron inspect --json ${vocabulary})
expect(0 "8000 tokens.*0 truncated.*same bytes: 36 '!' " kron audit ${vocabulary} --svg audit.svg)
expect(0 "\"colliding\": " kron audit --vocabulary ${vocabulary} --json)
if(EXISTS /dev/stdout)
  expect(0 "<svg .*</svg>\n.*8000 tokens" kron audit --vocabulary ${vocabulary} --svg /dev/stdout)
  expect_streams("^<svg .*</svg>\n$" "8000 tokens" kron audit ${vocabulary} --svg /dev/stdout)
  expect_streams("^<svg .*</svg>\n$" "\"tokens\": 8000" kron audit ${vocabulary} --svg /dev/stdout --by-script --json)
endif()
expect(2 "kron: --groups: '-1' is not a whole number" kron audit --vocabulary ${vocabulary} --groups -1)
expect(0 "input embedding +6.1M -> +3.1M +.-48.80 %.*with the output head +12.3M -> +9.3M.*the output head has, in either model, 6.1M"
  kron audit --vocabulary ${vocabulary} --pos-dim 16)
expect(0 "with the output head +6.1M -> +9.3M +..51.20 %.*whole model +10.0M -> +13.1M.*can no longer be the table, costs 6.1M"
  kron audit --vocabulary ${vocabulary} --pos-dim 16 --tied --model-parameters 10000000)
expect(0 "\"untied_head_parameters\": 6144000,.*\"model_parameters\": {\n *\"table\": 20000000,\n *\"kronecker\": 17001728"
  kron audit ${vocabulary} --pos-dim 16 --json --model-parameters 20000000)
expect(0 "with the output head +12.3M -> +3.3M +.-73.19 %.*what corrects the output head costs 148k parameters"
  kron audit --vocabulary ${vocabulary} --pos-dim 16 --head-rank 16)
expect(0 "\"head_correction_parameters\": 148288" kron audit ${vocabulary} --pos-dim 16 --head-rank 16 --json)
expect(2 "kron: a model of 5 parameters is smaller than its table" kron audit --vocabulary ${vocabulary} --model-parameters 5)
expect(0 "1.0000 .*' government'" kron neighbors ${vocabulary} --count 3 " government")
expect(0 "\"cosine\": 1.0" kron neighbors ${vocabulary} --json " government")
expect(0 "cosine of 'compute' and 'computer' at pos_dim 32: 0.935357.*c:3168 +c:3168 +shared" kron compare compute computer)

# expect_empty(ERROR ARGUMENT...): kron with these arguments and an empty one says this.
function(expect_empty expected)
  execute_process(COMMAND ${FOLDER}/kron ${ARGN} "" WORKING_DIRECTORY ${BINARY} RESULT_VARIABLE result ERROR_VARIABLE error)
  if(NOT result EQUAL 2 OR NOT error STREQUAL expected)
    message(FATAL_ERROR "kron ${ARGN} '': ${result}, ${error}")
  endif()
endfunction()

# A projection of 1 x (256 * 4); "   ?" is a float of about 0.6.
string(REPEAT "   ?" 1024 weights)
write_npy(weight.npy "(1, 1024)" "${weights}")
expect(2 "kron: header.txt: expected a safetensors file, found JSON" kron import header.txt --vocabulary ${vocabulary} --output model.kron)
expect(0 "wrote model.kron: 8000 tokens, pos_dim 4, d_model 1" kron import weight.npy --vocabulary ${vocabulary}
  --output model.kron --no-z-normalize)
expect(0 "an embedding of 8000 tokens into 1 dimension.*z-normalized: no.*not finite: 0" kron inspect --check model.kron)
expect_empty("kron: --name is empty\n" export model.kron --output none.safetensors --name)
expect(0 "wrote table.safetensors: wte.weight of .8000, 1. F16" kron export model.kron --name wte.weight --type F16
  --output table.safetensors)
expect(0 "F16  wte.weight .8000, 1." kron inspect table.safetensors)
expect(0 "R.2 1.000: what the codes explain of what makes 8000 tokens differ.*400 tokens that were held out 0.*wrote fit.kron: 8000 tokens, pos_dim 4, d_model 1" kron fit table.safetensors --name wte.weight
  --vocabulary ${vocabulary} --pos-dim 4 --no-z-normalize --output fit.kron)

# Tokens that are weighted, and what is said of the fit.
file(WRITE ${BINARY}/counts.txt "100 5\n200\t2\n\n300,0\n")
file(WRITE ${BINARY}/counts.json "{\"100\": 5, \"200\": 2}")
set(fitted table.safetensors ${vocabulary} --name wte.weight --pos-dim 4 --output fit.kron)
foreach(counts counts.txt counts.json)
  expect(0 "tokens weigh 1 and the counts of ${counts}: 2 of 8000 occur, 7 in all.* count .*5 to 0 .*the worst tokens" kron fit
    ${fitted} --counts ${counts})
endforeach()
expect(0 "longest matches in .*text.txt: [0-9]+ of 8000 occur.*counted by the longest match at each place, not by" kron fit ${fitted}
  --text ${DATA}/text.txt)
expect(0 "ridge 0.5, as given.*every token weighs the same.* bytes .* ids .*0 to 799 .*7200 to 7999 " kron fit ${fitted} --ridge 0.5)
expect(0 "\"held_out_r_squared\": .*\"ridge\": 0.5,.*\"shift\": 0,.*\"by_length\": .*\"by_count\": .*\"worst\": " kron fit ${fitted}
  --ridge 0.5 --counts counts.txt --json)
expect(2 "kron: --ridge: '-1' is not a number from 0 to 1e30" kron fit ${fitted} --ridge -1)
expect(2 "kron: give --(counts or --text|text or --counts), not both" kron fit ${fitted} --counts counts.txt --text counts.txt)
expect(2 "kron: fit.kron: cannot be written: it is the input fit.kron" kron fit ${fitted} --text fit.kron)
foreach(wrong "8000 1" "100 -1" "100 x" "x 1" "100" "100 nan")
  file(WRITE ${BINARY}/wrong.txt "${wrong}\n")
  expect(2 "kron: wrong.txt: .*(outside the vocabulary of 8000|is no number|expected a token id)" kron fit ${fitted}
    --counts wrong.txt)
endforeach()
file(WRITE ${BINARY}/wrong.json "[1, \"2\"]")
expect(2 "kron: wrong.json: the count of token id 1 is no number" kron fit ${fitted} --counts wrong.json)
file(WRITE ${BINARY}/wrong.json "[0, 0]")
expect(2 "kron: wrong.json: no token occurs" kron fit ${fitted} --counts wrong.json)
string(REPEAT "   ?" 8000 weights)
write_npy(counts.npy "(8000,)" "${weights}")
expect(0 "the counts of counts.npy: 8000 of 8000 occur" kron fit ${fitted} --counts counts.npy)

# Tokens that keep their rows: the fit is to the others.
expect(0 "2 tokens keep their rows, the most frequent, 100.00 % of all that occur: the fit.*12.8[23] %, 1024 cells and 2 rows" kron fit
  ${fitted} --counts counts.txt --own-rows 2)
expect(0 "\"own_rows\": .\n *100,\n *200\n" kron fit ${fitted} --counts counts.txt --own-rows 2 --json)
expect(0 "3 tokens keep their rows, the special ones: the fit is to the others" kron fit ${fitted} --own-rows special)
file(WRITE ${BINARY}/ids.json "[7, 8,\n 9]")
expect(0 "3 tokens keep their rows, those in ids.json" kron fit ${fitted} --own-rows-from ids.json)
expect(2 "kron: --own-rows 4000 needs --counts or --text" kron fit ${fitted} --own-rows 4000)
expect(2 "kron: --own-rows: 'few' is not 'special' or a whole number from 1 on" kron fit ${fitted} --own-rows few)
file(WRITE ${BINARY}/ids.json "[7, 8000]")
expect(2 "kron: ids.json: token id 8000 is outside the vocabulary of 8000 tokens" kron fit ${fitted} --own-rows-from ids.json)

# A GGUF model with a table of 8000 x 1 in F16, and no other tensor.
execute_process(COMMAND printf "GGUF\\3\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\21\\0\\0\\0\\0\\0\\0\\0token_embd.weight\\2\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\100\\37\\0\\0\\0\\0\\0\\0\\1"
  OUTPUT_FILE ${BINARY}/front.bin)
execute_process(COMMAND head -c 16026 /dev/zero OUTPUT_FILE ${BINARY}/table.bin)
execute_process(COMMAND cat front.bin table.bin WORKING_DIRECTORY ${BINARY} OUTPUT_FILE ${BINARY}/model.gguf)
expect(2 "kron: model.gguf: there is no 'output.weight', so the output head, if there is one, is the table" kron export model.kron
  --gguf model.gguf --output new.gguf)
expect(0 "wrote new.gguf: model.gguf with a table of .8000, 1. F16" kron export model.kron --gguf model.gguf
  --head new --output new.gguf)
expect(0 "wrote both.gguf" kron export model.kron --gguf model.gguf --head old --output both.gguf)
file(SIZE ${BINARY}/new.gguf size)
if(NOT size EQUAL 16096)
  message(FATAL_ERROR "the GGUF model with a new table has ${size} bytes")
endif()
expect(2 "kron: d_model 1 is not a multiple of the 32 values in a block of Q8_0" kron export model.kron --gguf model.gguf
  --type Q8_0 --head old --output new.gguf)
expect(2 "kron: --type Q8_0 is for GGUF models: give --gguf" kron export model.kron --type Q8_0 --output none.safetensors)
expect(2 "kron: .*--type: 'Q4' is not F32, F16, BF16, Q8_0, Q6_K" kron export model.kron --gguf model.gguf --type q4
  --output new.gguf)
expect(0 "with a table of .8000, 1. zeros, for vectors alone" kron export model.kron --gguf model.gguf --for-vectors
  --head old --output new.gguf)
expect(2 "kron: --head requires --gguf" kron export model.kron --head old --output none.safetensors)
# The production layer: 2 x (256 * 4) weights, and two of a norm.
if(PYTHON)
  execute_process(WORKING_DIRECTORY ${BINARY} COMMAND ${PYTHON} -c "
import json, struct
weight, norm = struct.pack('<2048f', *(i % 7 - 3 for i in range(2048))), struct.pack('<2f', 1, 2)
header = json.dumps({'pf_to_model.weight': {'dtype': 'F32', 'shape': [2, 1024], 'data_offsets': [0, 8192]},
                     'embed_norm.weight': {'dtype': 'F32', 'shape': [2], 'data_offsets': [8192, 8200]}}).encode()
open('production.safetensors', 'wb').write(struct.pack('<Q', len(header)) + header + weight + norm)
")
  set(production production.safetensors ${vocabulary} --name pf_to_model.weight --code-rounding bfloat16)
  expect(0 "wrote production.kron: 8000 tokens, pos_dim 4, d_model 2" kron import ${production} --norm embed_norm.weight
    --output production.kron)
  expect(0 "codes rounded to bfloat16\n  a norm follows\n" kron inspect production.kron)
  expect(0 "\"code_rounding\": \"bfloat16\",\n *\"own_rows\": 0,\n *\"norm\": true" kron inspect production.kron --json)
  expect(0 "wrote production_table.safetensors: wte.weight of .8000, 2. F32" kron export production.kron --name wte.weight
    --output production_table.safetensors)
  expect(2 "production.safetensors: tensor 'pf_to_model.weight' has 2 dimensions, not 1" kron import ${production}
    --norm pf_to_model.weight --output none.kron)
  expect(2 "kron: --norm-epsilon requires --norm" kron import ${production} --norm-epsilon 1e-5 --output none.kron)
  expect(2 "the norm's epsilon -1 is not a finite number >= 0" kron import ${production} --norm embed_norm.weight
    --norm-epsilon -1 --output none.kron)
endif()
if(PYTHON)
  execute_process(COMMAND ${PYTHON} ${CMAKE_CURRENT_LIST_DIR}/check_safetensors.py model.kron table.safetensors
    WORKING_DIRECTORY ${BINARY} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL "model.kron projection.rows token_bytes token_lengths\ntable.safetensors wte.weight\n")
    message(FATAL_ERROR "another implementation reads ${output}")
  endif()
endif()

# Ids beyond the vocabulary, weights whose name does not tell their format, and rows of every type.
file(RENAME ${BINARY}/weight.npy ${BINARY}/weight.bin)
foreach(rows F32 BF16 F16 I8)
  expect(0 "wrote ${rows}.kron: 8064 tokens" kron import weight.bin --vocabulary ${vocabulary} --vocab-size 8064 --rows ${rows}
    --output ${rows}.kron)
  expect(0 "8064 tokens.*parameters in rows of ${rows},.*not finite: 0" kron inspect --check ${rows}.kron)
  expect(0 "\"rows\": \"${rows}\"" kron inspect --json ${rows}.kron)
  expect(0 "wrote ids.npy: 1 x 1 float32" kron embed ${rows}.kron --ids 8063 --output ids.npy)
  expect(0 "wrote padded.safetensors: weight of .8064, 1. F32" kron export ${rows}.kron --name weight --output padded.safetensors)
  expect(0 "' govxxx'\n.*  ' gov'" kron neighbors ${rows}.kron --count 8000 " govxxx")
  expect(0 "' government'\n" kron neighbors ${rows}.kron --vocabulary ${vocabulary} " government")
endforeach()
file(RENAME ${BINARY}/weight.bin ${BINARY}/weight.npy)
expect(0 "the table has 64 rows more than there are tokens: ids from 8000 on are tokens without bytes" kron fit
  padded.safetensors --vocabulary ${vocabulary} --pos-dim 4 --rows BF16 --output fit.kron)
expect(0 "an embedding of 8064 tokens.*rows of BF16" kron inspect fit.kron)
expect(0 "\"padding_ids\": 64" kron fit padded.safetensors --vocabulary ${vocabulary} --pos-dim 4 --json --output fit.kron)
expect(2 "kron: weight.npy: the table has 1 rows, fewer than the 8000 tokens of .*english_8k.model" kron fit weight.npy
  --vocabulary ${vocabulary} --output none.kron)
expect(2 "kron: none/fit.kron: cannot be written: there is no folder none" kron fit none.npy --vocabulary ${vocabulary}
  --output none/fit.kron)
expect(0 "kron: tokens from id 80 on are left out: 7920 of 8000\nwrote small.kron: 80 tokens" kron import weight.npy ${vocabulary}
  --vocab-size 80 --output small.kron)
expect(0 "tokens from id 1 on are left out.*wrote small.kron: 1 token" kron fit weight.npy ${vocabulary} --vocab-size 1 --output small.kron)
expect(2 "kron: --pos-dim is not for a saved embedding" kron neighbors F32.kron --pos-dim 3 a)
expect(2 "kron: a: cannot open the file" kron neighbors a b)
expect(2 "kron: WORD is missing" kron neighbors F32.kron)
expect_empty("kron: a WORD is empty: without bytes, nothing is near it\n" neighbors F32.kron a)
expect(2 "kron: --vocabulary is for a saved embedding, and .* is none" kron neighbors ${vocabulary} --vocabulary F32.kron a)
expect(2 "kron: F32.kron: --words is for tokenizers" kron neighbors F32.kron --words a)
expect(2 "kron: F32.kron: --reference is for tokenizers" kron tokens F32.kron --reference)
expect(2 "kron: table.safetensors: --special is for tokenizers" kron inspect table.safetensors --special a=1)
expect(0 "at pos_dim 2: 1.0*\n  'abc' is cut to 2 of its 3 bytes\n  position" kron compare --pos-dim 2 abc ab)

# A checkpoint in several files, one of them with a weight that is not a number.
execute_process(COMMAND printf "H\\0\\0\\0\\0\\0\\0\\0{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"__metadata__\":{}}\\0\\0\\0\\0\\377\\377\\377\\177"
  OUTPUT_FILE ${BINARY}/b.safetensors)
file(WRITE ${BINARY}/split.index.json "{\"weight_map\": {\"wte.weight\": \"table.safetensors\", \"b\": \"b.safetensors\"}}")
expect(0 "a checkpoint of 2 tensors in 2 files\n  F32  b .2.  b.safetensors\n  F16  wte.weight .8000, 1.  table.safetensors" kron
  inspect split.index.json)
expect(1 "b .2.  b.safetensors  1 not finite\n.*weights that are not finite: 1" kron inspect --check split.index.json)
expect(1 "\"weights_not_finite\": 1" kron inspect --check --json b.safetensors)
expect(0 "weights that are not finite: 0" kron inspect --check table.safetensors)
file(WRITE ${BINARY}/damaged.safetensors "{\"b\":")
expect(2 "kron: damaged.safetensors: expected a safetensors file, found JSON" kron inspect damaged.safetensors)
expect_unwritten(kron inspect table.safetensors)
expect_unwritten(kron neighbors ${vocabulary} --count 8000 a)
expect_unwritten(kron --version)
expect(0 "wrote ids.npy: 3 x 1 float32" kron embed model.kron --ids 1,2,3 --output ids.npy)
expect(0 "wrote words.npy: 2 x 1 float32" kron embed model.kron --string unseen --string word --output words.npy)
expect(0 "      0  1.0000  '.*\n      1  1.0000  '" kron decode model.kron words.npy)
expect(0 "of 2 strings came back; the rows' stable rank is 1.0" kron decode model.kron --string a --string import)
expect(0 "\"stable_rank\": 1.0,.*\"cosine\": 1.0,\n *\"string\": {\n *\"hex\": \"61\"" kron decode model.kron --string a --json)
expect(2 "kron: nothing to decode: give VECTORS or --string" kron decode model.kron)
expect(2 "kron: weight.npy: vectors of 1024 numbers; model.kron has d_model 1" kron decode model.kron weight.npy)

# The neighbors of words in a table and in codes: `import` is a word here, and no command.
expect(0 "' government'\n  table  +codes  +embedding\n.*'import'.*'govxxx', no token: 'go.* of 5 words of the vocabulary:\n +table +codes +embedding\n"
  kron probe table.safetensors --name wte.weight --vocabulary ${vocabulary} --model model.kron --sample 5 " government" import govxxx)
expect(0 "cosine of 'compute' and 'commute': table 1.0000, codes 0.8570\n$" kron probe table.safetensors --name wte.weight
  --vocabulary ${vocabulary} --sample 0)
expect(0 "\"spelling\": \"variant\".*\"sample\": {\n *\"words\": 5,\n *\"neighbors_of_each\": 3" kron probe table.safetensors
  --name wte.weight --vocabulary ${vocabulary} --sample 5 --count 3 --json --svg probe.svg " Government")
expect(2 "kron: --vocabulary is missing: whose tokens the rows are" kron probe table.safetensors --name wte.weight)
expect(2 "kron: weight.npy: the table has 1 rows, fewer than the 8000 tokens of .*english_8k.model" kron probe weight.npy
  --vocabulary ${vocabulary})
expect(2 "kron: .*cannot be written: it is the input table.safetensors" kron probe table.safetensors --name wte.weight
  --vocabulary ${vocabulary} --svg table.safetensors)

expect(2 "kron: token id 8000 at index 1 is outside the vocabulary of 8000 tokens" kron embed model.kron --ids 1,8000
  --output none.npy)
expect(2 "kron: nothing to embed" kron embed model.kron --output none.npy)
expect(2 "kron: none.kron: cannot open the file" kron inspect none.kron)
expect(2 "kron: .*text.txt: expected a vocabulary" kron inspect ${DATA}/text.txt)
expect(2 "kron: VOCABULARY is missing" kron audit)

# A weight that is not a number is found by --check alone.
execute_process(COMMAND sed "s/   ?   ?   ?$/   ?   ?\\xff\\xff\\xff\\x7f/" weight.npy WORKING_DIRECTORY ${BINARY}
  OUTPUT_FILE ${BINARY}/nan.npy)
expect(2 "kron: nan.npy: projection weight .0, 1023. is " kron import nan.npy --vocabulary ${vocabulary} --output nan.kron)

# Help, and what is close to a command.
execute_process(COMMAND ${FOLDER}/kron RESULT_VARIABLE result OUTPUT_VARIABLE bare)
execute_process(COMMAND ${FOLDER}/kron help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
if(NOT result EQUAL 2 OR NOT bare STREQUAL help)
  message(FATAL_ERROR "kron alone: ${result}, ${bare}")
endif()
foreach(command inspect tokens audit neighbors compare fit import embed export)
  if(NOT bare MATCHES "\n  ${command} ")
    message(FATAL_ERROR "kron does not list ${command}: ${bare}")
  endif()
  execute_process(COMMAND ${FOLDER}/kron help ${command} OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${FOLDER}/kron ${command} --help OUTPUT_VARIABLE explained COMMAND_ERROR_IS_FATAL ANY)
  if(NOT help STREQUAL explained OR NOT help MATCHES "usage: kron ${command} .*examples?:\n  kron ${command} " OR
     help MATCHES "REQUIRED|OPTIONS|Positionals|Excludes|{")
    message(FATAL_ERROR "kron help ${command}: ${help}")
  endif()
endforeach()
expect(2 "kron: there is no command 'inspct': is it inspect.; the commands are inspect, tokens, audit" kron inspct x)
expect(2 "kron: there is no command 'zzzzzz'; the commands are" kron help zzzzzz)
expect(0 "\n  inspect " kron help help)
expect(2 "kron: --json goes behind inspect\n" kron --json inspect x)
expect(2 "kron: there is no option --vocab-sise; is it --vocab-size." kron import a b --output c --vocab-sise 3)
expect(2 "kron: --rows: 'I9' is not F32, BF16, F16 or I8" kron import a b --output c --rows I9)

# Lists of tokens, and scripts: DejaVu's Greek letters are among the tokens, most others are Latin.
expect(0 "0  '<unk>' +special token\n +1  '<s>' +special token\n +2  '</s>' +special token\n$" kron tokens ${vocabulary} --only special)
expect(0 "\n +10  .*\n +1  '<s>'" kron tokens ${vocabulary} --ids 010,1)
expect(0 "\"id\":1,\"bytes\":{\"hex\":\"3c733e\",\"text\":\"<s>\"},\"special\":true,\"why\":\"special token\",\"remarks\":..}" kron tokens
  ${vocabulary} --ids 1 --json)
expect(0 "' government'" kron tokens ${vocabulary} --containing government)
expect(0 "id  bytes.*' gov' +as saved\n.*' gov' +as saved +the bytes of " kron tokens F32.kron --containing " gov")
expect(0 "13  '.n' +byte token <0x0A>\n" kron tokens ${vocabulary} --containing "\n")
expect(0 "' government' +SentencePiece piece\n" kron tokens ${vocabulary} --containing " government")
expect(0 "special: 0 '<unk>', 1 '<s>', 2 '</s>'" kron inspect ${vocabulary})
expect(2 "kron: give --by-script or --tied, not both" kron audit ${vocabulary} --by-script --tied)
expect(0 "8000 tokens by script.*\n  Latin +7601 +0 +0 +16 +14\n.*\n  Greek +60" kron audit ${vocabulary} --by-script)
expect(0 "\"script\": \"Greek\",\n *\"tokens\": 60" kron audit ${vocabulary} --by-script --json --svg scripts.svg)
file(READ ${BINARY}/scripts.svg svg)
if(NOT svg MATCHES "Greek</text>")
  message(FATAL_ERROR "no Greek in ${svg}")
endif()

# Ids are decimal numbers between commas, or none.
execute_process(COMMAND ${FOLDER}/kron embed model.kron --ids "" --output none.npy WORKING_DIRECTORY ${BINARY}
  RESULT_VARIABLE result ERROR_VARIABLE error)
if(NOT result EQUAL 0 OR NOT error MATCHES "wrote none.npy: 0 x 1 float32")
  message(FATAL_ERROR "kron embed --ids '': ${result}, ${error}")
endif()
expect(0 "wrote ten.npy" kron embed model.kron --ids 010 --output ten.npy)
execute_process(COMMAND ${FOLDER}/kron embed model.kron --ids 10 --output 10.npy WORKING_DIRECTORY ${BINARY}
  COMMAND_ERROR_IS_FATAL ANY ERROR_QUIET)
file(SHA256 ${BINARY}/ten.npy ten)
file(SHA256 ${BINARY}/10.npy decimal_ten)
if(NOT ten STREQUAL decimal_ten)
  message(FATAL_ERROR "token 010 is not token 10")
endif()
expect(2 "kron: --ids: '' at index 1 is not a token id" kron embed model.kron --ids 1,,2 --output none.npy)
expect(2 "kron: --ids: '' at index 1 is not a token id" kron embed model.kron --ids 1, --output none.npy)
expect(2 "kron: --ids: '0x1' at index 0 is not a token id" kron embed model.kron --ids 0x1 --output none.npy)
expect(2 "kron: token id -1 at index 0 is outside the vocabulary" kron embed model.kron --ids -1 --output none.npy)

# No input is replaced, by whatever name it is called.
file(CREATE_LINK model.kron ${BINARY}/link.kron SYMBOLIC)
file(CREATE_LINK ${BINARY}/model.kron ${BINARY}/hard_link.kron RESULT ignored)
file(MAKE_DIRECTORY ${BINARY}/folder)
foreach(output model.kron ./model.kron folder/../model.kron ${BINARY}/model.kron link.kron hard_link.kron)
  foreach(input model.kron link.kron)
    expect(2 "kron: .*cannot be written: it is the input " kron export ${input} --output ${output})
    expect(2 "kron: .*cannot be written: it is the input " kron embed ${input} --ids 1 --output ${output})
  endforeach()
endforeach()
configure_file(${vocabulary} ${BINARY}/vocabulary.model COPYONLY)
foreach(output weight.npy vocabulary.model)
  expect(2 "kron: .*cannot be written: it is the input ${output}" kron import weight.npy vocabulary.model --output ${output})
  expect(2 "kron: .*cannot be written: it is the input ${output}" kron fit weight.npy vocabulary.model --output ${output})
endforeach()
foreach(output split.index.json table.safetensors b.safetensors)
  expect(2 "kron: .*cannot be written: it is the input ${output}" kron fit split.index.json ${vocabulary} --name wte.weight
    --output ${output})
endforeach()
expect(2 "kron: .*cannot be written: it is the input vocabulary.model" kron audit vocabulary.model --svg vocabulary.model)
expect(2 "kron: .*cannot be written: it is the input model.gguf" kron export model.kron --gguf model.gguf --type F16 --head new
  --output model.gguf)

# What is written to a pipe is whole, and nothing else is.
if(EXISTS /dev/stdout)
  execute_process(COMMAND ${FOLDER}/kron export model.kron --name weight --output /dev/stdout
    COMMAND cat WORKING_DIRECTORY ${BINARY} OUTPUT_FILE ${BINARY}/piped.safetensors ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
  expect(0 "F32  weight .8000, 1.\n.*not finite: 0" kron inspect --check piped.safetensors)
  execute_process(COMMAND ${FOLDER}/kron fit table.safetensors ${vocabulary} --name wte.weight --pos-dim 4 --json
    --output /dev/stdout COMMAND cat WORKING_DIRECTORY ${BINARY} OUTPUT_FILE ${BINARY}/piped.kron ERROR_VARIABLE error
    COMMAND_ERROR_IS_FATAL ANY)
  expect(0 "an embedding of 8000 tokens" kron inspect --check piped.kron)
  if(NOT error MATCHES "\"r_squared\"")
    message(FATAL_ERROR "no report of a fit that is piped: ${error}")
  endif()
endif()
expect_streams("^$" "wrote ids.npy" kron embed model.kron --ids 1 --output ids.npy)

# What an array, a GGUF model and an ONNX model have in them.
expect(0 "weight.npy: a NumPy array of .1, 1024., type <f4\n" kron inspect weight.npy)
expect(1 "weights that are not finite: 1" kron inspect --check nan.npy)
expect(0 "model.gguf: a GGUF file of 1 tensor\n  F16  token_embd.weight .8000, 1.\n  weights that are not finite: 0\n" kron
  inspect --check model.gguf)
execute_process(COMMAND printf "GGUF\\3\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0\\24\\0\\0\\0\\0\\0\\0\\0tokenizer.ggml.model\\10\\0\\0\\0\\4\\0\\0\\0\\0\\0\\0\\0bert\\25\\0\\0\\0\\0\\0\\0\\0tokenizer.ggml.tokens\\11\\0\\0\\0\\10\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0a\\1\\0\\0\\0\\0\\0\\0\\0w\\1\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"
  OUTPUT_FILE ${BINARY}/bert.gguf)  # a vocabulary that is not read, and a tensor w
expect_streams("^bert.gguf: a GGUF file of 1 tensor\n  F32  w .1.\n$" "kron: bert.gguf: .*'bert' .WordPiece." kron inspect bert.gguf)
expect(0 "\"kind\": \"GGUF\",.*\"shape\": .\n *8000,\n *1\n" kron inspect --json model.gguf)
execute_process(COMMAND printf "\\10\\7\\22\\1x\\72N\\12\\10\\42\\6Gather\\52\\12\\10\\2\\10\\3\\20\\1B\\2w\\12Z\\32\\12\\3ids\\22\\23\\12\\21\\10\\7\\22\\15\\12\\7\\22\\5batch\\12\\2\\10\\3b\\32\\12\\3out\\22\\23\\12\\21\\10\\1\\22\\15\\12\\7\\22\\5batch\\12\\2\\10\\3B\\2\\20\\15"
  OUTPUT_FILE ${BINARY}/small.onnx)  # a Gather of ids into a tensor of which the name ends in a newline
expect(0 "an ONNX model of 1 node, operators of opset 13, from\n  I64  ids .batch, 3.\nto\n  F32  out .batch, 3.\nwith 1 tensor\n  F32  w.n .2, 3.\n"
  kron inspect small.onnx)
expect(0 "\"name\": \"w.n\",\n *\"type\": \"F32\"" kron inspect --json small.onnx)

# Text from files is escaped: ESC and a newline in a tensor's name, which an error shows too.
execute_process(COMMAND printf "U\\0\\0\\0\\0\\0\\0\\0{\"w\\\\u001b[31m\\\\nx\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"__metadata__\":{}}\\0\\0\\0\\0"
  OUTPUT_FILE ${BINARY}/escape.safetensors)
expect(0 "F32  w.x1B.31m.nx .1.\n$" kron inspect escape.safetensors)
string(ASCII 27 escape)
expect(2 "kron: escape.safetensors: of 1 tensor none is named '.x1Bx'" kron import escape.safetensors ${vocabulary}
  --name ${escape}x --output none.kron)

# A tokenizer with an added token more than the table has rows: it is left out, and that is said.
file(WRITE ${BINARY}/added.json "{\"added_tokens\":[{\"id\":2,\"content\":\"<pad>\",\"special\":true}],\"decoder\":{\"type\":\"Metaspace\"},"
  "\"pre_tokenizer\":{\"type\":\"Metaspace\"},\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"b\",0],[\"<pad>\",0]]}}")
write_npy(two_rows.npy "(2, 4)" "   ?   >  @?  P>   ?  @?   >  P>")
expect(0 "kron: tokens from id 2 on are left out: 1 of 3\n" kron fit two_rows.npy added.json --pos-dim 4 --output two.kron)
expect(0 "an embedding of 2 tokens" kron inspect two.kron)

set(corrected ${CMAKE_CURRENT_LIST_DIR}/fuzz/seeds/model/corrected)
expect(0 "an output head is corrected by a bias and 2 factors of each token's own: 10 parameters\n$" kron inspect ${corrected})
expect(0 "\"head_correction\": {\n *\"rank\": 2,\n *\"parameters\": 10\n" kron inspect --json ${corrected})
expect_streams("^$" "what corrects its output head is not exported\nwrote corrected.safetensors" kron export ${corrected}
  --output corrected.safetensors)
expect(2 "fewer than the 8000 tokens of .*, and 7997 of those without a row are ordinary tokens" kron fit two_rows.npy ${vocabulary}
  --output none.kron)

expect(2 "padded.safetensors: 8061 of the 8064 rows have no token in added.json, and would become zero" kron fit padded.safetensors
  added.json --output none.kron)
expect(0 "the table has 8061 rows more.*wrote two.kron: 8064 tokens" kron fit padded.safetensors added.json --vocab-size 8064
  --output two.kron)

# The folder of a model, standard input, special tokens of ranks, and what git-lfs leaves.
file(MAKE_DIRECTORY ${BINARY}/model_folder)
configure_file(${vocabulary} ${BINARY}/model_folder/tokenizer.model COPYONLY)
expect(0 "model_folder: a vocabulary of 8000 tokens" kron inspect model_folder)
expect(0 "8000 tokens" kron audit model_folder)
expect(2 "it is the input model_folder/tokenizer.model" kron import weight.npy model_folder --output model_folder/tokenizer.model)
file(WRITE ${BINARY}/ranks.tiktoken "IQ== 0\nIg== 1\n")
file(WRITE ${BINARY}/specials.txt "<|end|>=3\n")
if(EXISTS /dev/stdin)
  execute_process(COMMAND cat ranks.tiktoken COMMAND ${FOLDER}/kron inspect - --special "<|eot|>=2" WORKING_DIRECTORY ${BINARY}
    OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output MATCHES "a vocabulary of 3 tokens, 1 of them special.*special: 2 '<.eot.>'")
    message(FATAL_ERROR "kron inspect -: ${output}")
  endif()
  execute_process(COMMAND cat weight.npy COMMAND ${FOLDER}/kron import - ${vocabulary} --output piped.kron WORKING_DIRECTORY ${BINARY}
    ERROR_VARIABLE error COMMAND_ERROR_IS_FATAL ANY)
  if(NOT error MATCHES "wrote piped.kron: 8000 tokens")
    message(FATAL_ERROR "kron import -: ${error}")
  endif()
endif()
expect(0 "\n +0  '!' +base64\n.*\n +2  '<.eot.>' +special token\n +3  '<.end.>' +special token" kron tokens ranks.tiktoken --special "<|eot|>=2" --special specials.txt)
expect(2 "kron: expected a special token and its id" kron tokens ranks.tiktoken --special "<|eot|>")
file(WRITE ${BINARY}/pointer.safetensors "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
expect(2 "kron: pointer.safetensors: expected a safetensors file, found a git-lfs pointer: run git lfs pull" kron inspect
  pointer.safetensors)
expect(2 "kron: pointer.safetensors: expected a safetensors file, found a git-lfs pointer: run git lfs pull" kron fit
  pointer.safetensors added.json --output none.kron)

# Columns stand below each other behind characters of two columns (U+65E5 U+672C), and marks of none (U+0301).
file(WRITE ${BINARY}/columns.tiktoken "5pel5pys 0\nZcyB 1\n")
string(REPEAT " " 16 behind_wide)
string(REPEAT " " 19 behind_mark)
expect(0 "\n      0  '日本'${behind_wide}base64\n      1  'é'${behind_mark}base64\n" kron tokens columns.tiktoken)

# Lines are as wide as the terminal, if it says how wide that is; 60 columns are enough for the tables.
foreach(command "audit;${vocabulary}" "audit;${vocabulary};--by-script")
  execute_process(COMMAND ${CMAKE_COMMAND} -E env COLUMNS=60 ${FOLDER}/kron ${command} OUTPUT_VARIABLE output
    COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output MATCHES "truncated  colliding\n|colliding uncut apart\n")
    message(FATAL_ERROR "kron ${command}: a table is cut at 60 columns: ${output}")
  endif()
endforeach()
foreach(width 40 60 80)
  foreach(command "audit;${vocabulary}" "audit;${vocabulary};--by-script" "tokens;${vocabulary};--only;repeated"
      "inspect;table.safetensors" "neighbors;${vocabulary};government")
    execute_process(COMMAND ${CMAKE_COMMAND} -E env COLUMNS=${width} ${FOLDER}/kron ${command} WORKING_DIRECTORY ${BINARY}
      OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX REPLACE "[^\n]*english_8k[^\n]*\n" "" output "${output}")  # a path is not cut
    math(EXPR longest "${width} + 1")
    string(REPEAT "." ${longest} too_long)
    string(REPLACE "." "[^\n]" too_long "${too_long}")
    if(output MATCHES "${too_long}")
      message(FATAL_ERROR "kron ${command} is wider than ${width} columns: ${CMAKE_MATCH_0}")
    endif()
  endforeach()
endforeach()

# Whoever reads may stop early.
execute_process(COMMAND ${FOLDER}/kron neighbors ${vocabulary} --count 8000 a COMMAND head -1
  RESULTS_VARIABLE results OUTPUT_VARIABLE output)
if(NOT results STREQUAL "0;0" OR NOT output STREQUAL "'a'\n")
  message(FATAL_ERROR "kron with a reader that stops early: ${results}, ${output}")
endif()
