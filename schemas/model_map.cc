// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <new>

#include "schemas/file_descriptor.h"
#include "schemas/model_check.h"
#include "schemas/model_folder.h"
#include "schemas/model_preamble.h"
#include "schemas/model_reader.h"
#include "schemas/uninterrupted.h"

namespace cleave {
namespace {

struct OpenFile {
  FileDescriptor file;
  std::uint64_t bytes = 0;
};

Result<OpenFile> open_file(const std::string& path) {
  // O_NONBLOCK, because opening a pipe would otherwise wait for its writer.
  OpenFile open{FileDescriptor(
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }))};
  if (!open.file.is_open()) return os_error("cannot open");
  struct stat info {};
  if (::fstat(open.file.get(), &info) != 0) return os_error("cannot stat");
  if (!S_ISREG(info.st_mode)) return Status(StatusCode::kCorrupt, "not a regular file");
  open.bytes = static_cast<std::uint64_t>(info.st_size);
  return open;
}

Result<std::span<const std::byte>> map(std::uint64_t bytes, int protection, int flags, int fd) {
  if (bytes > std::numeric_limits<std::size_t>::max()) {
    return Status(StatusCode::kResourceExhausted, "too large for this machine's addresses");
  }
  const auto length = static_cast<std::size_t>(bytes);
  void* const address = ::mmap(nullptr, length, protection, flags, fd, 0);
  if (address == MAP_FAILED) return os_error("cannot map");
  return std::span(static_cast<const std::byte*>(address), length);
}

Result<std::span<const std::byte>> map_file(const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(const OpenFile open, open_file(path));
  if (open.bytes < kModelPreambleBytes) {
    return Status(StatusCode::kCorrupt, "too short to be a cleave model file");
  }
  return map(open.bytes, PROT_READ, MAP_PRIVATE, open.file.get());
}

// Maps the whole of `open` over what is mapped at `place`, which starts on a page boundary.
Status map_over(std::span<const std::byte> place, const OpenFile& open) {
  void* const address =
      ::mmap(const_cast<std::byte*>(place.data()), static_cast<std::size_t>(open.bytes), PROT_READ,
             MAP_PRIVATE | MAP_FIXED, open.file.get(), 0);
  return address == MAP_FAILED ? os_error("cannot map") : Status::ok();
}

