#include "net/process_lookup.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace sluice::net {
namespace {

constexpr std::size_t kMaxPending = 1024;
constexpr std::size_t kRecent = 8;
constexpr int kShare = 20;                        // one part in twenty of a core at most,
constexpr std::chrono::milliseconds kBurst{200};  // with this much saved up for a burst of new connections

// The spelling of /proc/net/tcp: each 32-bit word of the address in host order, then the port, in upper-case hex.
std::string proc_spelling(const SocketDiag::Endpoint& end, bool as_v6) {
  const auto address = end.address();
  std::string out;
  char word[16];
  const auto add = [&](const unsigned char* octets) {
    std::uint32_t value;
    std::memcpy(&value, octets, 4);
    std::snprintf(word, sizeof word, "%08X", value);
    out += word;
  };
  if (address.is_v4() && !as_v6) {
    add(address.to_v4().to_bytes().data());
  } else {
    const auto v6 = address.is_v6() ? address.to_v6()
                                    : boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4());
    const auto bytes = v6.to_bytes();
    for (int i = 0; i < 16; i += 4) add(bytes.data() + i);
  }
  std::snprintf(word, sizeof word, ":%04X", end.port());
  return out + word;
}

// local address spelling → inode, for the ones that are wanted.
void read_table(const char* path, std::unordered_map<std::string, std::uint64_t>& wanted) {
  std::ifstream table(path);
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string slot, local, skip;
    std::uint64_t inode = 0;
    fields >> slot >> local;
    const auto found = wanted.find(local);
    if (found == wanted.end()) continue;
    for (int i = 0; i < 7; ++i) fields >> skip;
    fields >> inode;
    if (inode != 0) found->second = inode;
  }
}

}  // namespace

void ProcessLookup::add(Endpoint client, Endpoint server, std::function<void(FoundProcess)> done) {
  std::lock_guard lock(mutex_);
  if (queue_.size() < kMaxPending) queue_.push_back({std::move(client), std::move(server), std::move(done)});
}

void ProcessLookup::poll() {
  const MonoTime begin = clock_.mono();
  allowance_ = std::min<Duration>(allowance_ + (begin - refilled_) / kShare, kBurst);
  refilled_ = begin;
  std::vector<Pending> batch;
  {
    std::lock_guard lock(mutex_);
    if (queue_.empty() || allowance_ < Duration::zero()) return;
    batch.swap(queue_);
  }
  resolve(batch);
  allowance_ -= clock_.mono() - begin;
}

ProcessLookup::Wanted ProcessLookup::read_tables(const std::vector<Pending>& batch) {
  std::unordered_map<std::string, std::uint64_t> v4, v6;
  for (const Pending& pending : batch) {
    v4.emplace(proc_spelling(pending.client, false), 0);
    v6.emplace(proc_spelling(pending.client, true), 0);
  }
  read_table("/proc/net/tcp", v4);
  read_table("/proc/net/tcp6", v6);
  Wanted wanted;
  for (const Pending& pending : batch) {
    std::uint64_t inode = v4[proc_spelling(pending.client, false)];
    if (inode == 0) inode = v6[proc_spelling(pending.client, true)];
    if (inode != 0) wanted[inode].push_back(&pending);
  }
  return wanted;
}

ProcessLookup::Wanted ProcessLookup::ask_kernel(const std::vector<Pending>& batch) {
  Wanted wanted;
  for (const Pending& pending : batch) {
    const auto owner = diag_->find(pending.client, pending.server);
    // Descriptors of others' processes are not to be seen, save by root.
    if (owner && (::geteuid() == 0 || owner->user == ::geteuid())) wanted[owner->inode].push_back(&pending);
  }
  return wanted;
}

// Who closed its socket meanwhile is not worth a walk through all processes.
void ProcessLookup::drop_hopeless(Wanted& wanted) {
  if (!diag_) return;
  std::erase_if(wanted, [&](const auto& entry) {
    const Pending& one = *entry.second.front();
    return !diag_->find(one.client, one.server);
  });
}

void ProcessLookup::resolve(const std::vector<Pending>& batch) {
  Wanted wanted = diag_ ? ask_kernel(batch) : read_tables(batch);
  for (auto pid = recent_.rbegin(); pid != recent_.rend() && !wanted.empty(); ++pid) look_in(*pid, wanted);
  drop_hopeless(wanted);
  if (wanted.empty()) return;
  std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return;
  std::vector<int> found;
  while (const dirent* entry = ::readdir(proc.get())) {
    if (wanted.empty()) break;
    int pid = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr != end || pid <= 0) continue;
    if (look_in(pid, wanted)) found.push_back(pid);
  }
  recent_.insert(recent_.end(), found.begin(), found.end());
  if (recent_.size() > kRecent) recent_.erase(recent_.begin(), recent_.end() - kRecent);
}

bool ProcessLookup::look_in(int pid, Wanted& wanted) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  std::unique_ptr<DIR, int (*)(DIR*)> fds(::opendir(directory.c_str()), ::closedir);
  if (!fds) return false;
  bool any = false;
  while (const dirent* entry = ::readdir(fds.get())) {
    char target[64];
    const ssize_t length = ::readlinkat(::dirfd(fds.get()), entry->d_name, target, sizeof target - 1);
    if (length < 10 || std::memcmp(target, "socket:[", 8) != 0) continue;
    std::uint64_t inode = 0;
    std::from_chars(target + 8, target + length, inode);
    const auto found = wanted.find(inode);
    if (found == wanted.end()) continue;
    std::string name;
    std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
    for (const Pending* pending : found->second) pending->done({pid, name});
    wanted.erase(found);
    any = true;
  }
  return any;
}

}  // namespace sluice::net
