#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each rule on small trees: silent about what is right, and loud about what is wrong, about nothing
# to look at, and about a tool that is not there.
set -euo pipefail

readonly LINT="$PWD/tests/lint"
tree=$(mktemp -d)
trap 'rm -rf -- "$tree"' EXIT
# The trees are not part of any checkout that they may lie in.
export GIT_CEILING_DIRECTORIES="${tree%/*}"
failures=0

# A fresh tree that keeps every rule.
good_tree() {
  rm -rf -- "$tree"
  mkdir -p "$tree/tests"
  ln -s "$LINT" "$tree/tests/lint"
  local module
  for module in planner schemas engine agent server; do
    write "$module/good.h" '#pragma once' "#include \"$module/other.h\""
  done
}

# write PATH LINE...: a file of the tree with its licence line.
write() {
  mkdir -p "$tree/$(dirname "$1")"
  printf '// SPDX-License-Identifier: Apache-2.0\n' >"$tree/$1"
  printf '%s\n' "${@:2}" >>"$tree/$1"
}

# expect RULE EXIT_CODE PATTERN WHAT: what the rule says of the tree matches PATTERN.
expect() {
  local code=0 said
  said=$(cd "$tree" && bash "tests/lint/$1.sh" 2>&1) || code=$?
  if [ "$code" -ne "$2" ] || ! grep -qE "$3" <<<"$said"; then
    printf '%s, %s: exit code %d, not %d, and said: %s\n' "$1" "$4" "$code" "$2" "$said" >&2
    failures=$((failures + 1))
  fi
}

# expect_co_await EXIT_CODE PATTERN WHAT LINE...
expect_co_await() {
  good_tree
  write agent/sample.cc "${@:4}"
  expect co_await "$1" "$2" "$3"
}

expect_co_await 0 '^$' 'one in each statement' 'co_await a();' 'if (!co_await b()) co_return;' \
  'const bool c = co_await d(' '    e);' 'co_await f();'
expect_co_await 0 '^$' 'comments and literals' 'co_await a(1'\''000 /* co_await */, "co_await",' \
  '           '\''"'\'', b);  // co_await' '/* co_await' 'co_await */' 'not_co_await(co_await c());'
expect_co_await 0 '^$' 'two in the bodies of two lambdas' \
  'spawn([]() { return co_await a(); }, []() { return co_await b(); });'
expect_co_await 1 '^agent/sample\.cc:2: one co_await' 'two on a line' 'if (co_await a() && co_await b()) {'
expect_co_await 1 '^agent/sample\.cc:4: one co_await' 'two over three lines' \
  'const bool c = co_await a(x,' '                             y) ||' '    co_await b();'
expect_co_await 1 '^agent/sample\.cc:3: one co_await' 'two arguments' 'f(co_await a(),' '  co_await b());'
expect_co_await 1 '^agent/sample\.cc:3: one co_await' 'after a digit separator' \
  'f(0xffff'\''ffff, co_await a(),' '  co_await b());'

good_tree
expect dependencies 0 '^$' 'only allowed includes'
write server/sample.cc '#include "planner/planner.h"'
expect dependencies 1 'server/sample\.cc: server must not include planner/planner\.h' 'a forbidden include'
good_tree
write engine/sample.cc '#include <boost/asio/post.hpp>'
expect dependencies 1 'engine/sample\.cc: a socket' 'Asio in the engine'
good_tree
write schemas/transport/sample.h '#include <boost/asio/post.hpp>' '#include <openssl/ssl.h>'
write agent/sample.cc '#include "schemas/transport/sample.h"'
expect dependencies 0 '^$' 'the transport, which agent and server may use'
write schemas/sample.cc '#include "schemas/transport/sample.h"'
expect dependencies 1 'schemas/sample\.cc: only agent and server include' 'a format that wants the transport'
good_tree
write server/sample.cc '#include <openssl/ssl.h>'
expect dependencies 1 'server/sample\.cc: TLS belongs' 'TLS beside the transport'
good_tree
rm -r "$tree/schemas"
expect dependencies 1 'schemas: no files' 'a module without files'

good_tree
expect headers 0 '^$' 'licences and guards'
sed -i '/pragma/d' "$tree/agent/good.h"
expect headers 1 'agent/good\.h: no #pragma once' 'no guard'
good_tree
sed -i 1d "$tree/agent/good.h"
printf '// line\n%.0s' {1..501} >>"$tree/server/good.h"
expect headers 1 'agent/good\.h: no SPDX' 'no licence'
expect headers 1 'server/good\.h: more than 500 lines' 'a long file'
good_tree
git -C "$tree" init -q && git -C "$tree" add . && rm "$tree/agent/good.h"
sed -i 1d "$tree/server/good.h"
expect headers 1 'agent/good\.h: it cannot be read' 'a tracked file that is gone'
expect headers 1 'server/good\.h: no SPDX' 'another one beside it'

good_tree
expect words 0 '^$' 'no unfinished mark'
write agent/sample.cc "// TO""DO"
expect words 1 'agent/sample\.cc:2' 'an unfinished mark'

good_tree
if command -v clang-format >/dev/null; then
  printf 'BasedOnStyle: Google\n' >"$tree/.clang-format"
  expect format 0 '^$' 'well formatted'
  write agent/sample.cc 'int  a ;'
  expect format 1 'agent/sample\.cc: run clang-format' 'badly formatted'
fi
mkdir "$tree/tools"
for tool in bash dirname find git grep head sed; do
  ln -s "$(command -v "$tool")" "$tree/tools/$tool"
done
PATH="$tree/tools" expect format 77 '^skipped: no clang-format$' 'without clang-format'

for rule in co_await dependencies format headers words; do
  good_tree
  find "$tree" -name '*.h' -delete
  expect "$rule" 1 'no C\+\+ file' 'nothing to look at'
done

[ "$failures" -eq 0 ] || { printf '%d failures\n' "$failures" >&2; exit 1; }
