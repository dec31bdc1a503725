// SPDX-License-Identifier: Apache-2.0
#include "agent/decision_trace.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/trace_codecs.h"
#include "agent/trace_fields.h"

namespace cleave::agent {
namespace {

using Json = TraceJson;

constexpr std::uint64_t kTraceVersion = 4;
constexpr std::uint64_t kOldestTraceVersion = 2;

constexpr TraceNumber<HandshakeSeen> kHandshakeNumbers[] = {{"rtt_ns", &HandshakeSeen::rtt_ns},
                                                            {"input_ns", &HandshakeSeen::input_ns}};
constexpr TraceNumber<Situation> kSituationNumbers[] = {{"now_ns", &Situation::now_ns},
                                                        {"file_bytes", &Situation::file_bytes}};
constexpr TraceFlag<Situation> kSituationFlags[] = {{"has_server", &Situation::has_server},
                                                    {"reached", &Situation::reached}};
constexpr TraceNumber<PictureCost> kPictureNumbers[] = {
    {"sent_file_bytes", &PictureCost::file_bytes}};
constexpr TraceFlag<PictureCost> kPictureFlags[] = {{"is_jpeg", &PictureCost::is_jpeg}};
constexpr TraceNumber<planner::Caps> kCapNumbers[] = {
    {"ram_bytes", &planner::Caps::ram_bytes},
    {"storage_bytes", &planner::Caps::storage_bytes},
    {"deadline_ns", &planner::Caps::deadline_ns},
    {"energy_budget_uj", &planner::Caps::energy_budget_uj},
    {"cost_bound_ueur", &planner::Caps::cost_bound_ueur}};
constexpr TraceFlag<planner::Caps> kCapFlags[] = {
    {"server_refused", &planner::Caps::server_refused}};
constexpr TraceNumber<Outcome> kOutcomeNumbers[] = {
    {"now_ns", &Outcome::now_ns},        {"file_bytes", &Outcome::file_bytes},
    {"input_ns", &Outcome::input_ns},    {"head_ns", &Outcome::head_ns},
    {"bytes_up", &Outcome::bytes_up},    {"link_ns", &Outcome::link_ns},
    {"decode_ns", &Outcome::decode_ns},  {"residence_ns", &Outcome::residence_ns},
    {"compute_ns", &Outcome::compute_ns}};
constexpr TraceFlag<Outcome> kOutcomeFlags[] = {{"decoded", &Outcome::decoded},
                                                {"sent_jpeg", &Outcome::sent_jpeg}};
constexpr TraceNumber<PartTimes> kPartNumbers[] = {{"edge_ns", &PartTimes::edge_ns},
                                                   {"link_ns", &PartTimes::link_ns},
                                                   {"server_ns", &PartTimes::server_ns}};
constexpr TraceNumber<TraceStart> kStartNumbers[] = {
    {"overhead_bytes", &TraceStart::overhead_bytes}};
constexpr TraceNumber<EdgeTable> kTableNumbers[] = {{"input_ns", &EdgeTable::input_ns}};
constexpr TraceFlag<TraceStart> kStartFlags[] = {
    {"has_weight_cache", &TraceStart::has_weight_cache}};
constexpr TraceNumber<OnlineOptions> kOptionNumbers[] = {
    {"timeout_ns", &OnlineOptions::timeout_ns}, {"link_drift_ns", &OnlineOptions::link_drift_ns}};
constexpr TraceFlag<OnlineOptions> kOptionFlags[] = {{"keep_link", &OnlineOptions::keep_link},
                                                     {"keep_rtt", &OnlineOptions::keep_rtt}};
constexpr TraceNumber<planner::Link> kLinkNumbers[] = {
    {"bandwidth_bps", &planner::Link::bandwidth_bps}, {"rtt_ns", &planner::Link::rtt_ns}};
constexpr TraceNumber<planner::EnergyModel> kEnergyNumbers[] = {
    {"compute_uw", &planner::EnergyModel::compute_uw},
    {"radio_pj_per_byte", &planner::EnergyModel::radio_pj_per_byte},
    {"idle_uw", &planner::EnergyModel::idle_uw}};
constexpr TraceNumber<planner::Prices> kPriceNumbers[] = {
    {"requests", &planner::Prices::requests},
    {"server_ueur_per_hour", &planner::Prices::server_ueur_per_hour},
    {"egress_ueur_per_gb", &planner::Prices::egress_ueur_per_gb},
    {"energy_ueur_per_kwh", &planner::Prices::energy_ueur_per_kwh}};
constexpr TraceNumber<planner::Request> kRequestNumbers[] = {{"budget", &planner::Request::budget},
                                                             {"seed", &planner::Request::seed}};

// Names and messages are bytes, JSON is UTF-8: what is not is replaced, never a reason to fail.
std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json speed_json(const DeviceSpeed& speed) {
  return {{"clock_khz", speed.clock_khz}, {"cores", speed.cores}};
}

DeviceSpeed read_speed(TraceFields& fields) {
  return {.clock_khz = static_cast<std::uint32_t>(fields.number("clock_khz", UINT32_MAX)),
          .cores = static_cast<std::uint32_t>(fields.number("cores", UINT32_MAX))};
}

// The speed in the object called `name`; what is none spoils `fields`.
DeviceSpeed read_speed(TraceFields& fields, const char* name) {
  TraceFields inner(fields.object(name));
  const DeviceSpeed speed = read_speed(inner);
  fields.require(inner.good());
  return speed;
}

Json start_json(const TraceStart& start) {
  Json json{{"event", "start"},
            {"version", kTraceVersion},
            {"model", to_hex(start.model_identity)},
            {"variant", start.variant},
            {"prefer", preference_name(start.preference)}};
  json["codecs"] = trace_codecs_json(start.codecs);
  put_fields(json, start, kStartNumbers);
  put_fields(json, start, kStartFlags);
  put_fields(json, start.options, kOptionNumbers);
  put_fields(json, start.options, kOptionFlags);
  put_fields(json, start.options.initial_link, kLinkNumbers);
  put_fields(json, start.options.energy, kEnergyNumbers);
  put_fields(json, start.options.prices, kPriceNumbers);
  json["pick"] = static_cast<unsigned>(start.options.pick);
  const planner::Request& request = start.options.request;
  put_fields(json, request, kRequestNumbers);
  json["policy"] = static_cast<unsigned>(request.policy);
  json["rank"] = static_cast<unsigned>(request.rank);
  json["optimized"] = static_cast<unsigned>(request.objectives.optimized);
  json["constrained"] = static_cast<unsigned>(request.objectives.constrained);
  json["factor"] = {request.factor.numerator, request.factor.denominator};
  put_fields(json, start.table, kTableNumbers);
  json["threads"] = start.table.threads;
  json["measured_at"] = speed_json(start.table.speed);
  json["speed"] = speed_json(start.speed);
  json["op_ns"] = start.table.op_ns;
  return json;
}

planner::Request read_request(TraceFields& fields) {
  planner::Request request;
  fields.get(request, kRequestNumbers);
  // The planner itself refuses enumerators that it does not know.
  request.policy = static_cast<planner::Policy>(fields.number("policy", UINT8_MAX));
  request.rank = static_cast<planner::Rank>(fields.number("rank", UINT8_MAX));
  request.objectives.optimized =
      static_cast<planner::Objective>(fields.number("optimized", UINT8_MAX));
  request.objectives.constrained =
      static_cast<planner::Objective>(fields.number("constrained", UINT8_MAX));
  const std::vector<std::uint64_t> factor = fields.numbers("factor");
  fields.require(factor.size() == 2);
  if (factor.size() == 2) {
    request.factor = {static_cast<std::uint32_t>(factor[0]), static_cast<std::uint32_t>(factor[1])};
  }
  return request;
}

TraceStart read_start(TraceFields& fields) {
  TraceStart start;
  start.variant = static_cast<std::uint32_t>(fields.number("variant", UINT32_MAX));
  const std::string prefer = fields.text("prefer");
  start.preference =
      prefer == preference_name(Preference::kMemory) ? Preference::kMemory : Preference::kSpeed;
  fields.require(prefer == preference_name(start.preference));
  fields.get(start, kStartNumbers);
  fields.get(start, kStartFlags);
  fields.get(start.options, kOptionNumbers);
  fields.get(start.options, kOptionFlags);
  fields.get(start.options.initial_link, kLinkNumbers);
  fields.get(start.options.energy, kEnergyNumbers);
  fields.get(start.options.prices, kPriceNumbers);
  start.options.pick =
      static_cast<FrontPick>(fields.number("pick", static_cast<unsigned>(FrontPick::kBest)));
  start.options.request = read_request(fields);
  fields.get(start.table, kTableNumbers);
  start.table.threads = static_cast<std::uint32_t>(fields.number("threads", UINT32_MAX));
  start.table.speed = read_speed(fields, "measured_at");
  start.speed = read_speed(fields, "speed");
  start.table.op_ns = fields.numbers("op_ns");
  return start;
}

Json choice_json(const Result<Choice>& choice, std::uint64_t version = kTraceVersion) {
  if (!choice.is_ok()) return {{"error", choice.status().message()}};
  Json json{{"split", choice->split.layers_on_device},
            {"op", choice->split.op_boundary},
            {"fallback", choice->fallback}};
  if (choice->split.op_boundary == 0) json["sends_file"] = choice->sends_file;
  if (version >= 3 && choice->codec != CodecChoice{}) json["codec"] = codec_name(choice->codec);
  if (!choice->bounds_missed.empty()) json["bounds_missed"] = choice->bounds_missed;
  put_fields(json, choice->predicted, kPartNumbers);
  return json;
}

HandshakeSeen read_handshake(TraceFields& fields, std::uint64_t version) {
  HandshakeSeen seen;
  fields.get(seen, kHandshakeNumbers);
  seen.op_ns = fields.numbers("op_ns");
  if (version < 3) return seen;
  seen.decode_ns = fields.numbers("decode_ns", planner::kMaxCandidates);
  seen.takes_codecs = fields.flag("takes_codecs");
  if (version >= 4) seen.takes_model_jpegs = fields.flag("takes_model_jpegs");
  return seen;
}

Situation read_situation(TraceFields& fields) {
  Situation situation;
  fields.get(situation, kSituationNumbers);
  fields.get(situation, kSituationFlags);
  fields.get(situation.picture, kPictureNumbers);
  fields.get(situation.picture, kPictureFlags);
  fields.get(situation.caps, kCapNumbers);
  fields.get(situation.caps, kCapFlags);
  situation.caps.disagreement_ppm =
      static_cast<std::uint32_t>(fields.number("disagreement_ppm", UINT32_MAX));
  situation.caps.min_split = static_cast<std::uint16_t>(fields.number("min_split", UINT16_MAX));
  situation.unreached_why = fields.text("unreached_why");
  return situation;
}

Outcome read_outcome(TraceFields& fields, std::size_t ops) {
  Outcome outcome;
  fields.get(outcome, kOutcomeNumbers);
  fields.get(outcome, kOutcomeFlags);
  outcome.op_boundary = static_cast<std::uint32_t>(fields.number("op", ops));
  if (!fields.has("codec")) return outcome;
  const auto codec = find_codec(fields.text("codec"));
  fields.require(codec.has_value());
  outcome.codec = codec.value_or(CodecChoice{});
  return outcome;
}

// A trace being replayed, a line at a time.
class Replayer {
 public:
  Replayer(SplitPlanner splits, const OnlineOptions& options, std::uint64_t version)
      : splits_(std::move(splits)), planner_(&splits_, options), version_(version) {}

