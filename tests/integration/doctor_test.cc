// SPDX-License-Identifier: Apache-2.0
//
// `cleave-agent doctor`: what it finds wrong, what it finds right, and what it says of both.
#include <doctest/doctest.h>

#include <fstream>

#include "engine/executor.h"
#include "engine/importer/importer.h"
#include "schemas/exit_code.h"
#include "schemas/model_reader.h"
#include "tests/support/fake_system.h"
#include "tests/support/onnx_writer.h"
#include "tests/support/programs.h"

namespace cleave::test {
namespace {

// A MobileNetV2 with a self-test picture, made as a user makes it.
class Clinic {
 public:
  Clinic() {
    auto graph = importer::make_zoo_model("mobilenet_v2", {.input = 32, .width = 0.1});
    REQUIRE_MESSAGE(graph.is_ok(), graph.status().message());
    const std::vector<std::byte> onnx = to_bytes(to_onnx(*graph));
    workshop.file("net.onnx", {reinterpret_cast<const char*>(onnx.data()), onnx.size()});
    const Finished imported =
        run_program({import_program(), "import", workshop.path("net.onnx"), model, "--mean",
                     "127.5", "--std", "127.5", "--self-test", workshop.jpeg("picture.jpg", 2)});
    REQUIRE_MESSAGE(imported.exit_code == 0, imported.err);
  }

  // Flips bits of one byte of the last op's bias, float `index`, byte `byte` (3: the exponent's).
  void spoil_bias(std::size_t index, std::size_t byte, char bits) const {
    std::size_t place = 0;
    {
      const auto file = ModelFile::open(model);
      REQUIRE(file.is_ok());
      const fbs::Model& header = (*file)->header();
      const fbs::Op* weighted = nullptr;
      for (const fbs::Op* op : *header.variants()->Get(0)->ops()) {
        if (op->bias() != nullptr) weighted = op;
      }
      REQUIRE(weighted != nullptr);
      const auto segment = static_cast<flatbuffers::uoffset_t>(weighted->segment());
      place = header.segments()->Get(segment)->offset() + weighted->bias()->offset() +
              index * sizeof(float) + byte;
    }
    std::fstream file(model, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(place));
    const auto old = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(place));
    file.put(static_cast<char>(old ^ bits));
    REQUIRE(file.good());
  }

  [[nodiscard]] Finished doctor(std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {agent_program(), "doctor", "--model", model});
    return run_program(options);
  }

  [[nodiscard]] nlohmann::json doctor_json(ExitCode expected,
                                           const std::vector<std::string>& options = {}) const {
    std::vector<std::string> arguments{"doctor", "--model", model, "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const AgentRun run = run_agent(arguments);
    CHECK_MESSAGE(run.exit_code == static_cast<int>(expected), run.err);
    CHECK(run.err.empty() == (expected == ExitCode::kOk));
    REQUIRE(run.records.size() == 1);
    CHECK(run.records[0].at("exit_code") == run.exit_code);
    CHECK(run.records[0].at("ok") == (expected == ExitCode::kOk));
    return run.records[0];
  }

  Workshop workshop;
  std::string model = workshop.path("net.cleave");
};

}  // namespace

TEST_CASE("a good model on this machine: everything is shown, and the self-test passes") {
  const Clinic clinic;
  const nlohmann::json found = clinic.doctor_json(ExitCode::kOk, {"--verify"});
  CHECK_FALSE(found.at("processor").get<std::string>().empty());
  CHECK(found.at("cores") >= 1);
  CHECK(found.at("kernels") == kernel_set_name());
  for (const char* cap : {"ram", "storage"}) {
    CAPTURE(cap);
    CHECK(found.at("caps").at(cap).at("bytes") > 1'000'000);
    CHECK(found.at("caps").at(cap).at("source") != "not known");
  }
  CHECK(found.at("model").at("identity") == to_hex((*ModelFile::open(clinic.model))->identity()));
  CHECK(found.at("weights").at("verified") == true);
  CHECK(found.at("weights").at("ok") == true);
  CHECK(found.at("weights").at("segments") > 50);
  const nlohmann::json& test = found.at("self_test");
  CHECK(test.at("present") == true);
  CHECK(test.at("ok") == true);
  CHECK(test.at("variant") == "f32");
  CHECK(test.at("scores") == 1000);
  CHECK(test.at("max_difference") == 0);  // made on this machine, with the same kernels
  CHECK(test.at("tolerance").get<double>() == doctest::Approx(0.001));
  CHECK(test.at("elapsed_ns") > 0);

  const Finished text = clinic.doctor();
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("self-test   passed") != std::string::npos);
  CHECK(text.out.find("not read (--verify") != std::string::npos);
}

