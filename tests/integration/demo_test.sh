#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# toolchains/demo.sh on the programs in $CLEAVE_BIN_DIR: it passes, and it fails, with one line that
# says so, when a score depends on the split, a weight is wrong or the server dies. Each fault is a
# program of the same name that stands in front of the real one.
set -euo pipefail

readonly ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly REAL="${CLEAVE_BIN_DIR:?names the folder of the programs}"
WORK="$(mktemp -d)"
trap 'rm -rf -- "$WORK"' EXIT

skip_without() {
  [ "${CLEAVE_REQUIRE_TFJS:-}" != 1 ] || { echo "failed: no $1" >&2; exit 1; }
  echo "skipped: no $1"
  exit 77
}

command -v node >/dev/null || skip_without "node"
for fetched in toolchains/demo/fetch_photos.sh tests/support/fetch_tfjs.sh; do
  [ -d "$(bash "$ROOT/$fetched" --path)" ] || skip_without "packages: run bash tests/support/fetch_peers.sh"
done

# demo NAME: runs the demo with the programs in $WORK/NAME; its output goes to $WORK/NAME.log.
demo() { CLEAVE_BIN_DIR="$WORK/$1" bash "$ROOT/toolchains/demo.sh" --out "$WORK/$1.out" >"$WORK/$1.log" 2>&1; }

# programs NAME: a folder of links to the real programs.
programs() {
  mkdir "$WORK/$1"
  ln -s "$REAL"/cleave-{agent,server,import} "$WORK/$1/"
}

# stand_in NAME PROGRAM: the script on standard input instead of PROGRAM; it finds the real one as
# $real.
stand_in() {
  programs "$1"
  rm "$WORK/$1/$2"
  { printf '#!/usr/bin/env bash\nreal=%q\n' "$REAL/$2"; cat; } >"$WORK/$1/$2"
  chmod +x "$WORK/$1/$2"
}

expect_failure() {
  local errors
  if demo "$1"; then
    echo "FAILED: the demo did not notice: $1" >&2
    exit 1
  fi
  errors="$(grep -F '[demo] error: ' "$WORK/$1.log" || true)"
  if [ "$(wc -l <<<"$errors")" != 1 ] || ! grep -qE "$2" <<<"$errors"; then
    echo "FAILED: $1: not one line with '$2', but:" >&2
    tail -n 20 "$WORK/$1.log" >&2
    exit 1
  fi
  echo "noticed: $1: $errors"
}

# One digit of one score, at one split.
stand_in score cleave-agent <<'STAND_IN'
[[ "$*" == *"--split 5"* ]] || exec "$real" "$@"
"$real" "$@" | sed -E '3s/("scores":\[[^]]*[0-9])([0-8])([],])/\19\3/'
STAND_IN
expect_failure score 'score [0-9] is .* with split 5'

# One byte of the weights, while they are imported: the bias of the class Neutral.
stand_in weight cleave-import <<'STAND_IN'
[ "$1" = import ] || exec "$real" "$@"
shard="$(dirname "$2")/group1-shard1of1"
cp "$shard" "$shard.whole"
byte="$(od -An -tu1 -j2618466 -N1 "$shard" | tr -d ' ')"
printf "\\x$(printf %02x $((byte ^ 128)))" | dd of="$shard" bs=1 seek=2618466 conv=notrunc status=none
"$real" "$@"
mv "$shard.whole" "$shard"
STAND_IN
expect_failure weight 'TF.js says .* differ by more than'

# The server is killed before the fourth split.
stand_in server cleave-agent <<'STAND_IN'
[[ "$*" != *"--split 3"* ]] || kill -KILL "$(pgrep -P "$PPID" -x cleave-server)"
exec "$real" "$@"
STAND_IN
expect_failure server 'the device had to finish alone: '

programs whole
if ! demo whole; then
  cat "$WORK/whole.log" >&2
  exit 1
fi
grep -E 'byte-identical|TF.js agrees' "$WORK/whole.log"
