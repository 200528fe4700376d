#include "analysis/search.h"

#include <algorithm>
#include <array>
#include <optional>

#include "analysis/body.h"
#include "analysis/filtered.h"
#include "capture/needle.h"

namespace sluice::analysis {
namespace {

using capture::Needle;
using flow::Direction;

constexpr std::size_t kProgressEvery = 64;
constexpr std::uint64_t kFirstStretch = 512;  // revisions: a few for each exchange
// Of a body that holds the text somewhere, looked at masked first; then twice as much, and so on.
constexpr ByteCount kFirstMasked = 64 * kKiB;

// An exchange after the quick look: found, or with bodies to look into.
struct Candidate {
  std::array<char, 16> id{};
  std::uint64_t rev = 0;
  std::size_t order = 0;       // among those that the ring gave, the ones that are passed over included
  std::optional<Place> place;  // found here, in raw octets
  bool request_body = false, response_body = false;
  std::string request_coding, response_coding;
};

std::string name_of(const Candidate& candidate) {
  capture::Glance named;
  named.raw_id = Bytes(candidate.id.data(), candidate.id.size());
  return named.id();
}

class Search {
 public:
  Search(const capture::Ring& ring, const SearchQuery& query) : ring_(ring), query_(query), needle_(query.text) {}

  Result<SearchResult> run() {
    if (query_.index) {
      query_.index->want();
      if (query_.body_budget <= RingTextIndex::kIndexedBody) without_ = query_.index->without(query_.text);
    }
    if (query_.newest_first) return run_backwards();
    SLUICE_CHECK(look_at(query_.filter));
    SLUICE_CHECK(go_on());
    return std::move(result_);
  }

 private:
  // A stretch of revisions at a time: a page of what is in most exchanges is full after a few.
  Result<SearchResult> run_backwards() {
    capture::Filter part = query_.filter;
    const std::uint64_t first = part.after_rev.value_or(0);
    std::uint64_t end = std::min(part.before_rev.value_or(UINT64_MAX), ring_.last_rev() + 1);
    for (std::uint64_t stretch = kFirstStretch; end > first + 1 && result_.whole; stretch *= 2) {
      part.before_rev = end;
      part.after_rev = end - 1 > first + stretch ? end - 1 - stretch : first;
      SLUICE_CHECK(look_at(part));
      end = *part.after_rev + 1;
    }
    SLUICE_CHECK(go_on());
    return std::move(result_);
  }

  // What is answered is the same with an index and without one: what is passed over counts as looked at, in its place.
  Status look_at(const capture::Filter& filter) {
    candidates_.clear();
    revs_.clear();
    ring_.glance(
        filter,
        [&](const capture::Glance& glance) {
          look(glance);
          return !query_.stop.stop_requested();
        },
        [&](std::uint64_t rev) {
          revs_.push_back(rev);
          return !without_.holds_none(rev);
        });
    if (query_.newest_first) {
      std::reverse(candidates_.begin(), candidates_.end());
      std::reverse(revs_.begin(), revs_.end());
    }
    const std::size_t before = result_.searched;
    const auto is_full = [&] { return query_.newest_first && result_.hits.size() >= query_.limit; };
    for (const Candidate& candidate : candidates_) {
      SLUICE_CHECK(go_on());
      if (is_full() || (query_.enough && query_.enough())) {
        result_.whole = false;
        return {};
      }
      const std::size_t passed_before = query_.newest_first ? revs_.size() - 1 - candidate.order : candidate.order;
      result_.rev = candidate.rev;
      result_.searched = before + passed_before + 1;
      // Whoever is shown masks learns nothing of what is passed over.
      if (++looked_ % kProgressEvery == 0 && query_.progress && !(query_.redactor && !without_.empty())) {
        query_.progress(result_.searched, revs_.size());
      }
      SLUICE_TRY(const bool passed, passes_expression(candidate));
      if (!passed) continue;
      SLUICE_TRY(const std::optional<Place> place, find_in(candidate));
      if (!place) continue;
      if (result_.total >= query_.offset && result_.hits.size() < query_.limit) {
        result_.hits.push_back({name_of(candidate), candidate.rev, *place});
      }
      ++result_.total;
    }
    if (revs_.empty()) return {};
    if (is_full() && result_.searched < before + revs_.size()) {
      result_.whole = false;
      return {};
    }
    result_.searched = before + revs_.size();
    result_.rev = revs_.back();
    return {};
  }

  Status go_on() const {
    if (query_.stop.stop_requested()) return fail(Code::kCancelled, "The search was cancelled.");
    return {};
  }

  Result<bool> passes_expression(const Candidate& candidate) const {
    if (!query_.expression) return true;
    const auto exchange = ring_.find(name_of(candidate));
    if (!exchange) return false;
    return passes(*query_.expression, ring_, *exchange,
                  {.redactor = query_.redactor, .body_budget = query_.body_budget, .stop = query_.stop});
  }

  // With the ring locked.
  void look(const capture::Glance& glance) {
    Candidate& candidate = candidates_.emplace_back();
    candidate.order = revs_.size() - 1;
    glance.raw_id.copy(candidate.id.data(), candidate.id.size());
    candidate.rev = glance.rev;
    if (query_.in_url && needle_.is_in(glance.url)) candidate.place = Place::kUrl;
    if (query_.in_headers) {
      const bool folded = (glance.anomalies & http::bit(http::Anomaly::kObsFold)) != 0;
      note_values(candidate, Place::kRequestHeader, glance.request_head, folded);
      note_values(candidate, Place::kRequestHeader, glance.request_trailers, folded);
      note_values(candidate, Place::kResponseHeader, glance.response_head, folded);
      note_values(candidate, Place::kResponseHeader, glance.response_trailers, folded);
    }
    // What was found may turn out to be masked: then the bodies are looked into.
    if ((candidate.place && !query_.redactor) || !query_.in_bodies) return;
    candidate.request_body = glance.request_stored > 0;
    candidate.response_body = glance.response_stored > 0;
    if (candidate.request_body) candidate.request_coding = content_coding(glance.request_head);
    if (candidate.response_body) candidate.response_coding = content_coding(glance.response_head);
  }

