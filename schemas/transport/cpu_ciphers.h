// SPDX-License-Identifier: Apache-2.0
//
// Which cipher costs this processor least. A server leaves the choice to its agents, which are the
// weaker end: a Raspberry Pi 4 has no AES instructions, and ChaCha20 is 2-3 times as fast there.
#pragma once

namespace cleave {

// The ciphersuites of TLS 1.3 as OpenSSL names them, the cheapest first; static storage.
[[nodiscard]] const char* preferred_ciphersuites();

}  // namespace cleave
