// SPDX-License-Identifier: Apache-2.0
//
// The self-test of a model of which this device holds a head: computed here as far as it goes, and
// finished by the server, as a picture would be.
#pragma once

#include <memory>

#include "agent/connection.h"
#include "agent/self_test.h"
#include "engine/tensor.h"

namespace cleave::agent {

// `cut`: the ops of the self-test's variant that are computed here; below the last of them.
// `connection` is of this model. Errors: as run_self_test(), and those of Connection::exchange():
// `unanswered` tells them apart, as the latter say nothing of the model.
asio::awaitable<Result<SelfTestResult>> run_remote_self_test(std::shared_ptr<const ModelFile> model,
                                                             OpIndex cut, unsigned threads,
                                                             Preference preference,
                                                             Connection& connection,
                                                             bool& unanswered);

}  // namespace cleave::agent
