// `sluice gateway import FILE`: a client's configuration goes through the gate, with a backup beside it, and back.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "app/client_servers.h"
#include "app/commands.h"
#include "app/home.h"
#include "app/policy_file.h"
#include "app/trusted_file.h"
#include "base/json_spelling.h"
#include "gateway/visible_text.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxFile = 16 * kMiB;

struct Client {
  std::string path;  // without links: what is renamed is the file itself
  std::string backup;
  std::string text;
  FileMark mark;
  unsigned mode = 0600;
  Json document;
};

Result<Json> parse(const std::string& path, const std::string& text) {
  auto document = parse_spelled_json(text);
  if (!document) return fail(Code::kInvalid, fmt::format("{}: {}", path, document.error().message));
  return document;
}

Result<Client> load(const std::string& given) {
  std::error_code error;
  Client client;
  client.path = std::filesystem::canonical(absolute_path(given), error).string();
  if (error) return fail(Code::kNotFound, fmt::format("{} cannot be read: {}", given, error.message()));
  client.backup = client.path + ".before-sluice";
  SLUICE_TRY(client.text, load_trusted(client.path, kMaxFile, Readers::kAnybody, &client.mark));
  struct stat info {};
  if (::stat(client.path.c_str(), &info) == 0) client.mode = info.st_mode & 0777;
  SLUICE_TRY(client.document, parse(client.path, client.text));
  return client;
}

// The client may write its configuration, too.
Status replace(FileSystem& files, const Client& client, const std::string& text) {
  if (mark_of(client.path) != client.mark) {
    return fail(Code::kConflict, client.path + " has just been changed: end the client and try again");
  }
  SLUICE_CHECK(files.save_file(client.path, text));
  (void)::chmod(client.path.c_str(), client.mode);  // until then it is 0600
  return {};
}

Status back_up(FileSystem& files, const Client& client) {
  auto file = files.open(client.backup, OpenMode::kCreateNew);
  if (!file) {
    if (file.error().code != Code::kConflict) return tl::unexpected(file.error());
    return fail(Code::kConflict, client.backup + " is there already: `sluice gateway import FILE --undo` first");
  }
  Status written = (*file)->append(client.text);
  if (written) written = (*file)->sync();
  if (!written) (void)files.remove(client.backup);
  return written;
}

Result<GatedBy> gate_of(const Config& config) {
  GatedBy gate;
  if (config.engine.policy.empty()) return fail(Code::kInvalid, "`sluice gateway import` needs --policy FILE");
  gate.policy = absolute_path(config.engine.policy);
  const LoadedPolicy policy = load_policy(gate.policy, nullptr, ToolsOf::kOthers);
  if (!policy.engine) {
    return fail(Code::kRefused, policy.errors.empty() ? gate.policy + " cannot be used" : policy.errors.front());
  }
  std::error_code error;
  gate.program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) return fail(Code::kIo, "this program cannot tell where it is: " + error.message());
  if (config.home) gate.home = absolute_path(*config.home);
  return gate;
}

Status import_file(const Config& config, FileSystem& files) {
  SLUICE_TRY(const GatedBy gate, gate_of(config));
  SLUICE_TRY(Client client, load(config.file));
  auto imported = import_servers(client.document, gate);
  if (!imported) return fail(imported.error().code, client.path + ": " + imported.error().message);
  if (imported->empty()) {
    fmt::print("{}: all servers go through the gate already\n", client.path);
    return {};
  }
  SLUICE_CHECK(back_up(files, client));
  if (const Status replaced = replace(files, client, dump_indented(client.document, client.text)); !replaced) {
    (void)files.remove(client.backup);
    return replaced;
  }
  for (const ImportedServer& one : *imported) {
    fmt::print("{} goes through the gate as {}\n", gateway::visible_text(one.name), one.server);
  }
  fmt::print("What it was is in {}; --undo takes it back. Start the client anew.\n", client.backup);
  return {};
}

Status undo(const Config& config, FileSystem& files) {
  SLUICE_TRY(Client client, load(config.file));
  auto before = load_trusted(client.backup, kMaxFile);
  if (!before) return fail(Code::kNotFound, client.path + " has no backup: " + before.error().message);
  SLUICE_TRY(const Json old, parse(client.backup, *before));
  const auto count = restore_servers(client.document, old);
  if (!count) return fail(count.error().code, client.path + ": " + count.error().message);
  // What the client has changed besides is kept; where it has changed nothing, it is as it was to the octet.
  const bool same = client.document == old;
  SLUICE_CHECK(replace(files, client, same ? *before : dump_indented(client.document, client.text)));
  SLUICE_CHECK(files.remove(client.backup));
  fmt::print("{}: {} servers are as they were\n", client.path, *count);
  return {};
}

}  // namespace

int run_gateway_import(const Config& config) {
  SystemFileSystem files;
  const Status done = config.undo ? undo(config, files) : import_file(config, files);
  return done ? 0 : report(done.error());
}

}  // namespace sluice::app
