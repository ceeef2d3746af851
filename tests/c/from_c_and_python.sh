#!/usr/bin/env bash
# The C library exports its functions and nothing else; the examples in C and in Python have the numbers of the tool.
#   from_c_and_python.sh LIBRARY C_EXAMPLE KRON EXAMPLES_FOLDER SCRATCH_FOLDER
set -euo pipefail
library=$1 c_example=$2 kron=$3 examples=$4 scratch=$5
mkdir -p "$scratch"
cd "$scratch"

exported=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v '^_ITM\|^__' | LC_ALL=C sort | tr '\n' ' ')
expected="kronecker_backward kronecker_close kronecker_d_model kronecker_embed_ids kronecker_embed_strings "
expected+="kronecker_error_message kronecker_forward kronecker_logits kronecker_open kronecker_use_pool "
expected+="kronecker_version kronecker_vocab_size kronecker_vocabulary_arrays kronecker_vocabulary_bytes kronecker_vocabulary_close "
expected+="kronecker_vocabulary_note kronecker_vocabulary_open kronecker_vocabulary_size "
[ "$exported" = "$expected" ] || { echo "exported: $exported" >&2; exit 1; }

# Every number another one, between 1 and 2.
for ((i = 0; i < 4096 * 6; ++i)); do printf '%08x' $((0x3f800000 + i * 331 % 0x800000)); done |
  sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/g' >rows.txt
printf '%b' "$(cat rows.txt)" >rows.bin
printf '{"w":{"dtype":"F32","shape":[6,4096],"data_offsets":[0,%d]}}' $((4096 * 6 * 4)) >header.json
size=$(wc -c <header.json)
{ printf "\\x$(printf %02x "$size")\\0\\0\\0\\0\\0\\0\\0"; cat header.json rows.bin; } >model.safetensors
"$kron" import model.safetensors --name w --vocabulary "$examples/data/english_8k.model" --no-z-normalize \
  --output e.kron >/dev/null
"$c_example" e.kron " fox" " unfoxlike" >c.txt
[ "$(wc -l <c.txt)" = 2 ] || { cat c.txt >&2; exit 1; }
if "$c_example" absent.kron " fox" 2>error.txt; then exit 1; fi
grep -q "^embed: absent.kron: " error.txt

for python in python3 /usr/bin/python3; do
  "$python" -c "import numpy" 2>/dev/null || continue
  "$kron" embed e.kron --string " unfoxlike" --output tool.npy >/dev/null
  PYTHONPATH=$examples/../bindings/python/src KRONECKER_LIBRARY=$library "$python" - <<'PYTHON'
import numpy as np
import kronecker_cpp
embedding = kronecker_cpp.KroneckerEmbedding.load("e.kron")
for line in open("c.txt"):
    word, numbers = line.rstrip("\n").split(":")
    expected = embedding.embed(word)[:4]
    assert np.array_equal(np.array(numbers.split(), np.float32), expected), line
    assert len(set(expected)) == 4
assert (embedding.vocab_size, embedding.d_model, kronecker_cpp.__version__) == (8000, 6, "0.2.0")
ours, tool = embedding.embed_all([b" unfoxlike"]), np.load("tool.npy")
assert np.array_equal(ours.view(np.uint32), tool.view(np.uint32))
table = embedding(np.arange(8000).reshape(80, 100)).reshape(8000, 6)
hidden = np.random.default_rng(1).standard_normal((3, 6), np.float32)
expected = hidden @ table.T
assert np.abs(embedding.logits(hidden) - expected).max() <= 1e-5 * np.abs(expected).max()
try:
    embedding([8000])
    raise SystemExit("a bad id was taken")
except IndexError as error:
    assert str(error) == "token id 8000 at index 0 is outside the vocabulary of 8000 tokens", error
PYTHON
  echo "C and Python agree with the tool"
  exit 0
done
echo "skipped: no Python with NumPy"
