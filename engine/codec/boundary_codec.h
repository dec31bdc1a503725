// SPDX-License-Identifier: Apache-2.0
//
// Boundary tensors of one cut to the bytes of an attachment, and back. START HERE.
//
// Both ends make the same codec from the same model file: sizes, tables and the order of tensors
// follow from it, and the bytes carry values alone. Integers decide what is written, or single
// operations of IEEE 754 whose result depends neither on rounding modes nor on flushed subnormals:
// both ends agree on every architecture. Only libzstd may write other bytes in another release;
// what they decode to is the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/cuts.h"
#include "schemas/generated/wire_generated.h"
#include "schemas/model_reader.h"
#include "schemas/status.h"

namespace cleave {

// One way of encoding the boundary tensors of a cut: Raw, Lossless, F16, Int8, or Coded where the
// model was calibrated for it.
struct CodecChoice {
  fbs::Codec codec = fbs::Codec::Raw;
  std::uint8_t quality = 0;  // Coded: index of the level in the cut's table; else 0
  friend bool operator==(const CodecChoice&, const CodecChoice&) = default;
};

// What calibration found for one level of quality of Coded at a cut, on its own pictures.
struct CodedFigures {
  std::uint32_t compared_pictures = 0;
  std::uint32_t differing_pictures = 0;  // whose best class is another one than without a codec
  std::uint32_t median_bytes = 0;
  std::uint32_t p95_bytes = 0;
  // How often another best class was allowed; nothing: the model does not say.
  std::optional<std::uint32_t> allowed_ppm = std::nullopt;
  friend bool operator==(const CodedFigures&, const CodedFigures&) = default;
};

// Of each level of quality that the model has at a cut, by its number; none without a table.
// REQUIRES: variant and cut are the model's. Errors: kCorrupt (the table does not check).
[[nodiscard]] Result<std::vector<CodedFigures>> coded_figures(const ModelFile& model,
                                                              std::uint32_t variant, OpIndex cut);

// Everything that may be chosen at a cut: Raw first, then what applies to the dtypes that cross it,
// then each level of the model's table for it (the first one of a table that does not check).
// REQUIRES: variant and cut are the model's.
[[nodiscard]] std::vector<CodecChoice> codecs_at(const ModelFile& model, std::uint32_t variant,
                                                 OpIndex cut);

// Used by one thread at a time; encode() and decode() allocate nothing.
class BoundaryCodec {
 public:
  // Checks the model's table for this cut, if one is needed, and takes all memory.
  // Errors: kOutOfRange (variant, cut), kUnsupported (a codec for pictures, or one that does not
  // apply to these tensors), kNotFound (no table, or no such level), kCorrupt (the table does not
  // check), kResourceExhausted.
  static Result<std::unique_ptr<BoundaryCodec>> create(const ModelFile& model,
                                                       std::uint32_t variant, OpIndex cut,
                                                       CodecChoice choice);
  virtual ~BoundaryCodec() = default;
  BoundaryCodec(const BoundaryCodec&) = delete;
  BoundaryCodec& operator=(const BoundaryCodec&) = delete;

  // What encode() never exceeds, whatever the values. Follows from the model alone.
  [[nodiscard]] virtual std::size_t max_encoded_bytes() const = 0;

  // Memory that it holds besides itself, taken by create().
  [[nodiscard]] virtual std::size_t held_bytes() const { return 0; }

  // Encodes the boundary tensors, in the order of the cut, each [height][width][channels] of the
  // dtype that the model gives it, batch 1, without gaps. Gives the bytes written.
  // REQUIRES: the tensors' sizes are the model's; out holds max_encoded_bytes().
  [[nodiscard]] virtual std::size_t encode(std::span<const std::span<const std::byte>> tensors,
                                           std::span<std::byte> out) = 0;

  // The reverse. `bytes` may be hostile: nothing outside of the spans is read or written, and it
  // ends in time proportional to the tensors. Errors: kCorrupt; the tensors are then unspecified.
  // REQUIRES: the tensors' sizes are the model's.
  [[nodiscard]] virtual Status decode(std::span<const std::byte> bytes,
                                      std::span<const std::span<std::byte>> tensors) = 0;

 protected:
  BoundaryCodec() = default;
};

}  // namespace cleave
