// Fills a page of messages: which are wanted, how much of each, cut and masked. Private to this folder.
#pragma once

#include "analysis/messages.h"

namespace sluice::analysis {

class PageFiller {
 public:
  PageFiller(MessagePage& page, const MessageQuery& query) : page_(page), query_(query), left_(query.budget) {}

  // Of each message's content this much is needed at most.
  ByteCount keep() const { return query_.budget + kMaskAhead; }
  bool is_wanted(std::uint64_t number) const { return number >= query_.offset && !full_; }
  bool is_full() const { return full_; }
  // `content`: all that can be had of it (`is_here`), or at least keep() octets.
  void add(SeenMessage message, std::string_view content, bool is_here);
  Status check(const SeenMessage& message) const;  // before it is read
  Status go_on() const;

  const MessageQuery& query() const { return query_; }
  MessagePage& page() { return page_; }

 private:
  MessagePage& page_;
  const MessageQuery& query_;
  ByteCount left_;
  bool full_ = false;
};

Status read_socket_messages(const capture::BodySource& ring, const flow::Exchange& exchange, PageFiller& filler);

}  // namespace sluice::analysis
