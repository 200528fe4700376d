// `sluice ca`, `sluice tools` and `sluice doctor`: they need no running `serve`.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "app/commands.h"
#include "app/home.h"
#include "tls/authority.h"
#include "tools/tool.h"

namespace sluice::app {
namespace {

int show_ca(const Config& config, const Home& home, const tls::CertificateAuthority& ca) {
  if (config.json) {
    fmt::print("{}\n", dump_json(Json{{"subject", ca.subject()},
                                      {"sha256", ca.sha256_fingerprint()},
                                      {"spki_sha256", ca.spki_sha256_base64()},
                                      {"not_after", iso8601_ms(ca.not_after())},
                                      {"pem", home.ca_pem()}}));
    return 0;
  }
  fmt::print("Subject      {}\nSHA-256      {}\nSPKI SHA-256 {}\nValid until  {}\nFile         {}\n", ca.subject(),
             ca.sha256_fingerprint(), ca.spki_sha256_base64(), iso8601_ms(ca.not_after()), home.ca_pem());
  return 0;
}

int export_ca(const Config& config, FileSystem& files, const tls::CertificateAuthority& ca) {
  const bool der = config.subject.ends_with(".der") || config.subject.ends_with(".crt");
  const std::string& octets = der ? ca.certificate_der() : ca.certificate_pem();
  if (config.subject.empty() || config.subject == "-") {
    std::fwrite(octets.data(), 1, octets.size(), stdout);
    return 0;
  }
  std::string path = config.subject;
  if (!path.starts_with('/')) {
    char here[4096];
    if (::getcwd(here, sizeof here)) path = std::string(here) + "/" + path;
  }
  if (const Status saved = files.save_file(path, octets); !saved) return report(saved.error());
  ::chmod(path.c_str(), 0644);  // a certificate is public, and other programs have to read it
  return 0;
}

// The old key and certificate stay beside the new ones, under names that nothing reads.
int rotate_ca(const Config& config, FileSystem& files, const Home& home, const Clock& clock, Entropy& entropy) {
  const std::string stamp = std::to_string(unix_ms(clock.wall()));
  for (const char* name : {"/ca-key.pem", "/ca-cert.pem"}) {
    const std::string path = home.ca() + name;
    if (!files.exists(path)) continue;
    if (const Status moved = files.rename(path, path + "." + stamp); !moved) return report(moved.error());
  }
  const auto ca = tls::CertificateAuthority::load_or_create(files, home.ca(), clock, entropy);
  if (!ca) return report({Code::kIo, ca.error().message});  // not wrong usage
  fmt::print(stderr, "A new CA was made. Clients have to trust it; running Sluice processes use it after a restart.\n");
  return show_ca(config, home, **ca);
}

struct Finding {
  std::string check, state, advice;  // state: ok, note, problem
};

void check_programs(std::vector<Finding>& findings) {
  const char* path = std::getenv("PATH");
  const auto has = [&](const std::string& program) {
    std::string rest = path ? path : "";
    for (std::size_t begin = 0; begin <= rest.size();) {
      const std::size_t end = std::min(rest.find(':', begin), rest.size());
      if (::access((rest.substr(begin, end - begin) + "/" + program).c_str(), X_OK) == 0) return true;
      begin = end + 1;
    }
    return false;
  };
  if (!has("certutil")) {
    findings.push_back(
        {"certutil", "note",
         "needed to add the CA to a browser profile from the command line: apt-get install libnss3-tools"});
  }
}

// Makes none: to look at a home changes nothing there.
Finding look_at_ca(FileSystem& files, const Home& home, const Clock& clock, Entropy& entropy) {
  const auto finding = [](std::string state, std::string text) {
    return Finding{"certificate authority", std::move(state), std::move(text)};
  };
  if (::access((home.ca() + "/ca-key.pem").c_str(), F_OK) != 0) return finding("note", "none yet: serve makes one");
  const auto ca = tls::CertificateAuthority::load_or_create(files, home.ca(), clock, entropy);
  if (!ca) return finding("problem", ca.error().message);
  return finding("ok", (*ca)->subject() + ", valid until " + iso8601_ms((*ca)->not_after()));
}

}  // namespace

int run_ca(const Config& config) {
  SystemFileSystem files;
  SystemClock clock;
  SystemEntropy entropy;
  const auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  if (config.action == "rotate") return rotate_ca(config, files, *home, clock, entropy);
  const auto ca = tls::CertificateAuthority::load_or_create(files, home->ca(), clock, entropy);
  if (!ca) return report({Code::kIo, ca.error().message});  // not wrong usage
  return config.action == "export" ? export_ca(config, files, **ca) : show_ca(config, *home, **ca);
}

int run_tools(const Config& config) {
  const std::vector<tools::Tool> all = tools::all_tools();
  if (config.markdown) {
    fmt::print("{}", tools::tools_markdown(all));
    return 0;
  }
  Json list = Json::array();
  for (const tools::Tool& tool : all) {
    if (!tools::belongs_to(tool, config.engine.toolset)) continue;
    if (config.json) {
      list.push_back(Json{{"name", tool.name},
                          {"group", tool.group},
                          {"risk", tools::to_string(tool.risk)},
                          {"summary", tool.summary},
                          {"inputSchema", tools::input_schema(tool)}});
    } else {
      fmt::print("{:<28} {:<12} {}\n", tool.name, tools::to_string(tool.risk), tool.summary);
    }
  }
  if (config.json) fmt::print("{}\n", dump_json(list, JsonStyle::kIndented));
  return 0;
}

int run_doctor(const Config& config) {
  SystemFileSystem files;
  SystemClock clock;
  SystemEntropy entropy;
  std::vector<Finding> findings;
  const auto home = Home::open(files, config.home);
  if (!home) {
    findings.push_back({"home", "problem", home.error().message});
  } else {
    findings.push_back({"home", "ok", home->path()});
    struct stat info {};
    if (::stat(home->path().c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
      findings.push_back({"home permissions", "problem", "others can look into it: chmod 700 " + home->path()});
    }
    findings.push_back(look_at_ca(files, *home, clock, entropy));
    const auto running = find_running(files, *home);
    if (running.empty()) findings.push_back({"sluice serve", "note", "none runs on this home"});
    for (const RunningServe& serve : running)
      findings.push_back({"sluice serve", "ok", fmt::format("pid {}", serve.pid)});
  }
  if (::geteuid() == 0) {
    findings.push_back(
        {"user", "note",
         "running as root; whoever can act as Sluice's user owns it: prefer a user of its own (docs/security.md)"});
  } else {
    findings.push_back({"user", "note",
                        "whoever can act as this Unix user owns Sluice: for agents that run programs, use a user of "
                        "its own (docs/security.md)"});
  }
  rlimit open_files{};
  ::getrlimit(RLIMIT_NOFILE, &open_files);
  findings.push_back({"open files", open_files.rlim_max < 65'536 ? "note" : "ok",
                      fmt::format("at most {}; 10,000 connections need about 20,100", open_files.rlim_max)});
  if (!config.proxy_variable.empty()) {
    findings.push_back(
        {"environment", "note",
         config.proxy_variable +
             " is set; Sluice itself ignores it without --upstream env, programs that you start do not"});
  }
  check_programs(findings);

  bool problem = false;
  Json list = Json::array();
  for (const Finding& finding : findings) {
    problem |= finding.state == "problem";
    if (config.json)
      list.push_back(Json{{"check", finding.check}, {"state", finding.state}, {"text", finding.advice}});
    else
      fmt::print("{:<8} {:<22} {}\n", finding.state, finding.check, finding.advice);
  }
  if (config.json) fmt::print("{}\n", dump_json(list, JsonStyle::kIndented));
  return problem ? 1 : 0;
}

}  // namespace sluice::app
