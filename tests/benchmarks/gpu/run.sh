#!/usr/bin/env bash
# All that wants a GPU in one call of under nine minutes, on a bare machine with torch 2.11 or newer:
#
#     bash tests/benchmarks/gpu/run.sh [--small] [SECTION...]
#
# Sections: machine, checks, buckets, vit-l14, vit-450m, vit-s16, vit-450m-literal, training; all of them where none is
# named.
# Each has a limit of its own, so that a failure or a hang loses that one alone. Tables grow in $OUT/tables.md, what
# else is said goes to $OUT/log.txt, the kernels of compiled steps to $OUT/kernels.txt, the run's metrics to
# $OUT/metrics.jsonl. `--small` rehearses all of it on a CPU.
#
# OUT      where results go (workspace/gpu)
# GPU_KIT  what a bare machine lacks (.gpu): wheels/ of missing packages, dinov2/ a checkout to compare with
# DATA     class folders to train on; without it, pictures are drawn
# WAYS     a pattern of the lines of steps to measure, as '^compiled' (all)
# CHECKS   a pattern of the tests to run (all)
# PYTHON   python3
# LIMIT    seconds in all (530; a rehearsal has four times that)
set -u -o pipefail
cd "$(dirname "$0")/../../.."
OUT=${OUT:-workspace/gpu} GPU_KIT=${GPU_KIT:-.gpu} PYTHON=${PYTHON:-python3} LEFT_AT=$SECONDS
HERE=tests/benchmarks/gpu
mkdir -p "$OUT"
WORK=$(mktemp -d)
trap 'kill -- $(jobs -p) 2>/dev/null; rm -rf "$WORK"' EXIT
small=() wanted=()
for word in "$@"; do
  if [ "$word" = --small ]; then small=(--small); else wanted+=("$word"); fi
done
[ ${#wanted[@]} -gt 0 ] || wanted=(machine checks buckets vit-l14 vit-450m vit-s16 vit-450m-literal training)
slower=$((${#small[@]} ? 4 : 1))
LIMIT=${LIMIT:-$((530 * slower))}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 OMP_WAIT_POLICY=PASSIVE
export TORCHINDUCTOR_CACHE_DIR="${TMPDIR:-/tmp}/dinoflow-inductor"

left() { echo $((LIMIT - SECONDS + LEFT_AT)); }

# section NAME LIMIT COMMAND...: a table in the tables, a sentence where there is none
section() {
  local name=$1 limit=$(($2 * slower)) begun=$SECONDS code=0
  shift 2
  [[ " ${wanted[*]} " == *" $name "* ]] || return 0
  [ "$limit" -le "$(left)" ] || limit=$(left)
  if [ "$limit" -lt 15 ]; then
    printf '\n%s: left out, no time is left.\n' "$name" | tee -a "$OUT/tables.md"
    return 0
  fi
  printf '\n## %s\n\n' "$name" | tee -a "$OUT/tables.md"
  timeout -k 10 "$limit" "$@" 2> >(tee -a "$OUT/log.txt" | tail -n 3 >"$WORK/last") | tee -a "$OUT/tables.md" || code=$?
  sleep 0.2
  printf '\n%s: %s s of %s, exit code %s. %s\n' "$name" $((SECONDS - begun)) "$limit" "$code" \
    "$([ "$code" -eq 0 ] || tr '\n' ' ' <"$WORK/last")" | tee -a "$OUT/tables.md"
}

needed="pydantic timm pyarrow safetensors yaml"
there="import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, '$needed'.split())))"
if compgen -G "$GPU_KIT/wheels/*.whl" >/dev/null && ! "$PYTHON" -c "$there" 2>/dev/null; then
  "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$WORK/site" \
    "$GPU_KIT"/wheels/*.whl 2>>"$OUT/log.txt" && export PYTHONPATH="$WORK/site:$PYTHONPATH"
fi
peer=()
[ -d "$GPU_KIT/dinov2/dinov2" ] && peer=(--dinov2 "$GPU_KIT/dinov2")
steps=("$PYTHON" $HERE/steps.py --profile "$OUT/kernels.txt" "${small[@]}" "${peer[@]}" --ways "${WAYS:-}")
short=(--steps 10)
[ ${#small[@]} -eq 0 ] || short=(--steps 2)

if [[ " ${wanted[*]} " == *" training "* ]]; then # on half of the cores, beside what waits for the GPU
  timeout $((200 * slower)) nice "$PYTHON" $HERE/pack.py "$WORK/workspace" "${small[@]}" ${DATA:+--data "$DATA"} >"$WORK/pack" 2>&1 &
  packing=$!
fi
section machine 45 "$PYTHON" $HERE/kernels.py
section checks 120 "$PYTHON" $HERE/checks.py "${small[@]}" --named "${CHECKS:-}"
section buckets 60 env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 "$PYTHON" $HERE/buckets.py "${small[@]}"
section vit-l14 120 "${steps[@]}" vit-l14 "${short[@]/10/20}"
section vit-450m 140 "${steps[@]}" vit-450m "${short[@]}"
section vit-s16 70 "${steps[@]}" vit-s16 "${short[@]/10/20}"
section vit-450m-literal 75 "${steps[@]}" vit-450m-literal "${short[@]}"
if [ -n "${packing:-}" ]; then
  wait "$packing"
  cat "$WORK/pack" >>"$OUT/log.txt"
fi
long=$(($(left) - 35 < 240 ? $(left) - 35 : 240)) # with all that is left, at most four minutes
section training 280 "$PYTHON" $HERE/training.py "$WORK/workspace" "${small[@]}" --seconds "$long"
cp "$WORK"/workspace/runs/run/metrics.jsonl "$OUT/" 2>/dev/null
printf '\nAll sections: %s s. Results in %s.\n' $((SECONDS - LEFT_AT)) "$OUT"
