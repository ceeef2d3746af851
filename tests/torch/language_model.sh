#!/usr/bin/env bash
# The language model example: killed ten times it ends as if it had not been, the same seed gives the same curve, and bad
# input is refused in one line with nothing lost.
#   language_model.sh FOLDER_OF_PROGRAMS DATA_FOLDER SCRATCH_FOLDER
set -euo pipefail
programs=$1 data=$2 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch"
fail() { echo "FAILED: $*" >&2; exit 1; }

"$programs/language_model_data" "$data/text.txt" --validation "$data/text.txt" --output "$scratch/data" >/dev/null
train() { "$programs/language_model" train "$scratch/data" --config tiny --output "$@"; }

# refused COMMAND... EXPECTED: exit code 2, and one line that contains EXPECTED.
refused() {
  local expected=${*: -1} code=0
  "${@:1:$#-1}" >"$scratch/out" 2>"$scratch/err" || code=$?
  [ "$code" = 2 ] || fail "exit code $code: ${*:1:$#-1}"
  grep -v $'goes on after\\|\r' "$scratch/err" >"$scratch/lines" || true  # without progress
  [ "$(wc -l <"$scratch/lines")" = 1 ] || fail "not one line: $(cat "$scratch/err")"
  grep -qF -- "$expected" "$scratch/err" || fail "expected '$expected', found '$(cat "$scratch/err")'"
}

mapfile -t arms < <("$programs/language_model" arms)
for arm in "${arms[@]}"; do
  train "$scratch/few-$arm" --arm "$arm" --steps 10 >/dev/null 2>"$scratch/log" || fail "$arm does not train: $(cat "$scratch/log")"
done
arm=kronecker-corrected-16
train "$scratch/whole" --arm $arm >/dev/null 2>&1
train "$scratch/again" --arm $arm >/dev/null 2>&1
cmp "$scratch/whole/result.json" "$scratch/again/result.json" || fail "the same seed, another curve"
train "$scratch/again" --arm $arm 2>&1 | grep -q "this run is complete" || fail "a complete run is not noticed"

last=""
for ((kills = 0; kills < 10; ++kills)); do
  "$programs/language_model" train "$scratch/data" --config tiny --output "$scratch/killed" --arm $arm \
    >/dev/null 2>>"$scratch/killed.log" &
  run=$!
  # The run is killed somewhere after it has got on, as its checkpoint says.
  for ((waits = 0; waits < 1000; ++waits)); do
    [ "$(stat -c %i "$scratch/killed/checkpoint" 2>/dev/null)" = "$last" ] || break
    sleep 0.01
  done
  sleep "0.0$((RANDOM % 10))"
  kill -9 $run 2>/dev/null || true
  wait $run 2>/dev/null || true
  last=$(stat -c %i "$scratch/killed/checkpoint")
done
rm -f "$scratch/killed/result.json"  # a fast machine may be through already
train "$scratch/killed" --arm $arm >/dev/null 2>>"$scratch/killed.log"
grep -q "goes on after step" "$scratch/killed.log" || fail "no run went on from a checkpoint"
cmp "$scratch/whole/result.json" "$scratch/killed/result.json" || fail "killed runs end otherwise"

# Learning rates, the report, and a study that goes on from one.
for rate in 0.003 0.00001; do
  train "$scratch/rate-$rate" --arm $arm --steps 40 --quarter --seed 9 --learning-rate $rate >/dev/null 2>&1
done
best=$("$programs/language_model" best-rate "$scratch"/rate-*/result.json)
[ "$best" = 0.003 ] || fail "the best rate is $best"
"$programs/language_model" report "$scratch"/few-*/result.json --rates "$scratch"/rate-*/result.json --output "$scratch/report"
for name in "${arms[@]}"; do
  grep -q "^| $name | " "$scratch/report/results.md" || fail "$name is not in the report"
done
train "$scratch/finished" --arm $arm --steps 10 --finished "$scratch/report/results.json" | grep -q "taken from" ||
  fail "a run of a report is repeated"
refused "$programs/language_model" report "$scratch"/few-$arm/result.json "$scratch/whole/result.json" --output "$scratch/bad" \
  "its settings are not those of the other runs"

# Bad input.
: >"$scratch/empty.txt"
printf 'good \xff bad' >"$scratch/latin.txt"
refused "$programs/language_model_data" "$scratch/empty.txt" --validation "$data/text.txt" --output "$scratch/bad" "the text is empty"
refused "$programs/language_model_data" "$scratch/latin.txt" --validation "$data/text.txt" --output "$scratch/bad" "not UTF-8 at byte 5"
refused train "$scratch/bad" --seed 1 --tokenizer "$scratch/latin.txt" "latin.txt"
refused train "$scratch/bad" --arm nothing "nothing"
mkdir -p "$scratch/short"
cp "$scratch/again/checkpoint" "$scratch/short/checkpoint"
refused train "$scratch/short" --arm table-tied "this is of a run with arm \"$arm\", not \"table-tied\""
cmp "$scratch/again/checkpoint" "$scratch/short/checkpoint" || fail "a refused checkpoint was changed"
for size in 0 100 20000; do
  head -c $size "$scratch/again/checkpoint" >"$scratch/short/checkpoint"
  refused train "$scratch/short" --arm $arm "not a complete checkpoint"
done
# A disk that takes no more than 50 kB of a file: the old checkpoint stays.
on_full_disk() { (trap '' XFSZ; ulimit -f 50; train "$scratch/short" --arm $arm); }
rm "$scratch/short/checkpoint"
refused on_full_disk "checkpoint"
[ ! -e "$scratch/short/checkpoint" ] || fail "half a checkpoint was left"
"$programs/language_model" train "$scratch/data" --config tiny --output "$scratch/short" --arm $arm >/dev/null 2>&1 &
for ((waits = 0; waits < 1000; ++waits)); do [ ! -e "$scratch/short/checkpoint" ] || break; sleep 0.02; done
kill -9 $! || true
wait $! 2>/dev/null || true
cp "$scratch/short/checkpoint" "$scratch/before"
refused on_full_disk "checkpoint"
cmp "$scratch/before" "$scratch/short/checkpoint" || fail "a full disk changed the old checkpoint"
echo "language_model: all as promised"
