// A file that appears under its name only when it is whole: until finish() it has another one, and goes with this.
// It never takes the place of one that is there. Belongs to one thread.
#pragma once

#include <memory>
#include <string>

#include "base/allowed_roots.h"

namespace sluice {

class NewFile {
 public:
  // kConflict: there is a file of that name; else what the disk says.
  static Result<NewFile> create(Place place);
  NewFile(NewFile&&) = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  Status append(Bytes octets);
  // Synced and renamed. After a failure nothing is left.
  Status finish();
  const std::string& path() const { return place_.path; }

 private:
  NewFile(Place place, std::string part, std::unique_ptr<File> file)
      : place_(std::move(place)), part_(std::move(part)), file_(std::move(file)) {}

  Place place_;
  std::string part_;
  std::unique_ptr<File> file_;  // null: nothing is to be taken away
};

}  // namespace sluice
