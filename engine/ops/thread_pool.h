// SPDX-License-Identifier: Apache-2.0
//
// The threads of one executor.
#pragma once

#include <pthreadpool.h>
#include <sched.h>
#include <sys/types.h>

#include <memory>
#include <vector>

#include "schemas/status.h"

namespace cleave::ops {

class ThreadPool {
 public:
  // `threads` includes the caller; 1 starts none. Errors: kResourceExhausted.
  [[nodiscard]] static Result<ThreadPool> create(unsigned threads);

  // nullptr when work runs on the caller's thread only.
  [[nodiscard]] pthreadpool_t handle() const { return pool_.get(); }

  // Before work: lets the workers run on every CPU that the process may use but the caller's. A
  // worker that sleeps between runs is woken where it slept, be it on the caller's CPU while
  // another is idle; both then share that one, op after op, until the system moves one of them:
  // some ten milliseconds. Costs a look at the caller's CPU, and two microseconds a worker when
  // that is another than before. Where the system does not let us, nothing changes.
  void spread();

  // Sends the workers to sleep. Without it they spin for milliseconds after the last piece of work,
  // taking a core from others. XNNPACK has a flag for that on each operator, but it has no effect
  // on one whose work is a single piece (a softmax at the end), and which op is last changes with
  // the cut; so the pool is given one last, empty piece a thread.
  void rest() const;

 private:
  struct Destroy {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
  };
  void find_workers();

  std::unique_ptr<pthreadpool, Destroy> pool_;
  std::vector<pid_t> workers_;
  cpu_set_t allowed_{};  // of the caller when the pool was made
  int caller_cpu_ = -1;
};

}  // namespace cleave::ops