class MappedModelFile : public ModelFile {
 public:
  MappedModelFile(std::span<const std::byte> mapping, const std::string& path) {
    bytes_ = mapping;
    stored_bytes_ = mapping.size();
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
  void read_pages_ahead(std::span<const std::byte> bytes) const override {
    static const auto page_bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    const std::uintptr_t before = begin % page_bytes;
    ::madvise(reinterpret_cast<void*>(begin - before), bytes.size() + before, MADV_WILLNEED);
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

// The parts stand where they would in the file, and so are used as if they were one. What is not
// held cannot be read: a mistake ends the process instead of computing with zeros.
class HeldModelFile final : public MappedModelFile {
 public:
  using MappedModelFile::MappedModelFile;

  Status map_segments(const std::string& folder) {
    const auto* segments = header_->segments();
    held_.assign(segments == nullptr ? 0 : segments->size(), false);
    for (std::uint32_t i = 0; i < held_.size(); ++i) {
      const fbs::Segment& stated = *segments->Get(i);
      const auto open = open_file(model_segment_path(folder, segment_sha256(stated)));
      if (open.status().code() == StatusCode::kNotFound) continue;
      if (!open.is_ok()) return open.status().with_context("segment " + std::to_string(i));
      // Of another length it is none of ours; fetching puts it right.
      if (open->bytes != stated.bytes()) continue;
      CLEAVE_RETURN_IF_ERROR(map_over(segment(i), *open));
      held_[i] = true;
    }
    CLEAVE_ASSIGN_OR_RETURN(stored_bytes_, model_folder_bytes(folder));
    in_folder_ = true;
    return Status::ok();
  }
};

Result<ModelPreamble> read_preamble(const OpenFile& open) {
  std::array<std::byte, kModelPreambleBytes> bytes{};
  const ssize_t got =
      uninterrupted([&] { return ::pread(open.file.get(), bytes.data(), bytes.size(), 0); });
  if (got != static_cast<ssize_t>(bytes.size())) {
    return Status(StatusCode::kCorrupt, "too short to be the header of a model");
  }
  CLEAVE_ASSIGN_OR_RETURN(const ModelPreamble preamble, decode_model_preamble(bytes));
  if (open.bytes == kModelPreambleBytes + preamble.header_bytes) return preamble;
  return Status(StatusCode::kCorrupt, "is not as long as it states: fetch it again");
}

class CopiedModelFile final : public ModelFile {
 public:
  explicit CopiedModelFile(std::span<const std::byte> bytes)
      : copy_(static_cast<std::byte*>(::operator new(bytes.size(), kAlignment))) {
    std::ranges::copy(bytes, copy_);
    bytes_ = {copy_, bytes.size()};
    stored_bytes_ = bytes.size();
  }
  ~CopiedModelFile() override { ::operator delete(copy_, kAlignment); }
  CopiedModelFile(const CopiedModelFile&) = delete;
  CopiedModelFile& operator=(const CopiedModelFile&) = delete;
  using ModelFile::check;

 private:
  static constexpr std::align_val_t kAlignment{kWeightViewAlignment};

  void release_pages(std::span<const std::byte> /*segment*/) const override {}
  void map_small_pages(std::span<const std::byte> /*segment*/) const override {}
  void read_pages_ahead(std::span<const std::byte> /*bytes*/) const override {}

  std::byte* copy_;
};

Status check_zeros(std::span<const std::byte> gap) {
  const bool zeros = std::ranges::all_of(gap, [](std::byte b) { return b == std::byte{0}; });
  return zeros ? Status::ok() : Status(StatusCode::kCorrupt, "bytes between segments are not zero");
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> ModelFile::open(const std::string& path,
                                                         const ModelOpenOptions& options) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return open_held(path, options);
  auto mapping = map_file(path);
  if (!mapping.is_ok()) return mapping.status().with_context(path);
  const auto file = std::make_shared<MappedModelFile>(*mapping, path);
  CLEAVE_RETURN_IF_ERROR(file->check(options).with_context(path));
  return std::shared_ptr<const ModelFile>(file);
}

Result<std::shared_ptr<const ModelFile>> ModelFile::open_held(const std::string& folder,
                                                              const ModelOpenOptions& options) {
  const auto state = read_model_folder_state(folder);
  if (state.status().code() == StatusCode::kNotFound) {
    return Status(StatusCode::kNotFound,
                  folder + ": is a folder without a model in use; `cleave-agent fetch` gets one");
  }
  if (!state.is_ok()) return state.status();
  return open_held(folder, state->current, options);
}

Result<std::shared_ptr<const ModelFile>> ModelFile::open_held(const std::string& folder,
                                                              const ModelIdentity& model,
                                                              const ModelOpenOptions& options) {
  const std::string path = model_header_path(folder, model);
  const auto in_header = [&](const Status& status) { return status.with_context(path); };
  const auto open = open_file(path);
  if (!open.is_ok()) return in_header(open.status());
  const auto preamble = read_preamble(*open);
  if (!preamble.is_ok()) return in_header(preamble.status());
  const auto place =
      map(preamble->file_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (!place.is_ok()) return in_header(place.status());
  const auto file = std::make_shared<HeldModelFile>(*place, folder);
  CLEAVE_RETURN_IF_ERROR(in_header(map_over(*place, *open)));
  CLEAVE_RETURN_IF_ERROR(in_header(file->check({})));
  if (file->identity() != model) {
    return in_header({StatusCode::kCorrupt, "is the header of another model"});
  }
  CLEAVE_RETURN_IF_ERROR(file->map_segments(folder).with_context(folder));
  if (options.verify_segments) {
    CLEAVE_RETURN_IF_ERROR(file->verify_segments().with_context(folder));
  }
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
  header_bytes_ = header;
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
    if (!has_segment(i)) continue;
    const std::span<const std::byte> bytes = segment(i);
    const auto start = static_cast<std::size_t>(bytes.data() - bytes_.data());
    // Segments that are files of their own have nothing between them.
    if (!in_folder_) CLEAVE_RETURN_IF_ERROR(check_zeros(bytes_.subspan(end, start - end)));
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

bool ModelFile::is_whole() const { return std::ranges::find(held_, false) == held_.end(); }

void ModelFile::release_segment_pages(std::uint32_t index) const { release_pages(segment(index)); }

void ModelFile::keep_pages_small(std::uint32_t index) const { map_small_pages(segment(index)); }

std::span<const std::byte> ModelFile::weight_bytes(const fbs::Op& op,
                                                   const fbs::WeightView& view) const {
  return segment(static_cast<std::uint32_t>(op.segment()))
      .subspan(static_cast<std::size_t>(view.offset()), static_cast<std::size_t>(view.bytes()));
}

}  // namespace cleave
