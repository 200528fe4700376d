// The body of one side as an export shows it: piece by piece as it is, or masked in one. Private to this folder.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "analysis/body.h"
#include "analysis/export.h"

namespace sluice::analysis {

class ExportBody {
 public:
  ExportBody(const ExportSource& source, flow::Direction direction, Form form);

  // Reads through it once, so that the text before it can say what it is: not where that was written before.
  Status measure();
  ByteCount size() const { return size_; }  // in this form
  bool is_text() const { return text_; }    // UTF-8 from end to end
  bool holds_nul() const { return nul_; }
  const std::string& problem() const { return problem_; }  // why there is less than there was; mostly empty

  enum class Encoding { kPlain, kJsonText, kBase64, kChunks };
  // A part of the entry.
  Status put(ExportSink& sink, Encoding encoding);
  Result<std::string> whole();  // where it is known to be small

 private:
  using Visit = std::function<bool(Bytes)>;  // false: enough
  Status each(ByteCount from, const Visit& visit);
  Status walk(ByteCount from, const Visit& visit);
  BodyStream open(ByteCount from) const;
  void look(Bytes piece, std::string& carry);

  const ExportSource& source_;
  flow::Direction direction_;
  Form form_;
  std::string coding_, type_;
  std::optional<std::string> masked_;
  ByteCount size_ = 0;
  bool text_ = true, nul_ = false;
  std::string problem_, stream_problem_;
};

// As on the wire; without its coding where it is masked.
Form export_form(const ExportSource& source);

}  // namespace sluice::analysis
