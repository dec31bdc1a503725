// SPDX-License-Identifier: Apache-2.0
//
// The weights of a TF.js layers model: the "weightsManifest" of model.json names groups; a group's
// shards, joined, hold its weights one after the other, as float32 or packed to float16, uint8 or
// uint16 (value = q * scale + min).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/importer/tfjs_json.h"
#include "schemas/status.h"

namespace cleave::importer {

class TfjsWeights {
 public:
  // Reads every shard; paths are relative to `directory` and may not leave it.
  // Errors: kCorrupt (manifest, or shards of another length), kUnsupported (types), kNotFound, kIo,
  // kResourceExhausted (beyond 2 GiB).
  static Result<TfjsWeights> read(const Json& manifest, const std::string& directory);

  // f32 values of the weight `layer`/`weight`, in the file's order. Some writers put the enclosing
  // model before the name and ":0" after it. Errors: kNotFound; kCorrupt (another shape);
  // kResourceExhausted, when shared layers ask for 16 elements per stored byte altogether.
  [[nodiscard]] Result<std::vector<float>> take(const std::string& layer, const char* weight,
                                                const std::vector<std::int64_t>& shape);

 private:
  enum class Storage : std::uint8_t { kF32, kF16, kU8, kU16, kS32 };
  struct Weight {
    std::vector<std::int64_t> shape;
    std::size_t elements = 0;
    Storage storage = Storage::kF32;
    double scale = 1, minimum = 0;
    std::size_t group = 0, offset = 0;  // in bytes of that group
  };

  static std::size_t storage_bytes(Storage storage);
  static Result<Storage> storage_of(const std::string& dtype);
  static Result<Weight> read_spec(const Json& spec);
  [[nodiscard]] Status read_group(const Json& group, const std::string& directory);
  [[nodiscard]] Status read_shards(const Json& group, const std::string& directory);
  [[nodiscard]] const Weight* find(const std::string& name) const;
  [[nodiscard]] std::vector<float> decode(const Weight& weight) const;

  std::vector<std::vector<char>> groups_;
  std::map<std::string, Weight> weights_;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t taken_elements_ = 0;
};

}  // namespace cleave::importer
