// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <new>

#include "schemas/file_descriptor.h"
#include "schemas/model_check.h"
#include "schemas/model_preamble.h"
#include "schemas/model_reader.h"

namespace cleave {
namespace {

Result<std::span<const std::byte>> map_file(const std::string& path) {
  // O_NONBLOCK, because opening a pipe would otherwise wait for its writer.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return os_error("cannot open");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return os_error("cannot stat");
  if (!S_ISREG(info.st_mode)) return Status(StatusCode::kCorrupt, "not a regular file");
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  if (bytes < kModelPreambleBytes) {
    return Status(StatusCode::kCorrupt, "too short to be a cleave model file");
  }
  if (bytes > std::numeric_limits<std::size_t>::max()) {
    return Status(StatusCode::kResourceExhausted, "too large for this machine's addresses");
  }
  void* const address =
      ::mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) return os_error("cannot map");
  return std::span(static_cast<const std::byte*>(address), static_cast<std::size_t>(bytes));
}

class MappedModelFile final : public ModelFile {
 public:
  MappedModelFile(std::span<const std::byte> mapping, const std::string& path) {
    bytes_ = mapping;
    path_ = path;
  }
  ~MappedModelFile() override { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }
  MappedModelFile(const MappedModelFile&) = delete;
  MappedModelFile& operator=(const MappedModelFile&) = delete;
  using ModelFile::check;

 private:
  void release_pages(std::span<const std::byte> segment) const override {
    advise(segment, MADV_DONTNEED);
  }
  void map_small_pages(std::span<const std::byte> segment) const override {
    advise(segment, MADV_NOHUGEPAGE);  // a kernel without huge pages refuses; nothing is lost
  }

  // A segment starts on a page boundary, and nothing but zeros is between its end and the next.
  // Those are meant too: the kernel maps them with the pages beside them.
  void advise(std::span<const std::byte> segment, int advice) const {
    const auto offset = static_cast<std::size_t>(segment.data() - bytes_.data());
    const auto end = static_cast<std::size_t>(
        std::min<std::uint64_t>(next_segment_offset(offset + segment.size()), bytes_.size()));
    ::madvise(const_cast<std::byte*>(segment.data()), end - offset, advice);
  }
};

class CopiedModelFile final : public ModelFile {
 public:
  explicit CopiedModelFile(std::span<const std::byte> bytes)
      : copy_(static_cast<std::byte*>(::operator new(bytes.size(), kAlignment))) {
    std::ranges::copy(bytes, copy_);
    bytes_ = {copy_, bytes.size()};
  }
  ~CopiedModelFile() override { ::operator delete(copy_, kAlignment); }
  CopiedModelFile(const CopiedModelFile&) = delete;
  CopiedModelFile& operator=(const CopiedModelFile&) = delete;
  using ModelFile::check;

 private:
  static constexpr std::align_val_t kAlignment{kWeightViewAlignment};

  void release_pages(std::span<const std::byte> /*segment*/) const override {}
  void map_small_pages(std::span<const std::byte> /*segment*/) const override {}

  std::byte* copy_;
};

Status check_zeros(std::span<const std::byte> gap) {
  const bool zeros = std::ranges::all_of(gap, [](std::byte b) { return b == std::byte{0}; });
  return zeros ? Status::ok() : Status(StatusCode::kCorrupt, "bytes between segments are not zero");
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> ModelFile::open(const std::string& path,
                                                         const ModelOpenOptions& options) {
  auto mapping = map_file(path);
  if (!mapping.is_ok()) return mapping.status().with_context(path);
  const auto file = std::make_shared<MappedModelFile>(*mapping, path);
  CLEAVE_RETURN_IF_ERROR(file->check(options).with_context(path));
  return std::shared_ptr<const ModelFile>(file);
}

Result<std::shared_ptr<const ModelFile>> ModelFile::from_bytes(std::span<const std::byte> bytes,
                                                               const ModelOpenOptions& options) {
  if (bytes.size() < kModelPreambleBytes) {
    return Status(StatusCode::kCorrupt, "too short to be a cleave model file");
  }
  const auto file = std::make_shared<CopiedModelFile>(bytes);
  CLEAVE_RETURN_IF_ERROR(file->check(options));
  return std::shared_ptr<const ModelFile>(file);
}

Status ModelFile::check(const ModelOpenOptions& options) {
  CLEAVE_ASSIGN_OR_RETURN(const ModelPreamble preamble,
                          decode_model_preamble(bytes_.first<kModelPreambleBytes>()));
  if (preamble.file_bytes != bytes_.size()) {
    return {StatusCode::kCorrupt,
            "has " + std::to_string(bytes_.size()) + " bytes and should have " +
                std::to_string(preamble.file_bytes) + ": copy or import it again"};
  }
  const auto header =
      bytes_.subspan(kModelPreambleBytes, static_cast<std::size_t>(preamble.header_bytes));
  CLEAVE_ASSIGN_OR_RETURN(identity_, sha256(header));
  if (identity_ != preamble.header_sha256) {
    return {StatusCode::kCorrupt, "header does not have the SHA-256 that the file states"};
  }
  CLEAVE_ASSIGN_OR_RETURN(header_, check_model_header(header, bytes_.size()));
  return options.verify_segments ? verify_segments() : Status::ok();
}

std::span<const std::byte> ModelFile::segment(std::uint32_t index) const {
  const fbs::Segment& segment = *header_->segments()->Get(index);
  return bytes_.subspan(static_cast<std::size_t>(segment.offset()),
                        static_cast<std::size_t>(segment.bytes()));
}

Status ModelFile::verify_segments() const {
  if (header_->segments() == nullptr) return Status::ok();
  const auto preamble = decode_model_preamble(bytes_.first<kModelPreambleBytes>());
  std::size_t end = kModelPreambleBytes + static_cast<std::size_t>(preamble->header_bytes);
  for (std::uint32_t i = 0; i < header_->segments()->size(); ++i) {
    const fbs::Segment& stated = *header_->segments()->Get(i);
    const std::span<const std::byte> bytes = segment(i);
    const auto start = static_cast<std::size_t>(bytes.data() - bytes_.data());
    CLEAVE_RETURN_IF_ERROR(check_zeros(bytes_.subspan(end, start - end)));
    end = start + bytes.size();
    CLEAVE_ASSIGN_OR_RETURN(const Sha256Digest found, sha256(bytes));
    if (!std::equal(found.begin(), found.end(), stated.sha256()->begin())) {
      return {StatusCode::kCorrupt,
              "segment " + std::to_string(i) +
                  " does not have the SHA-256 that the header states: copy or import it again"};
    }
  }
  return Status::ok();
}

void ModelFile::release_segment_pages(std::uint32_t index) const { release_pages(segment(index)); }

void ModelFile::keep_pages_small(std::uint32_t index) const { map_small_pages(segment(index)); }

std::span<const std::byte> ModelFile::weight_bytes(const fbs::Op& op,
                                                   const fbs::WeightView& view) const {
  return segment(static_cast<std::uint32_t>(op.segment()))
      .subspan(static_cast<std::size_t>(view.offset()), static_cast<std::size_t>(view.bytes()));
}

}  // namespace cleave
