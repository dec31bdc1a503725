// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/delivery.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cleave::agent {

// --results, --spool and what belongs to them.
void add_delivery_options(CLI::App& command, DeliveryTexts& texts);

}  // namespace cleave::agent
