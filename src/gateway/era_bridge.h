// Between a relay and its server: learns which eras the server has, passes everything unchanged where it has the
// client's own, and translates where it has only the other (gate.md 9). The relay, and the gate behind it, see one
// server of their client's era. A legacy client's `initialize` goes to the server as it is, and `server/discover` is
// tried where that is refused; for a modern client it is the other way round, and the session is the bridge's.
//
// Messages in, messages out; no descriptors, no threads, time by the clock. Control thread only. Held by shared_ptr.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/era_link.h"

namespace sluice::gateway {

class EraBridge final : public std::enable_shared_from_this<EraBridge> {
 public:
  static constexpr std::chrono::seconds kProbe{20};   // for the answer to `server/discover`: a program may start slowly
  static constexpr std::size_t kMaxQueue = 16 << 20;  // octets of the client until it is known what the server speaks
  static constexpr std::size_t kMaxNotices = 100;

  static std::shared_ptr<EraBridge> create(EraLink::Wires wires);

  // The relay's side: what it says to its server.
  void from_relay(std::string text);
  // The server's.
  void from_server(std::string_view text, mcp::SentKey on = {});
  bool waits(mcp::SentKey key) const { return link_.waits(key); }  // for a request of the bridge's own
  void lost(mcp::SentKey key, const mcp::RpcError& error, bool unsent);
  void too_long();
  void session_lost();
  // Now and then.
  void tick();
  bool translates() const { return translator_ != nullptr; }
  std::size_t queued() const { return queued_; }  // octets that wait until it is known what the server speaks

 private:
  enum class Mode { kNew, kLearning, kSame, kTranslating };
  // What the client began with, while the server's eras are being learnt.
  struct Opening {
    mcp::Request first;
    mcp::SentKey key;       // of that request, where the server was given it
    bool modern = false;    // the client's era
    bool probing = false;   // the other era is being tried
    MonoTime until{};       // for the answer to `server/discover`
    EraLink::Answered why;  // the server's refusal in the client's own era
    mcp::SentKey discover;  // of the bridge's own
  };

  explicit EraBridge(EraLink::Wires wires) : link_(std::move(wires)) {}
  void begin(mcp::Request request, std::string text);
  void on_first_answer(EraLink::Answered answered, std::string_view text);
  void on_discovered(EraLink::Answered answered);
  void open_session();
  void try_modern();
  void pass_unchanged(EraLink::Answered answered, std::string_view text);
  void translate(std::unique_ptr<EraTranslator> translator);
  void fail_opening();
  void queue(std::string text);
  void flush();
  void note(std::string_view text);

  EraLink link_;
  Mode mode_ = Mode::kNew;
  std::unique_ptr<Opening> opening_;
  std::vector<std::string> queue_;
  std::size_t queued_ = 0;  // octets
  std::unique_ptr<EraTranslator> translator_;
  std::size_t notices_ = 0;
};

}  // namespace sluice::gateway
