#include "app/gateway_run.h"

#include <utility>

#include "app/gateway_servers.h"
#include "base/json.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxFile = 256 * kKiB;
constexpr std::string_view kEnd = ".json";

std::string directory_of(const Home& home) { return home.path() + "/servers"; }

std::string text_of(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_string() ? value->get<std::string>() : "";
}

}  // namespace

GatewayRunFile::GatewayRunFile(const Home& home, FileSystem& files, const Clock& clock, GatewayRun run)
    : files_(files), clock_(clock), directory_(directory_of(home)), run_(std::move(run)) {
  run_.started = now();
  write();
}

GatewayRunFile::~GatewayRunFile() {
  run_.ended = now();
  fresh_ = true;
  write();
}

std::string GatewayRunFile::now() const { return iso8601_ms(clock_.wall()); }

void GatewayRunFile::say(std::string_view text) {
  if (run_.said.size() == kMaxSaid) run_.said.erase(run_.said.begin());
  run_.said.push_back(now() + " " + std::string(text));
  fresh_ = true;
}

void GatewayRunFile::write() {
  if (!std::exchange(fresh_, false)) return;
  const Json content{{"policy", run_.policy},   {"grant", run_.grant}, {"pid", run_.pid},
                     {"started", run_.started}, {"ended", run_.ended}, {"said", run_.said}};
  if (!files_.make_directories(directory_)) return;
  (void)files_.save_file(directory_ + "/" + run_.server + std::string(kEnd), dump_json(content) + "\n");
}

std::vector<GatewayRun> load_gateway_runs(const Home& home, FileSystem& files) {
  std::vector<GatewayRun> runs;
  const std::string directory = directory_of(home);
  const auto names = files.list(directory);
  if (!names) return runs;
  for (const std::string& file : *names) {
    if (!file.ends_with(kEnd)) continue;
    const std::string server = file.substr(0, file.size() - kEnd.size());
    if (!is_server_name(server)) continue;
    const auto text = files.load_file(directory + "/" + file, kMaxFile);
    const auto content = text ? parse_json(*text) : fail(Code::kNotFound, "");
    if (!content || !content->is_object()) continue;
    GatewayRun run{server, text_of(*content, "policy"),  text_of(*content, "grant"),
                   0,      text_of(*content, "started"), text_of(*content, "ended"),
                   {}};
    if (const Json* pid = find_member(*content, "pid"); pid && pid->is_number_integer()) run.pid = pid->get<int>();
    if (const Json* said = find_member(*content, "said"); said && said->is_array()) {
      for (const Json& one : *said) {
        if (one.is_string()) run.said.push_back(one.get<std::string>());
      }
    }
    runs.push_back(std::move(run));
  }
  return runs;
}

}  // namespace sluice::app
