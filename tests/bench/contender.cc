// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/contender.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/bench/runner_channel.h"

namespace cleave::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Longest silence of a contender; loading a VGG on a slow disk is seconds.
constexpr std::chrono::seconds kPatience{180};
constexpr std::chrono::seconds kEndPatience{20};
constexpr std::size_t kMaxLogBytes = 2000;

// Standard error as one line.
std::string read_log(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxLogBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', '|');
  return text;
}

std::string text_of_end(int status) {
  if (WIFSIGNALED(status)) return std::string("was ended by ") + strsignal(WTERMSIG(status));
  return "ended with code " + std::to_string(WEXITSTATUS(status));
}

// The state letter follows the program's name, which is in parentheses.
bool sleeps(const std::filesystem::path& task) {
  std::ifstream file(task / "stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(") ");
  return name_end == std::string::npos || text[name_end + 2] == 'S';
}

bool all_sleep(pid_t pid) {
  std::error_code ignored;
  const std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task",
                                                  ignored);
  return std::all_of(begin(tasks), end(tasks), [](const auto& task) { return sleeps(task); });
}

struct FileActions {
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t actions;
};

}  // namespace

Result<std::unique_ptr<Contender>> Contender::start(const std::vector<std::string>& command,
                                                    const std::string& log_path) {
  std::unique_ptr<Contender> contender(new Contender);
  contender->name_ = std::filesystem::path(command[0]).filename().string();
  contender->log_path_ = log_path;
  int commands[2], answers[2];
  if (pipe2(commands, O_CLOEXEC) != 0) return Status(StatusCode::kIo, "no pipe can be had");
  contender->commands_ = commands[1];
  if (pipe2(answers, O_CLOEXEC) != 0) {
    close(commands[0]);
    return Status(StatusCode::kIo, "no pipe can be had");
  }
  contender->answers_ = answers[0];
  FileActions files;
  posix_spawn_file_actions_adddup2(&files.actions, commands[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files.actions, answers[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files.actions, STDERR_FILENO, log_path.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const auto start = Clock::now();
  const int error = posix_spawn(&contender->pid_, arguments[0], &files.actions, nullptr,
                                arguments.data(), environ);
  close(commands[0]);
  close(answers[1]);
  if (error != 0) {
    contender->pid_ = -1;
    return Status(StatusCode::kIo, "cannot start " + command[0] + ": " + std::strerror(error));
  }
  CLEAVE_RETURN_IF_ERROR(contender->read_first_answer());
  const std::chrono::nanoseconds elapsed = Clock::now() - start;
  contender->first_.start_ns = static_cast<std::uint64_t>(elapsed.count());
  return contender;
}

Contender::~Contender() {
  if (commands_ >= 0) close(commands_);
  if (answers_ >= 0) close(answers_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

Status Contender::read_first_answer() {
  std::uint32_t length = 0, count = 0;
  CLEAVE_RETURN_IF_ERROR(read_exactly(&length, sizeof(length)));
  if (length > kMaxTextBytes) return {StatusCode::kInternal, name_ + ": not an answer"};
  first_.text.resize(length);
  CLEAVE_RETURN_IF_ERROR(read_exactly(first_.text.data(), length));
  CLEAVE_RETURN_IF_ERROR(read_exactly(&count, sizeof(count)));
  if (count > kMaxScores) return {StatusCode::kInternal, name_ + ": not an answer"};
  first_.scores.resize(count);
  return read_exactly(first_.scores.data(), count * sizeof(float));
}

Status Contender::read_exactly(void* data, std::size_t bytes) {
  char* at = static_cast<char*>(data);
  const auto end = Clock::now() + kPatience;
  while (bytes > 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd stream{answers_, POLLIN, 0};
    const int ready = poll(&stream, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return {StatusCode::kDeadlineExceeded, name_ + " did not answer within " +
                                                 std::to_string(kPatience.count()) +
                                                 " s: " + read_log(log_path_)};
    }
    const ssize_t count = read(answers_, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return died();
    at += count;
    bytes -= static_cast<std::size_t>(count);
  }
  return Status::ok();
}

// The wait status; kills a process that does not end by itself.
int Contender::wait_for_end() {
  int status = 0;
  const auto end = Clock::now() + kEndPatience;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() >= end) kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pid_ = -1;
  return status;
}

Status Contender::died() {
  const int status = wait_for_end();
  const std::string log = read_log(log_path_);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kRunnerUnsupported) {
    return {StatusCode::kUnsupported, log};
  }
  return {StatusCode::kInternal, name_ + " " + text_of_end(status) + ": " + log};
}

Result<std::uint64_t> Contender::run() {
  if (write(commands_, &kRunCommand, 1) != 1) return died();
  std::uint64_t ns = 0;
  CLEAVE_RETURN_IF_ERROR(read_exactly(&ns, sizeof(ns)));
  return ns;
}

void Contender::wait_until_idle() const {
  const auto end = Clock::now() + std::chrono::milliseconds(500);
  while (!all_sleep(pid_) && Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Result<std::uint64_t> Contender::peak_rss_bytes() const {
  constexpr std::string_view kField = "VmHWM:";
  std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kField)) return std::stoull(line.substr(kField.size())) * 1024;
  }
  return Status(StatusCode::kIo, "cannot read the memory of " + name_);
}

Status Contender::finish() {
  close(commands_);
  commands_ = -1;
  const int status = wait_for_end();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Status::ok();
  return {StatusCode::kInternal,
          name_ + " " + text_of_end(status) + " at its end: " + read_log(log_path_)};
}

}  // namespace cleave::bench
