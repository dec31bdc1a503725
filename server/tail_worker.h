// SPDX-License-Identifier: Apache-2.0
//
// Turns one job into scores: decode what was sent, run ops [cut, N). One worker per thread of the
// pool; it keeps one executor per model variant and prepares it anew when the cut changes.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/codec/boundary_codec.h"
#include "engine/executor.h"
#include "engine/image/picture.h"
#include "server/tail_job.h"

namespace cleave::server {

class TailWorker {
 public:
  TailWorker(unsigned threads, const PictureLimits& limits) : threads_(threads), limits_(limits) {}

  // Fills the worker's part of `job`: scores, or an error. Does not call job.done.
  void compute(TailJob& job);

  // For tests, which see by it that payloads are bound without a copy: where the executor for the
  // job's model and variant read its inputs last; until the next compute(). Empty: it computed
  // nothing yet.
  [[nodiscard]] std::span<const BoundaryBuffer> inputs(const TailJob& job) const;

 private:
  struct Prepared {
    std::unique_ptr<Executor> executor;
    OpRange range;
    AlignedBuffer input;  // for decoded pictures
    std::vector<std::uint8_t> pixels;
    std::unique_ptr<BoundaryCodec> codec;  // of the last request that needed one
    OpIndex codec_cut = 0;
    CodecChoice codec_choice;
  };

  Result<Prepared*> prepare(const TailJob& job);
  Status decode_picture(const TailJob& job, Prepared& prepared);
  Status decode_tensors(TailJob& job, Prepared& prepared);
  Status bind_inputs(TailJob& job, Prepared& prepared);

  unsigned threads_;
  PictureLimits limits_;
  std::map<std::pair<const LoadedModel*, std::uint32_t>, Prepared> prepared_;
};

}  // namespace cleave::server
