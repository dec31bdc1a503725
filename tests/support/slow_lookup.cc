// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into a program, stands for a name server that does not reply.
#include <netdb.h>
#include <unistd.h>

extern "C" int getaddrinfo(const char* /*node*/, const char* /*service*/, const addrinfo* /*hints*/,
                           addrinfo** /*result*/) {
  sleep(60);
  return EAI_AGAIN;
}