  // In values, not in names or start lines; but most heads do not hold the text anywhere, which is quick to see.
  void note_values(Candidate& candidate, Place place, Bytes head, bool folded) const {
    if (candidate.place || (!folded && !needle_.is_in(head))) return;
    const http::FieldList fields = flow::parse_fields(head);
    for (std::size_t i = 0; i < fields.size() && !candidate.place; ++i) {
      if (needle_.is_in(fields.value(i))) candidate.place = place;
    }
  }

  Result<std::optional<Place>> find_in(const Candidate& candidate) {
    if (!query_.redactor) {
      if (candidate.place) return candidate.place;
    } else if (candidate.place) {
      if (const auto exchange = ring_.find(name_of(candidate))) {
        if (const auto place = find_masked(*exchange)) return place;
      }
    }
    if (candidate.request_body) {
      SLUICE_TRY(const bool found, is_in_body(candidate, Direction::kRequest));
      if (found) return Place::kRequestBody;
    }
    if (candidate.response_body) {
      SLUICE_TRY(const bool found, is_in_body(candidate, Direction::kResponse));
      if (found) return Place::kResponseBody;
    }
    return std::nullopt;
  }

  // --- masked ---

  bool is_visible(const Redacted& shown) const {
    return needle_.is_in(shown.masked ? without_masks(shown.text) : shown.text);
  }

  std::optional<Place> find_masked(const flow::Exchange& exchange) const {
    if (query_.in_url) {
      const std::string url = flow::url_of(exchange);
      if (needle_.is_in(url) && is_visible(query_.redactor->mask_url(url))) return Place::kUrl;
    }
    if (!query_.in_headers) return std::nullopt;
    for (const std::string* head : {&exchange.request.head, &exchange.request.trailers}) {
      if (is_in_masked_values(*head)) return Place::kRequestHeader;
    }
    for (const std::string* head : {&shown_head(exchange, Direction::kResponse), &exchange.response.trailers}) {
      if (is_in_masked_values(*head)) return Place::kResponseHeader;
    }
    return std::nullopt;
  }

  bool is_in_masked_values(Bytes head) const {
    const http::FieldList fields = flow::parse_fields(head);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!needle_.is_in(fields.value(i))) continue;
      if (is_visible(query_.redactor->mask_header_value(fields.name(i), fields.value(i)))) return true;
    }
    return false;
  }

  // In prefixes that double, since most texts stand near the beginning. The end of a prefix is left to the next, and
  // at the budget's end to nobody: there a secret may be cut so short that it does not look like one.
  Result<bool> is_in_masked_body(const Candidate& candidate, Direction direction) {
    const auto exchange = ring_.find(name_of(candidate));
    if (!exchange) return false;
    const auto type = flow::parse_fields(shown_head(*exchange, direction)).joined("content-type").value_or("");
    BodyStream body = open(candidate, direction);
    std::string text;
    for (ByteCount wanted = kFirstMasked;; wanted *= 2) {
      bool whole = false;
      while (!whole && text.size() < std::min(wanted, query_.body_budget)) {
        SLUICE_CHECK(go_on());
        const auto piece = body.next();
        whole = !piece || piece->empty();
        if (!whole) text.append(*piece);
      }
      Redacted shown = query_.redactor->mask_body(text, type);
      const bool cut = !whole || !body.problem().empty();
      if (cut) shown.text.resize(shown.text.size() - std::min<std::size_t>(shown.text.size(), kMaskAhead));
      if (is_visible(shown)) return true;
      if (whole || text.size() >= query_.body_budget) return false;
    }
  }

  // --- bodies ---

  BodyStream open(const Candidate& candidate, Direction direction) const {
    return {ring_,
            name_of(candidate),
            direction,
            direction == Direction::kRequest ? candidate.request_coding : candidate.response_coding,
            {.budget = query_.body_budget}};
  }

  Result<bool> is_in_body(const Candidate& candidate, Direction direction) {
    SLUICE_TRY(const bool found, is_in_raw_body(candidate, direction));
    if (!found || !query_.redactor) return found;
    return is_in_masked_body(candidate, direction);
  }

  // Piece by piece, with the end of the last piece in front of the next.
  Result<bool> is_in_raw_body(const Candidate& candidate, Direction direction) {
    BodyStream body = open(candidate, direction);
    window_.clear();
    for (ByteCount passed = 0; passed < query_.body_budget;) {
      SLUICE_CHECK(go_on());
      const auto piece = body.next();
      if (!piece || piece->empty()) break;  // its end, or it left the ring meanwhile
      passed += piece->size();
      Bytes text = *piece;
      if (!window_.empty()) text = window_.append(*piece);
      if (needle_.is_in(text)) return true;
      window_ = std::string(text.substr(text.size() - std::min(text.size(), needle_.size())));
    }
    return false;
  }

  const capture::Ring& ring_;
  const SearchQuery& query_;
  Needle needle_;
  std::vector<Candidate> candidates_;
  std::vector<std::uint64_t> revs_;  // of the stretch, in the order in which it is looked at
  WithoutText without_;
  SearchResult result_;
  std::size_t looked_ = 0;
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

Result<SearchResult> search(const capture::Ring& ring, const SearchQuery& query) { return Search(ring, query).run(); }

}  // namespace sluice::analysis
