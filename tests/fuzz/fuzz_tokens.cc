// SPDX-License-Identifier: Apache-2.0
//
// A server's table of tokens: what is read admits exactly the devices on its lines, by their hash;
// what is not is refused by the number of a line.
#include <algorithm>
#include <string>

#include "server/token_table.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace cleave;
using server::TokenTable;

std::size_t count_lines(std::string_view text) {
  std::size_t lines = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0 && text[0] != '#') ++lines;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = TokenTable::parse(text);
  if (!table.is_ok()) {
    const Status why = table.status();
    fuzz::require(why.code() == StatusCode::kInvalidArgument && why.message().starts_with("line "),
                  "a bad line is named by its number");
    return 0;
  }
  fuzz::require(table->size() == count_lines(text), "a table has an entry for each of its lines");
  const std::string_view device = text.substr(0, text.find('\n'));
  if (device.size() > 65 && device[0] != '#') {
    const std::string hash(device.substr(0, 64));
    Sha256Digest digest{};
    for (std::size_t i = 0; i < digest.size(); ++i) {
      digest[i] = static_cast<std::uint8_t>(std::stoi(hash.substr(2 * i, 2), nullptr, 16));
    }
    fuzz::require(table->admits(device.substr(65), digest), "the first line's device is admitted");
    digest[0] ^= 1U;
    // Unless another line says so.
    fuzz::require(table->size() > 1 || !table->admits(device.substr(65), digest),
                  "no other hash admits it");
  }
  (void)table->admits(text, text);
  return 0;
}
