// SPDX-License-Identifier: Apache-2.0
#include "engine/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>

#include "engine/memory/arena.h"
#include "engine/memory/range_plan.h"
#include "engine/ops/packed_model.h"
#include "engine/ops/thread_pool.h"
#include "engine/ops/workspace_plan.h"

namespace cleave {
namespace {

constexpr unsigned kMaxThreads = 256;
constexpr std::uint32_t kMaxBatch = 1024;

std::uint64_t now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

Status check_range(OpRange range, OpRange available, std::uint32_t batch) {
  if (range.first < available.first || range.last > available.last || range.first > range.last) {
    return {StatusCode::kOutOfRange, "ops " + std::to_string(range.first) + " to " +
                                         std::to_string(range.last) + " are not within " +
                                         std::to_string(available.first) + " to " +
                                         std::to_string(available.last)};
  }
  if (batch == 0 || batch > kMaxBatch) {
    return {StatusCode::kOutOfRange,
            "batch " + std::to_string(batch) + ": must be 1 to " + std::to_string(kMaxBatch)};
  }
  return Status::ok();
}

class ExecutorImpl final : public Executor {
 public:
  ExecutorImpl(std::shared_ptr<const ops::PackedModel> weights, ops::ThreadPool pool,
               std::vector<std::unique_ptr<ops::Op>> ops, OutputPlace outputs)
      : weights_(std::move(weights)),
        pool_(std::move(pool)),
        ops_(std::move(ops)),
        output_place_(outputs) {}

  Status prepare(OpRange range, std::uint32_t batch) override {
    unprepare();
    CLEAVE_RETURN_IF_ERROR(check_range(range, weights_->range(), batch));
    const Status status = prepare_checked(range, batch);
    if (!status.is_ok()) unprepare();
    return status;
  }

  std::span<const BoundaryBuffer> inputs() const override { return inputs_; }
  std::span<const BoundaryBuffer> outputs() const override { return outputs_; }

  Status bind_input(std::size_t index, void* data) override { return bind(inputs_, index, data); }
  Status bind_output(std::size_t index, void* data) override { return bind(outputs_, index, data); }

  Status run(OpObserver* observer) override {
    if (!prepared_) return {StatusCode::kInternal, "run without a successful prepare"};
    for (const BoundaryBuffer& output : outputs_) {
      if (output.data == nullptr) return {StatusCode::kInternal, "run without a bound output"};
    }
    pool_.spread();
    for (OpIndex op = range_.first; op < range_.last; ++op) {
      const std::uint64_t start_ns = observer == nullptr ? 0 : now_ns();
      CLEAVE_RETURN_IF_ERROR(op_at(op).run(pool_.handle()));
      if (observer != nullptr) observer->op_done(op, now_ns() - start_ns);
    }
    copy_passing_tensors();
    pool_.rest();
    return Status::ok();
  }

  std::uint64_t arena_bytes() const override { return plan_.memory.bytes; }

 private:
  ops::Op& op_at(OpIndex op) { return *ops_[op - weights_->range().first]; }

  void unprepare() {
    prepared_ = false;
    range_ = {};
    inputs_.clear();
    outputs_.clear();
    plan_ = {};
  }

  Status prepare_checked(OpRange range, std::uint32_t batch) {
    std::vector<OpMemory> memory;
    memory.reserve(range.last - range.first);
    for (OpIndex op = range.first; op < range.last; ++op) {
      CLEAVE_ASSIGN_OR_RETURN(const std::size_t bytes, op_at(op).reshape(batch, pool_.handle()));
      memory.push_back({bytes, op_at(op).output_lead_bytes()});
    }
    plan_ = plan_range(weights_->variant(), range, batch, memory, output_place_);
    CLEAVE_RETURN_IF_ERROR(arena_.reserve(plan_.memory.bytes));
    inputs_ = own_buffers(plan_.inputs, batch);
    outputs_ = own_buffers(plan_.outputs, batch);
    range_ = range;
    for (OpIndex op = range.first; op < range.last; ++op) CLEAVE_RETURN_IF_ERROR(set_up(op));
    prepared_ = true;
    return Status::ok();
  }

  // nullptr: it has no place in the arena.
  void* own_data(TensorId tensor) {
    const std::size_t offset = plan_.tensor_offsets[tensor];
    return offset == RangePlan::kNowhere ? nullptr : arena_.data() + offset;
  }

  std::vector<BoundaryBuffer> own_buffers(const std::vector<TensorId>& tensors,
                                          std::uint32_t batch) {
    std::vector<BoundaryBuffer> buffers;
    buffers.reserve(tensors.size());
    for (const TensorId id : tensors) {
      const fbs::Tensor& tensor = *weights_->variant().tensors()->Get(id);
      buffers.push_back({.tensor = id,
                         .dtype = tensor.dtype(),
                         .data = own_data(id),
                         .elements = batch * element_count(*tensor.shape())});
    }
    return buffers;
  }

  static const BoundaryBuffer* find(const std::vector<BoundaryBuffer>& buffers, TensorId tensor) {
    const auto found = std::lower_bound(
        buffers.begin(), buffers.end(), tensor,
        [](const BoundaryBuffer& buffer, TensorId id) { return buffer.tensor < id; });
    return found != buffers.end() && found->tensor == tensor ? &*found : nullptr;
  }

  // Where the ops find a tensor. What comes in and passes through is read where it came in.
  void* data_of(TensorId tensor) {
    if (const BoundaryBuffer* input = find(inputs_, tensor)) return input->data;
    if (const BoundaryBuffer* output = find(outputs_, tensor)) return output->data;
    return own_data(tensor);
  }

