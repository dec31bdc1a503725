// SPDX-License-Identifier: Apache-2.0
//
// A disk that fills up while a model is written, by the process's own limit on file sizes.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "engine/importer/importer.h"
#include "tests/support/temporary_folder.h"

using cleave::StatusCode;
using cleave::importer::write_model_file;
using cleave::test::TemporaryFolder;

namespace {

// While it lives, no file can grow beyond `bytes`: writes fail as on a full disk, with EFBIG.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limited{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("a write that fails half way leaves the old file and no temporary one") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.cleave";
  std::ofstream(path) << "old";
  const std::vector<std::byte> bytes(1u << 20);
  {
    const FileSizeLimit limit(100'000);
    const cleave::Status status = write_model_file(bytes, path);
    CHECK(status.code() == StatusCode::kIo);
    CHECK(status.message().find(path) != std::string::npos);
  }
  CHECK(std::filesystem::file_size(path) == 3);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  CHECK(write_model_file(bytes, path).is_ok());
}
