// SPDX-License-Identifier: Apache-2.0
//
// The pages of the program's own file that are in memory.
#pragma once

namespace cleave::agent {

// Gives back the resident pages of this program's code and constants. Options, models and plans are
// behind it by then; what the rest needs is read again, from the system's cache of the file. Does
// nothing where the system does not say where they are.
void give_back_code_pages();

}  // namespace cleave::agent
