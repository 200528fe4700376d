// One direction of a WebSocket whose text messages rules edit (`transformMessage`, engine.md 6): octets go in as they
// came, octets that go on come out. A text message waits until all of it is here; what no edit touches goes on as it
// stood. Once a message was changed the direction is written anew to its end: a compressed message is compressed
// again by a coder of our own, since the receiver's window no longer holds what the sender's does (RFC 7692 §7.2).
// Control frames pass at once and as they stood. A message over the limit passes unedited and marks the exchange;
// so does everything behind frames that break RFC 6455. Pure; one worker thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "websocket/deflate.h"
#include "websocket/websocket.h"

namespace sluice::proxy {

class WebSocketEditor {
 public:
  // The text in place of `text`; nullopt: it stays.
  using Edit = std::function<std::optional<std::string>(std::string_view text)>;

  // `agreed`: the answer's extensions; with ones that Sluice does not know nothing is edited.
  WebSocketEditor(websocket::Sender sender, const websocket::Extensions& agreed, ByteCount limit, Edit edit);

  void pass(Bytes octets, std::string& out);
  // No more octets come: what waited for its end goes as it stood.
  void finish(std::string& out);
  // A message was too large to be edited.
  bool passed_limit() const { return passed_limit_; }

 private:
  enum class Way : std::uint8_t {
    kGather,   // the message waits: raw_ as it stood, text_ as it reads
    kPass,     // its frames pass as they stood
    kRewrite,  // its content passes in frames of ours, as it comes
  };
  void on_head(const websocket::FrameHead& head, std::string& out);
  void begin(const websocket::FrameHead& head);
  void on_data(const websocket::FramePiece& piece, std::string& out);
  void take(Bytes content, std::string& out);
  void end_message(std::string& out);
  void forget();
  void stop_gathering(std::string& out);
  void send(websocket::Opcode opcode, std::string_view content, bool compress, std::string& out);
  void send_part(bool last, std::string& out);
  void give_up(Bytes unsent, std::string& out);

  websocket::FrameReader reader_;
  const Edit edit_;
  const ByteCount limit_;
  std::optional<websocket::Inflater> inflater_;
  std::optional<websocket::Deflater> deflater_;  // once messages are written anew
  std::optional<websocket::DeflateParameters> deflate_;
  const websocket::Sender sender_;

  // The message under way.
  Way way_ = Way::kGather;
  std::string raw_, text_;
  websocket::Opcode opcode_ = websocket::Opcode::kText;
  std::optional<websocket::MaskKey> key_;
  bool open_ = false, compressed_ = false, begun_ = false;  // begun_: a part of it went out in a frame of ours

  bool in_control_ = false, last_frame_ = true;
  bool anew_ = false;   // a message was changed
  bool blind_ = false;  // what comes can no longer be read
  bool passed_limit_ = false;
};

}  // namespace sluice::proxy
