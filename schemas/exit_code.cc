// SPDX-License-Identifier: Apache-2.0
#include "schemas/exit_code.h"

namespace cleave {

std::string_view exit_code_help() {
  return "Exit codes:\n"
         "   0  everything asked for was done\n"
         "   1  internal error: a bug, please report the line printed\n"
         "   2  the command line or a configuration file is wrong\n"
         "   3  no such file or name\n"
         "   4  a picture, source model, operator or trace that cannot be used\n"
         "   5  a cleave model file that does not check\n"
         "   6  agent and server hold other models, speak other protocols, or distrust each other\n"
         "   7  the address to listen on is taken or not allowed\n"
         "   8  no server, and the answer could not be had on the device\n"
         "   9  --split names no layer or operator of this model\n"
         "  10  no split is within the bounds (memory, storage, deadline, budgets)\n"
         "  11  reading or writing failed (disk full, permission)\n"
         "  12  the run ended, but some pictures have no answer\n"
         "  13  the model's self-test gives other scores on this machine; update: refused\n"
         "  14  plan --replay: the decisions of the trace, taken again, are others\n";
}

}  // namespace cleave