  Status set_up(OpIndex op) {
    const fbs::Op& node = *weights_->variant().ops()->Get(op);
    void* const output = data_of(node.output());
    op_inputs_.clear();
    for (const TensorId input : *node.inputs()) op_inputs_.push_back(data_of(input));
    // What is not bound yet is set up when it is.
    const bool waits = output == nullptr || std::ranges::count(op_inputs_, nullptr) > 0;
    if (waits) return Status::ok();
    const std::size_t workspace = plan_.workspace_offsets[op - range_.first];
    return op_at(op).setup(
        {.inputs = op_inputs_,
         .output = output,
         .workspace = workspace == RangePlan::kNowhere ? nullptr : arena_.data() + workspace});
  }

  bool touches(OpIndex op, TensorId tensor) const {
    const fbs::Op& node = *weights_->variant().ops()->Get(op);
    return node.output() == tensor ||
           std::find(node.inputs()->begin(), node.inputs()->end(), tensor) != node.inputs()->end();
  }

  Status bind(std::vector<BoundaryBuffer>& buffers, std::size_t index, void* data) {
    if (index >= buffers.size()) {
      return {StatusCode::kOutOfRange,
              "boundary buffer " + std::to_string(index) + " of " + std::to_string(buffers.size())};
    }
    if (reinterpret_cast<std::uintptr_t>(data) % kBufferAlignment != 0) {
      return {StatusCode::kInvalidArgument,
              "a bound buffer must be aligned to " + std::to_string(kBufferAlignment) + " bytes"};
    }
    const TensorId tensor = buffers[index].tensor;
    void* const place = data == nullptr ? own_data(tensor) : data;
    if (place == nullptr) {
      return {StatusCode::kInvalidArgument, "this output has no buffer but the caller's"};
    }
    buffers[index].data = place;
    for (OpIndex op = range_.first; op < range_.last; ++op) {
      if (touches(op, tensor)) CLEAVE_RETURN_IF_ERROR(set_up(op));
    }
    return Status::ok();
  }

  void copy_passing_tensors() {
    for (const BoundaryBuffer& output : outputs_) {
      const BoundaryBuffer* input = find(inputs_, output.tensor);
      if (input == nullptr || input->data == output.data) continue;
      std::memcpy(output.data, input->data, output.bytes());
    }
  }

  std::shared_ptr<const ops::PackedModel> weights_;
  ops::ThreadPool pool_;
  std::vector<std::unique_ptr<ops::Op>> ops_;  // of the weights' whole range
  OutputPlace output_place_;
  Arena arena_;

  bool prepared_ = false;
  OpRange range_;
  RangePlan plan_;
  std::vector<BoundaryBuffer> inputs_;
  std::vector<BoundaryBuffer> outputs_;
  std::vector<const void*> op_inputs_;
};

}  // namespace

Result<std::unique_ptr<Executor>> Executor::create(std::shared_ptr<const Weights> weights,
                                                   const ExecutorOptions& options) {
  if (options.threads == 0 || options.threads > kMaxThreads) {
    return Status{
        StatusCode::kInvalidArgument,
        std::to_string(options.threads) + " threads: must be 1 to " + std::to_string(kMaxThreads)};
  }
  // Weights::create makes no other kind.
  auto packed = std::static_pointer_cast<const ops::PackedModel>(std::move(weights));
  CLEAVE_ASSIGN_OR_RETURN(ops::ThreadPool pool, ops::ThreadPool::create(options.threads));
  std::vector<std::unique_ptr<ops::Op>> ops;
  const OpRange range = packed->range();
  ops.reserve(range.last - range.first);
  for (OpIndex op = range.first; op < range.last; ++op) {
    CLEAVE_ASSIGN_OR_RETURN(std::unique_ptr<ops::Op> made, packed->create_op(op));
    ops.push_back(std::move(made));
  }
  packed->release_pages_not_in_place();  // depthwise kernels were read again
  return std::unique_ptr<Executor>(std::make_unique<ExecutorImpl>(
      std::move(packed), std::move(pool), std::move(ops), options.outputs));
}

Result<std::uint64_t> plan_arena_bytes(const fbs::Variant& variant, OpRange range,
                                       std::uint32_t batch, OutputPlace outputs,
                                       Preference preference) {
  CLEAVE_RETURN_IF_ERROR(check_range(range, {0, variant.ops()->size()}, batch));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<OpMemory> memory,
                          ops::plan_workspaces(variant, range, batch, preference));
  return std::uint64_t{plan_range(variant, range, batch, memory, outputs).memory.bytes};
}

Result<std::vector<CutArena>> plan_cut_arenas(const fbs::Variant& variant,
                                              std::span<const OpIndex> boundaries,
                                              std::uint32_t batch, Preference preference) {
  const OpRange all{0, variant.ops()->size()};
  CLEAVE_RETURN_IF_ERROR(check_range(all, all, batch));
  CLEAVE_ASSIGN_OR_RETURN(const std::vector<OpMemory> memory,
                          ops::plan_workspaces(variant, all, batch, preference));
  const std::span<const OpMemory> of_ops(memory);
  std::vector<CutArena> arenas;
  arenas.reserve(boundaries.size());
  for (const OpIndex boundary : boundaries) {
    const OpRange head{0, boundary};
    const OpRange tail{boundary, all.last};
    CLEAVE_RETURN_IF_ERROR(check_range(head, all, batch));
    arenas.push_back({plan_range(variant, head, batch, of_ops.first(boundary), OutputPlace::kCaller)
                          .memory.bytes,
                      plan_range(variant, tail, batch, of_ops.subspan(boundary)).memory.bytes});
  }
  return arenas;
}

}  // namespace cleave