  // False: the line is not one of a trace.
  bool take(const Json& json, std::size_t line) {
    TraceFields fields(json);
    const std::string event = fields.text("event");
    if (event == "handshake") {
      const HandshakeSeen seen = read_handshake(fields, version_);
      return fields.good() && planner_.take_handshake(seen).is_ok();
    }
    if (event == "speed") {
      const DeviceSpeed now = read_speed(fields);
      if (fields.good()) planner_.take_speed(now);
      return fields.good();
    }
    if (event == "outcome") {
      const Outcome outcome = read_outcome(fields, splits_.edge_table().op_ns.size());
      if (fields.good()) planner_.observe(outcome);
      return fields.good();
    }
    if (event != "choice") return false;
    const Situation situation = read_situation(fields);
    if (!fields.good() || !json.contains("choice")) return false;
    compare(json["choice"], choice_json(planner_.choose(situation), version_), line);
    return true;
  }

  [[nodiscard]] const Replay& result() const { return result_; }

 private:
  void compare(const Json& was, const Json& is, std::size_t line) {
    ++result_.decisions;
    if (was == is) return;
    if (result_.different++ == 0) {
      result_.first_difference =
          "line " + std::to_string(line) + ": was " + was.dump() + ", is " + is.dump();
    }
  }

  SplitPlanner splits_;
  OnlinePlanner planner_;
  std::uint64_t version_;
  Replay result_;
};

Status damaged(const std::string& path, std::size_t line) {
  return {StatusCode::kCorrupt,
          path + ": line " + std::to_string(line) + " is not one of a decision trace"};
}

constexpr int kMostTraceDepth = 8;

Result<Json> read_trace_line(std::istream& file, const std::string& path, std::size_t line) {
  std::string text;
  // Bounded: a file without line ends is no trace, and not read into memory whole.
  for (int c = file.get(); c != std::istream::traits_type::eof() && c != '\n'; c = file.get()) {
    if (text.size() >= kMaxTraceLineBytes) return damaged(path, line);
    text.push_back(static_cast<char>(c));
  }
  // What is nested deeper than a trace is dropped unbuilt: copying and freeing it would recurse.
  bool too_deep = false;
  const auto shallow = [&](int depth, Json::parse_event_t, const Json&) {
    too_deep = too_deep || depth > kMostTraceDepth;
    return !too_deep;
  };
  const Json json = Json::parse(text, shallow, /*allow_exceptions=*/false);
  if (too_deep || json.is_discarded() || !json.is_object()) return damaged(path, line);
  return json;
}

struct CheckedStart {
  TraceStart start;
  std::uint64_t version = kTraceVersion;
};

Result<CheckedStart> check_start(const Json& json, const std::string& path,
                                 const ModelFile& model) {
  TraceFields fields(json);
  const bool is_start = fields.text("event") == "start";
  const std::uint64_t version = fields.number("version");
  if (!is_start || version < kOldestTraceVersion || version > kTraceVersion) {
    return Status(StatusCode::kCorrupt, path + " is no decision trace of version " +
                                            std::to_string(kOldestTraceVersion) + " to " +
                                            std::to_string(kTraceVersion));
  }
  if (fields.text("model") != to_hex(model.identity())) {
    return Status(StatusCode::kMismatch, path + " is of another model");
  }
  TraceStart start = read_start(fields);
  if (!fields.good() || start.variant >= model.header().variants()->size()) return damaged(path, 1);
  if (version >= 3) {
    start.codecs = read_trace_codecs(fields);
  } else {
    CLEAVE_ASSIGN_OR_RETURN(start.codecs, read_trace_codec_of_all(fields, model, start.variant));
  }
  if (!fields.good()) return damaged(path, 1);
  return CheckedStart{std::move(start), version};
}

Result<SplitPlanner> splits_of(const TraceStart& start, const ModelFile& model,
                               const std::string& path) {
  CLEAVE_ASSIGN_OR_RETURN(SplitPlanner splits,
                          SplitPlanner::create(model, start.variant, start.overhead_bytes,
                                               start.has_weight_cache, start.preference));
  if (!splits.use_codecs(start.codecs).is_ok()) return damaged(path, 1);
  if (!splits.set_edge_table(start.table).is_ok()) return damaged(path, 1);
  splits.set_device_speed(start.speed);
  return splits;
}

}  // namespace

DecisionTrace::DecisionTrace(const std::string& path)
    : path_(path), file_(path, std::ios::binary | std::ios::trunc) {}

Result<DecisionTrace> DecisionTrace::create(const std::string& path, const TraceStart& start) {
  DecisionTrace trace(path);
  trace.file_ << line_of(start_json(start));
  CLEAVE_RETURN_IF_ERROR(trace.finish());
  return trace;
}

void DecisionTrace::write(const HandshakeSeen& seen) {
  Json json{{"event", "handshake"}};
  put_fields(json, seen, kHandshakeNumbers);
  json["op_ns"] = seen.op_ns;
  json["decode_ns"] = seen.decode_ns;
  json["takes_codecs"] = seen.takes_codecs;
  json["takes_model_jpegs"] = seen.takes_model_jpegs;
  file_ << line_of(json);
}

void DecisionTrace::write(const DeviceSpeed& now) {
  Json json{{"event", "speed"}};
  json.update(speed_json(now));
  file_ << line_of(json);
}

void DecisionTrace::write(const Situation& situation, const Result<Choice>& choice) {
  Json json{{"event", "choice"}};
  put_fields(json, situation, kSituationNumbers);
  put_fields(json, situation, kSituationFlags);
  put_fields(json, situation.picture, kPictureNumbers);
  put_fields(json, situation.picture, kPictureFlags);
  put_fields(json, situation.caps, kCapNumbers);
  put_fields(json, situation.caps, kCapFlags);
  json["disagreement_ppm"] = situation.caps.disagreement_ppm;
  json["min_split"] = situation.caps.min_split;
  json["unreached_why"] = situation.unreached_why;
  json["choice"] = choice_json(choice);
  file_ << line_of(json);
}

void DecisionTrace::write(const Outcome& outcome) {
  Json json{{"event", "outcome"}, {"op", outcome.op_boundary}};
  put_fields(json, outcome, kOutcomeNumbers);
  put_fields(json, outcome, kOutcomeFlags);
  if (outcome.codec != CodecChoice{}) json["codec"] = codec_name(outcome.codec);
  file_ << line_of(json);
}

Status DecisionTrace::finish() {
  file_.flush();
  if (!file_) return {StatusCode::kIo, "cannot write the trace " + path_};
  return Status::ok();
}

Result<Replay> replay_trace(const std::string& path, const ModelFile& model) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status(StatusCode::kNotFound, "no trace at " + path);
  CLEAVE_ASSIGN_OR_RETURN(const Json first, read_trace_line(file, path, 1));
  CLEAVE_ASSIGN_OR_RETURN(const CheckedStart checked, check_start(first, path, model));
  CLEAVE_ASSIGN_OR_RETURN(SplitPlanner splits, splits_of(checked.start, model, path));
  Replayer replayer(std::move(splits), checked.start.options, checked.version);
  for (std::size_t line = 2; file.peek() != std::ifstream::traits_type::eof(); ++line) {
    if (line > kMaxTraceLines) return damaged(path, line);
    CLEAVE_ASSIGN_OR_RETURN(const Json json, read_trace_line(file, path, line));
    if (!replayer.take(json, line)) return damaged(path, line);
  }
  return replayer.result();
}

}  // namespace cleave::agent
