#include "analysis/search.h"

#include <algorithm>
#include <array>
#include <optional>

#include "analysis/body.h"
#include "capture/needle.h"

namespace sluice::analysis {
namespace {

using capture::Needle;

constexpr std::size_t kAround = 40;
constexpr std::size_t kBinaryPrefix = 512;
constexpr std::size_t kProgressEvery = 256;

std::string snippet_of(Bytes text, std::size_t at, std::size_t length) {
  const std::size_t from = at > kAround ? at - kAround : 0;
  return std::string(text.substr(from, at - from + length + kAround));
}

// An exchange after the quick look: found, or with bodies to look into.
struct Candidate {
  std::array<char, 16> id{};
  std::optional<Place> place;
  std::string snippet;
  bool request_body = false, response_body = false;
  std::string request_coding, response_coding;
};

class Search {
 public:
  Search(const capture::Ring& ring, const SearchQuery& query) : ring_(ring), query_(query), needle_(query.text) {}

  Result<SearchResult> run() {
    ring_.glance(query_.filter, [&](const capture::Glance& glance) {
      look(glance);
      return !query_.stop.stop_requested();
    });
    SearchResult result;
    for (Candidate& candidate : candidates_) {
      if (query_.stop.stop_requested()) return fail(Code::kCancelled, "The search was cancelled.");
      if (++result.searched % kProgressEvery == 0 && query_.progress) {
        query_.progress(result.searched, candidates_.size());
      }
      SLUICE_CHECK(look_into_bodies(candidate));
      if (!candidate.place) continue;
      if (result.total >= query_.offset && result.hits.size() < query_.limit) {
        capture::Glance named;
        named.raw_id = Bytes(candidate.id.data(), candidate.id.size());
        result.hits.push_back({named.id(), *candidate.place, std::move(candidate.snippet)});
      }
      ++result.total;
    }
    if (query_.stop.stop_requested()) return fail(Code::kCancelled, "The search was cancelled.");
    return result;
  }

 private:
  // With the ring locked.
  void look(const capture::Glance& glance) {
    Candidate& candidate = candidates_.emplace_back();
    glance.raw_id.copy(candidate.id.data(), candidate.id.size());
    if (query_.in_url) note(candidate, Place::kUrl, glance.url);
    if (query_.in_headers) {
      const bool folded = (glance.anomalies & http::bit(http::Anomaly::kObsFold)) != 0;
      note_values(candidate, Place::kRequestHeader, glance.request_head, folded);
      note_values(candidate, Place::kRequestHeader, glance.request_trailers, folded);
      note_values(candidate, Place::kResponseHeader, glance.response_head, folded);
      note_values(candidate, Place::kResponseHeader, glance.response_trailers, folded);
    }
    if (candidate.place || !query_.in_bodies) return;
    candidate.request_body = glance.request_stored > 0;
    candidate.response_body = glance.response_stored > 0;
    if (candidate.request_body) candidate.request_coding = coding_of(glance.request_head);
    if (candidate.response_body) candidate.response_coding = coding_of(glance.response_head);
  }

  void note(Candidate& candidate, Place place, Bytes text) const {
    if (candidate.place) return;
    const std::size_t at = needle_.find_in(text);
    if (at == Bytes::npos) return;
    candidate.place = place;
    candidate.snippet = snippet_of(text, at, needle_.size());
  }

  // In values, not in names or start lines; but most heads do not hold the text anywhere, which is quick to see.
  void note_values(Candidate& candidate, Place place, Bytes head, bool folded) const {
    if (candidate.place || (!folded && !needle_.is_in(head))) return;
    const http::FieldList fields = flow::parse_fields(head);
    for (std::size_t i = 0; i < fields.size(); ++i) note(candidate, place, fields.value(i));
  }

  std::string coding_of(Bytes head) const {
    if (!coding_name_.is_in(head)) return "";
    return flow::parse_fields(head).joined("content-encoding").value_or("");
  }

  Status look_into_bodies(Candidate& candidate) {
    if (candidate.request_body) {
      SLUICE_CHECK(look_into(candidate, flow::Direction::kRequest, candidate.request_coding, Place::kRequestBody));
    }
    if (candidate.response_body && !candidate.place) {
      SLUICE_CHECK(look_into(candidate, flow::Direction::kResponse, candidate.response_coding, Place::kResponseBody));
    }
    return {};
  }

  // Piece by piece, with the end of the last piece in front of the next.
  Status look_into(Candidate& candidate, flow::Direction direction, std::string_view coding, Place place) {
    capture::Glance named;
    named.raw_id = Bytes(candidate.id.data(), candidate.id.size());
    BodyStream body(ring_, named.id(), direction, coding, query_.body_budget);
    window_.clear();
    for (bool first = true;; first = false) {
      if (query_.stop.stop_requested()) return fail(Code::kCancelled, "The search was cancelled.");
      const auto piece = body.next();
      if (!piece || piece->empty()) return {};  // its end, or it left the ring meanwhile
      if (first && piece->substr(0, kBinaryPrefix).find('\0') != Bytes::npos) return {};
      Bytes text = *piece;
      if (!window_.empty()) text = window_.append(*piece);
      note(candidate, place, text);
      if (candidate.place) return {};
      const std::size_t keep = std::min(text.size(), needle_.size() + kAround);
      window_ = std::string(text.substr(text.size() - keep));
    }
  }

  const capture::Ring& ring_;
  const SearchQuery& query_;
  Needle needle_;
  Needle coding_name_{"content-encoding"};
  std::vector<Candidate> candidates_;
  std::string window_;
};

}  // namespace

std::string_view to_string(Place place) {
  switch (place) {
    case Place::kUrl:
      return "url";
    case Place::kRequestHeader:
      return "request_header";
    case Place::kResponseHeader:
      return "response_header";
    case Place::kRequestBody:
      return "request_body";
    case Place::kResponseBody:
      return "response_body";
  }
  return "";
}

Result<SearchResult> search(const capture::Ring& ring, const SearchQuery& query) {
  if (query.text.empty()) return fail(Code::kInvalid, "The text to search for is empty.");
  return Search(ring, query).run();
}

}  // namespace sluice::analysis
