// What goes on of a direction whose messages are edited, wherever its octets are cut.
#include "proxy/websocket_editor.h"

#include <gtest/gtest.h>

namespace sluice::proxy {
namespace {

using websocket::Opcode;
using websocket::Sender;

constexpr websocket::MaskKey kKey{'k', 'e', 'y', '!'};

std::string frame(Opcode opcode, Bytes payload, bool fin = true, std::uint8_t reserved = 0) {
  std::string out;
  websocket::append_frame(out, opcode, payload, kKey, reserved, fin);
  return out;
}

std::optional<std::string> shout(std::string_view text) {
  if (text.find("quiet") == std::string_view::npos) return std::nullopt;
  return "LOUD " + std::string(text);
}

websocket::Extensions deflated() { return *websocket::parse_extensions("permessage-deflate"); }

WebSocketEditor editor(const websocket::Extensions& agreed = {}, ByteCount limit = 1000) {
  return {Sender::kClient, agreed, limit, shout};
}

std::string pass(WebSocketEditor editor, std::string_view octets, std::size_t part = std::string::npos) {
  std::string out;
  for (std::size_t at = 0; at < octets.size(); at += std::min(part, octets.size())) {
    const std::string piece(octets.substr(at, part));  // a block of its own: a view kept too long is found
    editor.pass(piece, out);
  }
  editor.finish(out);
  return out;
}

// The payloads of data messages, decoded.
std::string read(std::string_view octets, const websocket::Extensions& agreed = {}) {
  websocket::MessageReader reader(Sender::kClient, agreed.reserved());
  std::optional<websocket::Inflater> inflater;
  if (agreed.deflate) inflater.emplace(agreed.deflate->context(Sender::kClient));
  std::string fed(octets), all, text;
  bool compressed = false;
  reader.feed_in_place({fed.data(), fed.size()});
  for (;;) {
    const auto event = reader.next();
    if (!event) return all + "error " + event.error().message;
    if (std::holds_alternative<websocket::NeedMore>(*event)) return all;
    if (const auto* start = std::get_if<websocket::MessageStart>(&*event)) {
      compressed = start->compressed;
      text.clear();
      if (compressed) inflater->begin(&text, kMiB);
    } else if (const auto* piece = std::get_if<websocket::MessagePiece>(&*event)) {
      if (!compressed)
        text += piece->content;
      else if (!inflater->feed(piece->content))
        return all + "not deflated";
    } else if (std::holds_alternative<websocket::MessageEnd>(*event)) {
      if (compressed && !inflater->end()) return all + "not deflated";
      all += "[" + text + "]";
    } else {
      all += "(" + std::string(std::get<websocket::Control>(*event).payload) + ")";
    }
  }
}

TEST(WebSocketEditor, LeavesWhatNoEditTouchesAsItStood) {
  const std::string octets = frame(Opcode::kText, "one") + frame(Opcode::kBinary, "quiet octets") +
                             frame(Opcode::kText, "tw", false) + frame(Opcode::kContinuation, "o") +
                             frame(Opcode::kPing, "p") + frame(Opcode::kClose, "");
  for (std::size_t part = 1; part <= octets.size(); part = part * 2 + 1)
    EXPECT_EQ(pass(editor(), octets, part), octets);
}

TEST(WebSocketEditor, WritesADirectionAnewOnceAMessageWasChanged) {
  const std::string octets = frame(Opcode::kText, "one") + frame(Opcode::kText, "be quiet") +
                             frame(Opcode::kText, "th", false) + frame(Opcode::kPing, "p") +
                             frame(Opcode::kContinuation, "ree") + frame(Opcode::kBinary, "quiet");
  for (std::size_t part = 1; part <= octets.size(); part = part * 2 + 1) {
    EXPECT_EQ(read(pass(editor(), octets, part)), "[one][LOUD be quiet](p)[three][quiet]");
  }
}

TEST(WebSocketEditor, CompressesAnewWithAWindowOfItsOwn) {
  auto deflater = websocket::Deflater::create(websocket::Context::kTakenOver, 15);
  ASSERT_TRUE(deflater);
  std::string octets;
  for (const char* text : {"the very same words", "the very same quiet words", "the very same words", "and others"}) {
    std::string payload;
    deflater->deflate(text, payload);
    octets += frame(Opcode::kText, payload, true, websocket::kRsv1);
  }
  octets += frame(Opcode::kText, "plain");
  for (std::size_t part = 1; part <= octets.size(); part = part * 3 + 1) {
    EXPECT_EQ(read(pass(editor(deflated()), octets, part), deflated()),
              "[the very same words][LOUD the very same quiet words][the very same words][and others][plain]");
  }
}

TEST(WebSocketEditor, PassesWhatIsTooLargeAndGoesOnEditing) {
  const std::string large(3'000, 'x');
  const std::string octets =
      frame(Opcode::kText, "quiet " + large) + frame(Opcode::kText, "quiet") + frame(Opcode::kText, "quiet " + large);
  WebSocketEditor limited = editor();
  std::string out;
  limited.pass(octets, out);
  EXPECT_TRUE(limited.passed_limit());
  EXPECT_TRUE(out.starts_with(frame(Opcode::kText, "quiet " + large)));
  EXPECT_EQ(read(out), "[quiet " + large + "][LOUD quiet][quiet " + large + "]");
}

TEST(WebSocketEditor, FragmentsThatCarryNothingCountAgainstTheLimit) {
  WebSocketEditor limited = editor();
  std::string octets = frame(Opcode::kText, "quiet", false);
  for (int i = 0; i < 1'000; ++i) octets += frame(Opcode::kContinuation, "", false);
  std::string out;
  limited.pass(octets, out);
  EXPECT_TRUE(limited.passed_limit());
  EXPECT_EQ(out, octets);  // none of it waits
}

TEST(WebSocketEditor, PassesEverythingBehindWhatItCannotRead) {
  const std::string waiting = frame(Opcode::kText, "quiet", false);
  for (const std::string& bad :
       {frame(Opcode{3}, "reserved"), frame(Opcode::kText, "a new one"), std::string("\x81\x05hello", 7)}) {
    const std::string octets = waiting + bad + "anything";
    for (std::size_t part = 1; part <= octets.size(); part = part * 2 + 1)
      EXPECT_EQ(pass(editor(), octets, part), octets);
  }
  EXPECT_EQ(pass(editor(), frame(Opcode::kContinuation, "of nothing") + "x"),
            frame(Opcode::kContinuation, "of nothing") + "x");
  const std::string garbage =
      frame(Opcode::kText, "\xff\xff\xff\xff", true, websocket::kRsv1) + frame(Opcode::kText, "quiet");
  EXPECT_EQ(pass(editor(deflated()), garbage), garbage);
}

TEST(WebSocketEditor, EditsNothingWhereAnUnknownExtensionWasAgreed) {
  const std::string octets = frame(Opcode::kText, "quiet", true, websocket::kRsv2);
  EXPECT_EQ(pass(editor(*websocket::parse_extensions("x-unknown")), octets), octets);
}

TEST(WebSocketEditor, PassesWhatWaitedAtTheEnd) {
  const std::string octets = frame(Opcode::kText, "quie", false);
  EXPECT_EQ(pass(editor(), octets), octets);
}

}  // namespace
}  // namespace sluice::proxy
