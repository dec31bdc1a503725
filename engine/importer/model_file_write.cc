// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "engine/importer/importer.h"
#include "schemas/atomic_file.h"
#include "schemas/model_preamble.h"

namespace cleave::importer {

Status write_model_file(std::span<const std::byte> bytes, const std::string& path) {
  constexpr std::size_t kMarkBytes = 4;
  if (bytes.size() < kModelPreambleBytes) {
    return {StatusCode::kInternal, "not the bytes of a model file"};
  }
  CLEAVE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  // The mark goes last, behind a sync: a file that bears it is whole even if the machine stops
  // here.
  const std::array<std::byte, kMarkBytes> no_mark{};
  const std::size_t after_mark = kModelCommitOffset + kMarkBytes;
  CLEAVE_RETURN_IF_ERROR(file.write_at(bytes.first(kModelCommitOffset), 0));
  CLEAVE_RETURN_IF_ERROR(file.write_at(no_mark, kModelCommitOffset));
  CLEAVE_RETURN_IF_ERROR(file.write_at(bytes.subspan(after_mark), after_mark));
  CLEAVE_RETURN_IF_ERROR(file.sync());
  CLEAVE_RETURN_IF_ERROR(
      file.write_at(bytes.subspan(kModelCommitOffset, kMarkBytes), kModelCommitOffset));
  return file.commit();
}

}  // namespace cleave::importer
