// SPDX-License-Identifier: Apache-2.0
//
// The threads of one executor.
#pragma once

#include <pthreadpool.h>

#include <memory>

#include "schemas/status.h"

namespace cleave::ops {

class ThreadPool {
 public:
  // `threads` includes the caller; 1 starts none. Errors: kResourceExhausted.
  [[nodiscard]] static Result<ThreadPool> create(unsigned threads);

  // nullptr when work runs on the caller's thread only.
  [[nodiscard]] pthreadpool_t handle() const { return pool_.get(); }

  // Sends the workers to sleep. Without it they spin for milliseconds after the last piece of work,
  // taking a core from others. XNNPACK has a flag for that on each operator, but it has no effect
  // on one whose work is a single piece (a softmax at the end), and which op is last changes with
  // the cut; so the pool is given one last, empty piece a thread.
  void rest() const;

 private:
  struct Destroy {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
  };
  std::unique_ptr<pthreadpool, Destroy> pool_;
};

}  // namespace cleave::ops