TEST_CASE("with less memory than the weights take, the scores are the same") {
  const Clinic clinic;
  const nlohmann::json whole = clinic.doctor_json(ExitCode::kOk);
  const nlohmann::json small = clinic.doctor_json(ExitCode::kOk, {"--ram", "64KiB"});
  CHECK(small.at("caps").at("ram").at("bytes") == 65536);
  CHECK(small.at("caps").at("ram").at("source") == "given");
  CHECK(small.at("self_test").at("max_difference") == 0);
  CHECK(small.at("self_test").at("worst") == whole.at("self_test").at("worst"));
}

TEST_CASE("a board below --sysfs-root: everything detected is shown with its source") {
  const Clinic clinic;
  const FakeSystem board;
  board.write_clock(1'000'000, 700'000);
  board.write_throttled("50001");
  board.write("proc/meminfo", "MemAvailable: 512000 kB\n");
  board.write("proc/self/limits", "Max address space    268435456   unlimited   bytes\n");
  board.write("proc/self/cgroup", "0::/a\n");
  board.write("sys/fs/cgroup/a/memory.high", "134217728\n");
  board.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
  board.write("sys/class/thermal/thermal_zone0/temp", "61250\n");
  const std::vector<std::string> here{"--sysfs-root", board.root()};
  const nlohmann::json found = clinic.doctor_json(ExitCode::kOk, here);
  CHECK(found.at("caps").at("ram") ==
        nlohmann::json{{"source", "control group"}, {"bytes", 134217728}});
  CHECK(found.at("caps").at("ram_bounds").size() == 3);
  CHECK(found.at("caps").at("ram_bounds").at(2) ==
        nlohmann::json{{"source", "address-space limit"}, {"bytes", 268435456}});
  const nlohmann::json& state = found.at("state");
  CHECK(state.at("cores") == nlohmann::json{{"source", "affinity"}, {"usable", 2}, {"online", 2}});
  CHECK(state.at("clock") == nlohmann::json{{"source", "cpufreq"},
                                            {"running_khz", 700000},
                                            {"current_khz", 700000},
                                            {"limit_khz", 1000000},
                                            {"lowest_khz", 600000},
                                            {"hardware_khz", 1500000},
                                            {"governor", "ondemand"}});
  CHECK(state.at("throttle").at("source") == "Raspberry Pi firmware");
  CHECK(state.at("throttle").at("flags") == 0x50001);
  CHECK(state.at("throttle").at("now").at("under_voltage") == true);
  CHECK(state.at("throttle").at("now").at("throttled") == false);
  CHECK(state.at("throttle").at("since_boot").at("throttled") == true);
  CHECK(state.at("thermal_zones").at(0).at("millidegrees") == 61250);
  CHECK(found.at("energy").is_null());

  std::vector<std::string> given = here;
  for (const char* option :
       {"--ram", "1GiB", "--cores", "1", "--clock", "1.2GHz", "--throttled", "none",
        "--power-active", "5.1W", "--power-idle", "1.9W", "--radio-energy", "120nJ"}) {
    given.emplace_back(option);
  }
  const nlohmann::json overridden = clinic.doctor_json(ExitCode::kOk, given);
  CHECK(overridden.at("caps").at("ram").at("source") == "given");
  CHECK(overridden.at("state").at("cores").at("usable") == 1);
  CHECK(overridden.at("state").at("clock").at("running_khz") == 1200000);
  CHECK(overridden.at("state").at("throttle").at("flags") == 0);
  CHECK(overridden.at("energy") == nlohmann::json{{"modelled", true},
                                                  {"source", "given"},
                                                  {"active_uw", 5100000},
                                                  {"idle_uw", 1900000},
                                                  {"radio_pj_per_byte", 120000}});
  const Finished text = clinic.doctor(given);
  for (const char* line :
       {"clock       1200 MHz (given)", "throttling  now: nothing; since boot: nothing (given)",
        "memory      1024.0 MiB (given); also found: 500.0 MiB (available memory)",
        "energy      modelled: 5.1 W active", "temperature cpu-thermal 61.2 C"}) {
    CHECK_MESSAGE(text.out.find(line) != std::string::npos, line << "\n" << text.out);
  }
  const Finished refused = clinic.doctor({"--clock", "fast"});
  CHECK(refused.exit_code == static_cast<int>(ExitCode::kUsage));
  CHECK(refused.err.find("--clock: 'fast' is not a clock") != std::string::npos);
}

TEST_CASE("a profile of this model and processor is found, and a missing one said") {
  const Clinic clinic;
  const nlohmann::json before = clinic.doctor_json(ExitCode::kOk).at("profile");
  CHECK(before.at("found") == false);
  CHECK_FALSE(before.at("why").get<std::string>().empty());
  REQUIRE(run_agent({"profile", "--model", clinic.model, "--runs", "2", "--json"}).exit_code == 0);
  const nlohmann::json after = clinic.doctor_json(ExitCode::kOk).at("profile");
  CHECK(after.at("found") == true);
  CHECK(after.at("runs") == 2);
  CHECK(after.at("total_ns") > 0);
  const nlohmann::json threads = clinic.doctor_json(ExitCode::kOk, {"--threads", "2"});
  CHECK(threads.at("profile").at("found") == false);
  CHECK(threads.at("profile").at("why").get<std::string>().find("1 threads") != std::string::npos);
}

TEST_CASE("a flipped byte that matters: the self-test fails, and --verify says why") {
  const Clinic clinic;
  clinic.spoil_bias(5, 3, 0x40);
  const nlohmann::json found = clinic.doctor_json(ExitCode::kSelfTestFailed);
  CHECK(found.at("weights").at("verified") == false);
  CHECK(found.at("self_test").at("ok") == false);
  CHECK(found.at("self_test").at("max_difference") != 0);
  const nlohmann::json verified = clinic.doctor_json(ExitCode::kCorruptModel, {"--verify"});
  CHECK(verified.at("weights").at("ok") == false);
  CHECK(verified.at("weights").at("error").get<std::string>().find("SHA-256") != std::string::npos);
  CHECK(verified.at("self_test").at("ok") == false);
  const Finished text = clinic.doctor({"--verify"});
  CHECK(text.exit_code == static_cast<int>(ExitCode::kCorruptModel));
  CHECK(text.out.find("DAMAGED") != std::string::npos);
  CHECK(text.out.find("FAILED") != std::string::npos);
  CHECK(text.err.find(clinic.model) != std::string::npos);
}

TEST_CASE("a flipped byte too small for the self-test is found by --verify alone") {
  const Clinic clinic;
  clinic.spoil_bias(0, 0, 1);
  const nlohmann::json found = clinic.doctor_json(ExitCode::kOk);
  CHECK(found.at("self_test").at("ok") == true);
  CHECK(clinic.doctor_json(ExitCode::kCorruptModel, {"--verify"}).at("weights").at("ok") == false);
}

TEST_CASE("a file without a self-test says so") {
  const Workshop workshop;
  const std::string model = workshop.zoo("mobilenet_v2", {"--input", "32", "--width", "0.35"});
  const AgentRun run = run_agent({"doctor", "--model", model, "--json"});
  CHECK_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.records.at(0).at("self_test") == nlohmann::json{{"present", false}});
  const Finished text = run_program({agent_program(), "doctor", "--model", model});
  CHECK(text.out.find("self-test   none in this file") != std::string::npos);
}

TEST_CASE("no file, and a file that is no model") {
  const Workshop workshop;
  CHECK(run_agent({"doctor", "--model", workshop.path("none.cleave")}).exit_code ==
        static_cast<int>(ExitCode::kNotFound));
  CHECK(run_agent({"doctor", "--model", workshop.file("bad.cleave", "not a model")}).exit_code ==
        static_cast<int>(ExitCode::kCorruptModel));
}

}  // namespace cleave::test
