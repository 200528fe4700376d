// Reading audit files: line by line, of one file or of a folder, whole lines and a last one that is not.
// A reader belongs to one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace sluice::gateway {

class AuditReader {
 public:
  static Result<AuditReader> open(FileSystem& files, const std::string& path, ByteCount offset = 0);

  struct Line {
    std::string text;   // without its end
    bool whole = true;  // false: the file ends inside it
  };
  // The next line; nothing at the end of the file. What is not whole yet is told once more when asked again after the
  // file has grown. kTooLarge: more than 4 MiB without an end.
  Result<std::optional<Line>> next();
  ByteCount offset() const { return offset_; }  // behind the last whole line
  bool is_written() const;                      // a process holds it open for writing

 private:
  explicit AuditReader(std::unique_ptr<File> file, ByteCount offset) : file_(std::move(file)), offset_(offset) {}
  std::unique_ptr<File> file_;
  ByteCount offset_ = 0, read_ = 0;
  std::string buffer_;  // octets from offset_ on
  std::size_t used_ = 0;
};

// Names of the audit files in a folder by their numbers; others (lock, key, files of older versions) are left out.
Result<std::vector<std::string>> audit_file_names(FileSystem& files, const std::string& directory);

}  // namespace sluice::gateway
