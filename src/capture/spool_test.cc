// What stands on the disk: segments that can be read alone.
#include <gtest/gtest.h>

#include <set>

#include "capture/capture_test_support.h"
#include "capture/records.h"

namespace sluice::capture {
namespace {

class SpoolTest : public testing::Test, protected RingFixture {
 protected:
  struct Read {
    std::vector<RecordType> types;
    std::set<std::uint64_t> connections, upstreams;
    std::string bodies;  // responses'
    std::size_t damages = 0;
    bool torn = false, mentions = true;
  };

  Read read(const std::string& name) {
    Read found;
    const auto file = disk.open(options.spool_directory + "/" + name, OpenMode::kRead);
    auto reader = SegmentReader::create(**file);
    EXPECT_TRUE(reader) << name;
    for (;;) {
      const auto step = reader->next();
      EXPECT_TRUE(step);
      if (!step || *step == SegmentReader::Step::kEnd) return found;
      if (*step == SegmentReader::Step::kDamage) {
        ++found.damages;
        found.torn |= reader->damage().torn;
        continue;
      }
      note(found, reader->record());
    }
  }
  static void note(Read& found, const SegmentReader::Record& record) {
    found.types.push_back(record.type);
    switch (record.type) {
      case RecordType::kConnection:
        EXPECT_TRUE(parse_connection(record.payload));
        EXPECT_TRUE(found.connections.insert(record.subject).second);
        break;
      case RecordType::kUpstream:
        EXPECT_TRUE(found.upstreams.insert(record.subject).second);
        break;
      case RecordType::kOpened: {
        const auto opened = parse_opened(record.payload.substr(sizeof(Uuid)));
        found.mentions &= opened && found.connections.contains(opened->connection);
        break;
      }
      case RecordType::kResponded: {
        const auto responded = parse_responded(record.payload);
        found.mentions &= responded && found.upstreams.contains(responded->upstream);
        break;
      }
      case RecordType::kResponseBody:
        found.bodies += record.payload;
        break;
      default:
        break;
    }
  }
  std::vector<std::string> segments() {
    auto names = *disk.list(options.spool_directory);
    std::erase(names, "lock");
    return names;
  }
  void one(int number, const std::string& content) {
    const ExchangeSeq seq = begin({.target = "/" + std::to_string(number), .connection = connections_[number % 3]});
    sink().responded(seq, {.status = 200, .head = "HTTP/1.1 200 Fine\r\n\r\n", .upstream = upstream_});
    read_body_in(seq, content);
    end(seq, {});
  }

 private:
  static flow::UpstreamPtr make_upstream() {
    auto upstream = std::make_shared<flow::Upstream>();
    upstream->id = 7;
    return upstream;
  }
  const flow::ConnectionPtr connections_[3] = {connection(1), connection(2), connection(3)};
  const flow::UpstreamPtr upstream_ = make_upstream();
};

// Records of every length cross the borders of chunks and of segments.
TEST_F(SpoolTest, SegmentsAreWholeAndSayWhatTheyReferTo) {
  options.limits.spool_disk = 64 * kMiB;  // segments of 4 MiB
  ASSERT_TRUE(open());
  std::string sent;
  for (int i = 0; i < 60; ++i) {
    const std::string content(static_cast<std::size_t>(i) * 7'919, static_cast<char>('a' + i % 26));
    one(i, content);
    sent += content;
    if (i % 7 == 0) ring->pump();
  }
  ring->pump();
  const auto names = segments();
  ASSERT_GT(names.size(), 2u);
  std::string found;
  for (const std::string& name : names) {
    const Read segment = read(name);
    EXPECT_TRUE(segment.mentions) << name;
    found += segment.bodies;
    if (name != names.back()) EXPECT_EQ(segment.damages, 0u) << name;
    if (name == names.back()) EXPECT_TRUE(segment.damages <= 1 && (segment.damages == 0 || segment.torn));
  }
  EXPECT_GT(found.size(), sent.size() - 2 * options.limits.chunk);  // the last chunk is not full yet
  EXPECT_TRUE(found == sent.substr(0, found.size()));
}

TEST_F(SpoolTest, AMessageSaysOnDiskWhatIsMissingBeforeIt) {
  options.limits.max_body = 4;
  ASSERT_TRUE(open());
  const ExchangeSeq socket = begin({.target = "/socket"});
  sink().body(socket, flow::Direction::kRequest, "123456");
  sink().message(socket, {.opcode = 1, .offset = 0, .length = 6});
  ring->pump();
  const std::string id = ring->list({.states = {flow::State::kOpen}}, 0, 1).exchanges.at(0).id;
  EXPECT_EQ(ring->messages(id, 0, 1, 9)->messages.at(0).octets, "1234");
  for (int i = 0; i < 2'000; ++i) exchange({.target = "/" + std::string(200, 'x')});
  ring->pump();
  const auto file = disk.open(options.spool_directory + "/" + segments().at(0), OpenMode::kRead);
  auto reader = SegmentReader::create(**file);
  ASSERT_TRUE(reader);
  while (reader->record().type != RecordType::kMessage) ASSERT_EQ(*reader->next(), SegmentReader::Step::kRecord);
  const auto parts = parse_message(reader->record().payload);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->missing, 2u);
  EXPECT_EQ(parts->seen.length, 6u);
}

}  // namespace
}  // namespace sluice::capture
