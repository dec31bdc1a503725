// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/runner_channel.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace cleave::bench {
namespace {

int answers = -1;

unsigned read_threads(const char* text) {
  unsigned threads = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, threads);
  if (error != std::errc() || stop != end || threads == 0) {
    fail(std::string("not a number of threads: ") + text, kRunnerUsage);
  }
  return threads;
}

// A print by a library would be taken for an answer: those go to standard error.
void take_standard_output() {
  answers = dup(STDOUT_FILENO);
  if (answers < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) fail("cannot take standard output");
}

void pin(unsigned threads) {
  cpu_set_t allowed, chosen;
  CPU_ZERO(&chosen);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) fail("cannot ask for the CPUs");
  unsigned found = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && found < threads; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_SET(cpu, &chosen);
    ++found;
  }
  if (found < threads) {
    fail(std::to_string(threads) + " threads, but " + std::to_string(found) + " CPUs");
  }
  if (sched_setaffinity(0, sizeof(chosen), &chosen) != 0) fail("cannot pin to CPUs");
}

void write_answer(const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = write(answers, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("cannot answer");
    at += count;
    bytes -= static_cast<std::size_t>(count);
  }
}

bool read_command() {
  char command = 0;
  ssize_t count;
  do {
    count = read(STDIN_FILENO, &command, 1);
  } while (count < 0 && errno == EINTR);
  if (count < 0) fail("cannot read commands");
  if (count == 1 && command != kRunCommand) fail("not a command");
  return count == 1;
}

}  // namespace

void fail(const std::string& message, int code) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(code);
}

RunnerArguments begin(int argc, char** argv, std::size_t more) {
  if (static_cast<std::size_t>(argc) != 4 + more) {
    fail("started by bench_model: not a program to run by hand", kRunnerUsage);
  }
  RunnerArguments arguments{argv[1], argv[2], read_threads(argv[3]), {argv + 4, argv + argc}};
  take_standard_output();
  pin(arguments.threads);
  return arguments;
}

std::vector<float> read_floats(const std::string& path, std::size_t count) {
  std::vector<float> values(count);
  std::ifstream file(path, std::ios::binary);
  const auto bytes = static_cast<std::streamsize>(count * sizeof(float));
  file.read(reinterpret_cast<char*>(values.data()), bytes);
  if (file.gcount() != bytes || file.peek() != std::ifstream::traits_type::eof()) {
    fail(path + " is not an input of " + std::to_string(count) + " numbers");
  }
  return values;
}

int serve(const std::string& text, const std::function<std::span<const float>()>& run) {
  const std::span<const float> scores = run();
  const std::string told = text.substr(0, kMaxTextBytes);
  const auto length = static_cast<std::uint32_t>(told.size());
  const auto count = static_cast<std::uint32_t>(scores.size());
  write_answer(&length, sizeof(length));
  write_answer(told.data(), told.size());
  write_answer(&count, sizeof(count));
  write_answer(scores.data(), scores.size_bytes());
  while (read_command()) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::nanoseconds elapsed = std::chrono::steady_clock::now() - start;
    const auto ns = static_cast<std::uint64_t>(elapsed.count());
    write_answer(&ns, sizeof(ns));
  }
  return 0;
}

}  // namespace cleave::bench
