// SPDX-License-Identifier: Apache-2.0
#include "agent/remote_self_test.h"

#include <span>
#include <utility>
#include <vector>

#include "agent/range_runner.h"
#include "agent/request_ids.h"
#include "engine/image/picture.h"

namespace cleave::agent {
namespace {

// Fills `request` with what crosses the cut; `runner` owns it.
Status compute_head(const ModelFile& model, OpIndex cut, RangeRunner& runner, Outgoing& request) {
  const fbs::SelfTest& test = *model.header().self_test();
  const std::span<const std::uint8_t> pixels(test.pixels()->data(), test.pixels()->size());
  request.cut = static_cast<std::uint32_t>(cut);
  if (cut == 0) {
    request.codec = fbs::Codec::PixelsU8;
    request.attachment.push_back(std::as_bytes(pixels));
    return Status::ok();
  }
  CLEAVE_RETURN_IF_ERROR(runner.prepare({0, cut}));
  Executor& head = runner.executor();
  const fbs::Variant& variant = *model.header().variants()->Get(request.variant);
  const std::uint32_t channels = variant.tensors()->Get(variant.input())->shape()->channels();
  normalize(pixels, *model.header().preprocessing(), channels, head.inputs()[0].f32());
  CLEAVE_RETURN_IF_ERROR(head.run());
  for (const BoundaryBuffer& output : head.outputs()) {
    request.attachment.push_back(output.as_bytes());
  }
  return Status::ok();
}

}  // namespace

asio::awaitable<Result<SelfTestResult>> run_remote_self_test(std::shared_ptr<const ModelFile> model,
                                                             OpIndex cut, unsigned threads,
                                                             Preference preference,
                                                             Connection& connection,
                                                             bool& unanswered) {
  unanswered = false;
  const auto variant = self_test_variant(*model);
  if (!variant.is_ok()) co_return variant.status();
  const auto start = Clock::now();
  RangeRunner runner(model, *variant, {.threads = threads},
                     {.cache = nullptr, .preference = preference});
  Outgoing request;
  request.request_id = RequestIds().next();
  request.variant = *variant;
  if (Status status = compute_head(*model, cut, runner, request); !status.is_ok()) co_return status;
  ServerAnswer answer;
  const Status status = co_await connection.exchange(request, answer);
  unanswered = !status.is_ok();
  if (unanswered) co_return status;
  SelfTestResult result = judge_self_test(*model->header().self_test(), answer.scores);
  result.elapsed_ns = ns_between(start, Clock::now());
  co_return result;
}

}  // namespace cleave::agent
