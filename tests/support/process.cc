// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

namespace cleave::test {
namespace {

using Clock = std::chrono::steady_clock;

// in may be -1: nothing to read; out and err: inherited.
pid_t spawn(const std::vector<std::string>& command, const Environment& environment, int in,
            int out, int err) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  // Signals wait until the child has shed the handlers of this program, which are not for it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid != 0) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return pid;
  }
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGPIPE}) signal(number, SIG_DFL);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  dup2(in >= 0 ? in : open("/dev/null", O_RDONLY), STDIN_FILENO);
  if (out >= 0) dup2(out, STDOUT_FILENO);
  if (err >= 0) dup2(err, STDERR_FILENO);
  for (const std::string& entry : environment) putenv(const_cast<char*>(entry.c_str()));
  execvp(arguments[0], arguments.data());
  _exit(127);
}

int exit_code_of_wait(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int wait_until(pid_t pid, Clock::time_point end, std::uint64_t* peak_rss_bytes = nullptr) {
  int status = 0;
  rusage usage{};
  while (wait4(pid, &status, WNOHANG, &usage) == 0) {
    if (Clock::now() >= end) {
      kill(pid, SIGKILL);
      wait4(pid, &status, 0, &usage);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (peak_rss_bytes != nullptr) {
    *peak_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  }
  return exit_code_of_wait(status);
}

// Appends what can be read; false at the end of the stream.
bool drain(int descriptor, std::string& text) {
  std::array<char, 65536> chunk;
  const ssize_t count = read(descriptor, chunk.data(), chunk.size());
  if (count <= 0) return false;
  text.append(chunk.data(), static_cast<std::size_t>(count));
  return true;
}

// The state letter of /proc/PID/stat, behind the name, which may hold anything.
char state_in(const std::filesystem::path& stat) {
  std::ifstream file(stat);
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= text.size() ? '?' : text[name_end + 2];
}

bool stands_still(pid_t pid) {
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  std::error_code error;
  for (std::filesystem::directory_iterator task(tasks, error), end; task != end;
       task.increment(error)) {
    if (error || state_in(task->path() / "stat") != 'T') return false;
  }
  return !error;
}

int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return left.count() < 0 ? 0 : static_cast<int>(left.count());
}

}  // namespace

Finished run_program(const std::vector<std::string>& command, const Environment& environment,
                     std::chrono::seconds limit) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return {};
  const pid_t pid = spawn(command, environment, -1, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  const auto end = Clock::now() + limit;
  Finished finished;
  std::array<pollfd, 2> streams{pollfd{out[0], POLLIN, 0}, pollfd{err[0], POLLIN, 0}};
  while ((streams[0].fd >= 0 || streams[1].fd >= 0) &&
         poll(streams.data(), streams.size(), milliseconds_until(end)) > 0) {
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (streams[i].fd < 0 || streams[i].revents == 0) continue;
      if (!drain(streams[i].fd, i == 0 ? finished.out : finished.err)) streams[i].fd = -1;
    }
  }
  close(out[0]);
  close(err[0]);
  finished.exit_code = wait_until(pid, end, &finished.peak_rss_bytes);
  return finished;
}

BackgroundProgram::BackgroundProgram(const std::vector<std::string>& command,
                                     const Environment& environment, const std::string& error_file,
                                     StandardInput input) {
  int in[2] = {-1, -1}, out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return;
  if (input == StandardInput::kPipe) {
    if (pipe2(in, O_CLOEXEC) != 0) return;
    // Who writes to one that has died is to be told by write_line().
    ::signal(SIGPIPE, SIG_IGN);
  }
  const int err = error_file.empty()
                      ? -1
                      : open(error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pid_ = spawn(command, environment, in[0], out[1], err);
  for (const int theirs : {in[0], out[1], err}) {
    if (theirs >= 0) close(theirs);
  }
  in_ = in[1];
  out_ = out[0];
}

BackgroundProgram::~BackgroundProgram() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close_input();
  if (out_ >= 0) close(out_);
}

bool BackgroundProgram::write_line(const std::string& line, std::chrono::seconds limit) const {
  const std::string text = line + "\n";
  pollfd pipe{in_, POLLOUT, 0};  // room for PIPE_BUF: the write below does not wait
  return poll(&pipe, 1, milliseconds_until(Clock::now() + limit)) > 0 &&
         write(in_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void BackgroundProgram::close_input() {
  if (in_ >= 0) close(std::exchange(in_, -1));
}

std::string BackgroundProgram::read_line(std::chrono::seconds limit) {
  const auto end = Clock::now() + limit;
  std::size_t newline;
  while ((newline = buffered_.find('\n')) == std::string::npos) {
    pollfd stream{out_, POLLIN, 0};
    if (poll(&stream, 1, milliseconds_until(end)) <= 0 || !drain(out_, buffered_)) return {};
  }
  std::string line = buffered_.substr(0, newline);
  buffered_.erase(0, newline + 1);
  return line;
}

void BackgroundProgram::signal(int number) const { kill(pid_, number); }

bool BackgroundProgram::stop(std::chrono::seconds limit) const {
  signal(SIGSTOP);
  const auto end = Clock::now() + limit;
  while (!stands_still(pid_)) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

bool BackgroundProgram::is_running() const {
  siginfo_t info{};
  return pid_ > 0 &&
         waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

std::optional<int> BackgroundProgram::poll_exit() {
  int status = 0;
  if (pid_ <= 0 || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return exit_code_of_wait(status);
}

int BackgroundProgram::wait(std::chrono::seconds limit) {
  const int code = wait_until(pid_, Clock::now() + limit);
  pid_ = -1;
  return code;
}

}  // namespace cleave::test
